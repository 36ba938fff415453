"""What devices ask and confirm: `Query` and `Seen` (PROTOCOL 10.2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from device_sdk.wire import cbor
from device_sdk.wire.limits import HASH_SIZE, MAX_BATCH, MESSAGE_ID_SIZE
from device_sdk.wire.names import as_name
from device_sdk.wire.notice import NONCE_SIZE

MAX_QUERIED = 1000
"""Messages in one query or seen: a device that tracks more asks in several."""
_ANONYMOUS_LIMIT = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """One of the device's own messages."""

    message_id: bytes
    digest: bytes

    def to_cbor(self) -> list[Any]:
        """Return the pair as it stands in a query."""
        return [self.message_id, self.digest]

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Return the pair from decoded CBOR. Raises MalformedError."""
        what = "query.sent"
        message_id, digest = cbor.as_array(value, what, length=2)
        return cls(
            message_id=cbor.as_bytes(message_id, what, size=MESSAGE_ID_SIZE),
            digest=cbor.as_bytes(digest, what, size=HASH_SIZE),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A copy that the device should have and asks for again."""

    sender: str
    message_id: bytes

    def to_cbor(self) -> list[Any]:
        """Return the pair as it stands in a query."""
        return [self.sender, self.message_id]

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Return the pair from decoded CBOR. Raises MalformedError."""
        what = "query.wanted"
        sender, message_id = cbor.as_array(value, what, length=2)
        return cls(
            sender=as_name(sender, what),
            message_id=cbor.as_bytes(message_id, what, size=MESSAGE_ID_SIZE),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """ "What became of these, send me those again, and how much waits for me?\""""

    device: str
    time: int
    nonce: bytes
    """16 random bytes, which come back in the notice that answers."""
    sent: tuple[Sent, ...] = ()
    wanted: tuple[Wanted, ...] = ()

    TYP: ClassVar[str] = "application/sealgate-query+cose"
    LIMIT: ClassVar[int] = MAX_BATCH

    def encode(self) -> bytes:
        """Return the record's deterministic CBOR."""
        return cbor.encode(
            {
                1: self.device,
                2: self.time,
                3: self.nonce,
                4: [item.to_cbor() for item in self.sent],
                5: [item.to_cbor() for item in self.wanted],
            }
        )

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Return the record from decoded CBOR. Raises MalformedError."""
        what = "query"
        fields = cbor.as_map(fields, what, range(1, 6))
        wanted = cbor.as_array(fields[5], f"{what}.wanted", most=MAX_QUERIED)
        return cls(
            device=as_name(fields[1], f"{what}.device"),
            time=cbor.as_uint(fields[2], f"{what}.time"),
            nonce=cbor.as_bytes(fields[3], f"{what}.nonce", size=NONCE_SIZE),
            sent=_parse_sent(fields[4], f"{what}.sent"),
            wanted=tuple(Wanted.parse(item) for item in wanted),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class AnonymousQuery:
    """ "What became of this one?" Nobody signs it, as the message itself (PROTOCOL 19.5)."""

    message_id: bytes
    digest: bytes
    """Only who has seen the message knows it."""

    def encode(self) -> bytes:
        """Return the question's deterministic CBOR."""
        return cbor.encode([self.message_id, self.digest])

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode a question. Raises MalformedError, TooLargeError."""
        what = "anonymous-query"
        message_id, digest = cbor.as_array(
            cbor.decode(data, what, limit=_ANONYMOUS_LIMIT), what, length=2
        )
        return cls(
            message_id=cbor.as_bytes(message_id, what, size=MESSAGE_ID_SIZE),
            digest=cbor.as_bytes(digest, what, size=HASH_SIZE),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """ "I have taken note of these outcomes; you may forget them.\""""

    device: str
    time: int
    messages: tuple[Sent, ...]

    TYP: ClassVar[str] = "application/sealgate-seen+cose"
    LIMIT: ClassVar[int] = MAX_BATCH

    def encode(self) -> bytes:
        """Return the record's deterministic CBOR."""
        return cbor.encode(
            {1: self.device, 2: self.time, 3: [item.to_cbor() for item in self.messages]}
        )

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Return the record from decoded CBOR. Raises MalformedError."""
        what = "seen"
        fields = cbor.as_map(fields, what, range(1, 4))
        return cls(
            device=as_name(fields[1], f"{what}.device"),
            time=cbor.as_uint(fields[2], f"{what}.time"),
            messages=_parse_sent(fields[3], f"{what}.messages"),
        )


def _parse_sent(value: Any, what: str) -> tuple[Sent, ...]:
    items: Sequence[Any] = cbor.as_array(value, what, most=MAX_QUERIED)
    return tuple(Sent.parse(item) for item in items)
