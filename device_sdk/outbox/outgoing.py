"""A sent message as its sender sees it, and what becomes of it. Pure: no files, no clocks.

| state     | means                                                                     |
|-----------|---------------------------------------------------------------------------|
| waiting   | sealed and stored; sent again until the gateway confirms that it holds it |
| held      | the gateway has it on disk; readers are still owing                       |
| settled   | every reader has read it, could not, or was excused                       |
| expired   | its time was over before that                                             |
| refused   | the gateway takes it never                                                |
| lost      | the gateway does not know it any more after having held it                |
| forgotten | it is over, but nobody can say how any more                               |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self

from device_sdk.seal import Sealed
from device_sdk.wire.anonymous_header import AnonymousHeader


class State(StrEnum):
    """How far a message is, see the table above."""

    WAITING = "waiting"
    HELD = "held"
    SETTLED = "settled"
    EXPIRED = "expired"
    REFUSED = "refused"
    LOST = "lost"
    FORGOTTEN = "forgotten"

    @property
    def is_open(self) -> bool:
        """Whether anything can still be expected of it."""
        return self in (State.WAITING, State.HELD)


class Verdict(StrEnum):
    """What became of one reader's copy."""

    OWED = "owed"
    READ = "read"
    UNREADABLE = "unreadable"
    EXCUSED = "excused"


class Noted(StrEnum):
    """Whether the gateway still has to learn that this device took note of the outcome."""

    NO = ""
    """The message is not over, or the gateway keeps nothing of it."""
    OWED = "owed"
    DONE = "done"


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """One reader's part of a message."""

    reader: str
    open_hash: bytes
    """What the SHA-256 of this reader's open-token must be."""
    verdict: Verdict = Verdict.OWED
    at: int = 0
    """Unix seconds: when the reader says it read, or when the excusal came; 0 while owed."""
    detail: str = ""
    """unreadable: the reader's reason. excused: "excuse" or "revoked"."""
    evidence: bytes = b""
    """The reader's signed ack, the owner's signed excuse, or the signed head of the roster that
    revokes the reader: for whoever wants to check again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outgoing:
    """One sent message. The sealed bytes themselves stay in the state file."""

    message_id: bytes
    digest: bytes
    channel: str
    issued: int
    expires: int
    slots: tuple[Slot, ...]
    """By reader, sorted."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Readers of the channel that it is not sealed to, and why: `device_sdk.channels.LeftOut`."""
    state: State = State.WAITING
    detail: str = ""
    """refused: the reason code. expired: "sender-revoked" or nothing."""
    held_at: int = 0
    """Unix seconds of the first verified *held* at this device; 0 before it."""
    closed_at: int = 0
    noted: Noted = Noted.NO
    anonymous: bool = False
    """Whether it does not say that it is this device's: then nothing about it is signed either."""

    @classmethod
    def of(cls, sealed: Sealed, left_out: Mapping[str, str]) -> Self:
        """Return the record of a message that was sealed just now."""
        header = sealed.header
        return cls(
            message_id=header.message_id,
            digest=sealed.digest,
            channel=header.channel,
            issued=header.issued,
            expires=header.expires,
            slots=tuple(
                Slot(reader=reader, open_hash=open_hash)
                for reader, open_hash in sorted(sealed.open_hashes.items())
            ),
            left_out=dict(left_out),
            anonymous=isinstance(header, AnonymousHeader),
        )

    @property
    def owing(self) -> Sequence[str]:
        """Readers of whom nothing is known yet."""
        return [slot.reader for slot in self.slots if slot.verdict is Verdict.OWED]

    @property
    def records(self) -> int:
        """How many readers its record names: what `OutboxLimits.records` counts."""
        return len(self.slots) + len(self.left_out)

    def slot(self, reader: str) -> Slot | None:
        """Return one reader's part."""
        return next((slot for slot in self.slots if slot.reader == reader), None)

    def held(self, now: int) -> Self:
        """Return the message as held, unless it is over. *held* overrides an earlier refusal."""
        if self.state not in (State.WAITING, State.REFUSED):
            return self
        message = replace(
            self, state=State.HELD, detail="", held_at=now, closed_at=0, noted=Noted.NO
        )
        return message if message.owing else message.close(State.SETTLED, now)

    def settle(self, changed: Sequence[Slot], now: int) -> Self:
        """Return the message with some slots changed; over if none is owing any more.

        Also a message that has expired here can turn out to have been read in time.
        """
        if not changed:
            return self
        news = {slot.reader: slot for slot in changed}
        slots = tuple(news.get(slot.reader, slot) for slot in self.slots)
        message = replace(self, slots=slots)
        if not message.owing and self.state in (State.WAITING, State.HELD, State.EXPIRED):
            return message.close(State.SETTLED, now)
        return message

    def close(self, state: State, now: int, detail: str = "") -> Self:
        """Return the message as over. The gateway is told so if it has an outcome to forget."""
        # Also of a message that nobody has confirmed: the word may have been lost on its way.
        has_outcome = state in (State.SETTLED, State.EXPIRED) and not self.anonymous
        noted = Noted.OWED if has_outcome else Noted.NO
        return replace(self, state=state, detail=detail, closed_at=now, noted=noted)
