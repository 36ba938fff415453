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
from device_sdk.wire.errors import WireError
from device_sdk.wire.header import Header
from device_sdk.wire.limits import POINT_SIZE
from device_sdk.wire.reading_policy import MAX_STEPS, REQUIRE, ReadingPolicy, ReadingRule

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
    """A number on a channel for readings: it is the one that the message commits to, and in the
    range of the policy that the message names. Who has verified a proof of that is the gateway."""

    value: Decimal = field(repr=False)
    """In ``unit``, with as many decimals as the policy's step has."""
    unit: str
    policy: ReadingPolicy
    """By which it was sealed."""
    is_current: bool
    """Whether that is the channel's present policy, by this device's roster. Else it is one from
    before or after it, by the sender's word."""
    is_required: bool
    """Whether the channel lets no reading through but by its present policy, proved, and this is by
    it. Where it only observes, the sender need not have proved anything."""

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
    """Return the reading in an opened message.

    None if the message is none, and where the reader's roster has no rule for readings, as for
    direct messages: there nobody but its sender has said what the number means.

    Raises:
        CommitmentMismatchError: it is not what the header commits to.
        ProofsNotInstalledError: what calculates with commitments is not installed here.
    """
    rule = _rule_of(roster, header.channel)
    if rule is None or not isinstance(header, Header):
        return None
    if header.reading is None and header.content_type != CONTENT_TYPE:
        return None
    if header.reading is None or header.content_type != CONTENT_TYPE:
        raise CommitmentMismatchError("a reading without a commitment, or the other way round")
    # Most devices never see a reading, and need not have what checks one.
    from device_sdk.proofs import sealed_reading

    policy = header.reading.policy
    if rule.policy.version == policy.version and rule.policy != policy:
        raise CommitmentMismatchError("the policy is not the owner's")
    try:
        steps, blinding = decode(payload)
    except WireError:
        raise CommitmentMismatchError("the content is no reading") from None
    if not sealed_reading.opens(header, steps=steps, blinding=blinding):
        raise CommitmentMismatchError("the content is not what the header commits to")
    return Reading(
        value=policy.value_of(steps),
        unit=policy.unit,
        policy=policy,
        is_current=rule.policy == policy,
        is_required=rule.policy == policy and rule.mode == REQUIRE,
    )


def _rule_of(roster: Roster, channel: str) -> ReadingRule | None:
    entry = roster.channels.get(channel)
    return None if entry is None else entry.reading
