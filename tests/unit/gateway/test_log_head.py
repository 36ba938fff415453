"""The head of the log is published when it should be, and questions about it are answered."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from device_sdk.wire import cose, log_tree
from device_sdk.wire.log_proof import LogProof, Prove
from device_sdk.wire.tree_head import TreeHead
from gateway import admit, transparency
from gateway.decide import decide
from gateway.link.port import Arrival
from gateway.parts import Parts
from gateway.prover import Prover
from tests.support.broker_double import BrokerDouble
from tests.support.envelopes import NOW, TOPICS, Fleet, made_up_key
from tests.unit.gateway.edges import gateway_identity, open_parts

TOPIC = TOPICS.log("gw-1")


@pytest.fixture
async def parts(fleet: Fleet, tmp_path: Path) -> AsyncIterator[Parts]:
    async with open_parts(fleet, tmp_path) as parts:
        yield parts


def opened(fleet: Fleet, data: bytes) -> TreeHead:
    return cose.parse_signed(TreeHead, data).verify(gateway_identity(fleet).public, fleet.pin.aad)


async def announce(fleet: Fleet, parts: Parts, serial: int) -> None:
    """Let hub announce another key, as if it had arrived."""
    data = fleet.members["hub"].state_key(made_up_key(), serial=serial)
    topic, keeper = TOPICS.parse(TOPICS.announce("hub")), parts.keeper
    taken = await keeper.write(lambda tx: admit.announce(tx, topic, data, keeper.situation))
    parts.carry_out(taken.effects)


async def test_the_head_is_published_at_a_connection_and_whenever_the_log_has_grown(
    fleet: Fleet, parts: Parts
) -> None:
    broker = BrokerDouble()
    running = asyncio.ensure_future(parts.log_head.run(broker))
    await broker.until(1)
    first = opened(fleet, broker.retained[TOPIC])
    size_and_root = await parts.keeper.read(transparency.size_and_root)
    assert (first.size, first.root) == size_and_root
    assert (first.time, first.roster_version) == (NOW, parts.keeper.roster.version)
    await announce(fleet, parts, NOW)
    await broker.until(2)
    second = opened(fleet, broker.retained[TOPIC])
    assert (second.log_id, second.size) == (first.log_id, first.size + 1)
    parts.log_head.grown()  # which it has not
    await announce(fleet, parts, NOW + 1)
    published = await broker.until(3)
    assert [opened(fleet, data).size - first.size for _, data in published] == [0, 1, 2]
    running.cancel()


async def test_a_head_that_somebody_wrote_over_is_published_again(parts: Parts) -> None:
    broker = BrokerDouble()
    running = asyncio.ensure_future(parts.log_head.run(broker))
    await broker.until(1)
    parts.log_head.note(broker.retained[TOPIC])
    parts.log_head.note(b"another")
    published = await broker.until(2)
    assert [topic for topic, _ in published] == [TOPIC, TOPIC]
    running.cancel()


async def test_a_head_is_signed_anew_from_time_to_time(parts: Parts) -> None:
    broker = BrokerDouble()
    running = asyncio.ensure_future(parts.log_head.run(broker, anew=0.01))
    await broker.until(3)
    running.cancel()


async def test_another_process_goes_on_with_the_log_under_another_log_id(
    fleet: Fleet, tmp_path: Path
) -> None:
    heads = []
    for _ in range(2):
        async with open_parts(fleet, tmp_path) as parts:
            broker = BrokerDouble()
            running = asyncio.ensure_future(parts.log_head.run(broker))
            await broker.until(1)
            heads.append(opened(fleet, broker.retained[TOPIC]))
            running.cancel()
    assert heads[0].log_id != heads[1].log_id
    assert (heads[0].size, heads[0].root) == (heads[1].size, heads[1].root)


async def test_a_device_that_asks_is_shown_that_the_log_has_only_grown(
    fleet: Fleet, parts: Parts
) -> None:
    small, small_root = await parts.keeper.read(transparency.size_and_root)
    for serial in (NOW, NOW + 1, NOW + 2):
        await announce(fleet, parts, serial)
    large, large_root = await parts.keeper.read(transparency.size_and_root)
    broker = BrokerDouble()
    shown = asyncio.Event()
    prover = Prover(parts.keeper, TOPICS, "gw-1", shown)
    running = asyncio.ensure_future(prover.run(broker))
    for gateway in ("gw-2", "gw-1"):
        asked = Prove(device="hub", gateway=gateway, first=small, second=large)
        data = cose.sign(asked, fleet.members["hub"].identity, fleet.pin.aad)
        arrival = Arrival(topic=TOPICS.prove("hub"), payload=data, retained=False)
        decision = await parts.keeper.write(
            lambda tx, arrival=arrival: decide(tx, arrival, TOPICS, parts.keeper.situation)  # type: ignore[misc]
        )
        assert decision.prove == asked
        prover.ask(asked)
    for _ in range(10):
        await parts.keeper.read(lambda tx: tx.log_size())  # as long as an answer would take
    assert broker.published == []  # before the head itself was
    shown.set()
    ((topic, payload),) = await broker.until(1)
    assert topic == TOPICS.proof("hub")
    assert topic not in broker.retained
    proof = LogProof.decode(payload)
    assert proof.consistency is not None
    log_tree.check_consistency(small, small_root, large, large_root, proof.consistency)
    running.cancel()
