"""Queries: one at a time, and what counts as the answer."""

import os
from collections.abc import Sequence
from dataclasses import replace

import pytest

from device_sdk.outbox.outgoing import State
from device_sdk.queries import PATIENCE, Queries, Tracked
from device_sdk.wire import cose
from device_sdk.wire.notice import Notice
from device_sdk.wire.query import MAX_QUERIED, Query, Sent, Wanted
from device_sdk.wire.topics import Topics
from tests.support.fleet import NOW, Fleet

ME = "thermo-1"
TICK = 100.0


class Asker:
    """A device that asks, with as many held messages as a test likes."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.queries = Queries(name=ME, signer=fleet.identities[ME], aad=fleet.aad, topics=Topics())
        self.tracked: Tracked = {}
        self.wanted: Sequence[Wanted] = ()

    def track(self, count: int) -> None:
        self.tracked = {
            Sent(message_id=os.urandom(16), digest=bytes(32)): State.HELD for _ in range(count)
        }

    def made(self, tick: float = TICK) -> Query | None:
        published = self.queries.make(lambda: self.tracked, lambda: self.wanted, NOW, tick)
        if not published:
            return None
        (publish,) = published
        assert publish.topic == f"sealgate/1/query/{ME}"
        query = cose.parse_signed(Query, publish.payload)
        return query.verify(self.fleet.identities[ME].public, self.fleet.aad)

    def ask(self, tick: float = TICK) -> Query:
        query = self.made(tick)
        assert query is not None
        return query


@pytest.fixture
def asker(device_fleet: Fleet) -> Asker:
    return Asker(device_fleet)


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


def test_nothing_is_asked_unless_somebody_wants_to_know(asker: Asker) -> None:
    assert asker.made() is None


def test_a_round_asks_about_everything_and_a_small_query_about_nothing(asker: Asker) -> None:
    asker.track(2)
    asker.queries.want()
    small = asker.ask()
    asker.queries.take(answer(small))
    asker.queries.want_round()
    query = asker.ask()
    assert (len(small.sent), set(query.sent)) == (0, set(asker.tracked))
    assert asker.queries.take(answer(query)) == {
        item.message_id: State.HELD for item in asker.tracked
    }


def test_one_query_is_under_way_at_a_time(asker: Asker) -> None:
    asker.queries.want_round()
    first = asker.ask()
    number = asker.queries.want()
    assert asker.made(TICK + PATIENCE - 0.1) is None
    asker.queries.take(answer(first, 4))
    assert asker.queries.answered < number
    second = asker.ask()
    asker.queries.take(answer(second, 3))
    assert asker.queries.answered >= number
    assert asker.queries.owed == 3


def test_a_query_that_nobody_answers_is_followed_by_another(asker: Asker) -> None:
    asker.queries.want()
    asker.ask()
    asker.queries.want()
    assert asker.queries.next_due() == TICK + PATIENCE
    asker.ask(TICK + PATIENCE)


def test_more_messages_than_fit_are_asked_about_one_query_after_the_other(asker: Asker) -> None:
    asker.track(MAX_QUERIED + 1)
    number = asker.queries.want_round()
    first = asker.ask()
    assert asker.made() is None
    asker.queries.take(answer(first))
    assert asker.queries.answered_rounds < number
    second = asker.ask()
    asker.queries.take(answer(second))
    assert asker.queries.answered_rounds == number
    assert (len(first.sent), len(second.sent)) == (MAX_QUERIED, 1)


def test_a_round_whose_answer_was_lost_does_not_count_as_answered(asker: Asker) -> None:
    number = asker.queries.want_round()
    asker.ask()
    asker.queries.want()
    small = asker.ask(TICK + PATIENCE)
    asker.queries.take(answer(small))
    assert asker.queries.answered_rounds < number


def test_a_round_that_nobody_answers_is_begun_again_later_and_later(asker: Asker) -> None:
    asker.track(1)
    asker.queries.want_round()
    query, tick = asker.ask(), TICK
    for pause in (PATIENCE, 2 * PATIENCE, 4 * PATIENCE):
        assert asker.queries.next_due() == tick + pause
        assert asker.made(tick + pause - 0.1) is None
        tick += pause
        query = asker.ask(tick)
        assert len(query.sent) == 1
    asker.queries.take(answer(query))
    assert asker.queries.answered_rounds == 1
    assert asker.queries.next_due() is None


def test_a_new_connection_asks_again_what_was_not_answered(asker: Asker) -> None:
    asker.track(1)
    number = asker.queries.want_round()
    asker.ask()
    asker.queries.start_over()
    again = asker.ask()
    assert len(again.sent) == 1
    asker.queries.take(answer(again))
    assert asker.queries.answered_rounds == number


def test_one_query_may_be_answered_in_parts_and_the_last_has_the_number(asker: Asker) -> None:
    asker.queries.want()
    query = asker.ask()
    assert asker.queries.take(answer(query, None)) == {}
    assert asker.queries.answered == 0
    assert asker.queries.take(answer(query, 2)) == {}
    assert (asker.queries.answered, asker.queries.owed) == (1, 2)


def test_an_answer_to_nobody_or_to_somebody_else_counts_for_nothing(asker: Asker) -> None:
    asker.queries.want()
    query = asker.ask()
    assert asker.queries.take(replace(answer(query, 7), query_nonce=b"")) is None
    assert asker.queries.take(replace(answer(query, 7), query_nonce=os.urandom(16))) is None
    assert asker.queries.answered == 0


def test_an_answer_from_long_ago_counts_for_nothing(asker: Asker) -> None:
    asker.queries.want()
    query = asker.ask()
    for count in range(1, 65):
        asker.queries.want()
        asker.ask(TICK + count * PATIENCE)
    assert asker.queries.take(answer(query)) is None


def test_a_late_answer_does_not_take_the_place_of_a_newer_one(asker: Asker) -> None:
    asker.queries.want()
    first = asker.ask()
    asker.queries.want()
    second = asker.ask(TICK + PATIENCE)
    asker.queries.take(answer(second, 3))
    asker.queries.take(answer(first, 5))
    assert asker.queries.owed == 3


def test_wanted_copies_are_asked_for(asker: Asker) -> None:
    asker.wanted = [Wanted(sender="hub", message_id=os.urandom(16))]
    asker.queries.want()
    assert list(asker.ask().wanted) == asker.wanted
