"""Notices: signed, batched, in order, and after what they tell of."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from device_sdk.wire import cose
from device_sdk.wire.notice import Event, EventKind, Notice
from gateway.deliver import Errand
from gateway.effects import Tell
from gateway.parts import Parts
from tests.support.broker_double import BrokerDouble
from tests.support.envelopes import TOPICS, Fleet
from tests.unit.gateway.edges import gateway_identity, open_parts


@pytest.fixture
async def parts(fleet: Fleet, tmp_path: Path) -> AsyncIterator[Parts]:
    async with open_parts(fleet, tmp_path) as parts:
        yield parts


@pytest.fixture
async def broker(parts: Parts) -> AsyncIterator[BrokerDouble]:
    broker = BrokerDouble()
    running = asyncio.ensure_future(parts.teller.run(broker))
    yield broker
    running.cancel()
    await asyncio.wait([running])


def event(number: int, kind: EventKind = EventKind.HELD) -> Event:
    return Event(kind=kind, sender="thermo", message_id=number.to_bytes(16), digest=bytes(32))


def told(fleet: Fleet, published: list[tuple[str, bytes]]) -> list[Notice]:
    key = gateway_identity(fleet).public
    return [
        cose.parse_signed(Notice, payload).verify(key, fleet.pin.aad) for _, payload in published
    ]


async def test_an_event_waits_for_what_it_tells_of_and_later_ones_wait_behind_it(
    fleet: Fleet, parts: Parts, broker: BrokerDouble
) -> None:
    errand = Errand(1)
    parts.teller.tell((Tell(device="thermo", event=event(1)),), after=errand)
    parts.teller.tell((Tell(device="thermo", event=event(2)),), after=Errand(0))
    await parts.teller.send(broker, "hub", [event(3)])
    assert [topic for topic, _ in broker.published] == [TOPICS.notice("hub")]
    errand.one_done()
    published = await broker.until(2)
    events = [one for notice in told(fleet, published[1:]) for one in notice.events]
    assert [int.from_bytes(one.message_id) for one in events][:1] == [1]
    if len(events) == 1:
        published = await broker.until(3)
        assert told(fleet, published[2:])[0].events == (event(2),)


async def test_what_gathers_while_the_broker_is_slow_goes_in_one_notice_a_device(
    fleet: Fleet, parts: Parts, broker: BrokerDouble
) -> None:
    broker.hold_answers()
    parts.teller.tell((Tell(device="thermo", event=event(0)),), after=Errand(0))
    await broker.until(1)
    for number in range(1, 101):
        parts.teller.tell((Tell(device="thermo", event=event(number)),), after=Errand(0))
    await asyncio.sleep(0)
    broker.answering.set()
    notices = told(fleet, await broker.until(2))
    assert len(notices[1].events) == 100
    assert notices[0].counter < notices[1].counter


async def test_events_survive_a_lost_connection(fleet: Fleet, parts: Parts) -> None:
    first, second = BrokerDouble(), BrokerDouble()
    first.hold_answers()
    running = asyncio.ensure_future(parts.teller.run(first))
    parts.teller.tell((Tell(device="thermo", event=event(1)),), after=Errand(0))
    await first.until(1)
    first.break_off()
    await asyncio.wait([running])
    assert running.exception() is not None
    running = asyncio.ensure_future(parts.teller.run(second))
    (notice,) = told(fleet, await second.until(1))
    assert notice.events == (event(1),)
    running.cancel()


async def test_only_the_last_notice_of_an_answer_says_how_much_is_owed(
    fleet: Fleet, parts: Parts, broker: BrokerDouble
) -> None:
    events = [event(number) for number in range(2500)]
    await parts.teller.send(broker, "thermo", events, nonce=bytes(16), owed=7)
    notices = told(fleet, broker.published)
    assert [notice.owed for notice in notices] == [None] * (len(notices) - 1) + [7]
    assert [one for notice in notices for one in notice.events] == events
    assert {notice.query_nonce for notice in notices} == {bytes(16)}


async def test_an_answer_without_events_is_sent_all_the_same(
    fleet: Fleet, parts: Parts, broker: BrokerDouble
) -> None:
    await parts.teller.send(broker, "hub", [], nonce=bytes(16), owed=0)
    (notice,) = told(fleet, broker.published)
    assert (notice.owed, notice.events) == (0, ())
