"""Answer what devices ask, and take note of what they have seen (PROTOCOL 10.1, 10.2)."""

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from device_sdk.trust import TrustError
from device_sdk.wire import cbor, cose
from device_sdk.wire.errors import SignatureError, WireError
from device_sdk.wire.limits import MAX_BATCH
from device_sdk.wire.log_proof import Prove
from device_sdk.wire.names import ANONYMOUS
from device_sdk.wire.notice import MAX_EVENTS, Event
from device_sdk.wire.query import AnonymousQuery, Query, Seen, Sent
from device_sdk.wire.reasons import Reason
from device_sdk.wire.token_request import TokenRequest
from device_sdk.wire.topics import Topic
from gateway import events
from gateway.effects import Effects, Tell, merged
from gateway.expire import take_note
from gateway.lifecycle import MessageState, SlotState
from gateway.situation import Situation
from gateway.store.port import Reading, Transaction
from gateway.store.records import CopyRef, Message, MessageKey
from gateway.tombstone import find_tombstone, has_digest

_NOTICE_ROOM = MAX_BATCH - 4096
"""Bytes for events in one notice: its other fields, its headers and a signature need the rest."""

_UNASKED = 8
"""Outcomes that are told without being asked for, in each piece of an answer."""

D = TypeVar("D", Query, Seen, Prove, TokenRequest)
A = TypeVar("A", Query, Prove)


class Distrust(StrEnum):
    """Why a signed word of a device is not listened to. It is PUBACKed and counted."""

    MALFORMED = "malformed"
    CROSSED = "crossed"
    """Topic and content name different devices."""
    UNKNOWN_DEVICE = "unknown-device"
    """The roster does not list the device, or not with this key."""
    INACTIVE = "inactive"
    BAD_SIGNATURE = "bad-signature"


def open_query(topic: Topic, payload: bytes, situation: Situation) -> Query | Distrust:
    """Return a query that its topic's device signed. Revoked and expired devices get no answer."""
    return _of_active(Query, topic, payload, situation)


def open_prove(topic: Topic, payload: bytes, situation: Situation) -> Prove | Distrust:
    """Return a question about the log that its topic's device signed, as `open_query`."""
    return _of_active(Prove, topic, payload, situation)


def _of_active(kind: type[A], topic: Topic, payload: bytes, situation: Situation) -> A | Distrust:
    asked = _open(kind, topic, payload, situation)
    if isinstance(asked, Distrust) or situation.roster is None:
        return asked
    return asked if situation.roster.is_active(asked.device, situation.now) else Distrust.INACTIVE


def open_token_request(
    topic: Topic, payload: bytes, situation: Situation
) -> TokenRequest | Distrust:
    """Return a request for tokens that its topic's device signed. Whether it gets any is
    `gateway.tokens`' business: also a device that gets none is told so."""
    return _open(TokenRequest, topic, payload, situation)


def open_seen(topic: Topic, payload: bytes, situation: Situation) -> Seen | Distrust:
    """Return a *seen* that its topic's device signed; a revoked device's word counts as well."""
    return _open(Seen, topic, payload, situation)


def _open(kind: type[D], topic: Topic, payload: bytes, situation: Situation) -> D | Distrust:
    try:
        unverified = cose.parse_signed(kind, payload)
    except WireError:
        return Distrust.MALFORMED
    if unverified.claims.device != topic.owner:
        return Distrust.CROSSED
    if situation.roster is None:
        return Distrust.UNKNOWN_DEVICE
    try:
        key = situation.roster.identity(topic.owner, unverified.kid)
        return unverified.verify(key, situation.pin.aad)
    except TrustError:
        return Distrust.UNKNOWN_DEVICE
    except SignatureError:
        return Distrust.BAD_SIGNATURE


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The answer to a query, or to a piece of one."""

    events: tuple[Event, ...]
    owed: int
    """Copies that the device still owes a read ack for."""
    effects: Effects
    """Copies wanted again, and clears of those no longer owed."""


def pieces(query: Query, size: int = 32) -> list[Query]:
    """Split a query, so that no answer has to hold a thousand messages of a thousand readers.

    Each piece has the query's nonce; answer and send one after the other.
    """
    sent = tuple(dict.fromkeys(query.sent))
    parts = [sent[at : at + size] for at in range(0, len(sent), size)] or [()]
    first = replace(query, sent=parts[0])
    return [first, *(replace(query, sent=part, wanted=()) for part in parts[1:])]


def answer(
    tx: Reading,
    query: Query,
    situation: Situation,
    undecided: Container[MessageKey] = frozenset(),
) -> Answer:
    """Answer a verified query. Nothing is stored; the copies it wants are only published again.

    Of ``undecided`` messages copies stand at the broker that nobody can judge yet (PROTOCOL 13.6).
    """
    told: list[Event] = []
    asked = {MessageKey(query.device, sent.message_id): sent for sent in query.sent}
    for key, sent in asked.items():
        told += _about(tx, key, sent, situation, undecided)
    for key in tx.finished_from(query.device, _UNASKED):
        # A sender that took note of it once, before the ledger was restored, does not ask.
        if key not in asked and (message := tx.message(key)) is not None:
            told += _outcome(tx, message, situation)
    publish: list[CopyRef] = []
    clear: list[CopyRef] = []
    for wanted in dict.fromkeys(query.wanted):
        ref = CopyRef(MessageKey(wanted.sender, wanted.message_id), query.device)
        slot = tx.slot(ref.key, ref.reader)
        if slot is not None and slot.state is SlotState.OWED:
            publish.append(ref)
        elif slot is not None or find_tombstone(tx, ref.key) is not None:
            clear.append(ref)
    return Answer(
        events=tuple(told),
        owed=tx.owed_by(query.device),
        effects=Effects(publish=tuple(publish), clear=tuple(clear)),
    )


def _about(
    tx: Reading,
    key: MessageKey,
    sent: Sent,
    situation: Situation,
    undecided: Container[MessageKey],
) -> list[Event]:
    message = tx.message(key)
    if message is not None and message.digest == sent.digest:
        return _outcome(tx, message, situation)
    tombstone = find_tombstone(tx, key)
    if tombstone is not None and has_digest(tx, tombstone, sent.digest):
        return [events.finished(key, sent.digest)]
    if message is not None or tombstone is not None:
        return [events.refused(key, sent.digest, Reason.ID_REUSED)]
    if key in undecided:
        return [events.undecided(key, sent.digest)]
    # Before the first reconcile the copies at the broker may still prove it wrong.
    return [events.unknown(key)] if situation.reconciled else []


def _outcome(tx: Reading, message: Message, situation: Situation) -> list[Event]:
    told = events.outcome(message, tx.slots(message.key))
    if message.state is MessageState.PARTIAL and not situation.reconciled:
        return told[1:]
    return told


def open_anonymous_query(payload: bytes) -> AnonymousQuery | Distrust:
    """Return a question that nobody has signed."""
    try:
        return AnonymousQuery.decode(payload)
    except WireError:
        return Distrust.MALFORMED


def answer_anonymous(tx: Reading, asked: AnonymousQuery) -> Effects:
    """Tell once more what is known of an anonymous message: whoever asks has seen its digest.

    Of a message that is not known nothing is said: it is sent again, or it is not there.
    """
    key = MessageKey(ANONYMOUS, asked.message_id)
    message, tombstone = tx.message(key), find_tombstone(tx, key)
    told: list[Event] = []
    if message is not None and message.digest == asked.digest:
        told = events.outcome(message, tx.slots(key))
    elif tombstone is not None and has_digest(tx, tombstone, asked.digest):
        told = [events.finished(key, asked.digest)]
    return Effects(tell=tuple(Tell(device=ANONYMOUS, event=event) for event in told))


def note_seen(tx: Transaction, seen: Seen) -> Effects:
    """Forget finished messages whose outcome their sender has taken note of."""
    done = []
    for sent in seen.messages:
        message = tx.message(MessageKey(seen.device, sent.message_id))
        if (
            message is not None
            and message.digest == sent.digest
            and message.state is MessageState.FINISHED
        ):
            done.append(take_note(tx, message))
    return merged(done)


def split_events(told: Iterable[Event]) -> list[tuple[Event, ...]]:
    """Group events so that each group fits into one notice, by bytes and by count."""
    groups: list[tuple[Event, ...]] = []
    group: list[Event] = []
    room = _NOTICE_ROOM
    for event in told:
        size = len(cbor.encode(event.to_cbor()))
        if group and (size > room or len(group) == MAX_EVENTS):
            groups.append(tuple(group))
            group, room = [], _NOTICE_ROOM
        group.append(event)
        room -= size
    return [*groups, tuple(group)] if group else groups
