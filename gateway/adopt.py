"""What to make of a retained message found under ``inbox/`` (PROTOCOL 13.6).

Replay is a hint: each topic is decided against the current row. An unknown copy that verifies is
adopted, because the ledger may be new or restored from a backup.
"""

from dataclasses import dataclass
from enum import StrEnum

from device_sdk.wire.topics import Topic
from gateway.effects import Effects
from gateway.situation import Situation
from gateway.store.port import Transaction


class Found(StrEnum):
    """What a retained copy turned out to be."""

    STANDING = "standing"
    """Just as it should be."""
    REPLACED = "replaced"
    """Other bytes than the ledger's: the right copy is published over it."""
    ADOPTED = "adopted"
    CLEARED = "cleared"
    """Settled, forgotten, expired, or nothing that any roster could make valid."""
    LEFT = "left"
    """Nobody can tell yet: to be judged again at the next roster, and by `Judged.until`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """The decision about one retained message."""

    found: Found
    effects: Effects
    until: int = 0
    """With LEFT: Unix seconds at which to clear it all the same."""


def judge_retained(tx: Transaction, topic: Topic, payload: bytes, situation: Situation) -> Judged:
    """Decide about one retained inbox topic and record the decision. ``payload`` is not empty.

    Works while the roster has expired and while the clock is paused: it deletes nothing by a time
    that is not believed.
    """
    raise NotImplementedError
