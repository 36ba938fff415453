"""A copy's way to the broker: what is due, and what the broker confirmed."""

from collections.abc import Iterable

from gateway.store.port import Reading, Transaction
from gateway.store.records import CopyRef

RETRY = 30
"""Seconds after which an unconfirmed publish is due again."""
FIRST_OFFER, LAST_OFFER = 15 * 60, 24 * 3600
"""Seconds until an unread copy is published again: doubling from the first to the last, because
retained replay is not complete (PROTOCOL 9)."""


def cut(tx: Reading, ref: CopyRef) -> tuple[bytes, int] | None:
    """Return (payload, exp) of a reader's copy as it goes to ``inbox/``; None if it is not owed."""
    raise NotImplementedError


def due(tx: Transaction, now: int, limit: int) -> list[CopyRef]:
    """Return copies to publish now, and do not return them again for RETRY seconds."""
    raise NotImplementedError


def standing(tx: Transaction, refs: Iterable[CopyRef], now: int) -> None:
    """Record the broker's PUBACKs. Refs that were settled in the meantime are passed over."""
    raise NotImplementedError


def owed_after(tx: Reading, after: CopyRef | None, limit: int) -> list[CopyRef]:
    """Walk through every copy that should stand at the broker: start with None, then the last."""
    raise NotImplementedError


def missed(tx: Transaction, refs: Iterable[CopyRef], now: int) -> None:
    """Record that copies do not stand at the broker: those still owed become due at once."""
    raise NotImplementedError


def make_all_due(tx: Transaction, now: int) -> None:
    """After every (re)connect: what was under way is due again, copies and clearings."""
    raise NotImplementedError
