"""Who sends wrong proofs is not listened to for a while, and nobody else suffers for it."""

import os
from dataclasses import replace

import pytest

from gateway import suspicion
from gateway.reading_rule import Question
from gateway.store.records import MessageKey
from gateway.suspicion import STRIKES, SUSPENSION, WITHIN, Suspicion
from tests.support.envelopes import Fleet

TICK = 1000.0


@pytest.fixture
def question(fleet: Fleet) -> Question:
    message = fleet.seal("thermo", ["hub"])
    return Question(
        key=MessageKey("thermo", message.message_id),
        header=message.envelope.body.header,
        digest=message.digest,
        proof=b"wrong",
    )


def another(question: Question, sender: str = "thermo") -> Question:
    return replace(question, key=MessageKey(sender, os.urandom(16)), digest=os.urandom(32))


def strike(
    suspected: Suspicion, like: Question, *ticks: float, sender: str = "thermo"
) -> list[bool]:
    """Let a sender send wrong proofs; return after which it was suspended."""
    return [suspected.note_wrong(another(like, sender), tick) for tick in ticks]


# ------------------------------ strikes


def test_the_third_wrong_proof_within_a_minute_suspends_its_sender_and_nobody_else(
    question: Question,
) -> None:
    suspected = Suspicion()
    assert strike(suspected, question, TICK, TICK, sender="lock") == [False, False]
    assert strike(suspected, question, TICK, TICK + 1, TICK + WITHIN) == [False, False, True]
    assert suspected.suspended == {"thermo"}


def test_wrong_proofs_that_are_far_apart_are_forgiven(question: Question) -> None:
    suspected = Suspicion()
    ticks = [TICK + number * (WITHIN / (STRIKES - 1) + 0.01) for number in range(10)]
    assert strike(suspected, question, *ticks) == [False] * 10
    assert suspected.suspended == frozenset()


def test_a_suspension_lasts_its_whole_time_also_if_another_one_ends_meanwhile(
    question: Question,
) -> None:
    suspected = Suspicion()
    strike(suspected, question, *[TICK] * STRIKES)
    strike(suspected, question, *[TICK + 10] * STRIKES, sender="lock")
    assert not suspected.pardon(TICK + SUSPENSION - 0.01)
    assert suspected.suspended == {"thermo", "lock"}
    assert suspected.pardon(TICK + SUSPENSION)
    assert suspected.suspended == {"lock"}
    assert suspected.pardon(TICK + 10 + SUSPENSION)
    assert suspected.suspended == frozenset()
    assert not suspected.pardon(TICK + 10 + SUSPENSION)


def test_who_is_suspended_again_meanwhile_is_not_pardoned_by_the_first_ones_end(
    question: Question,
) -> None:
    suspected = Suspicion()
    strike(suspected, question, *[TICK] * STRIKES)
    strike(suspected, question, *[TICK + 10] * STRIKES)
    assert not suspected.pardon(TICK + SUSPENSION)
    assert suspected.suspended == {"thermo"}


def test_who_was_pardoned_begins_anew(question: Question) -> None:
    suspected = Suspicion()
    strike(suspected, question, *[TICK] * STRIKES)
    suspected.pardon(TICK + SUSPENSION)
    later = TICK + SUSPENSION
    assert strike(suspected, question, *[later] * STRIKES) == [False] * (STRIKES - 1) + [True]


def test_a_pardon_forgets_no_strike_of_the_last_minute(question: Question) -> None:
    suspected = Suspicion()
    strike(suspected, question, *[TICK] * STRIKES, sender="lock")
    end = TICK + SUSPENSION
    strike(suspected, question, *[end - 1] * (STRIKES - 1))
    assert suspected.pardon(end)
    assert strike(suspected, question, end + 1) == [True]


# ------------------------------ the envelopes


def test_the_very_bytes_that_were_wrong_are_known_and_no_others(question: Question) -> None:
    suspected = Suspicion()
    assert not suspected.is_spoilt(question)
    suspected.note_wrong(question, TICK)
    assert suspected.is_spoilt(replace(question))
    key = question.key
    others = [
        replace(question, proof=b"another"),
        replace(question, digest=bytes(32)),
        replace(question, key=MessageKey("lock", key.message_id)),
        replace(question, key=MessageKey(key.sender, bytes(16))),
    ]
    assert not any(suspected.is_spoilt(other) for other in others)


def test_only_so_many_are_remembered_the_latest(
    question: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suspicion, "_MOST_SPOILT", 2)
    suspected, wrong = Suspicion(), [another(question) for _ in range(3)]
    for one in wrong:
        suspected.note_wrong(one, TICK)
    assert [suspected.is_spoilt(one) for one in wrong] == [False, True, True]
