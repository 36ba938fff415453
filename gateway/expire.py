"""Everything that ends without a read ack: expiry, excuse, revocation (PROTOCOL 13.4, 13.9).

The sweep finds its work in the ledger, a bounded piece a transaction: call it until it says that
there is no more. Nothing is lost if the process ends in between.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from device_sdk.trust import verify_excuse
from device_sdk.wire.errors import WireError
from device_sdk.wire.limits import CLOCK_SKEW
from device_sdk.wire.names import ANONYMOUS
from device_sdk.wire.notice import SENDER_REVOKED
from gateway import events, totals_register
from gateway.clear import forget_if_cleared
from gateway.effects import NOTHING, Effects, Tell, merged
from gateway.errors import LedgerDamagedError
from gateway.lifecycle import MessageEvent, SlotEvent, SlotState, message_after
from gateway.settle import close_if_settled, settle
from gateway.situation import Situation
from gateway.store.port import Transaction
from gateway.store.records import CopyRef, Message, MessageKey


@dataclass(frozen=True, kw_only=True, slots=True)
class Swept:
    """One piece of a sweep."""

    effects: Effects
    more: bool
    """Call again, in a transaction of its own."""


def sweep(tx: Transaction, situation: Situation, limit: int = 256) -> Swept:
    """Do the next piece of what is due: revocations, expiry, forgetting, dropped statements.

    To be called until there is no more: after each new roster, at start, and from time to time.
    ``limit`` bounds the messages of one piece, and by and large their readers.
    """
    done = _revoke(tx, situation, limit)
    if done or situation.paused:
        return Swept(effects=merged(done), more=bool(done))
    done = [*_expire(tx, situation.now, limit), *_stop_waiting(tx, situation, limit)]
    tombstones = tx.drop_tombstones(situation.now, limit)
    devices = tuple(tx.drop_key_statements(situation.now - CLOCK_SKEW))
    readings = totals_register.tidy(tx, situation, limit)
    keys = tx.drop_token_keys(situation.now)
    if done or tombstones or devices or readings or keys:
        # What ends by time stores its time with it: no older clock can bring it back.
        tx.set_high_water(max(tx.high_water(), situation.now))
    erase = bool(tombstones or devices or readings or keys)
    effects = merged([*done, Effects(keys=devices, erase=erase)])
    return Swept(effects=effects, more=bool(done or tombstones or readings))


def _revoke(tx: Transaction, situation: Situation, limit: int) -> list[Effects]:
    """Act on a new roster's revocations, once: what comes later is judged when it comes."""
    roster = situation.roster
    if roster is None or tx.swept_roster() >= roster.version:
        return []
    done: list[Effects] = []
    revoked = {name: entry.revoked_at for name, entry in roster.devices.items() if entry.revoked_at}
    for name, version in revoked.items():
        # An old roster may revoke a device that was called so: what has this name is nobody's.
        from_it = [] if name == ANONYMOUS else tx.unfinished_from(name, limit)
        done += [end(tx, _existing(tx, key), situation.now, SENDER_REVOKED) for key in from_it]
        done += [
            excuse_revoked(tx, ref, version, situation.now) for ref in tx.owed_refs(name, limit)
        ]
        if len(done) >= limit:
            return done
    tx.set_swept_roster(roster.version)
    return done


def _expire(tx: Transaction, now: int, limit: int) -> Iterator[Effects]:
    readers = 0
    for key in tx.expired(now, limit):
        if readers > limit:
            return
        ended = end(tx, _existing(tx, key), now)
        readers += len(ended.clear)
        yield ended


def _stop_waiting(tx: Transaction, situation: Situation, limit: int) -> Iterator[Effects]:
    """Give up on senders that took no note of an outcome until its exp and a grace had passed."""
    for key in tx.finished_until(situation.now - situation.limits.outcome_grace, limit):
        yield take_note(tx, _existing(tx, key))


def _existing(tx: Transaction, key: MessageKey) -> Message:
    message = tx.message(key)
    if message is None:
        raise LedgerDamagedError("the ledger lists a message that it has no row of")
    return message


def end(tx: Transaction, message: Message, now: int, ended_by: str = "") -> Effects:
    """End a message before its time is up or just then: whoever has not read owes nothing more."""
    slots = [slot for slot in tx.slots(message.key) if slot.state is SlotState.OWED]
    clear = tuple(settle(tx, message, slot, SlotEvent.EXPIRED, now=now) for slot in slots)
    tx.drop_body(message.key)
    state = message_after(message.state, MessageEvent.ENDED)
    tx.set_message(message.key, state, ended_by=ended_by)
    tell = Tell(device=message.key.sender, event=events.expired(message, ended_by))
    return Effects(clear=clear, tell=(tell,), erase=True)


def excuse_revoked(tx: Transaction, ref: CopyRef, revoked_at: int, now: int) -> Effects:
    """Excuse one reader from one message, because a roster revokes it."""
    message, slot = _existing(tx, ref.key), tx.slot(ref.key, ref.reader)
    if slot is None or slot.state is not SlotState.OWED:
        return NOTHING
    settle(tx, message, slot, SlotEvent.EXCUSED, now=now, revoked_at=revoked_at)
    close_if_settled(tx, message)
    event = events.excused(message, [ref.reader], revoked_at=revoked_at)
    return Effects(clear=(ref,), tell=(Tell(device=ref.key.sender, event=event),), erase=True)


def take_note(tx: Transaction, message: Message) -> Effects:
    """Let go of a finished message's outcome, now or with its last clearing."""
    tx.set_message(message.key, message_after(message.state, MessageEvent.SEEN))
    forgotten = forget_if_cleared(tx, _existing(tx, message.key))
    return Effects(erase=True) if forgotten else NOTHING


class ExcuseResult(StrEnum):
    """What became of an excuse."""

    EXCUSED = "excused"
    NOTHING_OWED = "nothing-owed"
    UNKNOWN_MESSAGE = "unknown-message"
    REFUSED = "refused"
    """Malformed, not signed by the owner, or there is no roster to tell."""


def excuse(tx: Transaction, payload: bytes, situation: Situation) -> tuple[ExcuseResult, Effects]:
    """Release readers from owing a read ack, on the owner's signed word."""
    if situation.roster is None:
        return ExcuseResult.REFUSED, NOTHING
    try:
        word = verify_excuse(payload, situation.roster, situation.pin.aad)
    except WireError:
        return ExcuseResult.REFUSED, NOTHING
    message = tx.message(MessageKey(word.sender, word.message_id))
    if message is None:
        return ExcuseResult.UNKNOWN_MESSAGE, NOTHING
    slots = [slot for name in dict.fromkeys(word.readers) if (slot := tx.slot(message.key, name))]
    owed = [slot for slot in slots if slot.state is SlotState.OWED]
    if not owed:
        return ExcuseResult.NOTHING_OWED, NOTHING
    clear = tuple(
        settle(tx, message, slot, SlotEvent.EXCUSED, now=situation.now, excuse=payload)
        for slot in owed
    )
    close_if_settled(tx, message)
    event = events.excused(message, [ref.reader for ref in clear], excuse=payload)
    tell = Tell(device=message.key.sender, event=event)
    return ExcuseResult.EXCUSED, Effects(clear=clear, tell=(tell,), erase=True)
