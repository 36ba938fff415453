"""What a channel's rule makes of a message (PROTOCOL 17.3)."""

from dataclasses import replace

import pytest

from device_sdk.proofs import range_proof
from device_sdk.trust import Roster
from device_sdk.wire.header import Header
from device_sdk.wire.limits import DAY, MIN_PADDED
from device_sdk.wire.reading_policy import OBSERVE, REQUIRE, ReadingPolicy
from device_sdk.wire.reasons import Reason
from device_sdk.wire.roster_page import ChannelEntry
from gateway.reading_rule import Examined, Finding, find, has_rule, refusal, rule_of
from gateway.receive import Accepted
from tests.support.envelopes import Fleet
from tests.support.mailroom import key_of
from tests.support.readings import CELLAR, POLICY, PROOF_SIZE, committed, rule

PROOF = bytes(PROOF_SIZE)


def roster(fleet: Fleet, mode: str = REQUIRE, policy: ReadingPolicy = POLICY) -> Roster:
    entry = ChannelEntry(readers=("hub",), senders=("thermo",), lifetime=DAY)
    fleet.channels = {CELLAR: replace(entry, reading=rule(mode, policy)), "air": entry}
    return fleet.roster()


def header(fleet: Fleet, channel: str = CELLAR) -> Header:
    found = accept(fleet, channel=channel).header
    assert isinstance(found, Header)
    return found


def accept(
    fleet: Fleet,
    *,
    channel: str = CELLAR,
    policy: ReadingPolicy | None = POLICY,
    proof: bytes = PROOF,
    payload: bytes = b"21.5",
) -> Accepted:
    """Return a message to which nobody has any other objection."""
    reading = None if policy is None else committed(policy=policy)
    message = fleet.seal("thermo", ["hub"], payload, channel=channel, reading=reading)
    return Accepted(
        key=key_of(message),
        header=message.envelope.body.header,
        digest=message.digest,
        size=len(message.data),
        copies=tuple(message.envelope.copies()),
        excused={},
        proof=proof,
    )


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
    known, mine = roster(fleet, mode), accept(fleet)
    assert {examined: find(mine, known, examined) for examined in (None, *Examined)} == {
        None: None,
        Examined.RIGHT: Finding.PROVED,
        Examined.WRONG: Finding.NOT_PROVED,
        Examined.SKIPPED: Finding.NOT_EXAMINED,
    }
    for examined in (None, *Examined):
        for proof in (PROOF, b""):
            other = accept(fleet, policy=None, proof=proof)
            assert find(other, known, examined) is Finding.ABSENT


@pytest.mark.parametrize(
    "changes",
    [
        {"proof": b""},
        {"proof": PROOF[:-1]},
        {"proof": PROOF + b"\0"},
        {"proof": PROOF[:-128]},
        {"proof": PROOF + bytes(128)},
        {"payload": bytes(MIN_PADDED)},
        {"payload": bytes(262_144)},
    ],
    ids=lambda changes: ", ".join(f"{key} of {len(value)}" for key, value in changes.items()),
)
def test_what_can_be_told_by_its_length_is_not_looked_at_whatever_somebody_says_of_it(
    fleet: Fleet, changes: dict[str, bytes]
) -> None:
    known, odd = roster(fleet), accept(fleet, **changes)  # type: ignore[arg-type]
    for examined in (None, *Examined):
        assert find(odd, known, examined) is Finding.NOT_PROVED


def test_a_proof_is_as_long_as_its_own_policy_has_it(fleet: Fleet) -> None:
    narrow = replace(POLICY, low=0, high=1)
    known = roster(fleet, policy=narrow)
    assert find(accept(fleet, policy=narrow, proof=bytes(128 + 64)), known, None) is None
    assert find(accept(fleet, policy=narrow), known, None) is Finding.NOT_PROVED


def test_a_proof_has_the_length_that_its_policy_says(fleet: Fleet) -> None:
    for span in (1, 2, 3, 4, 1650, 2**32 - 1):
        policy = replace(POLICY, low=-7, high=span - 7)
        assert policy.proof_size == range_proof.proof_size(policy.low, policy.high)


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
@pytest.mark.parametrize("examined", [None, *Examined])
def test_a_reading_by_any_other_policy_is_none_of_this_channels(
    fleet: Fleet, changes: dict[str, int | str], examined: Examined | None
) -> None:
    other = accept(fleet, policy=replace(POLICY, **changes))  # type: ignore[arg-type]
    assert find(other, roster(fleet), examined) is Finding.POLICY_CHANGED


def test_a_policy_that_is_newer_than_the_roster_is_unknown_and_no_fault_of_the_sender(
    fleet: Fleet,
) -> None:
    known = roster(fleet)
    versions = (known.version - 1, known.version, known.version + 1)
    policies = [replace(POLICY, version=version) for version in versions]
    found = [find(accept(fleet, policy=policy), known, None) for policy in policies]
    assert found == [Finding.POLICY_CHANGED, Finding.POLICY_CHANGED, Finding.POLICY_UNKNOWN]


REASONS = {
    Finding.PROVED: None,
    Finding.ABSENT: Reason.READING_REQUIRED,
    Finding.POLICY_CHANGED: Reason.POLICY_CHANGED,
    Finding.POLICY_UNKNOWN: Reason.POLICY_UNKNOWN,
    Finding.NOT_PROVED: Reason.PROOF_INVALID,
    Finding.NOT_EXAMINED: Reason.QUOTA,
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
