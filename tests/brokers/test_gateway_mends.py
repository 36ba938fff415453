"""What reconciling mends: old ledgers, replays that are cut short, gateways side by side."""

import asyncio
import contextlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from device_sdk.wire.notice import EventKind
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


def back_up(bench: GatewayBench, to: Path) -> None:
    to.mkdir()
    for path in bench.data.glob(f"{LEDGER_FILE}*"):
        shutil.copy2(path, to)


def restore(bench: GatewayBench, source: Path) -> None:
    for path in bench.data.glob(f"{LEDGER_FILE}*"):
        path.unlink()
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
    made = PahoLink.__init__

    def speaking(self: PahoLink, *args: Any, **options: Any) -> None:
        made(self, *args, **options)
        self._version = version

    monkeypatch.setattr(PahoLink, "__init__", speaking)
    monkeypatch.setattr("gateway.link.paho.RECEIVE_MAXIMUM", 20)
    with Mosquitto(tmp_path, program=mosquitto, extra=SMALL) as broker:
        bench = GatewayBench(tmp_path, broker)
        messages = [bench.fleet.seal("thermo-1", ["hub"]) for _ in range(400)]
        async with bench.running():
            thermo = await bench.device("thermo-1")
            for some in pieces(messages):
                for message in some:
                    await thermo.send(message)
                for message in some:
                    await thermo.told(EventKind.HELD, message)
        for path in bench.data.glob(f"{LEDGER_FILE}*"):
            path.unlink()
        async with bench.running(watch=0):
            known = list(read_summaries(bench.data / LEDGER_FILE))
            assert len(known) == len(messages)
            # They were out of the way for a moment, and stand again.
            hub = await bench.device("hub")
            for some in pieces(messages):
                for message in some:
                    await hub.read(message)
                for message in some:
                    await hub.cleared(message)


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
