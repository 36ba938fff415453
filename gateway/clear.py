"""A copy's way out: clear what is settled, forget what is seen (PROTOCOL 13.3, 13.9)."""

from collections.abc import Iterable

from gateway.copies import RETRY
from gateway.effects import NOTHING, Effects
from gateway.lifecycle import (
    CopyEvent,
    CopyState,
    MessageEvent,
    MessageState,
    copy_after,
    message_after,
)
from gateway.store.port import Transaction
from gateway.store.records import CopyRef, Message, MessageKey
from gateway.tombstone import tombstone_of


def due(tx: Transaction, now: int, limit: int) -> list[CopyRef]:
    """Return clearings to publish now, and do not return them again for RETRY seconds."""
    refs = tx.clearings_due(now, limit)
    for ref in refs:
        tx.set_copy(ref, CopyState.CLEARING, act_at=now + RETRY, offers=0)
    return refs


def cleared(tx: Transaction, refs: Iterable[CopyRef]) -> Effects:
    """Record the PUBACKs of zero-length publishes. Refs without a row are passed over.

    A message whose outcome was seen is forgotten with its last clearing.
    """
    touched: dict[MessageKey, None] = {}
    for ref in refs:
        slot = tx.slot(ref.key, ref.reader)
        # A copy still owed was cleared by somebody's planted empty message, not by us.
        if slot is None or slot.copy not in (CopyState.CLEARING, CopyState.CLEARED):
            continue
        tx.set_copy(ref, copy_after(slot.copy, CopyEvent.CLEARED), act_at=0, offers=0)
        touched[ref.key] = None
    messages = [message for key in touched if (message := tx.message(key)) is not None]
    forgotten = [forget_if_cleared(tx, message) for message in messages]
    return Effects(erase=True) if any(forgotten) else NOTHING


def forget_if_cleared(tx: Transaction, message: Message) -> bool:
    """Forget a message that was seen if all its copies are cleared; tell whether it was."""
    if message.state is not MessageState.SEEN or tx.is_uncleared(message.key):
        return False
    message_after(message.state, MessageEvent.CLEARED)
    tx.drop_message(message.key)
    if message.expires > tx.high_water():
        tx.add_tombstone(tombstone_of(tx, message))
    return True
