"""What to do about a retained message found under ``inbox/`` (PROTOCOL 13.6).

Replay is a hint: each topic is decided against the current row. An unknown copy that verifies is
adopted, because the ledger may be new or restored from a backup.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from device_sdk.trust import Roster
from device_sdk.wire.anonymous import AnonymousBody
from device_sdk.wire.names import ANONYMOUS
from device_sdk.wire.notice import SENDER_REVOKED
from device_sdk.wire.topics import Topic
from gateway import copies, events, tokens
from gateway.adoptable import Adoptable, Undecided, recognise
from gateway.effects import NOTHING, Effects, Tell, merged
from gateway.expire import end, excuse_revoked
from gateway.hold import new_body, new_slot, new_wrap
from gateway.lifecycle import (
    CopyEvent,
    CopyState,
    MessageEvent,
    MessageState,
    copy_after,
    message_after,
)
from gateway.situation import Situation
from gateway.store.port import Transaction
from gateway.store.records import CopyRef, Message, MessageKey, StoredCopy
from gateway.tombstone import find_tombstone


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
    """With LEFT: Unix seconds at which to clear it all the same. The first one told counts."""


_STANDING = Judged(found=Found.STANDING, effects=NOTHING)


def judge_retained(tx: Transaction, topic: Topic, payload: bytes, situation: Situation) -> Judged:
    """Decide about one retained inbox topic and record the decision. ``payload`` is not empty.

    Works while the roster has expired and while the clock is paused: it deletes nothing by a time
    that is not believed.
    """
    ref = copies.ref_of(topic)
    stored = tx.copy(ref)
    if stored is not None:
        return _against_owed(tx, stored, payload, situation.now)
    slot, message = tx.slot(ref.key, ref.reader), tx.message(ref.key)
    if slot is not None:
        copy = copy_after(slot.copy, CopyEvent.PUBLISHED)
        tx.set_copy(ref, copy, act_at=situation.now + copies.RETRY, offers=0)
        return _clear(ref)
    if message is not None and message.state is not MessageState.PARTIAL:
        return _clear(ref)  # all its readers are known, and this is none of them
    if message is None and find_tombstone(tx, ref.key) is not None:
        return _clear(ref)
    found = recognise(ref, payload, situation)
    if isinstance(found, Undecided):
        return Judged(found=Found.LEFT, effects=NOTHING, until=found.until)
    if not isinstance(found, Adoptable):
        return _clear(ref)
    if message is not None and found.digest != message.digest:
        return _clear(ref)  # the sender used one id for two messages
    if not _take_token(tx, found, situation.now):
        return _clear(ref)
    return _adopt(tx, ref, message, found, situation)


def _take_token(tx: Transaction, found: Adoptable, now: int) -> bool:
    """Spend an anonymous copy's token, if its key is here; tell whether it may be adopted.

    Without the key, as in a new ledger, it is adopted as it stands: its reader cannot tell more
    either, and a message that was held must not be lost (PROTOCOL 19.6).
    """
    body = found.copy.body
    if not isinstance(body, AnonymousBody):
        return True
    if tx.token_key(body.header.key_id) is None:
        return tokens.may_have_lost_key(tx, body, now)
    if not tokens.is_genuine(tx, body, found.digest):
        return False
    if tokens.is_spent_elsewhere(tx, body, found.digest):
        return False
    tokens.spend(tx, body, found.digest)
    return True


def _against_owed(tx: Transaction, stored: StoredCopy, payload: bytes, now: int) -> Judged:
    if copies.encoded(stored) == payload:
        if stored.state is not CopyState.STANDING:
            copies.standing(tx, [stored.ref], now)
        return _STANDING
    missing = copy_after(stored.state, CopyEvent.MISSED)
    tx.set_copy(stored.ref, missing, act_at=now + copies.RETRY, offers=stored.offers)
    return Judged(found=Found.REPLACED, effects=Effects(publish=(stored.ref,)))


def _clear(ref: CopyRef) -> Judged:
    return Judged(found=Found.CLEARED, effects=Effects(clear=(ref,)))


def _adopt(
    tx: Transaction, ref: CopyRef, partial: Message | None, found: Adoptable, situation: Situation
) -> Judged:
    message = partial or _add_message(tx, ref.key, found, situation.now)
    slot = replace(
        new_slot(found.copy, situation.now),
        copy=CopyState.STANDING,
        offers=1,
        act_at=situation.now + copies.FIRST_OFFER,
    )
    tx.add_slot(ref.key, slot, new_wrap(found.copy))
    if tx.body(ref.key) is None:
        tx.add_body(ref.key, new_body(found.copy.body))
    effects = [_complete(tx, message)]
    if situation.roster is not None:
        effects.append(_revoke(tx, ref, situation.roster, situation.now))
    return Judged(found=Found.ADOPTED, effects=merged(effects))


def _add_message(tx: Transaction, key: MessageKey, found: Adoptable, now: int) -> Message:
    header = found.copy.body.header
    message = Message(
        key=key,
        digest=found.digest,
        channel=header.channel,
        reader_count=header.reader_count,
        size=found.size,
        held_at=now,
        expires=header.expires,
        state=MessageState.PARTIAL,
    )
    tx.add_message(message)
    return message


def _complete(tx: Transaction, partial: Message) -> Effects:
    """Hold a message whose last reader has just been found."""
    if tx.count_slots(partial.key) < partial.reader_count:
        return NOTHING
    message = replace(partial, state=message_after(partial.state, MessageEvent.COMPLETED))
    tx.set_message(message.key, message.state)
    return Effects(tell=(Tell(device=message.key.sender, event=events.held(message)),))


def _revoke(tx: Transaction, ref: CopyRef, roster: Roster, now: int) -> Effects:
    message = tx.message(ref.key)
    # Nobody is called `anonymous`, though a roster of an earlier version may revoke such a device.
    if message is not None and ref.key.sender != ANONYMOUS and roster.is_revoked(ref.key.sender):
        return end(tx, message, now, SENDER_REVOKED)
    if roster.is_revoked(ref.reader):
        return excuse_revoked(tx, ref, roster.devices[ref.reader].revoked_at, now)
    return NOTHING
