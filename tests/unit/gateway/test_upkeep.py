"""What must happen in time although nobody asks for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.acknowledge import acknowledge
from gateway.hold import take_in
from gateway.parts import Parts
from tests.brokers.gateway_bench import eventually
from tests.support.envelopes import TOPICS, Fleet, SealedMessage
from tests.unit.gateway.edges import open_parts


@asynccontextmanager
async def upkeep(parts: Parts) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(parts.upkeep.run(1000))]
    tasks.append(asyncio.ensure_future(parts.upkeep.erase()))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def remains(directory: Path, message: SealedMessage) -> bool:
    files = [path.read_bytes() for path in directory.iterdir() if path.is_file()]
    needles = (message.envelope.body.ciphertext, message.envelope.readers[0].wrapped_cek)
    return any(needle[:64] in data for needle in needles for data in files)


async def test_what_was_dropped_just_before_a_kill_leaves_the_files_at_the_first_look(
    fleet: Fleet, tmp_path: Path
) -> None:
    message = fleet.seal("thermo", ["hub"])
    sent = TOPICS.parse(message.topic)
    read = TOPICS.parse(TOPICS.read("hub", "thermo", message.message_id))
    ack = fleet.read_ack(message, "hub")
    async with open_parts(fleet, tmp_path) as parts:
        keeper = parts.keeper
        await keeper.write(lambda tx: take_in(tx, sent, message.data, keeper.situation))
        await keeper.write(lambda tx: acknowledge(tx, read, ack, keeper.situation))
        assert remains(tmp_path, message)  # committed, and nobody was told
        async with upkeep(parts):
            await eventually(lambda: not remains(tmp_path, message))
