"""What the readings of a total have in common: their unit, step and range (PROTOCOL 18.2)."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

from device_sdk.wire import cbor
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.reading_policy import (
    MAX_EXPONENT,
    MAX_MANTISSA,
    MAX_STEPS,
    MAX_UNIT,
    ReadingPolicy,
)

MAX_TOTAL = 2**63 - 1
"""Of a total in either direction: an integer of the encoding."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """Readings of policies that differ in their version and range alone may be added up."""

    unit: str
    exponent: int
    mantissa: int
    low: int
    """The lowest bound of all policies in the set, in steps."""
    high: int
    """The highest one."""

    @classmethod
    def of(cls, policy: ReadingPolicy) -> Self:
        """Return the scale of readings by one policy."""
        return cls(
            unit=policy.unit,
            exponent=policy.exponent,
            mantissa=policy.mantissa,
            low=policy.low,
            high=policy.high,
        )

    def covers(self, other: "Scale | ReadingPolicy") -> bool:
        """Tell whether readings by a policy, or of a scale, may stand in a set of this scale."""
        same = (self.unit, self.exponent, self.mantissa) == (
            other.unit,
            other.exponent,
            other.mantissa,
        )
        return same and self.low <= other.low and other.high <= self.high

    def value_of(self, steps: int) -> Decimal:
        """Return a number of steps in units."""
        return Decimal(steps * self.mantissa).scaleb(self.exponent)

    @property
    def furthest(self) -> int:
        """How far from 0 a single reading can be, in steps."""
        return max(abs(self.low), abs(self.high))

    def to_cbor(self) -> list[Any]:
        """Return the scale as it stands in a request."""
        return [self.unit, self.exponent, self.mantissa, self.low, self.high]

    @classmethod
    def parse(cls, value: Any, what: str) -> Self:
        """Return the scale from decoded CBOR. Raises MalformedError, TooLargeError."""
        unit, exponent, mantissa, low, high = cbor.as_array(value, f"{what}.scale", length=5)
        scale = cls(
            unit=cbor.as_text(unit, f"{what}.unit", most=MAX_UNIT),
            exponent=cbor.as_int(exponent, f"{what}.exponent", most=MAX_EXPONENT),
            mantissa=cbor.as_uint(mantissa, f"{what}.mantissa", most=MAX_MANTISSA),
            low=cbor.as_int(low, f"{what}.low", most=MAX_STEPS),
            high=cbor.as_int(high, f"{what}.high", most=MAX_STEPS),
        )
        if scale.mantissa % 10 == 0:  # one scale has one form only, as one policy has
            raise MalformedError(f"{what}.mantissa", expected="no 0 at its end", got="one")
        if scale.low >= scale.high:
            raise MalformedError(f"{what}.range", expected="low below high", got="another order")
        return scale


def check_reach(scale: Scale, weights: int, what: str) -> None:
    """Raise MalformedError if a total of so much weight might not fit into 64 bits."""
    if scale.furthest * weights > MAX_TOTAL:
        raise MalformedError(
            what, expected="a total of at most 63 bits", got="more readings, or higher weights"
        )
