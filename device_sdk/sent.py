"""What a sender gets to see of its messages: `Sent`, `Outcome` and `SentRecord`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from device_sdk.errors import (
    ExpiredError,
    LostError,
    NotHeldYetError,
    NotReadYetError,
    OutcomeForgottenError,
    RefusedError,
)
from device_sdk.outbox.outgoing import Outgoing, State, Verdict
from device_sdk.times import as_datetime, as_datetime_or_none

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of a message at each of its readers, as verified by its sender."""

    message_id: str
    """32 hex digits."""
    read_by: Mapping[str, datetime]
    """Reader to the time, by the reader's clock, at which it says that it was done."""
    unreadable: Mapping[str, str]
    """Reader to its reason, "key-gone" or "not-opened"."""
    excused: Mapping[str, str]
    """Reader to "excuse" (the owner's word for this message) or "revoked"."""
    waiting_for: tuple[str, ...]
    """Readers of whom nothing is known."""
    evidence: Mapping[str, bytes] = field(repr=False)
    """Reader to its signed read ack, to the owner's signed excuse, or, if it was revoked, to the
    signed head of the owner's roster by which it is."""

    @classmethod
    def of(cls, message: Outgoing) -> "Outcome":
        """Return what is known by now."""
        by = {verdict: [s for s in message.slots if s.verdict is verdict] for verdict in Verdict}
        return cls(
            message_id=message.message_id.hex(),
            read_by={slot.reader: as_datetime(slot.at) for slot in by[Verdict.READ]},
            unreadable={slot.reader: slot.detail for slot in by[Verdict.UNREADABLE]},
            excused={slot.reader: slot.detail for slot in by[Verdict.EXCUSED]},
            waiting_for=tuple(slot.reader for slot in by[Verdict.OWED]),
            evidence={slot.reader: slot.evidence for slot in message.slots if slot.evidence},
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SentRecord:
    """One line of a sender's list of messages."""

    message_id: str
    state: State
    detail: str
    """refused: the reason code. expired: "sender-revoked" or nothing."""
    channel: str
    """A channel's name, or "direct"."""
    readers: tuple[str, ...]
    """Whom it is sealed to."""
    left_out: Mapping[str, str]
    """The channel's other readers, to their reason: "no-key" (no reader key of it is known that is
    valid until the message expires), "revoked", or "inactive"."""
    sent_at: datetime
    expires_at: datetime
    held_at: datetime | None
    closed_at: datetime | None
    outcome: Outcome

    @classmethod
    def of(cls, message: Outgoing) -> "SentRecord":
        """Return the record of a message."""
        return cls(
            message_id=message.message_id.hex(),
            state=message.state,
            detail=message.detail,
            channel=message.channel,
            readers=tuple(slot.reader for slot in message.slots),
            left_out=message.left_out,
            sent_at=as_datetime(message.issued),
            expires_at=as_datetime(message.expires),
            held_at=as_datetime_or_none(message.held_at),
            closed_at=as_datetime_or_none(message.closed_at),
            outcome=Outcome.of(message),
        )


class Watcher(Protocol):
    """Where a `Sent` learns what becomes of its message: the device that sent it."""

    def record(self, message_id: str) -> SentRecord:
        """Return the message as it stands."""

    def wait(
        self, message_id: bytes, done: Callable[[Outgoing], T | None], timeout: float | None
    ) -> tuple[T | None, Outgoing, str]:
        """Wait until ``done`` returns something or the time is over; say why nothing came."""


class Sent:
    """A message that is sealed and stored: from now on it survives a crash of this device."""

    def __init__(self, watcher: Watcher, message_id: bytes) -> None:
        self._watcher = watcher
        self._id = message_id

    @property
    def message_id(self) -> str:
        """32 hex digits."""
        return self._id.hex()

    @property
    def record(self) -> SentRecord:
        """The message as it stands. Raises UnknownMessageError once it is long over."""
        return self._watcher.record(self.message_id)

    @property
    def left_out(self) -> Mapping[str, str]:
        """Readers of the channel that it could not be sealed to; see `SentRecord.left_out`."""
        return self.record.left_out

    def wait_held(self, timeout: float | None = None) -> None:
        """Wait until the gateway has confirmed that it holds the message on disk.

        It also returns if nobody has to read it any more, as the owner revoked all its readers.

        Args:
            timeout: seconds; None waits for ever.

        Raises:
            RefusedError: the gateway takes it never, see ``reason``.
            NotHeldYetError: not within the time; it goes on being sent.
            ExpiredError: its time was over before anybody confirmed it.
            LostError: the gateway does not know it any more after having held it.
        """
        held, _, why = self._watcher.wait(self._id, _is_held, timeout)
        if not held:
            raise NotHeldYetError(self.message_id, why)

    def wait_read(self, timeout: float | None = None) -> Outcome:
        """Wait until every reader has read the message, could not, or was excused.

        Args:
            timeout: seconds; None waits for ever.

        Raises:
            NotReadYetError: not within the time; its ``outcome`` says who has.
            ExpiredError: its time was over before that.
            RefusedError, LostError: as in `wait_held`.
            OutcomeForgottenError: it is over, but nobody knows how any more.
        """
        outcome, message, why = self._watcher.wait(self._id, _outcome, timeout)
        if outcome is None:
            raise NotReadYetError(self.message_id, Outcome.of(message), why)
        return outcome

    def __repr__(self) -> str:
        """Name the message, not its readers."""
        return f"<Sent {self.message_id[:8]}>"


def _is_held(message: Outgoing) -> bool | None:
    _raise_if_failed(message)
    if message.state is State.EXPIRED and not message.held_at:
        raise ExpiredError(message.message_id.hex(), Outcome.of(message), "it was never held")
    return True if message.state is not State.WAITING else None


def _outcome(message: Outgoing) -> Outcome | None:
    _raise_if_failed(message)
    outcome = Outcome.of(message)
    if message.state is State.EXPIRED:
        raise ExpiredError(outcome.message_id, outcome, message.detail)
    if message.state is State.FORGOTTEN:
        raise OutcomeForgottenError(outcome.message_id, outcome)
    return outcome if message.state is State.SETTLED else None


def _raise_if_failed(message: Outgoing) -> None:
    if message.state is State.REFUSED:
        raise RefusedError(message.message_id.hex(), message.detail)
    if message.state is State.LOST:
        raise LostError(message.message_id.hex(), Outcome.of(message))
