"""A sum across devices: an exact set of readings, what trustees have of it, and their sums.

PROTOCOL 18.5 and 18.6.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Self

from device_sdk.wire import cbor
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.limits import (
    HASH_SIZE,
    MAX_STATEMENT,
    MAX_TOTALS,
    MAX_TOTALS_ITEMS,
    MESSAGE_ID_SIZE,
    POINT_SIZE,
)
from device_sdk.wire.names import as_name
from device_sdk.wire.totals_rule import TotalsRule
from device_sdk.wire.totals_scale import Scale, check_reach

MISSING, WRONG_SHARE, OTHER_COMMITMENT, OTHER_EPOCH, OTHER_SCALE, OTHER_TRUSTEES = LACKS = (
    "missing",
    "wrong-share",
    "other-commitment",
    "other-epoch",
    "other-scale",
    "other-trustees",
)
"""Why a trustee cannot add up a reading: none has come; what came does not agree with itself, or
its sender is none of the channel's; it was shared out under another commitment than the set names;
it belongs to another epoch; it is of another unit, step or range; it was shared out to others than
the owner names now, and its device may be honest."""


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class SumItem:
    """One reading of the set."""

    sender: str
    message_id: bytes
    commitment: bytes

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Return the item from decoded CBOR. Raises MalformedError."""
        what = "sum-request.item"
        sender, message_id, commitment = cbor.as_array(value, what, length=3)
        return cls(
            sender=as_name(sender, f"{what}.sender"),
            message_id=cbor.as_bytes(message_id, f"{what}.message-id", size=MESSAGE_ID_SIZE),
            commitment=cbor.as_bytes(commitment, f"{what}.commitment", size=POINT_SIZE),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SumRequest:
    """Signed by the gateway, which has verified the range proof of every reading in it."""

    gateway: str
    channel: str
    rule: TotalsRule
    start: int
    """Unix seconds at which the epoch begins."""
    scale: Scale
    items: tuple[SumItem, ...]
    """By sender and message id, each once."""
    time: int

    TYP: ClassVar[str] = "application/sealgate-sum-request+cose"
    LIMIT: ClassVar[int] = MAX_TOTALS

    @property
    def until(self) -> int:
        """Unix seconds at which the epoch ends."""
        return self.start + self.rule.epoch

    @property
    def senders(self) -> set[str]:
        """The devices in the set."""
        return {item.sender for item in self.items}

    def encode(self) -> bytes:
        """Return the record's deterministic CBOR."""
        return cbor.encode(
            {
                1: self.gateway,
                2: self.channel,
                3: self.rule.to_cbor(),
                4: self.start,
                5: self.scale.to_cbor(),
                6: [[item.sender, item.message_id, item.commitment] for item in self.items],
                7: self.time,
            }
        )

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Return the record from decoded CBOR. Raises MalformedError, TooLargeError."""
        what = "sum-request"
        fields = cbor.as_map(fields, what, range(1, 8))
        items = cbor.as_array(fields[6], f"{what}.items", least=1, most=MAX_TOTALS_ITEMS)
        request = cls(
            gateway=as_name(fields[1], f"{what}.gateway"),
            channel=as_name(fields[2], f"{what}.channel"),
            rule=TotalsRule.parse(fields[3]),
            start=cbor.as_uint(fields[4], f"{what}.start"),
            scale=Scale.parse(fields[5], what),
            items=tuple(SumItem.parse(item) for item in items),
            time=cbor.as_uint(fields[7], f"{what}.time"),
        )
        keys = [(item.sender, item.message_id) for item in request.items]
        if any(a >= b for a, b in pairwise(keys)):
            raise MalformedError(f"{what}.items", expected="sorted, each once", got="another order")
        check_reach(request.scale, len(request.items), what)
        return request


@dataclass(frozen=True, kw_only=True, slots=True)
class SumReport:
    """Signed by a trustee: what it has of a set. It tells no share, and may be asked for often."""

    trustee: str
    request_hash: bytes
    """SHA-256 of the encoded SumRequest."""
    entries: tuple[bytes | str, ...]
    """For each item in its order: the Signed<Split>, or why it cannot be added up (`LACKS`)."""
    time: int

    TYP: ClassVar[str] = "application/sealgate-sum-report+cose"
    LIMIT: ClassVar[int] = MAX_TOTALS

    @property
    def is_complete(self) -> bool:
        """Whether nothing is lacking."""
        return not any(isinstance(entry, str) for entry in self.entries)

    def encode(self) -> bytes:
        """Return the record's deterministic CBOR."""
        return cbor.encode(
            {1: self.trustee, 2: self.request_hash, 3: list(self.entries), 4: self.time}
        )

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Return the record from decoded CBOR. Raises MalformedError, TooLargeError."""
        what = "sum-report"
        fields = cbor.as_map(fields, what, range(1, 5))
        entries = cbor.as_array(fields[3], f"{what}.entries", least=1, most=MAX_TOTALS_ITEMS)
        return cls(
            trustee=as_name(fields[1], f"{what}.trustee"),
            request_hash=cbor.as_bytes(fields[2], f"{what}.request-hash", size=HASH_SIZE),
            entries=tuple(_parse_entry(entry, f"{what}.entry") for entry in entries),
            time=cbor.as_uint(fields[4], f"{what}.time"),
        )


def _parse_entry(value: Any, what: str) -> bytes | str:
    if type(value) is bytes:
        return cbor.as_bytes(value, what, least=1, most=MAX_STATEMENT)
    return cbor.as_one_of(value, what, LACKS)


@dataclass(frozen=True, kw_only=True, slots=True)
class SumAnswer:
    """Signed by a trustee, once for each epoch: the sums of its shares over one exact set."""

    trustee: str
    request_hash: bytes
    value: bytes
    """Sum of its value shares, a scalar: it says nothing without those of all other trustees."""
    blinding: bytes
    """Sum of its blinding shares."""
    time: int

    TYP: ClassVar[str] = "application/sealgate-sum-answer+cose"
    LIMIT: ClassVar[int] = MAX_STATEMENT

    def encode(self) -> bytes:
        """Return the record's deterministic CBOR."""
        return cbor.encode(
            {1: self.trustee, 2: self.request_hash, 3: self.value, 4: self.blinding, 5: self.time}
        )

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Return the record from decoded CBOR. Raises MalformedError, TooLargeError."""
        what = "sum-answer"
        fields = cbor.as_map(fields, what, range(1, 6))
        return cls(
            trustee=as_name(fields[1], f"{what}.trustee"),
            request_hash=cbor.as_bytes(fields[2], f"{what}.request-hash", size=HASH_SIZE),
            value=cbor.as_bytes(fields[3], f"{what}.value", size=POINT_SIZE),
            blinding=cbor.as_bytes(fields[4], f"{what}.blinding", size=POINT_SIZE),
            time=cbor.as_uint(fields[5], f"{what}.time"),
        )
