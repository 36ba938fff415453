"""What a ledger says, and what the reference says it should, in the same words."""

from dataclasses import dataclass
from typing import Any

from device_sdk.wire.query import Query, Sent
from gateway import copies
from gateway.answer import answer
from gateway.lifecycle import SlotState
from gateway.situation import Situation
from gateway.store.port import Reading
from gateway.store.records import CopyRef, MessageKey, Slot
from gateway.tombstone import find_tombstone
from tests.store.pool import DEVICES, SENDERS, Mail, pool
from tests.store.reference import Letter, Reference

_FAR, _ALL = 2**40, 1000


@dataclass(frozen=True, kw_only=True)
class Look:
    """Everything that can be asked of a ledger about the pool's mail."""

    messages: dict[MessageKey, Any]
    stones: set[MessageKey]
    owed: list[CopyRef]
    owed_due: set[CopyRef]
    clearing: set[CopyRef]
    owed_by: dict[str, int]
    usage: dict[str, int]
    answers: list[set[str]]
    is_empty: bool


def as_stored(tx: Reading, situation: Situation) -> Look:
    """Ask the ledger; also see that it does not contradict itself."""
    mails = pool()[1]
    keys = sorted({mail.key for mail in mails})
    messages = {key: view for key in keys if (view := _view(tx, key)) is not None}
    assert [key for key, _ in tx.summaries(None, _ALL)] == list(messages)
    for sender in SENDERS:
        _check_size(tx, sender, [key for key in messages if key.sender == sender])
    return Look(
        messages=messages,
        stones={key for key in keys if find_tombstone(tx, key) is not None},
        owed=tx.owed_copies(None, _ALL),
        owed_due=set(tx.copies_due(_FAR, _ALL)),
        clearing=set(tx.clearings_due(_FAR, _ALL)),
        owed_by={name: tx.owed_by(name) for name in DEVICES},
        usage={name: tx.usage(name).messages for name in SENDERS},
        answers=[_answer(tx, mail, situation) for mail in mails],
        is_empty=tx.is_empty(),
    )


def _view(tx: Reading, key: MessageKey) -> Any:
    message = tx.message(key)
    if message is None:
        assert tx.body(key) is None
        assert tx.slots(key) == []
        return None
    slots = tx.slots(key)
    for slot in slots:
        _check_slot(tx, key, slot)
    assert tx.is_owed(key) == any(slot.state is SlotState.OWED for slot in slots)
    assert tx.is_uncleared(key) == any(slot.copy != "cleared" for slot in slots)
    assert tx.count_slots(key) == len(slots)
    states = {slot.reader: (str(slot.state), str(slot.copy)) for slot in slots}
    has_body = tx.body(key) is not None
    return message.digest, str(message.state), message.ended_by, has_body, states


def _check_slot(tx: Reading, key: MessageKey, slot: Slot) -> None:
    owed = slot.state is SlotState.OWED
    assert (tx.wrap(key, slot.reader) is not None) == owed
    assert bool(slot.ack) == (slot.state in (SlotState.READ, SlotState.UNREADABLE))
    assert bool(slot.excuse or slot.revoked_at) == (slot.state is SlotState.EXCUSED)
    message, cut = tx.message(key), copies.cut(tx, CopyRef(key, slot.reader))
    assert (cut is not None) == owed
    if cut is not None and message is not None:
        mail = next(one for one in pool()[1] if one.sealed.digest == message.digest)
        assert cut == (mail.copies[slot.reader], mail.expires)


def _check_size(tx: Reading, sender: str, keys: list[MessageKey]) -> None:
    rows = [row for key in keys if tx.body(key) is not None and (row := tx.message(key))]
    assert tx.usage(sender).size == sum(row.size for row in rows)


def _answer(tx: Reading, mail: Mail, situation: Situation) -> set[str]:
    sent = Sent(message_id=mail.key.message_id, digest=mail.sealed.digest)
    query = Query(device=mail.key.sender, time=0, nonce=bytes(16), sent=(sent,), wanted=())
    events = answer(tx, query, situation).events
    # What has ended of others is told as well.
    told = [event for event in events if event.message_id == mail.key.message_id]
    return {f"{event.kind} {event.word}".strip() for event in told}


def as_expected(reference: Reference) -> Look:
    """Say what the ledger should say."""
    letters = dict(sorted(reference.letters.items()))
    refs = [(CopyRef(key, name), one) for key, one in letters.items() for name in one.slots]
    owed = sorted(ref for ref, one in refs if one.slots[ref.reader] == "owed")
    senders = [key.sender for key in letters]
    readers = [ref.reader for ref in owed]
    return Look(
        messages={key: _expected(letter) for key, letter in letters.items()},
        stones=set(reference.stones),
        owed=owed,
        owed_due=set(owed),
        clearing={ref for ref, one in refs if one.copies[ref.reader] == "clearing"},
        owed_by={name: readers.count(name) for name in DEVICES},
        usage={name: senders.count(name) for name in SENDERS},
        answers=[_expected_answer(reference, mail) for mail in pool()[1]],
        is_empty=not letters and not reference.stones,
    )


def _expected(letter: Letter) -> Any:
    states = {name: (letter.slots[name], letter.copies[name]) for name in letter.slots}
    has_body = bool(letter.owed())
    return letter.mail.sealed.digest, letter.state, letter.ended_by, has_body, states


def _expected_answer(reference: Reference, mail: Mail) -> set[str]:
    letter, stone = reference.of(mail), reference.stones.get(mail.key)
    if (letter and letter.mail is not mail) or (stone and stone is not mail):
        return {"refused id-reused"}
    if letter is None:
        return {"held finished"} if stone else {"unknown"}
    outcomes = set(letter.slots.values())
    told = {"unknown partial" if letter.state == "partial" else "held"}
    told |= outcomes & {"read", "unreadable", "excused"}
    unread = "expired" in outcomes or len(letter.slots) < len(mail.readers)
    if letter.state in ("finished", "seen") and unread:
        told.add(f"expired {letter.ended_by}".strip())
    return told


def leftovers(reference: Reference, contents: list[bytes]) -> list[bytes]:
    """Return the pieces of mail in a ledger's bytes that are owed to nobody."""
    found: list[bytes] = []
    for mail in pool()[1]:
        letter = reference.of(mail)
        owed = letter.owed() if letter is not None and letter.mail is mail else []
        gone = [] if owed else mail.content()
        gone += [piece for name in mail.readers if name not in owed for piece in mail.wrap(name)]
        if letter is None:
            gone.append(mail.key.message_id)
        found += [piece for piece in gone if any(piece in data for data in contents)]
    return found
