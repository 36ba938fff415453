"""The Mosquitto that other tests start: it starts, keeps its port, and ends."""

from pathlib import Path

import pytest

from tests.brokers.mosquitto import Mosquitto, MosquittoError
from tests.brokers.raw_client import RawClient, publish


async def _keep(port: int, payload: bytes, *, snooper: str | None = None) -> None:
    """Publish a retained message; a broker may refuse it by closing the connection."""
    async with await RawClient.dial(port) as client:
        name = None if snooper is None else "snooper"
        assert await client.connect("writer", name, snooper) == b"\0\0"
        await client.send(publish("a/b", payload, retain=True))
        await client.read()


async def _kept(port: int, *, snooper: str | None = None) -> bytes | None:
    """What a new subscriber gets, if anything."""
    async with await RawClient.dial(port) as client:
        name = None if snooper is None else "snooper"
        assert await client.connect("reader", name, snooper) == b"\0\0"
        assert await client.subscribe("a/#", "marker") == [1, 1]
        await _marker(port)
        found = await client.until("marker")
        return found[0].payload if found else None


async def _marker(port: int) -> None:
    async with await RawClient.dial(port) as client:
        await client.connect("marker", None, None)
        await client.publish("marker", b"")


async def test_it_keeps_its_port_and_with_persistence_its_retained_messages(
    tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, persistent=True, program=mosquitto) as broker:
        port = broker.port
        assert broker.url == f"mqtt://127.0.0.1:{port}"
        await _keep(port, b"kept")
        broker.restart()
        assert broker.port == port
        assert await _kept(port) == b"kept"
        await _keep(port, b"new")
        broker.restart(kill=True)
        assert await _kept(port) == b"kept"


async def test_without_persistence_it_forgets(tmp_path: Path, mosquitto: str) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        await _keep(broker.port, b"kept")
        broker.restart()
        assert await _kept(broker.port) is None


async def test_the_snooper_reads_everything_and_changes_nothing(
    tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, snooper="let me see", program=mosquitto) as broker:
        await _keep(broker.port, b"kept")
        await _keep(broker.port, b"forged", snooper="let me see")
        assert await _kept(broker.port, snooper="let me see") == b"kept"
        assert await _kept(broker.port) == b"kept"


def test_a_broken_configuration_is_reported(tmp_path: Path, mosquitto: str) -> None:
    broker = Mosquitto(tmp_path, extra="no_such_option 1", program=mosquitto)
    with pytest.raises(MosquittoError, match="no_such_option"):
        broker.start()
