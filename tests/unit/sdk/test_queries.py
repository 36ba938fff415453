"""Queries: what counts as their answer."""

import os
from dataclasses import replace

import pytest

from device_sdk.outgoing import State
from device_sdk.queries import Queries
from device_sdk.wire import cose
from device_sdk.wire.notice import Notice
from device_sdk.wire.query import MAX_QUERIED, Query, Sent, Wanted
from device_sdk.wire.topics import Topics
from tests.support.fleet import NOW, Fleet

ME = "thermo-1"


@pytest.fixture
def queries(device_fleet: Fleet) -> Queries:
    return Queries(
        name=ME, signer=device_fleet.identities[ME], aad=device_fleet.aad, topics=Topics()
    )


def ask(queries: Queries, fleet: Fleet, count: int = 1) -> list[Query]:
    tracked = {Sent(message_id=os.urandom(16), digest=bytes(32)): State.HELD for _ in range(count)}
    return [
        cose.parse_signed(Query, publish.payload).verify(fleet.identities[ME].public, fleet.aad)
        for publish in queries.ask(tracked, (), NOW)
    ]


def answer(query: Query, owed: int | None = 0) -> Notice:
    return Notice(
        device=ME,
        ledger_id=bytes(16),
        counter=1,
        time=NOW,
        roster_version=1,
        events=(),
        query_nonce=query.nonce,
        owed=owed,
    )


def test_an_answer_tells_how_the_messages_stood_when_they_were_asked_about(
    queries: Queries, device_fleet: Fleet
) -> None:
    (query,) = ask(queries, device_fleet, 2)
    assert queries.take(answer(query)) == {item.message_id: State.HELD for item in query.sent}


def test_one_query_may_be_answered_in_parts(queries: Queries, device_fleet: Fleet) -> None:
    (query,) = ask(queries, device_fleet)
    assert queries.take(answer(query)) is not None
    assert queries.take(answer(query)) is not None


def test_an_answer_to_nobody_or_to_somebody_else_counts_for_nothing(
    queries: Queries, device_fleet: Fleet
) -> None:
    (query,) = ask(queries, device_fleet)
    assert queries.take(replace(answer(query, 7), query_nonce=b"")) is None
    assert queries.take(replace(answer(query, 7), query_nonce=os.urandom(16))) is None
    assert queries.answered == 0


def test_an_answer_from_long_ago_counts_for_nothing(queries: Queries, device_fleet: Fleet) -> None:
    (query,) = ask(queries, device_fleet)
    for _ in range(64):
        ask(queries, device_fleet)
    assert queries.take(answer(query)) is None


def test_the_number_of_owed_copies_is_that_of_the_latest_answered_query(
    queries: Queries, device_fleet: Fleet
) -> None:
    (first,), (second,) = ask(queries, device_fleet), ask(queries, device_fleet)
    queries.take(answer(second, 3))
    queries.take(answer(first, 5))
    assert (queries.answered, queries.owed) == (2, 3)


def test_an_answer_without_a_number_leaves_the_number_open(
    queries: Queries, device_fleet: Fleet
) -> None:
    (query,) = ask(queries, device_fleet)
    queries.take(answer(query, None))
    assert queries.answered == 0


def test_more_messages_than_fit_are_asked_about_in_several_queries(
    queries: Queries, device_fleet: Fleet
) -> None:
    asked = ask(queries, device_fleet, MAX_QUERIED + 1)
    assert [len(query.sent) for query in asked] == [MAX_QUERIED, 1]
    assert len({query.nonce for query in asked}) == 2


def test_wanted_copies_are_asked_for(queries: Queries, device_fleet: Fleet) -> None:
    wanted = [Wanted(sender="hub", message_id=os.urandom(16))]
    (publish,) = queries.ask({}, wanted, NOW)
    assert publish.topic == f"sealgate/1/query/{ME}"
    assert list(cose.parse_signed(Query, publish.payload).claims.wanted) == wanted
