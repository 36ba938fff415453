"""What can become of a message: the one transition table (PROTOCOL 13).

Three machines. A reader's *slot* is owed until it is settled. That reader's *copy* at the broker
follows it: published while owed, cleared once settled. The *message* ends when its last slot is
settled, and is forgotten when its sender has seen the outcome and its last copy is cleared.

`step` is the whole of it: (state, event) leads to a state, changes nothing on purpose, or is a
defect. `mermaid` draws the same table.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from gateway.errors import TransitionError


class SlotState(StrEnum):
    """Whether a reader owes a read ack for a message, and if not, why not."""

    OWED = "owed"
    READ = "read"
    UNREADABLE = "unreadable"
    EXCUSED = "excused"
    EXPIRED = "expired"


class SlotEvent(StrEnum):
    """What settles a slot."""

    READ = "read-acked"
    """A verified read ack with the open-token."""
    UNREADABLE = "unreadable-acked"
    """A verified ack that says the copy cannot be opened."""
    EXCUSED = "excused"
    """The owner's signed excuse, or a roster that revokes the reader."""
    EXPIRED = "expired"
    """exp has passed, or the sender was revoked."""


class CopyState(StrEnum):
    """Where a reader's copy is on its way to the broker and back out of it."""

    DUE = "due"
    """To be published."""
    STANDING = "standing"
    """The broker confirmed it."""
    CLEARING = "clearing"
    """To be removed: the zero-length publish is not confirmed yet."""
    CLEARED = "cleared"
    """The broker confirmed the removal, or no copy was ever published."""


class CopyEvent(StrEnum):
    """What happens to a copy."""

    PUBLISHED = "published"
    """The broker confirmed the copy, or replayed it."""
    MISSED = "missed"
    """It does not stand at the broker, or other bytes do."""
    SETTLED = "settled"
    """Its slot is no longer owed."""
    CLEARED = "cleared"
    """The broker confirmed its removal."""


class MessageState(StrEnum):
    """How far a message is. *forgotten* and *gone* messages have no row in the ledger."""

    PARTIAL = "partial"
    """Adopted from copies found at the broker; not every reader is known."""
    HELD = "held"
    FINISHED = "finished"
    """Every slot is settled; the outcome waits for its sender."""
    SEEN = "seen"
    """The sender took note of the outcome, or did not in time; clearings are still due."""
    FORGOTTEN = "forgotten"
    """Only a keyed hash is left, against replay."""
    GONE = "gone"


class MessageEvent(StrEnum):
    """What happens to a message as a whole."""

    COMPLETED = "completed"
    """Every reader of a partial message is known now."""
    SETTLED = "last-slot-settled"
    ENDED = "ended"
    """exp has passed or the sender was revoked: also the unknown readers are done with."""
    SEEN = "seen"
    """The sender's signed word, or exp and the grace after it have passed."""
    CLEARED = "last-copy-cleared"
    EXPIRED = "expired"
    """exp has passed for what was forgotten: a replay is refused as expired from now on."""


S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)
Table = Mapping[tuple[S, E], S]

SLOT: Table[SlotState, SlotEvent] = {
    (SlotState.OWED, SlotEvent.READ): SlotState.READ,
    (SlotState.OWED, SlotEvent.UNREADABLE): SlotState.UNREADABLE,
    (SlotState.OWED, SlotEvent.EXCUSED): SlotState.EXCUSED,
    (SlotState.OWED, SlotEvent.EXPIRED): SlotState.EXPIRED,
    # What settled a slot first stays its outcome; the late event only makes the clear go out again.
    **{
        (state, event): state
        for state in SlotState
        if state is not SlotState.OWED
        for event in SlotEvent
    },
}

COPY: Table[CopyState, CopyEvent] = {
    (CopyState.DUE, CopyEvent.PUBLISHED): CopyState.STANDING,
    (CopyState.DUE, CopyEvent.MISSED): CopyState.DUE,
    # A copy that was never confirmed may still be on its way: it is cleared like any other.
    (CopyState.DUE, CopyEvent.SETTLED): CopyState.CLEARING,
    (CopyState.STANDING, CopyEvent.PUBLISHED): CopyState.STANDING,
    (CopyState.STANDING, CopyEvent.MISSED): CopyState.DUE,
    (CopyState.STANDING, CopyEvent.SETTLED): CopyState.CLEARING,
    # The copy's PUBACK may come after its slot was settled: the clear that follows it counts.
    (CopyState.CLEARING, CopyEvent.PUBLISHED): CopyState.CLEARING,
    (CopyState.CLEARING, CopyEvent.MISSED): CopyState.CLEARING,
    (CopyState.CLEARING, CopyEvent.CLEARED): CopyState.CLEARED,
    # Found standing again, replayed or planted: it is cleared again.
    (CopyState.CLEARED, CopyEvent.PUBLISHED): CopyState.CLEARING,
    (CopyState.CLEARED, CopyEvent.MISSED): CopyState.CLEARED,
    (CopyState.CLEARED, CopyEvent.CLEARED): CopyState.CLEARED,
}

MESSAGE: Table[MessageState, MessageEvent] = {
    (MessageState.PARTIAL, MessageEvent.COMPLETED): MessageState.HELD,
    # The known readers are done; the unknown ones may still turn up.
    (MessageState.PARTIAL, MessageEvent.SETTLED): MessageState.PARTIAL,
    (MessageState.PARTIAL, MessageEvent.ENDED): MessageState.FINISHED,
    (MessageState.HELD, MessageEvent.SETTLED): MessageState.FINISHED,
    (MessageState.HELD, MessageEvent.ENDED): MessageState.FINISHED,
    (MessageState.FINISHED, MessageEvent.SEEN): MessageState.SEEN,
    (MessageState.FINISHED, MessageEvent.CLEARED): MessageState.FINISHED,
    (MessageState.SEEN, MessageEvent.SEEN): MessageState.SEEN,
    (MessageState.SEEN, MessageEvent.CLEARED): MessageState.FORGOTTEN,
    # Nobody can have seen an outcome that is not there.
    (MessageState.PARTIAL, MessageEvent.SEEN): MessageState.PARTIAL,
    (MessageState.HELD, MessageEvent.SEEN): MessageState.HELD,
    (MessageState.PARTIAL, MessageEvent.CLEARED): MessageState.PARTIAL,
    (MessageState.HELD, MessageEvent.CLEARED): MessageState.HELD,
    (MessageState.FORGOTTEN, MessageEvent.SEEN): MessageState.FORGOTTEN,
    (MessageState.FORGOTTEN, MessageEvent.EXPIRED): MessageState.GONE,
}


def step(table: Table[S, E], state: S, event: E) -> S:
    """Return the state that follows, which may be the same.

    Raises:
        TransitionError: the table has no such pair.
    """
    following = table.get((state, event))
    if following is None:
        raise TransitionError(state, event)
    return following


def slot_after(state: SlotState, event: SlotEvent) -> SlotState:
    """Return the slot's next state. Every pair is defined: the first outcome stays."""
    return step(SLOT, state, event)


def copy_after(state: CopyState, event: CopyEvent) -> CopyState:
    """Return the copy's next state. Raises TransitionError."""
    return step(COPY, state, event)


def message_after(state: MessageState, event: MessageEvent) -> MessageState:
    """Return the message's next state. Raises TransitionError."""
    return step(MESSAGE, state, event)


def mermaid(table: Table[S, E], *starts: S) -> str:
    """Return the table as a Mermaid state diagram, without the pairs that change nothing."""
    lines = ["stateDiagram-v2", *(f"    [*] --> {start}" for start in starts)]
    lines += [
        f"    {state} --> {following}: {event}"
        for (state, event), following in table.items()
        if state is not following
    ]
    return "\n".join(lines) + "\n"
