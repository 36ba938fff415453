"""The notice: a gateway's signed batch of events for one device (PROTOCOL 10.1)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Self

from device_sdk.wire import cbor
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.limits import HASH_SIZE, MAX_BATCH, MAX_READERS, MESSAGE_ID_SIZE
from device_sdk.wire.names import as_name
from device_sdk.wire.reasons import Reason

NONCE_SIZE = 16
MAX_EVENTS = 1000

_DEVICE, _LEDGER, _COUNTER, _TIME, _ROSTER, _EVENTS, _NONCE, _OWED = range(1, 9)


class EventKind(StrEnum):
    """What became of a message, as the gateway tells its sender."""

    HELD = "held"
    REFUSED = "refused"
    READ = "read"
    UNREADABLE = "unreadable"
    EXCUSED = "excused"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


FINISHED = "finished"
"""Detail of *held*: everything was settled and forgotten, only the tombstone is left."""
PARTIAL = "partial"
"""Detail of *unknown*: some copies are held, but not the whole reader list."""
SENDER_REVOKED = "sender-revoked"
"""Detail of *expired*: ended early, because the owner revoked the sender."""

_WORDS = {
    EventKind.HELD: ("", FINISHED),
    EventKind.REFUSED: tuple(Reason),
    EventKind.EXPIRED: ("", SENDER_REVOKED),
    EventKind.UNKNOWN: ("", PARTIAL),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Excusal:
    """Readers released from owing a read ack, with the evidence that a device verifies."""

    readers: tuple[str, ...]
    excuse: bytes = b""
    """The owner's signed Excuse; empty if a revocation is the reason."""
    roster_version: int = 0
    """The roster version that revoked the readers; 0 if an excuse is the reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One event of one message. Only the detail that its kind has is set."""

    kind: EventKind
    sender: str
    message_id: bytes
    digest: bytes = b""
    """32 bytes; empty where the gateway does not know the message."""
    word: str = ""
    """held, expired, unknown: a detail word or nothing. refused: the reason code."""
    ack: bytes = b""
    """read, unreadable: the reader's signed read ack."""
    excusal: Excusal | None = None

    def to_cbor(self) -> list[Any]:
        """Return the event as it stands in a notice."""
        fields: list[Any] = [str(self.kind), self.sender, self.message_id, self.digest]
        if self.word:
            fields.append(str(self.word))
        elif self.ack:
            fields.append(self.ack)
        elif self.excusal is not None:
            evidence = self.excusal.excuse or self.excusal.roster_version
            fields.append([list(self.excusal.readers), evidence])
        return fields

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Return the event from decoded CBOR. Raises MalformedError."""
        what = "notice.event"
        fields = cbor.as_array(value, what, least=4, most=5)
        kind = EventKind(cbor.as_one_of(fields[0], what, tuple(EventKind)))
        digest = cbor.as_bytes(fields[3], f"{what}.digest")
        if len(digest) not in (0, HASH_SIZE):
            raise MalformedError(
                f"{what}.digest", expected="32 or 0 bytes", got=f"{len(digest)} bytes"
            )
        detail = fields[4] if len(fields) > 4 else None
        word, ack, excusal = "", b"", None
        if kind in _WORDS:
            word = _parse_word(detail, _WORDS[kind])
        elif kind is EventKind.EXCUSED:
            excusal = _parse_excusal(detail)
        else:
            ack = cbor.as_bytes(detail, f"{what}.ack", least=1)
        return cls(
            kind=kind,
            sender=as_name(fields[1], f"{what}.sender"),
            message_id=cbor.as_bytes(fields[2], f"{what}.message-id", size=MESSAGE_ID_SIZE),
            digest=digest,
            word=word,
            ack=ack,
            excusal=excusal,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """What a gateway signs for one device."""

    device: str
    ledger_id: bytes
    counter: int
    """Orders the notices of one ledger; never a ground for refusal."""
    time: int
    roster_version: int
    events: tuple[Event, ...]
    query_nonce: bytes = b""
    """The nonce of the query that this answers; empty if none."""
    owed: int | None = None
    """Copies that the device still owes a read ack for, told in answers to queries."""

    TYP: ClassVar[str] = "application/sealgate-notice+cose"
    LIMIT: ClassVar[int] = MAX_BATCH

    def encode(self) -> bytes:
        """Return the record's deterministic CBOR."""
        fields: dict[int, Any] = {
            _DEVICE: self.device,
            _LEDGER: self.ledger_id,
            _COUNTER: self.counter,
            _TIME: self.time,
            _ROSTER: self.roster_version,
            _EVENTS: [event.to_cbor() for event in self.events],
        }
        if self.query_nonce:
            fields[_NONCE] = self.query_nonce
        if self.owed is not None:
            fields[_OWED] = self.owed
        return cbor.encode(fields)

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Return the record from decoded CBOR. Raises MalformedError."""
        what = "notice"
        required = (_DEVICE, _LEDGER, _COUNTER, _TIME, _ROSTER, _EVENTS)
        fields = cbor.as_map(fields, what, required, (_NONCE, _OWED))
        nonce, owed = fields.get(_NONCE), fields.get(_OWED)
        events = cbor.as_array(fields[_EVENTS], f"{what}.events", most=MAX_EVENTS)
        return cls(
            device=as_name(fields[_DEVICE], f"{what}.device"),
            ledger_id=cbor.as_bytes(fields[_LEDGER], f"{what}.ledger-id", size=NONCE_SIZE),
            counter=cbor.as_uint(fields[_COUNTER], f"{what}.counter"),
            time=cbor.as_uint(fields[_TIME], f"{what}.time"),
            roster_version=cbor.as_uint(fields[_ROSTER], f"{what}.roster-version"),
            events=tuple(Event.parse(event) for event in events),
            query_nonce=b""
            if nonce is None
            else cbor.as_bytes(nonce, f"{what}.nonce", size=NONCE_SIZE),
            owed=None if owed is None else cbor.as_uint(owed, f"{what}.owed"),
        )


def _parse_word(detail: Any, allowed: tuple[str, ...]) -> str:
    if detail is None and "" in allowed:
        return ""
    return cbor.as_one_of(detail, "notice.event.detail", [word for word in allowed if word])


def _parse_excusal(detail: Any) -> Excusal:
    what = "notice.event.excusal"
    readers, evidence = cbor.as_array(detail, what, length=2)
    names = tuple(
        as_name(name, what) for name in cbor.as_array(readers, what, least=1, most=MAX_READERS)
    )
    if type(evidence) is bytes:
        return Excusal(readers=names, excuse=cbor.as_bytes(evidence, what, least=1))
    version = cbor.as_uint(evidence, what)
    if version == 0:
        raise MalformedError(what, expected="a roster version or an excuse", got="0")
    return Excusal(readers=names, roster_version=version)
