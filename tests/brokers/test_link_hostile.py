"""The broker edge against those who would stop it: strangers' packets, and brokers that forget."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from device_sdk.wire.notice import EventKind
from gateway.link import paho_connection
from gateway.link.address import BrokerAddress
from gateway.link.buffer import Answers
from gateway.link.paho import PahoLink
from gateway.link.paho_client import without_properties
from gateway.link.paho_connection import PahoConnection
from gateway.link.port import BrokerRefusedError, LinkLostError
from tests.brokers.gateway_bench import PATIENCE, GatewayBench
from tests.brokers.mosquitto import Mosquitto
from tests.brokers.raw_client import RawClient, packet, text
from tests.support.envelopes import TOPICS


@pytest.fixture
async def bench(tmp_path: Path, mosquitto: str) -> AsyncIterator[GatewayBench]:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        yield GatewayBench(tmp_path, broker)


USER_PROPERTY = b"\x26" + text("key")
POISON = [
    USER_PROPERTY + text("\ufeff"),  # MQTT 5.0 allows it (1.5.4-3), paho calls it malformed
    b"\x03" + text("type\ufeff"),  # content type
    USER_PROPERTY + text("x" * 60_000) + USER_PROPERTY + text("\ufeff"),
]


async def publish_mqtt5(port: int, topic: str, properties: bytes, *, retain: bool) -> None:
    """Publish once as a client that speaks MQTT 5, and wait until the broker has taken it."""
    async with await RawClient.dial(port) as client:
        hello = text("MQTT") + bytes([5, 2]) + struct.pack("!H", 60) + b"\0" + text("stranger")
        await client.send(packet(0x10, hello))
        accepted = await client.read()
        assert accepted is not None
        assert accepted[0] == 0x20
        sized = packet(0, properties)[1:]
        body = text(topic) + struct.pack("!H", 1) + sized + b"anything"
        await client.send(packet(0x32 | int(retain), body))
        taken = await client.read()
        assert taken is not None
        assert taken[0] == 0x40


@pytest.mark.parametrize("retain", [False, True])
@pytest.mark.parametrize("properties", POISON)
async def test_no_property_of_a_strangers_packet_stops_the_gateway(
    bench: GatewayBench, properties: bytes, retain: bool
) -> None:
    message = bench.fleet.seal("thermo-1", ["hub"])
    async with bench.running():
        topic = TOPICS.send("phone", bytes(16))
        await publish_mqtt5(bench.port, topic, properties, retain=retain)
        thermo = await bench.device("thermo-1")
        await thermo.send(message)
        await thermo.told(EventKind.HELD, message)
    async with bench.running():  # and it is not brought again, whatever stands there
        thermo = await bench.device("thermo-1")
        await thermo.send(message)
        await thermo.told(EventKind.HELD, message)
        assert topic not in await bench.retained(topic)


def test_all_of_a_packet_but_its_properties_is_kept() -> None:
    for properties in (b"", *POISON):
        sized = packet(0, properties)[1:]
        assert without_properties(text("a/b") + b"\1\2" + sized + b"payload", 1) == (
            text("a/b") + b"\1\2\0payload"
        )
        assert without_properties(text("a/b") + sized, 0) == text("a/b") + b"\0"


@pytest.mark.parametrize("body", [b"", b"\0", b"\0\1a", b"\0\1a\5x", b"\0\1a\xff\xff\xff\xff\xff"])
def test_a_packet_that_ends_too_early_is_left_to_be_refused(body: bytes) -> None:
    assert without_properties(body, 0) == body


# ---------------------------------------------------------------------------- lost answers


class Forgetful:
    """A broker that speaks just enough MQTT 5, and swallows as many PUBACKs as it is told to."""

    def __init__(self) -> None:
        self.swallow = 0
        self.answer = b""
        """What comes after the packet id in each PUBACK, and in each SUBACK."""
        self._server: asyncio.Server | None = None
        self._serving: list[asyncio.Future[None]] = []

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()
        await asyncio.gather(*self._serving)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.append(asyncio.ensure_future(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = RawClient(reader, writer)
        while (came := await client.read()) is not None:
            kind, body = came
            if kind & 0xF0 == 0x10:
                await client.send(packet(0x20, b"\0\0\0"))
            elif kind & 0xF0 == 0x30:
                topic = 2 + int.from_bytes(body[:2])
                if self.swallow:
                    self.swallow -= 1
                else:
                    await client.send(packet(0x40, body[topic : topic + 2] + self.answer))
            elif kind & 0xF0 == 0x80:
                await client.send(packet(0x90, body[:2] + b"\0" + self.answer))
            elif kind == 0xC0:
                await client.send(packet(0xD0))
        await client.close()


async def test_a_swallowed_puback_ends_the_connection_although_later_ones_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paho_connection, "ANSWER_SECONDS", 0.0)
    broker = Forgetful()
    address = BrokerAddress(host="127.0.0.1", port=await broker.start(), tls=False)
    link = PahoLink(address, client_id="gw-1", credentials=lambda: None)
    async with asyncio.timeout(PATIENCE):
        connection = await link.connect()
        broker.swallow = 1
        lost = asyncio.ensure_future(connection.publish("a/b", b"swallowed"))
        await asyncio.sleep(0)  # it goes first
        await connection.publish("a/b", b"answered")
        with pytest.raises(LinkLostError, match="unanswered"):
            await lost
        with pytest.raises(LinkLostError):
            await connection.batch()
        again = await link.connect()
        await again.publish("a/b", b"swallowed")
        await again.close()
    await broker.stop()


@pytest.mark.parametrize("code", [0x95, 0xFF])
async def test_a_refusal_for_a_reason_that_mqtt_does_not_know_is_a_refusal(code: int) -> None:
    async with forgetful() as (broker, connection):
        broker.answer = bytes([code])
        with pytest.raises(BrokerRefusedError, match=f"0x{code:02x}"):
            await connection.publish("a/b", b"refused")
        broker.answer = b""
        await connection.publish("a/b", b"taken")


async def test_too_few_answers_to_a_subscription_end_the_connection() -> None:
    async with forgetful() as (broker, connection):
        broker.answer = b"\1"
        with pytest.raises(LinkLostError, match="1 codes"):
            await connection.subscribe(["a/#", "b/#"])


@contextlib.asynccontextmanager
async def forgetful() -> AsyncIterator[tuple[Forgetful, PahoConnection]]:
    """Give such a broker, and a connection to it."""
    broker = Forgetful()
    address = BrokerAddress(host="127.0.0.1", port=await broker.start(), tls=False)
    async with asyncio.timeout(PATIENCE):
        link = PahoLink(address, client_id="gw-1", credentials=lambda: None)
        connection = await link.connect()
        yield broker, connection
        await connection.close()
    await broker.stop()


async def test_on_a_slow_line_every_answer_gives_the_next_one_its_full_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop, answers = asyncio.get_running_loop(), Answers()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)
    waits = [asyncio.ensure_future(answers.to(number)) for number in (1, 2, 3)]
    await asyncio.sleep(0)
    for number, wait in enumerate(waits, start=1):
        now += 20
        assert not answers.overdue(30)
        answers.settle(number, [])
        await wait
    now += 1000
    assert not answers.overdue(30)  # nothing is due
    waits = [asyncio.ensure_future(answers.to(number)) for number in (4, 5)]
    await asyncio.sleep(0)
    now += 20
    answers.settle(5, [])  # while the one before it is not answered
    await waits[1]
    now += 20
    assert answers.overdue(30)
    answers.settle(4, [])
    await waits[0]
