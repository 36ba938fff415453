"""What the owner can allow to be added up: members to members, without files or keys."""

from dataclasses import replace
from typing import Any

import pytest

from device_sdk.identity import Identity
from device_sdk.wire.limits import DAY
from device_sdk.wire.reading_policy import OBSERVE, REQUIRE, ReadingPolicy, ReadingRule
from device_sdk.wire.roster_page import ChannelEntry, DeviceEntry
from device_sdk.wire.totals_rule import TotalsRule
from gateway.owner.difference import difference
from gateway.owner.errors import NotChangedError
from gateway.owner.signing import Members
from gateway.owner.totals_rules import TotalsWish, entrusted, set_totals_rule

from .conftest import NOW

POLICY = ReadingPolicy(version=1, unit="Wh", exponent=0, mantissa=1, low=0, high=5000)
ENTRY = DeviceEntry(identities=(Identity.generate().spki,), roles=("device",), not_after=NOW)
POWER = ChannelEntry(
    readers=("hub",),
    senders=("meter",),
    lifetime=DAY,
    reading=ReadingRule(mode=REQUIRE, policy=POLICY),
)
MEMBERS = Members(
    devices={
        **dict.fromkeys(("ann", "bob", "hub", "meter"), ENTRY),
        "gw-1": replace(ENTRY, roles=("gateway",)),
        "lost": replace(ENTRY, revoked_at=7),
    },
    channels={"power": POWER},
)
BILLS = TotalsRule(epoch=DAY, least=10)


def allow(members: Members = MEMBERS, **wish: Any) -> TotalsRule | None:
    """Return the rule of the channel after a change."""
    changed = set_totals_rule(members, "power", TotalsWish(**wish))
    return changed.channels["power"].totals


def test_the_channels_of_a_trustee_are_known_when_it_is_revoked() -> None:
    rule = replace(BILLS, trustees=("ann", "bob"))
    channels = {"power": replace(POWER, totals=BILLS), "load": replace(POWER, totals=rule)}
    assert entrusted({**channels, "plain": POWER}, "ann") == ["load"]
    assert entrusted(channels, "hub") == []


def allowed(rule: TotalsRule) -> Members:
    return replace(MEMBERS, channels={"power": replace(POWER, totals=rule)})


def test_bills_of_a_day_and_ten_readings_are_what_is_usual() -> None:
    assert allow(allowed=True) == BILLS


def test_trustees_make_a_channel_one_for_sums() -> None:
    rule = allow(allowed=True, trustees=["bob", "ann", "bob"], epoch=900, least=50)
    assert rule == TotalsRule(epoch=900, least=50, trustees=("ann", "bob"))


def test_what_is_not_named_stays_and_no_wish_changes_nothing() -> None:
    before = TotalsRule(epoch=900, least=50, trustees=("ann", "bob"))
    assert allow(allowed(before), least=20) == replace(before, least=20)
    assert allow(allowed(before)) == before
    assert allow() is None


def test_totals_can_be_forbidden_again() -> None:
    assert allow(allowed(BILLS), allowed=False) is None


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        ({"epoch": 900}, "allow them with --totals"),
        ({"allowed": True, "trustees": ["ann"]}, "none, or two or more"),
        ({"allowed": True, "trustees": ["ann", "nobody"]}, "no device named nobody"),
        ({"allowed": True, "trustees": ["ann", "gw-1"]}, "no device named gw-1"),
        ({"allowed": True, "trustees": ["ann", "lost"]}, "was revoked"),
        ({"allowed": True, "least": 1}, "2 or more"),
        ({"allowed": True, "least": 1001}, "at most 1000"),
        ({"allowed": True, "epoch": 32 * DAY}, "at most"),
    ],
)
def test_what_nobody_can_keep_to_is_refused(wish: dict[str, Any], reason: str) -> None:
    with pytest.raises(NotChangedError, match=reason):
        allow(**wish)


@pytest.mark.parametrize("reading", [None, ReadingRule(mode=OBSERVE, policy=POLICY)])
def test_a_channel_with_totals_goes_on_requiring_proofs(reading: ReadingRule | None) -> None:
    members = allowed(BILLS)
    power = replace(members.channels["power"], reading=reading)
    with pytest.raises(NotChangedError, match="--mode require, or --no-totals"):
        allow(replace(members, channels={"power": power}))


def test_a_difference_says_in_words_what_may_be_added_up() -> None:
    (found,) = difference(MEMBERS, allowed(BILLS))
    assert found.details == ("totals: bills of 1d and more, 10 readings of a price at least",)
    sums = TotalsRule(epoch=900, least=50, trustees=("ann", "bob"))
    (found,) = difference(MEMBERS, allowed(sums))
    assert found.details == ("totals: sums of 900s over 50 devices at least, by ann bob",)
