"""Everything that ends without a read ack: expiry, excuse, revocation, forgetting (PROTOCOL 13.4).

The sweeps find their work in the ledger, a bounded piece a transaction: call them until they say
that there is no more. Nothing of it is lost if the process ends in between.
"""

from dataclasses import dataclass
from enum import StrEnum

from gateway.effects import Effects
from gateway.situation import Situation
from gateway.store.port import Transaction


@dataclass(frozen=True, kw_only=True, slots=True)
class Swept:
    """One piece of a sweep."""

    effects: Effects
    more: bool
    """Call again, in a transaction of its own."""


def sweep(tx: Transaction, situation: Situation, limit: int = 256) -> Swept:
    """Do the next piece of what is due: revocations, expiry, forgetting, dropped statements.

    To be called until there is no more: after each new roster, at start, and from time to time.
    """
    raise NotImplementedError


class ExcuseResult(StrEnum):
    """What became of an excuse."""

    EXCUSED = "excused"
    NOTHING_OWED = "nothing-owed"
    UNKNOWN_MESSAGE = "unknown-message"
    REFUSED = "refused"
    """Malformed, not by the owner's current root, or there is no roster to tell."""


def excuse(tx: Transaction, payload: bytes, situation: Situation) -> tuple[ExcuseResult, Effects]:
    """Release readers from owing a read ack, on the owner's signed word."""
    raise NotImplementedError
