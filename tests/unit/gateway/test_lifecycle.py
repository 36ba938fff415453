"""The transition table, pair by pair."""

import itertools
from enum import StrEnum
from typing import Any

import pytest

from gateway.errors import TransitionError
from gateway.lifecycle import (
    COPY,
    MESSAGE,
    SLOT,
    CopyEvent,
    CopyState,
    MessageEvent,
    MessageState,
    SlotEvent,
    SlotState,
    copy_after,
    mermaid,
    message_after,
    slot_after,
    step,
)

C, CE = CopyState, CopyEvent
M, ME = MessageState, MessageEvent

IMPOSSIBLE_FOR_COPIES = {
    # A copy is cleared only when its slot is settled, and a slot is settled only once.
    (C.DUE, CE.CLEARED),
    (C.STANDING, CE.CLEARED),
    (C.CLEARING, CE.SETTLED),
    (C.CLEARED, CE.SETTLED),
}
IMPOSSIBLE_FOR_MESSAGES = {
    # Only what is partial can be completed; only what is unfinished can end.
    *((state, ME.COMPLETED) for state in M if state is not M.PARTIAL),
    *(
        (state, event)
        for state in (M.FINISHED, M.SEEN, M.FORGOTTEN)
        for event in (ME.SETTLED, ME.ENDED)
    ),
    # What has a row ends by ENDED; a tombstone has no copies.
    *((state, ME.EXPIRED) for state in (M.PARTIAL, M.HELD, M.FINISHED, M.SEEN)),
    (M.FORGOTTEN, ME.CLEARED),
    # Nothing is known of what is gone.
    *((M.GONE, event) for event in ME),
}
MACHINES: list[tuple[Any, Any, Any, set[Any]]] = [
    (SLOT, SlotState, SlotEvent, set()),
    (COPY, C, CE, IMPOSSIBLE_FOR_COPIES),
    (MESSAGE, M, ME, IMPOSSIBLE_FOR_MESSAGES),
]


@pytest.mark.parametrize(("table", "states", "events", "impossible"), MACHINES)
def test_every_pair_is_either_defined_or_known_to_be_impossible(
    table: Any, states: type[StrEnum], events: type[StrEnum], impossible: set[Any]
) -> None:
    for pair in itertools.product(states, events):
        assert (pair in table) != (pair in impossible), pair
        if pair in impossible:
            with pytest.raises(TransitionError):
                step(table, *pair)
        else:
            assert step(table, *pair) in states


@pytest.mark.parametrize("event", SlotEvent)
def test_a_slot_keeps_the_outcome_that_came_first(event: SlotEvent) -> None:
    outcomes = {slot_after(SlotState.OWED, first): first for first in SlotEvent}
    assert set(outcomes) == set(SlotState) - {SlotState.OWED}
    for outcome in outcomes:
        assert slot_after(outcome, event) is outcome


def test_a_settled_copy_is_never_published_again() -> None:
    reached = _reachable(COPY, C.CLEARING)
    assert reached == {C.CLEARING, C.CLEARED}


def test_a_cleared_copy_that_is_found_again_is_cleared_again() -> None:
    assert copy_after(C.CLEARED, CE.PUBLISHED) is C.CLEARING


def test_a_copy_whose_publishing_was_never_confirmed_is_cleared_all_the_same() -> None:
    assert copy_after(C.DUE, CE.SETTLED) is C.CLEARING


def test_a_message_is_forgotten_only_after_it_was_finished_and_seen_and_cleared() -> None:
    for state in (M.PARTIAL, M.HELD):
        assert message_after(state, ME.SEEN) is state
        assert message_after(state, ME.CLEARED) is state
    ways = _ways(M.HELD, M.FORGOTTEN)
    assert ways
    for way in ways:
        assert way[-2:] == [ME.SEEN, ME.CLEARED]


def test_a_partial_message_does_not_finish_while_readers_may_still_turn_up() -> None:
    assert message_after(M.PARTIAL, ME.SETTLED) is M.PARTIAL
    assert message_after(M.PARTIAL, ME.ENDED) is M.FINISHED


@pytest.mark.parametrize(
    ("table", "states", "starts"),
    [
        (SLOT, SlotState, [SlotState.OWED]),
        (COPY, C, [C.DUE]),
        (MESSAGE, M, [M.HELD, M.PARTIAL]),
    ],
)
def test_every_state_can_be_reached(table: Any, states: Any, starts: list[Any]) -> None:
    assert set().union(*(_reachable(table, start) for start in starts)) == set(states)


@pytest.mark.parametrize(
    ("table", "start"), [(SLOT, SlotState.OWED), (COPY, C.DUE), (MESSAGE, M.HELD)]
)
def test_the_diagram_shows_every_change_and_only_changes(table: Any, start: Any) -> None:
    drawn = mermaid(table, start).splitlines()
    assert drawn[:2] == ["stateDiagram-v2", f"    [*] --> {start}"]
    changes = {
        f"    {state} --> {following}: {event}"
        for (state, event), following in table.items()
        if state is not following
    }
    assert set(drawn[2:]) == changes


def _reachable(table: Any, start: Any) -> set[Any]:
    reached, waiting = {start}, [start]
    while waiting:
        state = waiting.pop()
        for (before, _), following in table.items():
            if before is state and following not in reached:
                reached.add(following)
                waiting.append(following)
    return reached


def _ways(start: MessageState, end: MessageState) -> list[list[MessageEvent]]:
    """Return the events of every way without a loop."""
    if start is end:
        return [[]]
    return [
        [event, *rest]
        for (before, event), following in MESSAGE.items()
        if before is start and following is not start
        for rest in _ways(following, end)
    ]
