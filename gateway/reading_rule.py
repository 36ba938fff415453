"""Whether a message keeps to its channel's rule for readings (PROTOCOL 17.3). Pure.

The proof itself takes milliseconds and is verified elsewhere (`gateway.examiner`): here is decided
whether it is needed, and what follows from it.
"""

from dataclasses import dataclass
from enum import StrEnum

from device_sdk.trust import Roster
from device_sdk.wire.anonymous import AnyHeader
from device_sdk.wire.header import Header
from device_sdk.wire.limits import MIN_PADDED, TAG_SIZE
from device_sdk.wire.reading_policy import REQUIRE, ReadingRule
from device_sdk.wire.reasons import Reason
from gateway.receive import Accepted
from gateway.store.records import MessageKey


class Examined(StrEnum):
    """What came of looking at a proof."""

    RIGHT = "right"
    WRONG = "wrong"
    SKIPPED = "skipped"
    """Nobody looked: there is no room, or its sender is suspended."""


class Finding(StrEnum):
    """What was found out about a message on a channel with a rule."""

    PROVED = "proved"
    ABSENT = "absent"
    """It says of itself that it is no reading."""
    POLICY_CHANGED = "policy-changed"
    POLICY_UNKNOWN = "policy-unknown"
    """Its policy is newer than the roster known here."""
    NOT_PROVED = "not-proved"
    """There is no proof, it does not verify, or what is sealed is no reading by its length."""
    NOT_EXAMINED = "not-examined"


_EXAMINED = {
    None: None,
    Examined.RIGHT: Finding.PROVED,
    Examined.WRONG: Finding.NOT_PROVED,
    Examined.SKIPPED: Finding.NOT_EXAMINED,
}
_REASONS = {
    Finding.ABSENT: Reason.READING_REQUIRED,
    Finding.POLICY_CHANGED: Reason.POLICY_CHANGED,
    Finding.POLICY_UNKNOWN: Reason.POLICY_UNKNOWN,
    Finding.NOT_PROVED: Reason.PROOF_INVALID,
    Finding.NOT_EXAMINED: Reason.QUOTA,
}
_CIPHERTEXT = MIN_PADDED + TAG_SIZE
"""Bytes of every sealed reading."""


def find(message: Accepted, roster: Roster, examined: Examined | None) -> Finding | None:
    """Return what is known about a message on a channel with a rule; None if it is to be examined.

    ``examined`` is what came of that; None before.
    """
    header, reading = message.header, message.header.reading
    if reading is None:
        return Finding.ABSENT
    if reading.policy != rule_of(header, roster).policy:
        is_newer = reading.policy.version > roster.version
        return Finding.POLICY_UNKNOWN if is_newer else Finding.POLICY_CHANGED
    # What can be told by its length needs nobody's time.
    is_reading = len(message.copies[0].body.ciphertext) == _CIPHERTEXT
    if not is_reading or len(message.proof) != reading.policy.proof_size:
        return Finding.NOT_PROVED
    return _EXAMINED[examined]


def refusal(finding: Finding, header: AnyHeader, roster: Roster) -> Reason | None:
    """Return why a message is refused; None if it is held, as where its channel only observes."""
    if rule_of(header, roster).mode != REQUIRE:
        return None
    return _REASONS.get(finding)


def is_required(header: AnyHeader, roster: Roster) -> bool:
    """Tell whether a message is refused where its proof is not looked at."""
    return has_rule(header, roster) and rule_of(header, roster).mode == REQUIRE


def has_rule(header: AnyHeader, roster: Roster) -> bool:
    """Tell whether anything is demanded of the messages on a channel."""
    channel = roster.channels.get(header.channel)
    return channel is not None and channel.reading is not None


def rule_of(header: AnyHeader, roster: Roster) -> ReadingRule:
    """Return the rule of a channel that `has_rule`."""
    rule = roster.channels[header.channel].reading
    assert rule is not None  # noqa: S101
    return rule


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What was found out about one message."""

    channel: str
    finding: Finding


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A proof to be verified; its message was accepted but for that."""

    key: MessageKey
    header: Header
    digest: bytes
    proof: bytes
