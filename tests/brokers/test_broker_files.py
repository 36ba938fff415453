"""What a disk-backed broker's own files hold of a message, and when it goes (SECURITY, Limits).

Mosquitto writes all that it has into one file: when it stops, when it is told to, and from time to
time. The shipped configuration has it write nothing.
"""

import asyncio
from pathlib import Path

from device_sdk.wire.notice import EventKind
from device_sdk.wire.topics import Kind
from tests.brokers.gateway_bench import PATIENCE, GatewayBench, eventually
from tests.brokers.mosquitto import Mosquitto
from tests.support.envelopes import TOPICS, SealedMessage


def pieces(message: SealedMessage) -> list[bytes]:
    """Return what is secret in a copy, or tells that there was one."""
    copy = message.copy("hub")
    return [copy.body.ciphertext, copy.reader.wrapped_cek, copy.reader.open_hash]


def holds(file: Path, message: SealedMessage) -> set[bool]:
    """Tell of each piece whether it stands in a file."""
    data = file.read_bytes() if file.exists() else b""
    return {piece in data for piece in pieces(message)}


async def test_a_cleared_copy_stays_in_the_brokers_file_until_that_is_written_anew(
    tmp_path: Path, mosquitto: str
) -> None:
    broker = Mosquitto(tmp_path, program=mosquitto, persistent=True)
    file = broker.directory / "mosquitto.db"
    with broker:
        bench = GatewayBench(tmp_path, broker)
        message = bench.fleet.seal("thermo-1", ["hub"])
        async with bench.running():
            thermo, hub = await bench.device("thermo-1"), await bench.device("hub")
            await thermo.send(message)
            await thermo.told(EventKind.HELD, message)
            assert holds(file, message) == {False}
            broker.save()
            await eventually(lambda: holds(file, message) == {True})
            await hub.read(message)
            await hub.cleared(message)
            await thermo.told(EventKind.READ, message)
            broker.kill()
            assert holds(file, message) == {True}  # as it was saved: a kill saves nothing
            broker.start()
            # It comes back out of the file, and the gateway clears it again.
            async with asyncio.timeout(PATIENCE):
                while await bench.retained(TOPICS.all_of(Kind.INBOX)):
                    pass
        broker.stop()
        assert holds(file, message) == {False}
        assert file.exists()


async def test_a_broker_that_stops_leaves_a_file_without_what_was_cleared(
    tmp_path: Path, mosquitto: str
) -> None:
    broker = Mosquitto(tmp_path, program=mosquitto, persistent=True)
    file = broker.directory / "mosquitto.db"
    with broker:
        bench = GatewayBench(tmp_path, broker)
        message, other = (bench.fleet.seal("thermo-1", ["hub"]) for _ in range(2))
        async with bench.running():
            thermo, hub = await bench.device("thermo-1"), await bench.device("hub")
            for one in (message, other):
                await thermo.send(one)
                await thermo.told(EventKind.HELD, one)
            await hub.read(message)
            await hub.cleared(message)
        broker.stop()
        assert holds(file, message) == {False}
        assert holds(file, other) == {True}  # it is still owed
