"""What a sender believes of its message: what is signed by those who can know (PROTOCOL 14).

Pure. Each function returns the message as it is after one event of a verified notice, unchanged if
the event says nothing new, or raises UnfoundedError: then nothing may change.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from device_sdk.outbox.outgoing import Noted, Outgoing, Slot, State, Verdict
from device_sdk.trust import Roster, TrustError, verify_excuse
from device_sdk.wire import cose
from device_sdk.wire.errors import SealgateError, WireError
from device_sdk.wire.limits import CLOCK_SKEW
from device_sdk.wire.notice import FINISHED, PARTIAL, SENDER_REVOKED, Event, EventKind
from device_sdk.wire.read_ack import ReadAck

REVOKED = "revoked"
"""Detail of an excused reader: the owner revoked it. The roster's signed head is the evidence."""


class UnfoundedError(SealgateError):
    """An event without the evidence it needs, about another message, or against it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Court:
    """What a sender judges events by."""

    sender: str
    """This device."""
    roster: Roster
    aad: bytes
    now: int


def judge(message: Outgoing, event: Event, court: Court, *, asked_when_held: bool) -> Outgoing:
    """Return the message after ``event``.

    ``asked_when_held``: the event answers a query of ours, made when the message was held already.
    Only then does *unknown* mean that it was lost, and not that the answer is old.

    Raises:
        UnfoundedError: the event proves nothing.
    """
    if event.sender != court.sender or event.message_id != message.message_id:
        raise UnfoundedError("it is about another message")
    if event.kind is EventKind.UNKNOWN:
        return _judge_unknown(message, event, court, asked_when_held)
    if event.digest != message.digest:
        raise UnfoundedError("it is about other content")
    after = _JUDGES[event.kind](message, event, court)
    return _note_again(after) if event.kind in _OUTCOMES else after


def _note_again(message: Outgoing) -> Outgoing:
    """Return a message that is over as one whose outcome the gateway still has to forget.

    It tells of an outcome, so it keeps one: its ledger may have been restored from a backup.
    """
    if message.state.is_open or message.anonymous:
        return message
    return replace(message, noted=Noted.OWED)


def _judge_unknown(
    message: Outgoing, event: Event, court: Court, asked_when_held: bool
) -> Outgoing:
    if message.noted is Noted.OWED:
        return replace(message, noted=Noted.DONE)
    overdue = court.now >= message.expires
    if message.state is State.HELD and event.word != PARTIAL and asked_when_held and not overdue:
        return message.close(State.LOST, court.now)
    return message


def _judge_held(message: Outgoing, event: Event, court: Court) -> Outgoing:
    if event.word != FINISHED:
        return message.held(court.now)
    if message.noted is Noted.OWED:
        return replace(message, noted=Noted.DONE)
    if message.state in (State.WAITING, State.HELD, State.REFUSED):
        return message.close(State.FORGOTTEN, court.now)
    return message


def _judge_refused(message: Outgoing, event: Event, court: Court) -> Outgoing:
    if message.state is State.WAITING:
        return message.close(State.REFUSED, court.now, event.word)
    return message


def _judge_expired(message: Outgoing, event: Event, court: Court) -> Outgoing:
    if not message.state.is_open:
        return message
    if event.word == SENDER_REVOKED:
        if not court.roster.is_revoked(court.sender):
            raise UnfoundedError("the roster known here does not revoke this device")
    elif court.now + CLOCK_SKEW < message.expires:
        raise UnfoundedError("the message has not expired by this device's clock")
    # That the gateway counts it as expired means that it held it.
    return message.held(court.now).close(State.EXPIRED, court.now, event.word)


def _judge_ack(message: Outgoing, event: Event, court: Court) -> Outgoing:
    ack = _verified_ack(message, event, court)
    slot = message.slot(ack.reader)
    if slot is None:
        raise UnfoundedError("its ack is by somebody who is no reader of the message")
    if event.kind is EventKind.READ and not ack.shows_opening(slot.open_hash):
        raise UnfoundedError("its read ack does not show that the message was opened")
    # Having read is the stronger word: it also overrides an excusal that crossed it.
    if slot.verdict is Verdict.READ or (
        event.kind is EventKind.UNREADABLE and slot.verdict is not Verdict.OWED
    ):
        return message
    news = replace(
        slot, verdict=Verdict(event.kind), at=ack.time, detail=ack.reason, evidence=event.ack
    )
    return message.settle([news], court.now)


def _verified_ack(message: Outgoing, event: Event, court: Court) -> ReadAck:
    try:
        unverified = cose.parse_signed(ReadAck, event.ack)
        identity = court.roster.identity(unverified.claims.reader, unverified.kid)
        ack = unverified.verify(identity, court.aad)
    except (WireError, TrustError) as error:
        raise UnfoundedError(f"its ack does not verify: {error}") from error
    about = (ack.sender, ack.message_id, ack.digest)
    if about != (court.sender, message.message_id, message.digest) or ack.verdict != event.kind:
        raise UnfoundedError("its ack is about another message or says something else")
    return ack


def _judge_excused(message: Outgoing, event: Event, court: Court) -> Outgoing:
    if event.excusal is None:
        raise UnfoundedError("it names no excusal")
    if event.excusal.excuse:
        excused, detail = _readers_of_excuse(message, event.excusal.excuse, court), "excuse"
    else:
        if event.excusal.roster_version > court.roster.version:
            raise UnfoundedError("it goes by a roster that has not come here yet")
        excused, detail = set(filter(court.roster.is_revoked, event.excusal.readers)), REVOKED
    if not excused.issuperset(event.excusal.readers):
        raise UnfoundedError("it excuses readers whom its evidence does not")
    evidence = event.excusal.excuse or court.roster.head.data
    changed = [
        _excused(slot, detail, evidence, court.now)
        for slot in message.slots
        if slot.reader in event.excusal.readers and slot.verdict is Verdict.OWED
    ]
    return message.settle(changed, court.now)


def excuse_revoked(message: Outgoing, roster: Roster, now: int) -> Outgoing:
    """Return an open message without those readers whom the owner has revoked.

    It is the same evidence by which a gateway's word is believed, and needs no gateway: a message
    does not wait for a lost device, and one that only such devices could read is not sent at all.
    """
    changed = [
        _excused(slot, REVOKED, roster.head.data, now)
        for slot in message.slots
        if slot.verdict is Verdict.OWED and roster.is_revoked(slot.reader)
    ]
    return message.settle(changed, now)


def _readers_of_excuse(message: Outgoing, data: bytes, court: Court) -> set[str]:
    try:
        excuse = verify_excuse(data, court.roster, court.aad)
    except WireError as error:
        raise UnfoundedError(f"its excuse is not the owner's: {error}") from error
    if (excuse.sender, excuse.message_id) != (court.sender, message.message_id):
        raise UnfoundedError("its excuse is for another message")
    return set(excuse.readers)


def _excused(slot: Slot, detail: str, evidence: bytes, now: int) -> Slot:
    return replace(slot, verdict=Verdict.EXCUSED, at=now, detail=detail, evidence=evidence)


_OUTCOMES = (EventKind.READ, EventKind.UNREADABLE, EventKind.EXCUSED, EventKind.EXPIRED)
_JUDGES: dict[EventKind, Callable[[Outgoing, Event, Court], Outgoing]] = {
    EventKind.HELD: _judge_held,
    EventKind.REFUSED: _judge_refused,
    EventKind.READ: _judge_ack,
    EventKind.UNREADABLE: _judge_ack,
    EventKind.EXCUSED: _judge_excused,
    EventKind.EXPIRED: _judge_expired,
}
