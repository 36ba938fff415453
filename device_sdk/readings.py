"""Between a number that an application measures and the reading that is sealed (PROTOCOL 17). Pure.

A policy counts in steps; what an application says is rounded to the nearest one. What is out of
range is an error before anything is stored: a device whose sensor says so sends an alarm of another
kind, and never a reading that it did not take.
"""

from dataclasses import dataclass, field
from decimal import ROUND_05UP, ROUND_HALF_EVEN, Context, Decimal

from device_sdk.errors import (
    NoReadingRuleError,
    OutOfRangeError,
    PayloadError,
    ReadingRequiredError,
)
from device_sdk.trust import Roster
from device_sdk.unseal import UnreadableError
from device_sdk.wire import cbor
from device_sdk.wire.anonymous import AnyHeader
from device_sdk.wire.anonymous_header import AnonymousHeader
from device_sdk.wire.errors import WireError
from device_sdk.wire.limits import POINT_SIZE
from device_sdk.wire.reading_policy import MAX_STEPS, REQUIRE, ReadingPolicy

CONTENT_TYPE = "application/sealgate-reading+cbor"
_DIVISION = Context(prec=60, rounding=ROUND_05UP, traps=[])
"""Of its own, as an application may have set another one. What it cuts off still shows in its last
digit, so that rounding once more cannot make a half of what is not one."""
MAX_SIZE = 44
"""Bytes of an encoded reading: an array of an integer of up to 9 and a blinding of 34."""

Number = int | float | Decimal


class CommitmentMismatchError(UnreadableError):
    """A message whose content is not the reading that its header commits to: nothing is shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """A reading that its sender proved to be in the range of ``policy``, opened and checked."""

    value: Decimal
    """In ``unit``, with as many decimals as the policy's step has."""
    unit: str
    policy: ReadingPolicy
    """The owner's policy by which it was sealed."""
    is_current: bool
    """Whether that is the channel's present policy, by this device's roster."""
    steps: int = field(repr=False)

    def text(self) -> str:
        """Return the value in decimal notation, without the unit."""
        return f"{self.value:f}"


def policy_for(roster: Roster, channel: str) -> ReadingPolicy:
    """Return what readings on a channel must keep to.

    Raises:
        NoReadingRuleError: the channel's readings are not checked: send the number as text.
    """
    rule = roster.channels[channel].reading
    if rule is None:
        raise NoReadingRuleError(channel)
    return rule.policy


def check_is_no_reading(roster: Roster, channel: str) -> None:
    """Raise ReadingRequiredError if a channel takes readings only."""
    entry = roster.channels.get(channel)
    if entry is not None and entry.reading is not None and entry.reading.mode == REQUIRE:
        raise ReadingRequiredError(channel)


def check_is_number(value: object) -> Decimal:
    """Return a number in decimal notation. Raises PayloadError if it is no finite one."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise PayloadError(f"a reading is an int, float or Decimal, got {type(value).__name__}")
    # What a float is printed as is what its user means: 21.7, and not the nearest binary fraction.
    number = Decimal(repr(float(value))) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        raise PayloadError("a reading is a finite number, got one that is not")
    return number


def steps_of(value: Number, policy: ReadingPolicy, channel: str) -> int:
    """Return the nearest number of steps; halves go to the even one.

    Raises:
        PayloadError: not a number, or not a finite one.
        OutOfRangeError: the policy does not allow it.
    """
    number = check_is_number(value)
    # What is far out of range may have more digits than memory, and no context takes it.
    if number.copy_abs() > policy.value_of(MAX_STEPS + 1):
        raise out_of_range(policy, channel)
    quotient = _DIVISION.divide(number, policy.step)
    steps = int(quotient.to_integral_value(ROUND_HALF_EVEN, _DIVISION))
    if not policy.low <= steps <= policy.high:
        raise out_of_range(policy, channel)
    return steps


def out_of_range(policy: ReadingPolicy, channel: str) -> OutOfRangeError:
    """Return the error that names the range, and not what was measured."""
    low, high = policy.value_of(policy.low), policy.value_of(policy.high)
    return OutOfRangeError(channel, low=low, high=high, unit=policy.unit)


def encode(steps: int, blinding: bytes) -> bytes:
    """Return the payload of a reading."""
    return cbor.encode([steps, blinding])


def decode(payload: bytes) -> tuple[int, bytes]:
    """Return (steps, blinding). Raises MalformedError, TooLargeError."""
    what = "reading"
    steps, blinding = cbor.as_array(cbor.decode(payload, what, limit=MAX_SIZE), what, length=2)
    return (
        cbor.as_int(steps, f"{what}.steps", most=MAX_STEPS),
        cbor.as_bytes(blinding, f"{what}.blinding", size=POINT_SIZE),
    )


def open_reading(header: AnyHeader, payload: bytes, roster: Roster) -> Reading | None:
    """Return the reading in an opened message; None if the message says that it has none.

    Raises:
        CommitmentMismatchError: it is not what the header commits to.
        ProofsNotInstalledError: what calculates with commitments is not installed here.
    """
    if isinstance(header, AnonymousHeader) or header.reading is None:
        if header.content_type != CONTENT_TYPE:
            return None
        raise CommitmentMismatchError("a reading without a commitment")
    if header.content_type != CONTENT_TYPE:
        raise CommitmentMismatchError("a commitment without a reading")
    # Most devices never see a reading, and need not have what checks one.
    from device_sdk.proofs import sealed_reading

    try:
        steps, blinding = decode(payload)
    except WireError:
        raise CommitmentMismatchError("the content is no reading") from None
    if not sealed_reading.opens(header, steps=steps, blinding=blinding):
        raise CommitmentMismatchError("the content is not what the header commits to")
    policy, present = header.reading.policy, _present_policy(roster, header.channel)
    if present is not None and present.version == policy.version and present != policy:
        raise CommitmentMismatchError("the policy is not the owner's")
    return Reading(
        value=policy.value_of(steps),
        unit=policy.unit,
        policy=policy,
        is_current=present == policy,
        steps=steps,
    )


def _present_policy(roster: Roster, channel: str) -> ReadingPolicy | None:
    entry = roster.channels.get(channel)
    return None if entry is None or entry.reading is None else entry.reading.policy
