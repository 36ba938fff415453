"""The gateway's disk is full, or fails, under load: nothing is lost, and it goes on by itself."""

import asyncio
import os
import random
from pathlib import Path

import pytest

from device_sdk.wire import cose
from device_sdk.wire.state import ONLINE, PAUSED, State
from device_sdk.wire.topics import Topics
from tests.brokers.mosquitto import Mosquitto
from tests.brokers.raw_client import RawClient
from tests.faults import history
from tests.faults.checker import check
from tests.faults.disk import can_mount, can_trace
from tests.faults.history import What
from tests.faults.trouble import failing, fill_disk
from tests.faults.world import World, world

_PAUSE = 0.02
FULL_SECONDS = float(os.environ.get("FAULTS_DISK_SECONDS", "4"))
"""How long the disk stays full; for a figure that counts: 30."""


async def states(port: int, wanted: str) -> None:
    """Wait until the gateway says of itself what is wanted."""
    async with await RawClient.dial(port) as listener:
        await listener.connect("listener", "listener", "any", keep_alive=0)
        await listener.subscribe(Topics().state("gw-1"))
        async with asyncio.timeout(60):
            while message := await listener.next():
                if cose.parse_signed(State, message.payload).claims.status == wanted:
                    return


async def sends_on(here: World) -> None:
    """Wait until more messages are held than now."""

    def count() -> int:
        return sum(record.what is What.HELD for record in history.load(here.history))

    before = count()
    async with asyncio.timeout(60):
        while count() <= before:  # noqa: ASYNC110 - files tell nobody
            await asyncio.sleep(0.1)


async def nothing_is_broken(here: World) -> None:
    remains = await here.settle()
    violations = check(history.load(here.history), remains)
    assert not violations, "\n".join(map(str, violations))


@pytest.mark.skipif(not can_mount(), reason="a small disk cannot be mounted here: only root may")
@pytest.mark.timeout(240)
async def test_a_full_disk_stops_everything_and_loses_nothing(
    made: Path, tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        async with world(
            made, tmp_path / "world", broker, pause=_PAUSE, on_small_disk=True
        ) as here:
            await sends_on(here)
            pid = here.gateway.pid
            filling = asyncio.ensure_future(fill_disk(here, random.Random(), FULL_SECONDS))
            await states(broker.port, PAUSED)
            await filling
            await states(broker.port, ONLINE)
            await sends_on(here)
            assert here.gateway.pid == pid
            assert '"event": "ledger_unavailable"' in here.gateway.log
            assert '"event": "ledger_available"' in here.gateway.log
            await nothing_is_broken(here)


@pytest.mark.skipif(not can_trace(), reason="strace (make strace) is missing, or not allowed here")
@pytest.mark.timeout(240)
@pytest.mark.parametrize("calls", ["fdatasync,fsync:error=EIO", "pwrite64:error=ENOSPC"])
async def test_a_disk_that_fails_stops_everything_and_loses_nothing(
    calls: str, made: Path, tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        async with world(made, tmp_path / "world", broker, pause=_PAUSE) as here:
            await sends_on(here)
            pid = here.gateway.pid
            async with failing(pid, calls):
                await states(broker.port, PAUSED)
            await states(broker.port, ONLINE)
            await sends_on(here)
            assert here.gateway.pid == pid
            await nothing_is_broken(here)
