"""The service as a process: how it begins and how it ends."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from device_sdk.wire import cose
from device_sdk.wire.roster_page import ROLE_GATEWAY
from device_sdk.wire.state import OFFLINE, ONLINE, State
from device_sdk.wire.topics import Topics
from gateway.enrolment import init_gateway
from gateway.owner.fleet import Fleet
from tests.brokers.mosquitto import Mosquitto
from tests.brokers.raw_client import RawClient

Start = Callable[..., "subprocess.Popen[str]"]
TOPICS = Topics()
PROGRAM = """
import sys
from gateway.service import run
from gateway.settings import load_settings
from device_sdk.wire.errors import SealgateError
try:
    run(load_settings(data=sys.argv[1], bundle=sys.argv[2], broker=sys.argv[3] or None,
                      listen="127.0.0.1:0"))
except SealgateError as error:
    sys.exit(str(error))
finally:
    assert "device_sdk.unseal" not in sys.modules
    assert "rbcl" not in sys.modules  # of a fleet without readings nothing is to be proved
"""


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts a gateway of a new fleet; `data` may name another directory than its own."""
    now = int(time.time())
    fleet = Fleet.create(tmp_path / "fleet", name="home", passphrase=None, now=now)
    request = init_gateway(tmp_path / "data", "gw-1", None, now)
    fleet.admit(request.read_bytes(), role=ROLE_GATEWAY, now=now)

    def start(broker: str = "", data: str = "data") -> "subprocess.Popen[str]":
        arguments = [str(tmp_path / data), str(tmp_path / "fleet" / "public"), broker]
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def ready(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    word, url = process.stdout.readline().split()
    assert word == "ready"
    return url


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_embedded_broker_says_where_it_listens_and_ends_when_asked_to(
    start: Start, number: signal.Signals
) -> None:
    process = start()
    assert ready(process).startswith("mqtt://127.0.0.1:")
    process.send_signal(number)
    _, log = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in log


async def state_of(port: int) -> str:
    client = await RawClient.dial(port)
    await client.connect("watcher", None, None)
    await client.subscribe(TOPICS.state("gw-1"))
    message = await client.next()
    await client.close()
    assert message is not None
    assert message.retain
    return cose.parse_signed(State, message.payload).claims.status


async def test_whoever_looks_sees_whether_the_gateway_is_there_also_after_a_kill(
    start: Start, tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        for number in (signal.SIGTERM, signal.SIGKILL):
            process = start(broker.url)
            assert await asyncio.to_thread(ready, process) == broker.url
            assert await state_of(broker.port) == ONLINE
            process.send_signal(number)
            await asyncio.to_thread(process.communicate, timeout=30)
            async with asyncio.timeout(30):
                while await state_of(broker.port) != OFFLINE:  # noqa: ASYNC110 - the will comes
                    await asyncio.sleep(0.02)


def test_what_prevents_a_start_is_said_in_one_line(start: Start) -> None:
    process = start(data="nowhere")
    out, log = process.communicate(timeout=30)
    assert process.returncode == 1
    assert (out, len(log.splitlines())) == ("", 1)
    assert "sealgate gateway init" in log


def test_one_data_directory_serves_one_gateway(start: Start) -> None:
    first, second = start(), None
    try:
        ready(first)
        second = start()
        _, log = second.communicate(timeout=30)
        assert second.returncode == 1
        assert str(first.pid) in log.splitlines()[-1]
    finally:
        first.terminate()
        first.communicate(timeout=30)
