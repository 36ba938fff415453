"""A bill of one device: the gateway names readings and prices, the device tells their total.

PROTOCOL 18.3. Individual readings, and what would open their commitments, never leave the device.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Self

from device_sdk.wire import cbor
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.limits import (
    HASH_SIZE,
    MAX_TOTALS,
    MAX_TOTALS_ITEMS,
    MESSAGE_ID_SIZE,
    POINT_SIZE,
)
from device_sdk.wire.names import as_name
from device_sdk.wire.totals_rule import TotalsRule
from device_sdk.wire.totals_scale import MAX_TOTAL, Scale, check_reach

MAX_WEIGHT = 1_000_000
"""Of a reading in a bill: a price in thousandths of a cent passes 10 euros at this."""
MAX_PRICE = 32
"""Characters of what a weight counts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BillItem:
    """One reading of the device, and what a step of it costs."""

    message_id: bytes
    issued: int
    """The `iat` that its device signed, Unix seconds: it decides about the epoch."""
    commitment: bytes
    weight: int
    """1 to 1,000,000."""

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Return the item from decoded CBOR. Raises MalformedError, TooLargeError."""
        what = "bill-request.item"
        message_id, issued, commitment, weight = cbor.as_array(value, what, length=4)
        if cbor.as_uint(weight, f"{what}.weight", most=MAX_WEIGHT) == 0:
            raise MalformedError(f"{what}.weight", expected=f"1 to {MAX_WEIGHT}", got="0")
        return cls(
            message_id=cbor.as_bytes(message_id, f"{what}.message-id", size=MESSAGE_ID_SIZE),
            issued=cbor.as_uint(issued, f"{what}.iat"),
            commitment=cbor.as_bytes(commitment, f"{what}.commitment", size=POINT_SIZE),
            weight=weight,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class BillRequest:
    """Signed by the gateway, which has verified the range proof of every reading in it."""

    gateway: str
    device: str
    channel: str
    rule: TotalsRule
    """What the owner's roster said when it was made."""
    start: int
    """Unix seconds: the first epoch begins."""
    until: int
    """The last epoch has ended."""
    scale: Scale
    price: str
    """What a weight counts, such as "0.001 cent"."""
    items: tuple[BillItem, ...]
    """By message id, each once."""
    time: int

    TYP: ClassVar[str] = "application/sealgate-bill-request+cose"
    LIMIT: ClassVar[int] = MAX_TOTALS

    def encode(self) -> bytes:
        """Return the record's deterministic CBOR."""
        return cbor.encode(
            {
                1: self.gateway,
                2: self.device,
                3: self.channel,
                4: self.rule.to_cbor(),
                5: [self.start, self.until],
                6: self.scale.to_cbor(),
                7: self.price,
                8: [[i.message_id, i.issued, i.commitment, i.weight] for i in self.items],
                9: self.time,
            }
        )

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Return the record from decoded CBOR. Raises MalformedError, TooLargeError."""
        what = "bill-request"
        fields = cbor.as_map(fields, what, range(1, 10))
        start, until = cbor.as_array(fields[5], f"{what}.period", length=2)
        items = cbor.as_array(fields[8], f"{what}.items", least=1, most=MAX_TOTALS_ITEMS)
        request = cls(
            gateway=as_name(fields[1], f"{what}.gateway"),
            device=as_name(fields[2], f"{what}.device"),
            channel=as_name(fields[3], f"{what}.channel"),
            rule=TotalsRule.parse(fields[4]),
            start=cbor.as_uint(start, f"{what}.start"),
            until=cbor.as_uint(until, f"{what}.until"),
            scale=Scale.parse(fields[6], what),
            price=cbor.as_text(fields[7], f"{what}.price", most=MAX_PRICE),
            items=tuple(BillItem.parse(item) for item in items),
            time=cbor.as_uint(fields[9], f"{what}.time"),
        )
        if any(a.message_id >= b.message_id for a, b in pairwise(request.items)):
            raise MalformedError(f"{what}.items", expected="sorted, each once", got="another order")
        check_reach(request.scale, sum(item.weight for item in request.items), what)
        return request


@dataclass(frozen=True, kw_only=True, slots=True)
class BillAnswer:
    """Signed by the device: the total of one bill, and what opens the sum of its commitments."""

    device: str
    request_hash: bytes
    """SHA-256 of the encoded BillRequest, which is what was signed without the signature."""
    total: int
    """Sum of weight times reading, in steps: -2^63 + 1 to 2^63 - 1."""
    blinding: bytes
    """Sum of weight times blinding, a scalar."""
    time: int

    TYP: ClassVar[str] = "application/sealgate-bill-answer+cose"
    LIMIT: ClassVar[int] = MAX_TOTALS

    def encode(self) -> bytes:
        """Return the record's deterministic CBOR."""
        return cbor.encode(
            {1: self.device, 2: self.request_hash, 3: self.total, 4: self.blinding, 5: self.time}
        )

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Return the record from decoded CBOR. Raises MalformedError, TooLargeError."""
        what = "bill-answer"
        fields = cbor.as_map(fields, what, range(1, 6))
        return cls(
            device=as_name(fields[1], f"{what}.device"),
            request_hash=cbor.as_bytes(fields[2], f"{what}.request-hash", size=HASH_SIZE),
            total=cbor.as_int(fields[3], f"{what}.total", most=MAX_TOTAL),
            blinding=cbor.as_bytes(fields[4], f"{what}.blinding", size=POINT_SIZE),
            time=cbor.as_uint(fields[5], f"{what}.time"),
        )
