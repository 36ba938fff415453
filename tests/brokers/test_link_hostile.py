"""The broker edge against those who would stop it: strangers' packets, and brokers that forget."""

import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from device_sdk.wire.notice import EventKind
from gateway.link.paho_client import without_properties
from tests.brokers.gateway_bench import GatewayBench
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
