"""The keys under which a gateway issues tokens, one for a channel and a period (PROTOCOL 19.2)."""

import hashlib
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from device_sdk.wire import cbor
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.limits import (
    ANONYMOUS_STEP,
    CLOCK_SKEW,
    KID_SIZE,
    MAX_BATCH,
    MAX_TOKEN_KEYS,
    POINT_SIZE,
    TOKEN_PERIODS,
)
from device_sdk.wire.names import as_name

_MOST_BYTES = 256
"""Of an encoded key: its channel's name is the longest part."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochKey:
    """The public half of one such key."""

    channel: str
    begins: int
    """Unix seconds, a multiple of the period's length."""
    ends: int
    public: bytes
    """An element of ristretto255: whether it is one, only who calculates with it can tell."""

    @property
    def key_id(self) -> bytes:
        """16 bytes that name key, channel and period."""
        return hashlib.sha256(self.encode()).digest()[:KID_SIZE]

    @property
    def place(self) -> tuple[str, int, int]:
        """What there must be only one key for: channel and period."""
        return self.channel, self.begins, self.ends

    def is_for(self, issued: int) -> bool:
        """Tell whether a message of this time belongs to the period.

        The time, in Unix seconds, was rounded down, and its sender's clock may be a little wrong.
        """
        earliest = self.begins - CLOCK_SKEW - ANONYMOUS_STEP
        return earliest < issued < self.ends + CLOCK_SKEW

    def encode(self) -> bytes:
        """Return the deterministic CBOR, which is also what the gateway's log has."""
        return cbor.encode({1: self.channel, 2: self.begins, 3: self.ends, 4: self.public})

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode a key. Raises MalformedError, TooLargeError."""
        what = "epoch-key"
        fields = cbor.as_map(cbor.decode(data, what, limit=_MOST_BYTES), what, range(1, 5))
        begins = cbor.as_uint(fields[2], f"{what}.begins")
        ends = cbor.as_uint(fields[3], f"{what}.ends")
        # Periods of one length never overlap, so that two keys for a moment are two for a period.
        if ends - begins not in TOKEN_PERIODS or begins % (ends - begins):
            raise MalformedError(what, expected="a period of its kind", got="other times")
        return cls(
            channel=as_name(fields[1], f"{what}.channel"),
            begins=begins,
            ends=ends,
            public=cbor.as_bytes(fields[4], f"{what}.public", size=POINT_SIZE),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenKeys:
    """What stands under ``tokens/{gateway}``: the same for everybody who looks."""

    gateway: str
    time: int
    keys: tuple[EpochKey, ...]

    TYP: ClassVar[str] = "application/sealgate-tokens+cose"
    LIMIT: ClassVar[int] = MAX_BATCH

    def encode(self) -> bytes:
        """Return the record's deterministic CBOR."""
        return cbor.encode({1: self.gateway, 2: self.time, 3: [key.encode() for key in self.keys]})

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Return the record from decoded CBOR. Raises MalformedError."""
        what = "token-keys"
        fields = cbor.as_map(fields, what, range(1, 4))
        listed = cbor.as_array(fields[3], f"{what}.keys", most=MAX_TOKEN_KEYS)
        keys = tuple(EpochKey.decode(cbor.as_bytes(one, f"{what}.keys")) for one in listed)
        if len({key.place for key in keys}) != len(keys):
            raise MalformedError(f"{what}.keys", expected="one for each period", got="two of one")
        return cls(
            gateway=as_name(fields[1], f"{what}.gateway"),
            time=cbor.as_uint(fields[2], f"{what}.time"),
            keys=keys,
        )
