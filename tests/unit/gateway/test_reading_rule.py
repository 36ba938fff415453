"""What a channel's rule makes of a message (PROTOCOL 17.3)."""

from dataclasses import replace

import pytest

from device_sdk.trust import Roster
from device_sdk.wire.header import Header
from device_sdk.wire.limits import DAY
from device_sdk.wire.reading_policy import OBSERVE, REQUIRE, ReadingPolicy
from device_sdk.wire.reasons import Reason
from device_sdk.wire.roster_page import ChannelEntry
from gateway.reading_rule import Finding, find, has_rule, refusal, rule_of
from tests.support.envelopes import Fleet
from tests.support.readings import CELLAR, POLICY, committed, rule

PROOF = b"of it"


def roster(fleet: Fleet, mode: str = REQUIRE, policy: ReadingPolicy = POLICY) -> Roster:
    entry = ChannelEntry(readers=("hub",), senders=("thermo",), lifetime=DAY)
    fleet.channels = {CELLAR: replace(entry, reading=rule(mode, policy)), "air": entry}
    return fleet.roster()


def header(fleet: Fleet, channel: str = CELLAR, policy: ReadingPolicy | None = POLICY) -> Header:
    reading = None if policy is None else committed(policy=policy)
    return fleet.seal("thermo", ["hub"], channel=channel, reading=reading).envelope.body.header


def test_only_channels_with_a_rule_have_one(fleet: Fleet) -> None:
    known = roster(fleet)
    asked = {channel: has_rule(header(fleet, channel), known) for channel in (CELLAR, "air")}
    assert asked == {CELLAR: True, "air": False}
    assert not has_rule(header(fleet, "unheard-of"), known)
    assert not has_rule(header(fleet, "direct"), known)
    assert rule_of(header(fleet), known) == rule()


@pytest.mark.parametrize("mode", [REQUIRE, OBSERVE])
def test_a_proof_is_looked_at_only_for_a_reading_by_the_present_policy(
    fleet: Fleet, mode: str
) -> None:
    known = roster(fleet, mode)
    mine, other = header(fleet), header(fleet, policy=None)
    assert find(mine, PROOF, known, None) is None
    assert find(mine, PROOF, known, True) is Finding.PROVED
    assert find(mine, PROOF, known, False) is Finding.NOT_PROVED
    # Without a proof there is nothing to look at, whatever somebody says of it.
    for proved in (None, True, False):
        assert find(mine, b"", known, proved) is Finding.NOT_PROVED
        assert find(other, PROOF, known, proved) is Finding.ABSENT
        assert find(other, b"", known, proved) is Finding.ABSENT


@pytest.mark.parametrize(
    "changes",
    [
        {"version": POLICY.version - 1},
        {"unit": "kelvin"},
        {"exponent": 0},
        {"mantissa": 2},
        {"low": -401},
        {"high": 1251},
        {"low": -399, "high": 1249},
    ],
    ids=str,
)
@pytest.mark.parametrize("proved", [None, True])
def test_a_reading_by_any_other_policy_is_none_of_this_channels(
    fleet: Fleet, changes: dict[str, int | str], proved: bool | None
) -> None:
    other = header(fleet, policy=replace(POLICY, **changes))  # type: ignore[arg-type]
    assert find(other, PROOF, roster(fleet), proved) is Finding.POLICY_CHANGED


def test_a_policy_that_is_newer_than_the_roster_is_unknown_and_no_fault_of_the_sender(
    fleet: Fleet,
) -> None:
    known = roster(fleet)
    versions = (known.version - 1, known.version, known.version + 1)
    policies = [replace(POLICY, version=version) for version in versions]
    found = [find(header(fleet, policy=policy), PROOF, known, None) for policy in policies]
    assert found == [Finding.POLICY_CHANGED, Finding.POLICY_CHANGED, Finding.POLICY_UNKNOWN]


REASONS = {
    Finding.PROVED: None,
    Finding.ABSENT: Reason.READING_REQUIRED,
    Finding.POLICY_CHANGED: Reason.POLICY_CHANGED,
    Finding.POLICY_UNKNOWN: Reason.POLICY_UNKNOWN,
    Finding.NOT_PROVED: Reason.PROOF_INVALID,
}


def test_a_channel_that_requires_refuses_each_finding_by_its_reason(fleet: Fleet) -> None:
    known, mine = roster(fleet), header(fleet)
    assert {finding: refusal(finding, mine, known) for finding in Finding} == REASONS


def test_a_channel_that_observes_refuses_nothing(fleet: Fleet) -> None:
    known, mine = roster(fleet, OBSERVE), header(fleet)
    assert {refusal(finding, mine, known) for finding in Finding} == {None}


def test_what_only_a_newer_roster_or_another_proof_can_mend_is_no_final_refusal() -> None:
    final = {reason for reason in REASONS.values() if reason is not None and reason.final}
    assert final == {Reason.READING_REQUIRED, Reason.POLICY_CHANGED}
