"""Settle a reader's slot, whatever the reason: the road that every ending takes (PROTOCOL 13.3).

In one transaction: the outcome and its evidence stay, the reader's part of the content goes, the
clearing is due, and with the last owed slot the content itself goes.
"""

from gateway.copies import RETRY
from gateway.lifecycle import (
    CopyEvent,
    MessageEvent,
    SlotEvent,
    copy_after,
    message_after,
    slot_after,
)
from gateway.store.port import Transaction
from gateway.store.records import CopyRef, Message, Slot


def settle(
    tx: Transaction,
    message: Message,
    slot: Slot,
    event: SlotEvent,
    *,
    now: int,
    ack: bytes = b"",
    excuse: bytes = b"",
    revoked_at: int = 0,
) -> CopyRef:
    """Settle a slot that is owed, and return the copy to clear. Call `close_if_settled` after."""
    ref = CopyRef(message.key, slot.reader)
    state = slot_after(slot.state, event)
    tx.settle(ref, state, ack=ack, excuse=excuse, revoked_at=revoked_at)
    clearing = copy_after(slot.copy, CopyEvent.SETTLED)
    tx.set_copy(ref, clearing, act_at=now + RETRY, offers=0)
    return ref


def close_if_settled(tx: Transaction, message: Message) -> None:
    """Drop the content and finish the message if no copy of it is owed."""
    if tx.is_owed(message.key):
        return
    tx.drop_body(message.key)
    tx.set_message(message.key, message_after(message.state, MessageEvent.SETTLED))
