"""Queries are answered when the answer is known, not before."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from device_sdk.wire import cose
from device_sdk.wire.notice import EventKind, Notice
from device_sdk.wire.query import Query
from gateway.answer import open_query
from gateway.enquire import Enquiries
from gateway.parts import Parts
from tests.support.broker_double import BrokerDouble
from tests.support.envelopes import TOPICS, Fleet
from tests.unit.gateway.edges import gateway_identity, open_parts


@pytest.fixture
async def parts(fleet: Fleet, tmp_path: Path) -> AsyncIterator[Parts]:
    async with open_parts(fleet, tmp_path) as parts:
        yield parts


async def test_before_the_first_reconcile_nobody_is_told_that_nothing_is_known_or_waits(
    fleet: Fleet, parts: Parts
) -> None:
    broker = BrokerDouble()
    enquiries = Enquiries(parts.keeper, parts.teller, parts.carry_out)
    running = asyncio.ensure_future(enquiries.run(broker))
    message = fleet.seal("thermo", ["hub"])
    data = fleet.query("thermo", sent=[message])
    query = open_query(TOPICS.parse(TOPICS.query("thermo")), data, parts.keeper.situation)
    assert isinstance(query, Query)
    enquiries.ask(query)
    for _ in range(10):
        await asyncio.sleep(0)
    assert broker.published == []
    parts.keeper.end_reconcile()
    enquiries.reconciled()
    ((topic, payload),) = await broker.until(1)
    assert topic == TOPICS.notice("thermo")
    notice = cose.parse_signed(Notice, payload).verify(
        gateway_identity(fleet).public, fleet.pin.aad
    )
    assert [event.kind for event in notice.events] == [EventKind.UNKNOWN]
    assert (notice.owed, notice.query_nonce) == (0, query.nonce)
    running.cancel()
