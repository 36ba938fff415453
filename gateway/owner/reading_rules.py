"""What the owner demands of readings on a channel (PROTOCOL 17.1): from units to steps. Pure."""

from dataclasses import dataclass, replace
from decimal import Context, Decimal, InvalidOperation

from device_sdk.wire.errors import WireError
from device_sdk.wire.reading_policy import OBSERVE, ReadingPolicy, ReadingRule
from gateway.owner.errors import NotChangedError
from gateway.owner.signing import Members

OFF = "off"
_DOTS = ".."
_MOST_DIGITS = 30
"""Before or behind the point: far more than a policy can say, and few enough to calculate with."""
_EXACT = Context(prec=130)
"""Whatever two such numbers are divided into, what is no whole step shows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleWish:
    """What the owner asks for; None is what is there already, or what is usual."""

    unit: str | None = None
    scale: str | None = None
    """Units in one step, in decimal notation; usually 1."""
    span: str | None = None
    """The range in units, such as "-40..125", both ends in it."""
    mode: str | None = None
    """"observe", which is usual, "require", or "off" for no rule."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked for."""
        return self == RuleWish()


def set_reading_rule(members: Members, name: str, wish: RuleWish, version: int) -> Members:
    """Give a channel a rule for readings, another one, or none.

    A policy that stays as it was keeps its version: going from *observe* to *require* refuses
    nothing that is on its way.

    Raises:
        NotChangedError: no such channel, or a rule that nobody can keep to.
    """
    known = members.channels.get(name)
    if known is None:
        raise NotChangedError(f"the fleet has no channel named {name}")
    entry = replace(known, reading=_rule(known.reading, wish, version))
    if entry.reading is not None and entry.anonymous is not None:
        raise NotChangedError(
            f"channel {name} is anonymous, and a reading's proof names its sender: make another one"
        )
    return replace(members, channels={**members.channels, name: entry})


def _rule(known: ReadingRule | None, wish: RuleWish, version: int) -> ReadingRule | None:
    if wish.mode == OFF:
        if wish != RuleWish(mode=OFF):
            raise NotChangedError(
                "--mode off takes the rule away: it goes with no other of its options"
            )
        return None
    mode = wish.mode or (OBSERVE if known is None else known.mode)
    if known is not None and wish.unit is None and wish.scale is None and wish.span is None:
        return replace(known, mode=mode)
    policy = _policy(known.policy if known is not None else None, wish, version)
    if known is not None and replace(policy, version=known.policy.version) == known.policy:
        policy = known.policy
    return ReadingRule(mode=mode, policy=policy)


def _policy(known: ReadingPolicy | None, wish: RuleWish, version: int) -> ReadingPolicy:
    unit = wish.unit or (known.unit if known is not None else None)
    if unit is None:
        raise NotChangedError("a rule for readings needs their unit: --reading celsius")
    if wish.span is None and known is None:
        raise NotChangedError("a rule for readings needs their range: --range=-40..125")
    step = _decimal(wish.scale, "scale") if wish.scale else (known.step if known else Decimal(1))
    if step <= 0:
        raise NotChangedError("a scale is greater than 0")
    if wish.span is not None:
        low, high = _span(wish.span)
    else:
        assert known is not None  # noqa: S101
        low, high = known.value_of(known.low), known.value_of(known.high)
    _, digits, exponent = step.normalize(_EXACT).as_tuple()
    mantissa = int("".join(map(str, digits)))
    policy = ReadingPolicy(
        version=version,
        unit=unit,
        exponent=int(exponent),
        mantissa=mantissa,
        low=_steps(low, step),
        high=_steps(high, step),
    )
    try:
        return ReadingPolicy.parse(policy.to_cbor())
    except WireError as error:
        raise NotChangedError(f"no rule for readings can be so: {error}") from error


def _span(text: str) -> tuple[Decimal, Decimal]:
    low, dots, high = text.partition(_DOTS)
    if not dots:
        raise NotChangedError("a range is LOW..HIGH, such as -40..125")
    return _decimal(low, "range"), _decimal(high, "range")


def _decimal(text: str, what: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise NotChangedError(f"{what}: expected a number such as 0.1, got {text!r:.30}") from None
    if not number.is_finite() or max(_digits(number)) > _MOST_DIGITS:
        raise NotChangedError(f"{what}: expected a number of a usual size, got {text!r:.30}")
    return number


def _digits(number: Decimal) -> tuple[int, int]:
    """Return how many digits a finite number has before and behind its point."""
    return number.adjusted(), -int(number.as_tuple().exponent)


def _steps(bound: Decimal, step: Decimal) -> int:
    steps = _EXACT.divide(bound, step)
    if steps != steps.to_integral_value(context=_EXACT):
        raise NotChangedError(
            f"both ends of a range are whole steps of {step:f}: {bound:f} is not one"
        )
    return int(steps)
