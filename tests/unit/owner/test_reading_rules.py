"""What the owner demands of readings: from units, as people write them, to whole steps."""

from dataclasses import replace
from decimal import Decimal, localcontext

import pytest

from device_sdk.identity import Identity
from device_sdk.wire.limits import DAY
from device_sdk.wire.reading_policy import MAX_SPAN, OBSERVE, REQUIRE, ReadingPolicy, ReadingRule
from device_sdk.wire.roster_page import ChannelEntry, DeviceEntry
from gateway.owner.changes import set_channel
from gateway.owner.difference import describe, difference
from gateway.owner.errors import NotChangedError
from gateway.owner.reading_rules import RuleWish, set_reading_rule
from gateway.owner.signing import Members
from tests.support.readings import POLICY

from .conftest import NOW

ENTRY = DeviceEntry(identities=(Identity.generate().spki,), roles=("device",), not_after=NOW)
AIR = ChannelEntry(readers=("hub", "phone"), senders=("thermo-1",), lifetime=DAY)
MEMBERS = Members(
    devices=dict.fromkeys(("hub", "phone", "thermo-1"), ENTRY), channels={"air": AIR, "hall": AIR}
)
WISH = RuleWish(unit="celsius", scale="0.1", span="-40..125", mode=REQUIRE)
RULE = ReadingRule(mode=REQUIRE, policy=POLICY)


def after(*wishes: RuleWish, version: int = POLICY.version) -> ReadingRule | None:
    """Return the rule after one wish after the other, each in a roster of its own."""
    members = MEMBERS
    for number, wish in enumerate(wishes):
        members = set_reading_rule(members, "air", wish, version + number)
    return members.channels["air"].reading


def policy(wish: RuleWish) -> ReadingPolicy:
    rule = after(wish)
    assert rule is not None
    return rule.policy


def test_a_rule_changes_nothing_else() -> None:
    members = set_reading_rule(MEMBERS, "air", WISH, POLICY.version)
    assert members.channels == {"air": replace(AIR, reading=RULE), "hall": AIR}
    assert members.devices == MEMBERS.devices


@pytest.mark.parametrize(
    ("scale", "span", "exponent", "mantissa", "low", "high"),
    [
        (None, "0..1", 0, 1, 0, 1),
        ("1", "-5..-4", 0, 1, -5, -4),
        ("0.1", "-40..125", -1, 1, -400, 1250),
        ("0.10", "-40.0..125.00", -1, 1, -400, 1250),
        ("1e-1", "-4e1..1.25e2", -1, 1, -400, 1250),
        ("0.25", "0..1000.75", -2, 25, 0, 4003),
        ("0.5", "-0.5..0.5", -1, 5, -1, 1),
        ("50", "0..1000", 1, 5, 0, 20),
        ("100", "0..500", 2, 1, 0, 5),
        ("1e18", "0..1e18", 18, 1, 0, 1),
        ("1e-18", "0..1e-18", -18, 1, 0, 1),
        ("0.123456789", "0..0.370370367", -9, 123456789, 0, 3),
        (None, f"0..{MAX_SPAN}", 0, 1, 0, MAX_SPAN),
    ],
)
def test_a_range_is_counted_in_steps(
    scale: str | None, span: str, exponent: int, mantissa: int, low: int, high: int
) -> None:
    made = policy(RuleWish(unit="kWh", scale=scale, span=span))
    assert (made.exponent, made.mantissa, made.low, made.high) == (exponent, mantissa, low, high)
    ends = [Decimal(end) for end in span.split("..")]
    assert [made.value_of(made.low), made.value_of(made.high)] == ends
    assert made.step == Decimal(scale or 1)


def test_a_new_rule_observes_unless_it_is_said_otherwise() -> None:
    made = after(RuleWish(unit="celsius", span="0..9"))
    assert made is not None
    assert made.mode == OBSERVE


# ------------------------------ another rule


def test_another_mode_alone_keeps_the_policy_and_its_version() -> None:
    for mode in (OBSERVE, REQUIRE):
        assert after(WISH, RuleWish(mode=mode)) == replace(RULE, mode=mode)


def test_the_same_policy_said_again_keeps_its_version() -> None:
    for again in (
        WISH,
        replace(WISH, mode=None),
        RuleWish(unit="celsius"),
        RuleWish(scale="0.10"),
        RuleWish(span="-40.0..125"),
    ):
        assert after(WISH, again) == RULE


@pytest.mark.parametrize(
    ("wish", "changes"),
    [
        (RuleWish(unit="kelvin"), {"unit": "kelvin"}),
        (RuleWish(span="-40..100"), {"high": 1000}),
        # Another scale keeps the range as people see it.
        (RuleWish(scale="0.5"), {"mantissa": 5, "low": -80, "high": 250}),
        (RuleWish(scale="1"), {"exponent": 0, "low": -40, "high": 125}),
    ],
)
def test_what_is_not_named_stays_as_it_is_and_the_policy_is_a_new_one(
    wish: RuleWish, changes: dict[str, int | str]
) -> None:
    made = after(WISH, wish)
    assert made is not None
    expected = replace(POLICY, version=POLICY.version + 1, **changes)  # type: ignore[arg-type]
    assert made == replace(RULE, policy=expected)


def test_a_rule_that_was_taken_back_and_made_anew_is_not_the_same_policy() -> None:
    off = RuleWish(mode="off")
    assert after(WISH, off) is None
    assert after(off) is None
    made = after(WISH, off, WISH)
    assert made is not None
    assert made.policy == replace(POLICY, version=POLICY.version + 2)


def test_readers_senders_and_lifetime_that_are_not_named_stay_as_they_are() -> None:
    ruled = set_reading_rule(MEMBERS, "air", WISH, 7)
    assert set_channel(ruled, "air") == ruled
    readers = set_channel(ruled, "air", readers=["hub"]).channels["air"]
    assert readers == replace(AIR, readers=("hub",), reading=RULE)
    senders = set_channel(ruled, "air", senders=["hub"], lifetime=60).channels["air"]
    assert senders == replace(AIR, senders=("hub",), lifetime=60, reading=RULE)


# ------------------------------ what nobody can keep to


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        (RuleWish(span="0..9"), "--reading"),
        (RuleWish(mode=REQUIRE), "--reading"),
        (RuleWish(unit="celsius"), "--range"),
        (RuleWish(unit="celsius", scale="0.1"), "--range"),
        (RuleWish(unit="celsius", span="9"), "LOW..HIGH"),
        (RuleWish(unit="celsius", span="0-9"), "LOW..HIGH"),
        (RuleWish(unit="celsius", span="a..9"), "'a'"),
        (RuleWish(unit="celsius", span="0..nan"), "'nan'"),
        (RuleWish(unit="celsius", span="0..inf"), "'inf'"),
        (RuleWish(unit="celsius", span=".."), "''"),
        (RuleWish(unit="celsius", span="0..1..2"), "'1..2'"),
        (RuleWish(unit="celsius", span="0..1e999999999"), "usual size"),
        (RuleWish(unit="celsius", span="0..1e-999999999"), "usual size"),
        (RuleWish(unit="celsius", span="5..5"), "1 to 4294967295 steps"),
        (RuleWish(unit="celsius", span="9..0"), "1 to 4294967295 steps"),
        (RuleWish(unit="celsius", span=f"0..{MAX_SPAN + 1}"), "1 to 4294967295 steps"),
        (RuleWish(unit="celsius", span=f"{2**62}..{2**62 + 1}"), "high"),
        (RuleWish(unit="celsius", scale="0.1", span="0..0.25"), "whole steps of 0.1: 0.25"),
        (RuleWish(unit="celsius", scale="3", span="1..9"), "whole steps of 3: 1 "),
        (RuleWish(unit="celsius", scale="0", span="0..9"), "greater than 0"),
        (RuleWish(unit="celsius", scale="-0.1", span="0..9"), "greater than 0"),
        (RuleWish(unit="celsius", scale="warm", span="0..9"), "'warm'"),
        (RuleWish(unit="celsius", scale="nan", span="0..9"), "'nan'"),
        (RuleWish(unit="celsius", scale="1e-19", span="0..1e-19"), "exponent"),
        (RuleWish(unit="celsius", scale="1e19", span="0..1e19"), "exponent"),
        (RuleWish(unit="celsius", scale="1.000000001", span="0..1.000000001"), "mantissa"),
        (RuleWish(unit="\N{DEGREE SIGN}C", span="0..9"), "unit"),
        (RuleWish(unit="x" * 33, span="0..9"), "unit"),
        (
            RuleWish(unit="celsius", scale="1." + "0" * 29 + "1", span="0..1." + "0" * 29 + "1"),
            "exponent",
        ),
        # What is not quite a whole step is none, however little is missing.
        (RuleWish(unit="celsius", span="0..9." + "0" * 29 + "1"), "whole steps of 1"),
        (RuleWish(unit="celsius", span="0..9." + "0" * 40 + "1"), "usual size"),
        (RuleWish(unit="celsius", scale="1." + "0" * 29 + "1", span="0..9"), "whole steps"),
        (RuleWish(unit="celsius", scale="1." + "0" * 40 + "1", span="0..9"), "usual size"),
    ],
)
def test_a_rule_that_nobody_can_keep_to_is_refused_by_name(wish: RuleWish, reason: str) -> None:
    with pytest.raises(NotChangedError, match=reason):
        set_reading_rule(MEMBERS, "air", wish, 7)


def test_only_a_channel_that_is_there_gets_a_rule() -> None:
    with pytest.raises(NotChangedError, match="no channel named attic"):
        set_reading_rule(MEMBERS, "attic", WISH, 7)


def test_a_rule_is_the_same_whatever_is_done_with_decimals_elsewhere() -> None:
    with localcontext(prec=2):
        assert after(WISH) == RULE


# ------------------------------ for people


def test_a_rule_is_said_in_units() -> None:
    assert describe(RULE) == "require -40.0..125.0 celsius in steps of 0.1"
    assert describe(None) == "no rule"
    large = after(RuleWish(unit="W", scale="1000", span="0..1e6"))
    assert describe(large) == "observe 0..1000000 W in steps of 1000"


def test_a_rule_that_comes_changes_or_goes_is_shown_before_it_is_signed() -> None:
    ruled = set_reading_rule(MEMBERS, "air", WISH, 7)
    observed = set_reading_rule(ruled, "air", RuleWish(mode=OBSERVE), 8)

    def lines(before: Members, new: Members) -> list[str]:
        return [str(one) for one in difference(before, new)]

    rule = "-40.0..125.0 celsius in steps of 0.1"
    assert lines(MEMBERS, ruled) == [f"~ channel air, readings: require {rule}"]
    assert lines(ruled, observed) == [f"~ channel air, readings: observe {rule}"]
    assert lines(ruled, MEMBERS) == ["~ channel air, readings: no rule"]
    assert lines(ruled, ruled) == []


def test_a_rule_cannot_be_taken_away_and_given_in_one() -> None:
    for also in (RuleWish(mode="off", unit="kelvin"), RuleWish(mode="off", span="0..1")):
        with pytest.raises(NotChangedError, match="no other of its options"):
            after(WISH, also)
