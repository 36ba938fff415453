"""A reading shared out to trustees, so that none of them learns it (PROTOCOL 18.4)."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Self

from device_sdk.wire import cbor
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.limits import MAX_STATEMENT, MESSAGE_ID_SIZE, POINT_SIZE
from device_sdk.wire.names import as_name
from device_sdk.wire.totals_rule import MAX_TRUSTEES, MIN_TRUSTEES
from device_sdk.wire.totals_scale import Scale

SHARE_TYPE = "application/sealgate-share+cbor"
"""Content type of the message that brings a trustee its share."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Signed by the device: what it has committed to towards each trustee. It tells no share."""

    sender: str
    channel: str
    message_id: bytes
    """Of the reading."""
    issued: int
    """The reading's `iat`."""
    shares: tuple[tuple[str, bytes], ...]
    """(trustee, commitment to its share), by the trustee's name. They add up to the reading's."""
    scale: Scale
    """Of the policy by which it was sealed: what a step of it is, by its device's own word."""

    TYP: ClassVar[str] = "application/sealgate-split+cose"
    LIMIT: ClassVar[int] = MAX_STATEMENT

    def share_of(self, trustee: str) -> bytes:
        """Return the commitment to a trustee's share; empty if it has none."""
        return dict(self.shares).get(trustee, b"")

    @property
    def trustees(self) -> tuple[str, ...]:
        """Whom the reading was shared out to."""
        return tuple(name for name, _ in self.shares)

    def encode(self) -> bytes:
        """Return the record's deterministic CBOR."""
        return cbor.encode(
            {
                1: self.sender,
                2: self.channel,
                3: self.message_id,
                4: self.issued,
                5: [[name, commitment] for name, commitment in self.shares],
                6: self.scale.to_cbor(),
            }
        )

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Return the record from decoded CBOR. Raises MalformedError."""
        what = "split"
        fields = cbor.as_map(fields, what, range(1, 7))
        shares = cbor.as_array(fields[5], f"{what}.shares", least=MIN_TRUSTEES, most=MAX_TRUSTEES)
        split = cls(
            sender=as_name(fields[1], f"{what}.sender"),
            channel=as_name(fields[2], f"{what}.channel"),
            message_id=cbor.as_bytes(fields[3], f"{what}.message-id", size=MESSAGE_ID_SIZE),
            issued=cbor.as_uint(fields[4], f"{what}.iat"),
            shares=tuple(_parse_share(share, f"{what}.share") for share in shares),
            scale=Scale.parse(fields[6], what),
        )
        if any(a >= b for a, b in pairwise(split.trustees)):
            raise MalformedError(
                f"{what}.shares", expected="sorted, each once", got="another order"
            )
        return split


def _parse_share(value: Any, what: str) -> tuple[str, bytes]:
    name, commitment = cbor.as_array(value, what, length=2)
    return as_name(name, what), cbor.as_bytes(commitment, what, size=POINT_SIZE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """The payload of the message to one trustee."""

    split: bytes
    """A Signed<Split>: the same for all trustees of the reading."""
    value: bytes
    """This trustee's part of the reading, a scalar of 32 bytes: on its own it says nothing."""
    blinding: bytes
    """This trustee's part of the blinding."""

    def encode(self) -> bytes:
        """Return the payload."""
        return cbor.encode([self.split, self.value, self.blinding])

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode a payload. Raises MalformedError, TooLargeError."""
        what = "share"
        fields = cbor.as_array(cbor.decode(data, what, limit=2 * MAX_STATEMENT), what, length=3)
        split, value, blinding = fields
        return cls(
            split=cbor.as_bytes(split, f"{what}.split", most=MAX_STATEMENT),
            value=cbor.as_bytes(value, f"{what}.value", size=POINT_SIZE),
            blinding=cbor.as_bytes(blinding, f"{what}.blinding", size=POINT_SIZE),
        )
