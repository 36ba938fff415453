"""The checker is known to see: each promise is broken by a real process, and reported."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from device_sdk.identity import Identity
from device_sdk.trust import Pin
from device_sdk.wire import cose
from device_sdk.wire.envelope import Copy
from device_sdk.wire.read_ack import READ, ReadAck
from device_sdk.wire.topics import Kind, Topics
from tests.brokers import raw_client
from tests.brokers.mosquitto import Mosquitto
from tests.brokers.raw_client import RawClient
from tests.faults import history
from tests.faults.checker import Rule, check
from tests.faults.history import What
from tests.faults.world import World, world

_TOPICS = Topics()
_PAUSE = 0.05
_PATIENCE = 6.0


@asynccontextmanager
async def planted(
    made: Path, directory: Path, program: str, *, gateway: str = "", reader: str = ""
) -> AsyncIterator[World]:
    """Give a world on Mosquitto, whose gateway or readers have a bug."""
    how: dict[str, Any] = {}
    if gateway:
        how["gateway"] = ("tests.faults.planted", gateway)
    if reader:
        how["reader"] = ("tests.faults.planted", reader)
    with Mosquitto(directory, program=program) as broker:
        async with world(made, directory / "world", broker, pause=_PAUSE, **how) as here:
            yield here


async def broken(here: World, patience: float = _PATIENCE) -> set[Rule]:
    """Return the promises that were broken."""
    remains = await here.settle(patience)
    return {violation.rule for violation in check(history.load(here.history), remains)}


async def seen(here: World, what: What, count: int = 10) -> None:
    """Wait until something has happened so often."""
    async with asyncio.timeout(60):
        while sum(record.what is what for record in history.load(here.history)) < count:  # noqa: ASYNC110 - files tell nobody
            await asyncio.sleep(0.1)


async def test_nothing_is_reported_where_nothing_is_broken(
    made: Path, tmp_path: Path, mosquitto: str
) -> None:
    async with planted(made, tmp_path, mosquitto) as here:
        await seen(here, What.READ)
        assert await broken(here, 60.0) == set()


async def test_a_gateway_that_commits_nothing_is_seen_to_lose(
    made: Path, tmp_path: Path, mosquitto: str
) -> None:
    async with planted(made, tmp_path, mosquitto, gateway="skip-commit") as here:
        await seen(here, What.HELD)
        assert Rule.LOST in await broken(here)


async def test_a_gateway_that_acks_too_early_and_is_killed_is_seen_to_lose(
    made: Path, tmp_path: Path, mosquitto: str
) -> None:
    async with planted(made, tmp_path, mosquitto, gateway="ack-early") as here:
        await seen(here, What.HELD, 20)
        await here.gateway.end()
        assert Rule.LOST in await broken(here)


async def test_a_gateway_that_clears_nothing_is_seen_to_leave_copies(
    made: Path, tmp_path: Path, mosquitto: str
) -> None:
    async with planted(made, tmp_path, mosquitto, gateway="skip-clear") as here:
        await seen(here, What.READ)
        assert Rule.LEFT in await broken(here)


async def test_a_gateway_that_erases_nothing_is_seen_to_leave_bytes(
    made: Path, tmp_path: Path, mosquitto: str
) -> None:
    async with planted(made, tmp_path, mosquitto, gateway="skip-erasure") as here:
        await seen(here, What.READ)
        assert Rule.LEFT in await broken(here)


async def test_a_gateway_that_clears_before_the_read_ack_is_seen(
    made: Path, tmp_path: Path, mosquitto: str
) -> None:
    async with planted(made, tmp_path, mosquitto, gateway="clear-early") as here:
        for reader in here.readers:
            reader.send_signal(signal.SIGSTOP)
        await seen(here, What.CLEARED)
        assert Rule.EARLY in await broken(here)


async def test_a_gateway_that_believes_forged_read_acks_is_seen(
    made: Path, tmp_path: Path, mosquitto: str
) -> None:
    async with planted(made, tmp_path, mosquitto, gateway="believe-acks") as here:
        for reader in here.readers:
            await reader.end()
        await seen(here, What.COPY)
        async with await RawClient.dial(here.port) as forger:
            await forger.connect("forger", "forger", "any")
            await forger.subscribe(_TOPICS.all_of(Kind.INBOX))
            message = await forger.next()
            assert message is not None
            await forger.send(forged_ack(made, message.topic, message.payload))
            await forger.until(message.topic)  # the clear
        assert {Rule.EARLY, Rule.LOST} <= await broken(here)


def forged_ack(made: Path, topic: str, payload: bytes) -> bytes:
    """Return a read ack for a copy, signed by somebody who is nobody."""
    pin = Pin.from_pem((made / "fleet" / "public" / "root.pub").read_bytes())
    copy, who = Copy.decode(payload), Identity.generate()
    signed = ReadAck(
        verdict=READ,
        sender=copy.body.header.sender,
        message_id=copy.body.header.message_id,
        digest=bytes(32),
        reader=copy.reader.reader,
        time=0,
        open_token=bytes(32),
    )
    parsed = _TOPICS.parse(topic)
    to = _TOPICS.read(parsed.owner, parsed.sender, parsed.message_id)
    return raw_client.publish(to, cose.sign(signed, who, pin.aad))


async def test_a_gateway_that_never_tells_the_outcome_is_seen(
    made: Path, tmp_path: Path, mosquitto: str
) -> None:
    async with planted(made, tmp_path, mosquitto, gateway="tell-nothing") as here:
        await seen(here, What.DONE)
        assert Rule.UNTOLD in await broken(here)


async def test_a_reader_that_forgets_what_it_handled_is_seen_to_double(
    made: Path, tmp_path: Path, mosquitto: str
) -> None:
    async with planted(
        made, tmp_path, mosquitto, gateway="skip-clear", reader="forget-handled"
    ) as here:
        await seen(here, What.DONE)
        await here.readers[0].end()
        await here.readers[0].start()  # what was never cleared comes again
        assert Rule.DOUBLED in await broken(here)


async def test_a_reader_that_shows_what_nobody_sent_is_seen(
    made: Path, tmp_path: Path, mosquitto: str
) -> None:
    async with planted(made, tmp_path, mosquitto, reader="garble") as here:
        await seen(here, What.SHOWN)
        assert Rule.GHOST in await broken(here)
