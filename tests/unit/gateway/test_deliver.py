"""One owner of everything retained: what stands is what the ledger says, in that order."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from device_sdk.wire.limits import DAY
from gateway.acknowledge import acknowledge
from gateway.hold import take_in
from gateway.lifecycle import CopyState
from gateway.link.port import LinkLostError
from gateway.parts import Parts
from tests.support.broker_double import BrokerDouble
from tests.support.envelopes import NOW, TOPICS, Fleet, SealedMessage
from tests.support.mailroom import key_of
from tests.unit.gateway.edges import open_parts


@pytest.fixture
async def parts(fleet: Fleet, tmp_path: Path) -> AsyncIterator[Parts]:
    async with open_parts(fleet, tmp_path) as parts:
        parts.keeper.end_reconcile()
        yield parts


@pytest.fixture
async def broker(parts: Parts) -> AsyncIterator[BrokerDouble]:
    broker = BrokerDouble()
    running = asyncio.ensure_future(parts.deliverer.run(broker))
    yield broker
    running.cancel()
    await asyncio.wait([running])


def inbox(message: SealedMessage, reader: str) -> str:
    return TOPICS.inbox(reader, message.sender, message.message_id)


async def hold(parts: Parts, message: SealedMessage) -> None:
    topic = TOPICS.parse(message.topic)
    held = await parts.keeper.write(
        lambda tx: take_in(tx, topic, message.data, parts.keeper.situation)
    )
    parts.carry_out(held.effects)


async def read(parts: Parts, fleet: Fleet, message: SealedMessage, reader: str) -> None:
    topic = TOPICS.parse(TOPICS.read(reader, message.sender, message.message_id))
    ack = fleet.read_ack(message, reader)
    acked = await parts.keeper.write(lambda tx: acknowledge(tx, topic, ack, parts.keeper.situation))
    parts.carry_out(acked.effects)


async def copy_state(parts: Parts, message: SealedMessage, reader: str) -> CopyState:
    slot = await parts.keeper.read(lambda tx: tx.slot(key_of(message), reader))
    assert slot is not None
    return slot.copy


async def test_a_clear_follows_the_copys_puback_even_if_the_read_ack_comes_before(
    fleet: Fleet, parts: Parts, broker: BrokerDouble
) -> None:
    message = fleet.seal("thermo", ["hub"])
    topic, copy = inbox(message, "hub"), message.copy("hub").encode()
    broker.hold_answers()
    await hold(parts, message)
    await broker.until(1)
    await read(parts, fleet, message, "hub")
    # Other copies still find their way, but the clear waits for its copy.
    other = fleet.seal("thermo", ["phone"])
    await hold(parts, other)
    assert [one for one, _ in await broker.until(2)] == [topic, inbox(other, "phone")]
    broker.answering.set()
    await broker.until(3)
    assert [payload for one, payload in broker.published if one == topic] == [copy, b""]


async def test_a_late_request_for_a_copy_that_was_read_publishes_no_copy(
    fleet: Fleet, parts: Parts, broker: BrokerDouble
) -> None:
    message = fleet.seal("thermo", ["hub"])
    await hold(parts, message)
    await broker.until(1)
    await read(parts, fleet, message, "hub")
    await parts.deliverer.visit([inbox(message, "hub")]).wait()
    assert broker.retained[inbox(message, "hub")] == b""


async def test_what_the_broker_confirmed_is_in_the_ledger(
    fleet: Fleet, parts: Parts, broker: BrokerDouble
) -> None:
    message = fleet.seal("thermo", ["hub", "phone"])
    await hold(parts, message)
    await parts.deliverer.visit([inbox(message, "hub"), inbox(message, "phone")]).wait()
    assert await copy_state(parts, message, "hub") is CopyState.STANDING
    await read(parts, fleet, message, "hub")
    await parts.deliverer.visit([inbox(message, "hub")]).wait()
    assert await copy_state(parts, message, "hub") is CopyState.CLEARED
    assert await copy_state(parts, message, "phone") is CopyState.STANDING


async def test_a_copy_tells_brokers_with_mqtt_5_when_it_expires(
    fleet: Fleet, parts: Parts, broker: BrokerDouble
) -> None:
    message = fleet.seal("thermo", ["hub"], expires=NOW + DAY)
    await hold(parts, message)
    await broker.until(1)
    assert broker.expiries[inbox(message, "hub")] == DAY


async def test_a_lost_connection_confirms_nothing_and_the_next_one_publishes_again(
    fleet: Fleet, parts: Parts
) -> None:
    message = fleet.seal("thermo", ["hub"])
    first, second = BrokerDouble(), BrokerDouble()
    running = asyncio.ensure_future(parts.deliverer.run(first))
    first.hold_answers()
    await hold(parts, message)
    await first.until(1)
    errand = parts.deliverer.visit([inbox(message, "hub")])
    first.break_off()
    with pytest.raises(ExceptionGroup) as caught:
        await running
    assert caught.group_contains(LinkLostError)
    assert await copy_state(parts, message, "hub") is CopyState.DUE
    parts.deliverer.give_up()
    await errand.wait()  # nobody waits for ever
    running = asyncio.ensure_future(parts.deliverer.run(second))
    parts.deliverer.visit([inbox(message, "hub")])
    await second.until(1)
    running.cancel()


async def test_many_visits_to_one_topic_are_one_at_a_time(
    fleet: Fleet, parts: Parts, broker: BrokerDouble
) -> None:
    message = fleet.seal("thermo", ["hub"])
    topic = inbox(message, "hub")
    broker.hold_answers()
    await hold(parts, message)
    await broker.until(1)
    errands = [parts.deliverer.visit([topic]) for _ in range(50)]
    broker.answering.set()
    for errand in errands:
        await errand.wait()
    assert len(broker.published) == 2


async def test_a_topic_where_nothing_of_ours_can_stand_is_cleared(
    parts: Parts, broker: BrokerDouble
) -> None:
    strays = [f"{TOPICS.prefix}/inbox/no", TOPICS.query("hub"), TOPICS.notice("hub")]
    await parts.deliverer.visit(strays).wait()
    assert broker.retained == dict.fromkeys(strays, b"")
