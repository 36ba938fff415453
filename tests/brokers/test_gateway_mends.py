"""What reconciling mends: old ledgers, replays that are cut short, gateways side by side."""

import asyncio
import contextlib
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from device_sdk.wire.notice import PARTIAL, EventKind
from device_sdk.wire.topics import Kind
from gateway.link.paho import PahoLink
from gateway.presence import GatewayConflictError
from gateway.store.sqlite import LEDGER_FILE, read_summaries
from tests.brokers.gateway_bench import PATIENCE, GatewayBench
from tests.brokers.mosquitto import Mosquitto
from tests.support.envelopes import TOPICS, SealedMessage

INBOX = TOPICS.all_of(Kind.INBOX)
SMALL = "max_queued_messages 100\nmax_inflight_messages 20\n"  # the last word counts


def inbox(message: SealedMessage, reader: str = "hub") -> str:
    return TOPICS.inbox(reader, message.sender, message.message_id)


def pieces(messages: list[SealedMessage]) -> list[list[SealedMessage]]:
    """Split them, so that no queue of the broker's is filled by sending."""
    return [messages[at : at + 40] for at in range(0, len(messages), 40)]


async def hold(bench: GatewayBench, messages: list[SealedMessage]) -> None:
    """Run a gateway until it holds some messages."""
    async with bench.running():
        thermo = await bench.device("thermo-1")
        for some in pieces(messages):
            for message in some:
                await thermo.send(message)
            for message in some:
                await thermo.told(EventKind.HELD, message)


def forget(bench: GatewayBench) -> None:
    """Let the next gateway begin with a new ledger."""
    for path in bench.data.glob(f"{LEDGER_FILE}*"):
        path.unlink()


def speak(version: MQTTProtocolVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let gateways begin with a version of MQTT."""
    made = PahoLink.__init__

    def speaking(self: PahoLink, *args: Any, **options: Any) -> None:
        made(self, *args, **options)
        self._version = version

    monkeypatch.setattr(PahoLink, "__init__", speaking)


def back_up(bench: GatewayBench, to: Path) -> None:
    to.mkdir()
    for path in bench.data.glob(f"{LEDGER_FILE}*"):
        shutil.copy2(path, to)


def restore(bench: GatewayBench, source: Path) -> None:
    forget(bench)
    for path in source.iterdir():
        shutil.copy2(path, bench.data)


async def test_after_an_older_ledger_what_was_held_since_stands_and_what_was_read_since_goes_again(
    tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        bench = GatewayBench(tmp_path, broker)
        read, held = (bench.fleet.seal("thermo-1", ["hub"]) for _ in range(2))
        async with bench.running():
            thermo = await bench.device("thermo-1")
            await thermo.send(read)
            await thermo.told(EventKind.HELD, read)
        back_up(bench, tmp_path / "backup")
        async with bench.running():
            thermo, hub = await bench.device("thermo-1"), await bench.device("hub")
            await hub.read(read)
            await hub.cleared(read)
            await thermo.send(held)
            await thermo.told(EventKind.HELD, held)
        restore(bench, tmp_path / "backup")
        watcher = await bench.device("phone", INBOX)
        bench.keep(watcher)
        async with bench.running():
            # What the old ledger owes comes back; its reader knows it, and answers again.
            hub = await bench.device("hub")
            await hub.copy(read)
            await hub.read(read)
            await hub.cleared(read)
            assert set(await bench.retained(INBOX)) == {inbox(held)}
            thermo = await bench.device("thermo-1")
            (told,) = await thermo.answer_to(bench.fleet.query("thermo-1", sent=[held]))
            assert EventKind.HELD in [event.kind for event in told.events]
            assert not [m for m in watcher.received if m.topic == inbox(held) and not m.payload]
            await hub.read(held)
            await thermo.told(EventKind.READ, held)
        await watcher.close()


@pytest.mark.parametrize("version", [MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5])
async def test_copies_of_one_reader_from_one_sender_are_found_behind_the_brokers_limit(
    tmp_path: Path,
    mosquitto: str,
    monkeypatch: pytest.MonkeyPatch,
    version: MQTTProtocolVersion,
) -> None:
    speak(version, monkeypatch)
    monkeypatch.setattr("gateway.link.paho.RECEIVE_MAXIMUM", 20)
    with Mosquitto(tmp_path, program=mosquitto, extra=SMALL) as broker:
        bench = GatewayBench(tmp_path, broker)
        messages = [bench.fleet.seal("thermo-1", ["hub"]) for _ in range(400)]
        await hold(bench, messages)
        forget(bench)
        async with bench.running(watch=0):
            known = list(read_summaries(bench.data / LEDGER_FILE))
            assert len(known) == len(messages)
            # Nobody listens to the inbox: the broker would drop what its limit leaves no room for.
            hub = await bench.device("hub", TOPICS.notice("hub"))
            thermo = await bench.device("thermo-1")
            for some in pieces(messages):
                # They were out of the way for a moment, and stand again.
                topics = {inbox(message) for message in some}
                assert set(await bench.retained(*topics)) == topics
                for message in some:
                    await hub.read(message)
                for message in some:
                    await thermo.told(EventKind.READ, message)
            async with asyncio.timeout(PATIENCE):
                while await bench.retained(INBOX):
                    pass


async def test_two_gateways_on_copies_of_one_ledger_do_not_go_on_side_by_side(
    tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        bench = GatewayBench(tmp_path, broker)
        message = bench.fleet.seal("thermo-1", ["hub"])
        async with bench.running(state_interval=0.2) as first:
            thermo = await bench.device("thermo-1")
            await thermo.send(message)
            await thermo.told(EventKind.HELD, message)
            copied = shutil.copytree(bench.data, tmp_path / "copied")
            second = asyncio.ensure_future(bench.gateway(data=copied, state_interval=0.2).run())
            async with asyncio.timeout(PATIENCE):
                done, _ = await asyncio.wait([first, second], return_when="FIRST_COMPLETED")
            for task in done:
                with pytest.raises(GatewayConflictError):
                    task.result()
            second.cancel()
            with contextlib.suppress(asyncio.CancelledError, GatewayConflictError):
                await second
        async with bench.running():
            hub = await bench.device("hub")
            await hub.copy(message)
            await hub.read(message)
            await hub.cleared(message)


FLOOD = """
import socket, sys, threading
broker = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
broker.sendall(b"\\x10\\x11\\0\\4MQTT\\4\\2\\0\\x3c\\0\\5phone")
broker.recv(4)
threading.Thread(target=lambda: [*iter(lambda: broker.recv(65536), b"")], daemon=True).start()
topic = b"sealgate/1/send/phone/" + b"00" * 16
body = len(topic).to_bytes(2, "big") + topic
number = 0
for turn in range(1_000_000):
    packets = b""
    for _ in range(50):
        number = number % 65535 + 1
        packet = body + number.to_bytes(2, "big") + b"x"
        packets += b"\\x32" + bytes([len(packet)]) + packet
    broker.sendall(packets)
    if turn == 100:
        print("well under way", flush=True)
"""
"""A device that sends rubbish in its own name as fast as the broker takes it."""


async def test_while_a_device_floods_the_gateway_calls_nothing_unknown(
    tmp_path: Path, mosquitto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    speak(MQTTProtocolVersion.MQTTv311, monkeypatch)
    with Mosquitto(tmp_path, program=mosquitto, extra=SMALL) as broker:
        bench = GatewayBench(tmp_path, broker)
        messages = [bench.fleet.seal("thermo-1", ["hub"]) for _ in range(400)]
        await hold(bench, messages)
        forget(bench)
        flood = await asyncio.create_subprocess_exec(
            sys.executable, "-c", FLOOD, str(broker.port), stdout=asyncio.subprocess.PIPE
        )
        assert flood.stdout is not None
        assert await flood.stdout.readline()
        asyncio.get_running_loop().call_later(4, flood.kill)
        async with bench.running(watch=0):
            assert len(list(read_summaries(bench.data / LEDGER_FILE))) == len(messages)
            thermo = await bench.device("thermo-1")
            for some in pieces(messages):
                answers = await thermo.answer_to(bench.fleet.query("thermo-1", sent=some))
                kinds = {event.kind for answer in answers for event in answer.events}
                assert kinds == {EventKind.HELD}
        await flood.wait()


async def test_copies_that_nobody_can_judge_yet_are_not_called_unknown(
    tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        bench = GatewayBench(tmp_path, broker)
        message = bench.fleet.seal("thermo-1", ["hub"])
        await hold(bench, [message])
        forget(bench)
        async with bench.running(watch=0, max_lifetime=60):
            assert set(await bench.retained(INBOX)) == {inbox(message)}
            thermo = await bench.device("thermo-1")
            (told,) = await thermo.answer_to(bench.fleet.query("thermo-1", sent=[message]))
            assert [(event.kind, event.word) for event in told.events] == [
                (EventKind.UNKNOWN, PARTIAL)
            ]
