"""A copy's way to the broker: what is due, and what the broker confirmed."""

from collections.abc import Iterable

from device_sdk.wire.anonymous import encode_anonymous_copy
from device_sdk.wire.envelope import Inclusion, Reader, encode_copy
from device_sdk.wire.topics import Topic
from gateway.lifecycle import CopyEvent, CopyState, SlotState, copy_after
from gateway.store.port import Reading, Transaction
from gateway.store.records import CopyRef, MessageKey, StoredCopy

RETRY = 30
"""Seconds after which an unconfirmed publish is due again."""
FIRST_OFFER, LAST_OFFER = 15 * 60, 24 * 3600
"""Seconds until an unread copy is published again: doubling from the first to the last, because
retained replay is not complete (PROTOCOL 9)."""


def ref_of(topic: Topic) -> CopyRef:
    """Return the copy that an inbox or read topic is for."""
    return CopyRef(MessageKey(topic.sender, topic.message_id), topic.owner)


def cut(tx: Reading, ref: CopyRef) -> tuple[bytes, int] | None:
    """Return (payload, exp) of a reader's copy as it goes to ``inbox/``; None if it is not owed."""
    stored = tx.copy(ref)
    return None if stored is None else (encoded(stored), stored.expires)


def encoded(stored: StoredCopy) -> bytes:
    """Return a copy's bytes, which are the same ones every time."""
    body = stored.body
    reader = Reader(
        reader=stored.ref.reader,
        kid=stored.wrap.kid,
        open_hash=stored.wrap.open_hash,
        wrapped_cek=stored.wrap.wrapped_cek,
    )
    inclusion = Inclusion(index=stored.index, path=stored.wrap.path)
    if body.token is not None:
        return encode_anonymous_copy(
            body.protected, body.token, body.ciphertext, reader=reader, inclusion=inclusion
        )
    return encode_copy(
        body.protected,
        body.sign_protected,
        body.signature,
        body.ciphertext,
        reader=reader,
        inclusion=inclusion,
    )


def due(tx: Transaction, now: int, limit: int) -> list[CopyRef]:
    """Return copies to publish now, and do not return them again for RETRY seconds."""
    refs = tx.copies_due(now, limit)
    for ref in refs:
        _follow(tx, ref, CopyEvent.MISSED, now)
    return refs


def standing(tx: Transaction, refs: Iterable[CopyRef], now: int) -> None:
    """Record the broker's PUBACKs. Refs that were settled in the meantime are passed over."""
    for ref in refs:
        _follow(tx, ref, CopyEvent.PUBLISHED, now)


def missed(tx: Transaction, refs: Iterable[CopyRef], now: int, *, after: int = 0) -> None:
    """Record that copies do not, or will not, stand: if still owed, due in so many seconds."""
    for ref in refs:
        _follow(tx, ref, CopyEvent.MISSED, now + after - RETRY)


def _follow(tx: Transaction, ref: CopyRef, event: CopyEvent, now: int) -> None:
    slot = tx.slot(ref.key, ref.reader)
    if slot is None or slot.state is not SlotState.OWED:
        return
    copy = copy_after(slot.copy, event)
    if copy is CopyState.STANDING:
        wait = min(FIRST_OFFER << min(slot.offers, 16), LAST_OFFER)
        tx.set_copy(ref, copy, act_at=now + wait, offers=slot.offers + 1)
    else:
        tx.set_copy(ref, copy, act_at=now + RETRY, offers=slot.offers)


def make_all_due(tx: Transaction, now: int) -> None:
    """After every (re)connect: what was under way is due again, copies and clearings."""
    tx.make_all_due(now)
