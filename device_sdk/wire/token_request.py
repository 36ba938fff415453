"""Asking for tokens, and the answer (PROTOCOL 19.3)."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Self

from device_sdk.wire import cbor
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.limits import HASH_SIZE, KID_SIZE, MAX_BATCH, MAX_TOKENS, POINT_SIZE
from device_sdk.wire.names import as_name

PROOF_SIZE = 64
"""Challenge and response, a scalar each (RFC 9497 2.2)."""


class Denial(StrEnum):
    """Why no tokens are issued. Nobody signs it: a device says so, and asks again later."""

    NOT_PERMITTED = "not-permitted"
    """The device is not active, or no sender of an anonymous channel of this name."""
    TAKEN = "taken"
    """The device has been given its tokens for this period, for another request."""
    TOO_MANY = "too-many"
    """More than the owner allows for a period."""
    UNKNOWN_KEY = "unknown-key"
    """No such key, or its period is over."""
    ROSTER_EXPIRED = "roster-expired"
    MALFORMED = "malformed"
    """Something in it is no element that can be evaluated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenRequest:
    """Blinded inputs, which say nothing of the tokens that will come of them."""

    device: str
    key_id: bytes
    """16 bytes, of the `EpochKey` under which they are to be evaluated."""
    blinded: tuple[bytes, ...]

    TYP: ClassVar[str] = "application/sealgate-blind+cose"
    LIMIT: ClassVar[int] = MAX_BATCH

    @property
    def digest(self) -> bytes:
        """32 bytes by which the same request is known again."""
        return request_digest(self.key_id, self.blinded)

    def encode(self) -> bytes:
        """Return the record's deterministic CBOR."""
        return cbor.encode({1: self.device, 2: self.key_id, 3: list(self.blinded)})

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Return the record from decoded CBOR. Raises MalformedError."""
        what = "token-request"
        fields = cbor.as_map(fields, what, range(1, 4))
        return cls(
            device=as_name(fields[1], f"{what}.device"),
            key_id=cbor.as_bytes(fields[2], f"{what}.key-id", size=KID_SIZE),
            blinded=_elements(fields[3], f"{what}.blinded"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenIssue:
    """The answer. It is not signed: the proof shows that the key of that id has made it."""

    key_id: bytes
    request: bytes
    """The request's digest."""
    evaluated: tuple[bytes, ...] = ()
    proof: bytes = b""
    denial: str = ""
    """Why there are none; then the fields above are empty."""

    def encode(self) -> bytes:
        """Return the deterministic CBOR."""
        fields: dict[int, Any] = {1: self.key_id, 2: self.request}
        if self.denial:
            fields[5] = str(self.denial)
        else:
            fields |= {3: list(self.evaluated), 4: self.proof}
        return cbor.encode(fields)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode an answer. Raises MalformedError, TooLargeError."""
        what = "token-issue"
        fields = cbor.as_map(cbor.decode(data, what, limit=MAX_BATCH), what, (1, 2), (3, 4, 5))
        if set(fields) not in ({1, 2, 3, 4}, {1, 2, 5}):
            raise MalformedError(what, expected="tokens or a denial", got="another mixture")
        is_denial = 5 in fields
        return cls(
            key_id=cbor.as_bytes(fields[1], f"{what}.key-id", size=KID_SIZE),
            request=cbor.as_bytes(fields[2], f"{what}.request", size=HASH_SIZE),
            evaluated=() if is_denial else _elements(fields[3], f"{what}.evaluated"),
            proof=b"" if is_denial else cbor.as_bytes(fields[4], f"{what}.proof", size=PROOF_SIZE),
            denial=cbor.as_one_of(fields[5], f"{what}.denial", tuple(Denial)) if is_denial else "",
        )


def request_digest(key_id: bytes, blinded: tuple[bytes, ...]) -> bytes:
    """Return SHA-256 over a key's id and the blinded inputs."""
    return hashlib.sha256(key_id + b"".join(blinded)).digest()


def _elements(value: Any, what: str) -> tuple[bytes, ...]:
    elements = cbor.as_array(value, what, least=1, most=MAX_TOKENS)
    return tuple(cbor.as_bytes(one, what, size=POINT_SIZE) for one in elements)
