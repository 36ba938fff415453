"""Commit once per message: an accepted envelope becomes rows, whatever happens afterwards.

The caller's order is fixed (PROTOCOL 13.2): commit, PUBACK, publish the copies, tell *held*.
"""

from dataclasses import dataclass
from enum import StrEnum

from device_sdk.wire.reasons import Reason
from device_sdk.wire.topics import Topic
from gateway.effects import Effects
from gateway.receive import Accepted
from gateway.situation import Situation
from gateway.store.port import Transaction
from gateway.store.records import MessageKey


class Holding(StrEnum):
    """What became of an arrival. Every one of them is PUBACKed, after the commit."""

    NEW = "new"
    COMPLETED = "completed"
    """It was held partially, from copies found at the broker; now it is whole."""
    AGAIN = "again"
    """The same message was held before: it is answered, and nothing changes."""
    FINISHED = "finished"
    """The same message has ended and been forgotten; only its tombstone is left."""
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """The answer to one arrival."""

    key: MessageKey
    holding: Holding
    effects: Effects
    reason: Reason | None = None
    """With REFUSED only."""


def take_in(tx: Transaction, topic: Topic, payload: bytes, situation: Situation) -> Held:
    """Receive and hold one envelope. It never raises over what came, so batches may share a ``tx``.

    A message that is known with the same digest is answered before any other check (PROTOCOL
    13.8): it was accepted once, and what has changed since is not its sender's doing.
    """
    raise NotImplementedError


def hold(tx: Transaction, accepted: Accepted, situation: Situation) -> Held:
    """Commit an accepted envelope, or say what it is already."""
    raise NotImplementedError
