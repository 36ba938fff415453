"""What a channel demands of a sealed reading, and what a header says of one (PROTOCOL 17).

A reading is an integer: how many steps of the policy's scale. The header carries a commitment to
it, and the policy by which it was made; the proof that the committed integer is in the policy's
range travels beside the countersignature, only as far as the gateway.
"""

from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any, Self

from device_sdk.wire import cbor
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.limits import POINT_SIZE

OBSERVE, REQUIRE = "observe", "require"
MODES = (OBSERVE, REQUIRE)

MAX_UNIT = 32
MAX_EXPONENT = 18
MAX_MANTISSA = 10**9
MAX_STEPS = 2**62
"""Of either bound: far from where a 64-bit integer ends."""
MAX_SPAN = 2**32 - 1
"""Of a range in steps: a proof of 32 bits has 4,160 bytes."""

_MODE, _POLICY = range(1, 3)
_EXACT = Context(prec=40)
"""A bound of a range has at most 28 digits. It is not the application's, which may have fewer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadingPolicy:
    """The statement that a proof is about: a range of whole steps, and what a step is."""

    version: int
    """Of the roster that set it: so that no two policies of a channel are the same one."""
    unit: str
    """1 to 32 printable ASCII characters, such as "celsius"."""
    exponent: int
    mantissa: int
    """A step is mantissa * 10^exponent units; the mantissa does not end in 0."""
    low: int
    high: int
    """The range in steps, both ends in it."""

    @property
    def step(self) -> Decimal:
        """How many units one step is."""
        return Decimal(self.mantissa).scaleb(self.exponent, _EXACT)

    @property
    def proof_size(self) -> int:
        """How many bytes a proof for this range has (PROTOCOL 20.4)."""
        return 128 * (self.high - self.low).bit_length() + 64

    def value_of(self, steps: int) -> Decimal:
        """Return a number of steps in units, with as many decimals as a step has."""
        return Decimal(steps * self.mantissa).scaleb(self.exponent, _EXACT)

    def to_cbor(self) -> list[Any]:
        """Return the policy as it stands in rosters and headers."""
        return [self.version, self.unit, self.exponent, self.mantissa, self.low, self.high]

    def encode(self) -> bytes:
        """Return its bytes, as they go into the tag of a proof."""
        return cbor.encode(self.to_cbor())

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Return the policy from decoded CBOR. Raises MalformedError, TooLargeError."""
        what = "reading-policy"
        version, unit, exponent, mantissa, low, high = cbor.as_array(value, what, length=6)
        policy = cls(
            version=cbor.as_uint(version, f"{what}.version"),
            unit=cbor.as_text(unit, f"{what}.unit", most=MAX_UNIT),
            exponent=cbor.as_int(exponent, f"{what}.exponent", most=MAX_EXPONENT),
            mantissa=cbor.as_uint(mantissa, f"{what}.mantissa", most=MAX_MANTISSA),
            low=cbor.as_int(low, f"{what}.low", most=MAX_STEPS),
            high=cbor.as_int(high, f"{what}.high", most=MAX_STEPS),
        )
        # One step has one form: two policies that mean the same are the same.
        if policy.mantissa % 10 == 0:
            raise MalformedError(f"{what}.mantissa", expected="no 0 at its end", got="one")
        if not 1 <= policy.high - policy.low <= MAX_SPAN:
            raise MalformedError(
                f"{what}.range", expected=f"1 to {MAX_SPAN} steps", got=str(high - low)
            )
        return policy


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadingRule:
    """A channel's policy, and what becomes of messages that do not keep to it."""

    mode: str
    """"observe": they are held and counted; "require": they are refused."""
    policy: ReadingPolicy

    def to_cbor(self) -> dict[int, Any]:
        """Return the rule as it stands in a channel's entry."""
        return {_MODE: self.mode, _POLICY: self.policy.to_cbor()}

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Return the rule from decoded CBOR. Raises MalformedError, TooLargeError."""
        what = "reading-rule"
        fields = cbor.as_map(value, what, (_MODE, _POLICY))
        return cls(
            mode=cbor.as_one_of(fields[_MODE], f"{what}.mode", MODES),
            policy=ReadingPolicy.parse(fields[_POLICY]),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Committed:
    """What a header says of the reading that is sealed with it."""

    policy: ReadingPolicy
    commitment: bytes
    """C = v*G + r*H, an encoded element of ristretto255, 32 bytes. Only its length is checked here:
    whoever verifies the proof, or opens the commitment, finds out whether it is one."""

    def to_cbor(self) -> list[Any]:
        """Return the header's field."""
        return [self.policy.to_cbor(), self.commitment]

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Return it from decoded CBOR. Raises MalformedError, TooLargeError."""
        what = "header.reading"
        policy, commitment = cbor.as_array(value, what, length=2)
        return cls(
            policy=ReadingPolicy.parse(policy),
            commitment=cbor.as_bytes(commitment, f"{what}.commitment", size=POINT_SIZE),
        )
