"""A copy's way out: clear what is settled, forget what is seen (PROTOCOL 13.3, 13.9)."""

from collections.abc import Iterable

from gateway.effects import Effects
from gateway.store.port import Transaction
from gateway.store.records import CopyRef


def due(tx: Transaction, now: int, limit: int) -> list[CopyRef]:
    """Return clearings to publish now, and do not return them again for RETRY seconds."""
    raise NotImplementedError


def cleared(tx: Transaction, refs: Iterable[CopyRef]) -> Effects:
    """Record the PUBACKs of zero-length publishes. Refs without a row are passed over.

    A message whose outcome was seen is forgotten with its last clearing.
    """
    raise NotImplementedError
