"""Proofs wait in turns, within bounds, and who has most waiting makes room."""

import os
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sdk.wire.header import Header
from gateway import proof_queue
from gateway.link.port import Arrival
from gateway.proof_queue import MOST_BYTES, MOST_OF_ONE, ProofQueue, Waiting
from gateway.reading_rule import Question
from gateway.store.records import MessageKey
from tests.support.envelopes import Fleet


def any_header() -> Header:
    fleet = Fleet()
    fleet.admit("thermo")
    return fleet.seal("thermo", ["thermo"]).envelope.body.header


HEADER = any_header()
"""Nobody looks at it here."""


def wait(sender: str, payload: bytes = b"an envelope") -> Waiting:
    key = MessageKey(sender, os.urandom(16))
    return Waiting(
        arrival=Arrival(topic=f"of {sender}", payload=payload, retained=False),
        question=Question(key=key, header=HEADER, digest=bytes(32), proof=b""),
    )


def add_all(queue: ProofQueue, waiting: Sequence[Waiting]) -> list[Waiting]:
    """Return those for which there was no room."""
    return [excess for one in waiting for excess in queue.add(one)]


def take_all(queue: ProofQueue) -> list[Waiting]:
    taken = []
    while queue:
        taken.append(queue.next())
    return taken


# ------------------------------ turns


def test_senders_take_turns_and_each_ones_come_in_their_order() -> None:
    queue = ProofQueue()
    a, b, c = ([wait(name) for _ in range(count)] for name, count in (("a", 4), ("b", 2), ("c", 1)))
    assert add_all(queue, [*a, *b, *c]) == []
    assert take_all(queue) == [a[0], b[0], c[0], a[1], b[1], a[2], a[3]]
    assert not queue


def test_who_comes_later_is_next_after_those_that_wait() -> None:
    queue = ProofQueue()
    a, b = [wait("a") for _ in range(3)], wait("b")
    add_all(queue, a)
    assert queue.next() is a[0]
    queue.add(b)
    assert take_all(queue) == [a[1], b, a[2]]


def test_dropping_a_sender_takes_out_what_waits_of_it_and_nothing_else() -> None:
    queue = ProofQueue()
    a, b = [wait("a") for _ in range(3)], [wait("b") for _ in range(2)]
    add_all(queue, [*a, *b])
    assert queue.drop("a") == a
    assert queue.drop("a") == []
    assert queue.drop("nobody") == []
    assert take_all(queue) == b


# ------------------------------ room


def test_of_one_sender_so_many_wait_and_the_next_one_is_too_much() -> None:
    queue = ProofQueue()
    first, more = [wait("a") for _ in range(MOST_OF_ONE)], wait("a")
    assert add_all(queue, first) == []
    assert queue.add(more) == [more]
    assert queue.add(wait("b")) == []
    queue.next()
    assert queue.add(more) == []


def test_however_many_senders_have_all_that_they_may_another_ones_first_still_gets_in() -> None:
    queue = ProofQueue()
    senders = [f"thermo-{number}" for number in range(40)]
    assert add_all(queue, [wait(name) for name in senders for _ in range(MOST_OF_ONE)]) == []
    late = wait("lock")
    assert queue.add(late) == []
    assert late in take_all(queue)[: len(senders) + 1]


def test_in_all_so_many_bytes_wait_and_who_has_most_makes_room_latest_first() -> None:
    queue, large = ProofQueue(), bytes(MOST_BYTES // 16)
    most, less = [wait("a", large) for _ in range(9)], [wait("b", large) for _ in range(7)]
    assert add_all(queue, [*most, *less]) == []
    small, half = wait("c"), wait("c", bytes(MOST_BYTES // 2))
    assert queue.add(small) == [most[8]]
    assert queue.add(half) == [half]  # now it has more than anybody else
    assert queue.drop("c") == [small]
    assert queue.add(wait("a", large)) == []


def test_one_that_is_larger_than_all_the_room_does_not_get_in() -> None:
    queue = ProofQueue()
    large = wait("a", bytes(MOST_BYTES + 1))
    assert queue.add(large) == [large]
    assert not queue


# ------------------------------ against a model

FEW, LITTLE = 3, 10
SENDERS = st.sampled_from("abcd")
STEPS = st.lists(
    st.tuples(st.just("add"), SENDERS, st.integers(1, LITTLE + 1))
    | st.tuples(st.sampled_from(["next", "drop"]), SENDERS, st.just(0)),
    max_size=60,
)


class Model:
    """Everything that waits, in the order in which it came, and whose turn is next."""

    def __init__(self) -> None:
        self.waiting: list[Waiting] = []
        self.turns: list[str] = []

    def of(self, sender: str) -> list[Waiting]:
        return [one for one in self.waiting if one.sender == sender]

    def size_of(self, sender: str) -> int:
        return sum(one.size for one in self.of(sender))

    @property
    def is_too_much(self) -> bool:
        size = sum(one.size for one in self.waiting)
        return size > LITTLE or any(len(self.of(sender)) > FEW for sender in self.turns)

    def add(self, waiting: Waiting) -> None:
        self.waiting.append(waiting)
        if waiting.sender not in self.turns:
            self.turns.append(waiting.sender)

    def make_room(self, leaving: Waiting) -> None:
        """Check that this one may be sent away: there is no room, and it is the right one's."""
        assert self.is_too_much
        assert self.of(leaving.sender)[-1] is leaving
        too_many = len(self.of(leaving.sender)) > FEW
        assert too_many or self.size_of(leaving.sender) == max(map(self.size_of, self.turns))
        self.remove(leaving)

    def next(self) -> Waiting:
        sender = self.turns.pop(0)
        first, *others = self.of(sender)
        self.waiting.remove(first)
        if others:
            self.turns.append(sender)
        return first

    def remove(self, *leaving: Waiting) -> None:
        self.waiting = [one for one in self.waiting if one not in leaving]
        self.turns = [sender for sender in self.turns if self.of(sender)]


@given(steps=STEPS)
def test_whatever_comes_and_goes_the_bounds_hold_and_everybody_gets_a_turn(
    steps: list[tuple[str, str, int]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proof_queue, "MOST_OF_ONE", FEW)
        patch.setattr(proof_queue, "MOST_BYTES", LITTLE)
        queue, model = ProofQueue(), Model()
        for step, sender, size in steps:
            if step == "add":
                waiting = wait(sender, bytes(size))
                model.add(waiting)
                for leaving in queue.add(waiting):
                    model.make_room(leaving)
                assert not model.is_too_much
            elif step == "drop":
                dropped = model.of(sender)
                assert queue.drop(sender) == dropped
                model.remove(*dropped)
            elif model.waiting:
                assert queue.next() is model.next()
            assert bool(queue) == bool(model.waiting)
        assert take_all(queue) == [model.next() for _ in list(model.waiting)]
