"""Ledger rows with nothing behind them, for tests of stores: a store does not look into them."""

import os

from gateway.lifecycle import CopyState, MessageState, SlotState
from gateway.store.port import Transaction
from gateway.store.records import Body, CopyRef, Message, MessageKey, Slot, Wrap


def add_message(
    tx: Transaction,
    readers: int = 1,
    *,
    sender: str = "thermo",
    expires: int = 1000,
    state: MessageState = MessageState.HELD,
    ciphertext: bytes = b"",
) -> MessageKey:
    """Add a message with its content and slots "r0", "r1" ...; return its key."""
    key = MessageKey(sender, os.urandom(16))
    tx.add_message(
        Message(
            key=key,
            digest=os.urandom(32),
            channel="direct",
            reader_count=readers,
            size=500,
            held_at=1,
            expires=expires,
            state=state,
        )
    )
    tx.add_body(
        key,
        Body(
            protected=b"header",
            sign_protected=b"signer",
            signature=b"signature",
            ciphertext=ciphertext or os.urandom(272),
        ),
    )
    for index in range(readers):
        tx.add_slot(key, new_slot(index), new_wrap())
    return key


def new_slot(index: int, act_at: int = 0) -> Slot:
    """Return an owed slot."""
    return Slot(
        reader=f"r{index}",
        index=index,
        state=SlotState.OWED,
        copy=CopyState.DUE,
        act_at=act_at,
    )


def new_wrap() -> Wrap:
    """Return what a copy has, made up."""
    return Wrap(
        kid=os.urandom(16),
        open_hash=os.urandom(32),
        wrapped_cek=os.urandom(256),
        path=(os.urandom(32), os.urandom(32)),
    )


def settle(tx: Transaction, key: MessageKey, reader: str, ack: bytes = b"ack") -> None:
    """Settle a slot as read, and call its copy cleared."""
    ref = CopyRef(key, reader)
    tx.settle(ref, SlotState.READ, ack=ack)
    tx.set_copy(ref, CopyState.CLEARED, act_at=0, offers=0)
