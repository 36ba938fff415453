"""Ledger rows as the events that a sender is told (PROTOCOL 10.1). Notices are never stored."""

from collections.abc import Sequence

from device_sdk.wire.notice import FINISHED, PARTIAL, Event, EventKind, Excusal
from device_sdk.wire.reasons import Reason
from gateway.lifecycle import MessageState, SlotState
from gateway.store.records import Message, MessageKey, Slot

_ENDED = (MessageState.FINISHED, MessageState.SEEN)


def held(message: Message) -> Event:
    """The message is on disk: whole, or only in part."""
    if message.state is MessageState.PARTIAL:
        return _event(EventKind.UNKNOWN, message.key, message.digest, PARTIAL)
    return _event(EventKind.HELD, message.key, message.digest)


def finished(key: MessageKey, digest: bytes) -> Event:
    """The message was held once; everything about it is settled and forgotten."""
    return _event(EventKind.HELD, key, digest, FINISHED)


def undecided(key: MessageKey, digest: bytes) -> Event:
    """Copies of the message stand at the broker, but cannot be judged yet."""
    return _event(EventKind.UNKNOWN, key, digest, PARTIAL)


def unknown(key: MessageKey) -> Event:
    """The gateway never had the message, or lost it."""
    return _event(EventKind.UNKNOWN, key, b"")


def refused(key: MessageKey, digest: bytes, reason: Reason) -> Event:
    """The message is not held. ``digest`` is empty if the bytes were no envelope."""
    return _event(EventKind.REFUSED, key, digest, reason)


def acked(message: Message, state: SlotState, ack: bytes) -> Event:
    """A reader said that it opened the message, or that it cannot."""
    return Event(
        kind=EventKind(state),
        sender=message.key.sender,
        message_id=message.key.message_id,
        digest=message.digest,
        ack=ack,
    )


def excused(
    message: Message, readers: Sequence[str], *, excuse: bytes = b"", revoked_at: int = 0
) -> Event:
    """Readers need not read any more: by the owner's word, or because it revoked them."""
    return Event(
        kind=EventKind.EXCUSED,
        sender=message.key.sender,
        message_id=message.key.message_id,
        digest=message.digest,
        excusal=Excusal(readers=tuple(readers), excuse=excuse, roster_version=revoked_at),
    )


def expired(message: Message, ended_by: str) -> Event:
    """The message ended before every reader had read."""
    return _event(EventKind.EXPIRED, message.key, message.digest, ended_by)


def outcome(message: Message, slots: Sequence[Slot]) -> list[Event]:
    """All that can be told about a message that has a row: held first, then what is settled."""
    events = [held(message)]
    events += [
        acked(message, slot.state, slot.ack)
        for slot in slots
        if slot.state in (SlotState.READ, SlotState.UNREADABLE)
    ]
    evidence: dict[tuple[bytes, int], list[str]] = {}
    for slot in slots:
        if slot.state is SlotState.EXCUSED:
            evidence.setdefault((slot.excuse, slot.revoked_at), []).append(slot.reader)
    for (excuse, revoked_at), readers in evidence.items():
        events.append(excused(message, readers, excuse=excuse, revoked_at=revoked_at))
    unread = any(slot.state is SlotState.EXPIRED for slot in slots)
    if message.state in _ENDED and (unread or len(slots) < message.reader_count):
        events.append(expired(message, message.ended_by))
    return events


def _event(kind: EventKind, key: MessageKey, digest: bytes, word: str = "") -> Event:
    return Event(kind=kind, sender=key.sender, message_id=key.message_id, digest=digest, word=word)
