"""Verify a read ack and settle its reader's slot (PROTOCOL 7, 13.3)."""

from dataclasses import dataclass
from enum import StrEnum

from device_sdk.trust import TrustError
from device_sdk.wire import cose
from device_sdk.wire.errors import SignatureError, WireError
from device_sdk.wire.read_ack import READ, ReadAck
from device_sdk.wire.topics import Topic
from gateway import copies, events
from gateway.effects import NOTHING, Effects, Tell
from gateway.lifecycle import SlotEvent, SlotState
from gateway.settle import close_if_settled, settle
from gateway.situation import Situation
from gateway.store.port import Reading, Transaction
from gateway.store.records import CopyRef, Message, MessageKey, Slot
from gateway.tombstone import find_tombstone


class AckResult(StrEnum):
    """What became of a read ack. Nothing but READ and UNREADABLE changes the ledger."""

    READ = "read"
    UNREADABLE = "unreadable"
    NOT_OWED = "not-owed"
    """Its slot was settled before: the clear goes out again, which is the reader's answer."""
    NOT_RECONCILED = "not-reconciled"
    """No row, and the first reconcile has not ended: try again after."""
    UNKNOWN_MESSAGE = "unknown-message"
    MALFORMED = "malformed"
    CROSSED = "crossed"
    """Topic and ack name different readers, senders or messages."""
    UNKNOWN_READER = "unknown-reader"
    """The roster does not list the reader, or not with this key."""
    BAD_SIGNATURE = "bad-signature"
    WRONG_DIGEST = "wrong-digest"
    WRONG_TOKEN = "wrong-token"  # noqa: S105 - a result's name


@dataclass(frozen=True, kw_only=True, slots=True)
class Acknowledged:
    """The answer to one read ack."""

    ref: CopyRef
    result: AckResult
    effects: Effects


def acknowledge(
    tx: Transaction, topic: Topic, payload: bytes, situation: Situation
) -> Acknowledged:
    """Judge one read ack and settle its slot. It never raises over what came."""
    ref = copies.ref_of(topic)
    ack = _verify(ref, payload, situation)
    if isinstance(ack, AckResult):
        return Acknowledged(ref=ref, result=ack, effects=NOTHING)
    message, slot = tx.message(ref.key), tx.slot(ref.key, ref.reader)
    if message is None or slot is None:
        return _without_row(tx, ref, situation)
    if slot.state is not SlotState.OWED:
        return Acknowledged(ref=ref, result=AckResult.NOT_OWED, effects=Effects(clear=(ref,)))
    wrong = _compare(tx, ref, message, ack)
    if wrong is not None:
        return Acknowledged(ref=ref, result=wrong, effects=NOTHING)
    return _settle(tx, message, slot, ack, payload, situation.now)


def _verify(ref: CopyRef, payload: bytes, situation: Situation) -> ReadAck | AckResult:
    """Return the ack if its reader signed it for the message that its topic names."""
    try:
        unverified = cose.parse_signed(ReadAck, payload)
    except WireError:
        return AckResult.MALFORMED
    claims = unverified.claims
    if CopyRef(MessageKey(claims.sender, claims.message_id), claims.reader) != ref:
        return AckResult.CROSSED
    if situation.roster is None:
        return AckResult.UNKNOWN_READER
    try:
        # An expired roster stops nothing here: reading and acking always go on (PROTOCOL 8).
        key = situation.roster.identity(ref.reader, unverified.kid)
        return unverified.verify(key, situation.pin.aad)
    except TrustError:
        return AckResult.UNKNOWN_READER
    except SignatureError:
        return AckResult.BAD_SIGNATURE


def _without_row(tx: Reading, ref: CopyRef, situation: Situation) -> Acknowledged:
    if find_tombstone(tx, ref.key) is not None:
        return Acknowledged(ref=ref, result=AckResult.NOT_OWED, effects=Effects(clear=(ref,)))
    result = AckResult.UNKNOWN_MESSAGE if situation.reconciled else AckResult.NOT_RECONCILED
    return Acknowledged(ref=ref, result=result, effects=NOTHING)


def _compare(tx: Reading, ref: CopyRef, message: Message, ack: ReadAck) -> AckResult | None:
    if ack.digest != message.digest:
        return AckResult.WRONG_DIGEST
    wrap = tx.wrap(ref.key, ref.reader)
    if ack.verdict == READ and (wrap is None or not ack.shows_opening(wrap.open_hash)):
        return AckResult.WRONG_TOKEN
    return None


def _settle(
    tx: Transaction, message: Message, slot: Slot, ack: ReadAck, payload: bytes, now: int
) -> Acknowledged:
    read = ack.verdict == READ
    event = SlotEvent.READ if read else SlotEvent.UNREADABLE
    ref = settle(tx, message, slot, event, now=now, ack=payload)
    close_if_settled(tx, message)
    state = SlotState.READ if read else SlotState.UNREADABLE
    tell = Tell(device=message.key.sender, event=events.acked(message, state, payload))
    return Acknowledged(
        ref=ref,
        result=AckResult.READ if read else AckResult.UNREADABLE,
        effects=Effects(clear=(ref,), tell=(tell,), erase=True),
    )
