"""The checker is known to see: each promise is broken by a real process, and reported."""

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

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


def planted(bug: str) -> Sequence[str]:
    return ("tests.faults.planted", bug)


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
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        async with world(made, tmp_path / "world", broker, pause=_PAUSE) as here:
            await seen(here, What.READ)
            assert await broken(here, 60.0) == set()


async def test_a_gateway_that_commits_nothing_is_seen_to_lose(
    made: Path, tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        gateway = planted("skip-commit")
        async with world(made, tmp_path / "world", broker, pause=_PAUSE, gateway=gateway) as here:
            await seen(here, What.HELD)
            assert Rule.LOST in await broken(here)


async def test_a_gateway_that_acks_too_early_and_is_killed_is_seen_to_lose(
    made: Path, tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        gateway = planted("ack-early")
        async with world(made, tmp_path / "world", broker, pause=_PAUSE, gateway=gateway) as here:
            await seen(here, What.HELD, 20)
            await here.gateway.end()
            assert Rule.LOST in await broken(here)


async def test_a_gateway_that_clears_nothing_is_seen_to_leave_copies(
    made: Path, tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        gateway = planted("skip-clear")
        async with world(made, tmp_path / "world", broker, pause=_PAUSE, gateway=gateway) as here:
            await seen(here, What.READ)
            assert Rule.LEFT in await broken(here)


async def test_a_gateway_that_erases_nothing_is_seen_to_leave_bytes(
    made: Path, tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        gateway = planted("skip-erasure")
        async with world(made, tmp_path / "world", broker, pause=_PAUSE, gateway=gateway) as here:
            await seen(here, What.READ)
            assert Rule.LEFT in await broken(here)


async def test_a_gateway_that_clears_before_the_read_ack_is_seen(
    made: Path, tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        gateway = planted("clear-early")
        async with world(made, tmp_path / "world", broker, pause=_PAUSE, gateway=gateway) as here:
            for reader in here.readers:
                reader.send_signal(signal.SIGSTOP)
            await seen(here, What.CLEARED)
            assert Rule.EARLY in await broken(here)


async def test_a_gateway_that_believes_forged_read_acks_is_seen(
    made: Path, tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        gateway = planted("believe-acks")
        async with world(made, tmp_path / "world", broker, pause=_PAUSE, gateway=gateway) as here:
            for reader in here.readers:
                await reader.end()
            await seen(here, What.COPY)
            async with await RawClient.dial(broker.port) as forger:
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
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        gateway = planted("tell-nothing")
        async with world(made, tmp_path / "world", broker, pause=_PAUSE, gateway=gateway) as here:
            await seen(here, What.DONE)
            assert Rule.UNTOLD in await broken(here)


async def test_a_reader_that_forgets_what_it_handled_is_seen_to_double(
    made: Path, tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        async with world(
            made,
            tmp_path / "world",
            broker,
            pause=_PAUSE,
            gateway=planted("skip-clear"),
            reader=planted("forget-handled"),
        ) as here:
            await seen(here, What.DONE)
            await here.readers[0].end()
            await here.readers[0].start()  # what was never cleared comes again
            assert Rule.DOUBLED in await broken(here)


async def test_a_reader_that_shows_what_nobody_sent_is_seen(
    made: Path, tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        reader = planted("garble")
        async with world(made, tmp_path / "world", broker, pause=_PAUSE, reader=reader) as here:
            await seen(here, What.SHOWN)
            assert Rule.GHOST in await broken(here)
