"""What is different between two lists of members. Pure; nothing here knows who signed them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from device_sdk.wire.anonymous_rule import AnonymousRule
from device_sdk.wire.limits import DAY
from device_sdk.wire.reading_policy import ReadingRule
from device_sdk.wire.roster_page import ChannelEntry, DeviceEntry
from device_sdk.wire.suites import fingerprint
from device_sdk.wire.totals_rule import TotalsRule
from gateway.owner.signing import Members

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One device, gateway or channel that is different."""

    what: Literal["added", "removed", "changed"]
    kind: str
    """A role, or ``channel``."""
    name: str
    details: tuple[str, ...] = ()
    """In words, for people."""

    def __str__(self) -> str:
        sign = {"added": "+", "removed": "-", "changed": "~"}[self.what]
        return f"{sign} {self.kind} {self.name}" + "".join(f", {one}" for one in self.details)


def difference(before: Members, after: Members) -> tuple[Difference, ...]:
    """Return what leads from one list to the other: devices and gateways first, by their names."""
    return (
        *_devices(before.devices, after.devices),
        *_channels(before.channels, after.channels),
    )


def _pairs(
    before: Mapping[str, T], after: Mapping[str, T]
) -> Sequence[tuple[str, T | None, T | None]]:
    names = sorted(before.keys() | after.keys())
    pairs = [(name, before.get(name), after.get(name)) for name in names]
    return [(name, old, new) for name, old, new in pairs if old != new]


def _devices(
    before: Mapping[str, DeviceEntry], after: Mapping[str, DeviceEntry]
) -> Sequence[Difference]:
    found = []
    for name, old, new in _pairs(before, after):
        if old is not None and new is not None:
            what: Literal["added", "removed", "changed"] = "changed"
            details = _device_changes(old, new)
        else:
            what = "removed" if new is None else "added"
            details = _about(old if new is None else new)
        entry = new or old
        kind = " and ".join(entry.roles) if entry is not None else ""
        found.append(Difference(what=what, kind=kind, name=name, details=details))
    return found


def _about(entry: DeviceEntry | None) -> tuple[str, ...]:
    if entry is None:
        return ()
    revoked = ("revoked",) if entry.revoked_at else ()
    return (f"key {_short(entry.identities[-1])}", *revoked)


def _device_changes(old: DeviceEntry, new: DeviceEntry) -> tuple[str, ...]:
    details = []
    if new.revoked_at and not old.revoked_at:
        details.append("revoked")
    elif old.revoked_at and not new.revoked_at:
        details.append("no longer revoked")
    elif old.revoked_at != new.revoked_at:
        details.append(f"revoked at version {new.revoked_at} instead of {old.revoked_at}")
    if old.roles != new.roles:
        details.append(f"was {' and '.join(old.roles)}")
    added = [_short(spki) for spki in new.identities if spki not in old.identities]
    removed = [_short(spki) for spki in old.identities if spki not in new.identities]
    details += [f"key +{one}" for one in added] + [f"key -{one}" for one in removed]
    if old.identities != new.identities and not added and not removed:
        details.append("keys in another order")
    if old.not_after != new.not_after:
        details.append(f"member until {_day(new.not_after)} instead of {_day(old.not_after)}")
    return tuple(details)


def _channels(
    before: Mapping[str, ChannelEntry], after: Mapping[str, ChannelEntry]
) -> Sequence[Difference]:
    nothing = ChannelEntry(readers=(), senders=(), lifetime=0)
    found = []
    for name, old, new in _pairs(before, after):
        what: Literal["added", "removed", "changed"] = "changed"
        details: tuple[str, ...] = ()
        if new is None:
            what = "removed"
        else:
            what = "added" if old is None else "changed"
            details = _channel_changes(old or nothing, new)
        found.append(Difference(what=what, kind="channel", name=name, details=details))
    return found


def _channel_changes(old: ChannelEntry, new: ChannelEntry) -> tuple[str, ...]:
    details = []
    for what, was, now in (
        ("readers", old.readers, new.readers),
        ("senders", old.senders, new.senders),
    ):
        signed = [f"+{name}" for name in now if name not in was]
        signed += [f"-{name}" for name in was if name not in now]
        if signed:
            details.append(f"{what} {' '.join(signed)}")
    if old.lifetime != new.lifetime:
        details.append(f"lifetime {duration(new.lifetime)}")
    if old.reading != new.reading:
        details.append(f"readings: {describe(new.reading)}")
    if old.totals != new.totals:
        details.append(f"totals: {describe_totals(new.totals)}")
    if old.anonymous != new.anonymous:
        details.append(f"anonymous: {describe_anonymity(new.anonymous)}")
    return tuple(details)


def describe(rule: ReadingRule | None) -> str:
    """Return what a channel demands of readings, for people."""
    if rule is None:
        return "no rule"
    policy = rule.policy
    low, high = policy.value_of(policy.low), policy.value_of(policy.high)
    return f"{rule.mode} {low:f}..{high:f} {policy.unit} in steps of {policy.step:f}"


def describe_totals(rule: TotalsRule | None) -> str:
    """Return what may be added up on a channel, for people."""
    if rule is None:
        return "none"
    epoch = duration(rule.epoch)
    if not rule.trustees:
        return f"bills of {epoch} and more, {rule.least} readings of a price at least"
    return f"sums of {epoch} over {rule.least} devices at least, by {' '.join(rule.trustees)}"


def describe_anonymity(rule: AnonymousRule | None) -> str:
    """Return how a channel's senders stay unknown, for people."""
    if rule is None:
        return "no"
    return f"{rule.tokens} messages of each sender in {duration(rule.epoch)}"


def duration(seconds: int) -> str:
    """Return a lifetime as it is typed: in days if it is whole days, else in seconds."""
    return f"{seconds // DAY}d" if seconds and seconds % DAY == 0 else f"{seconds}s"


def _short(spki: bytes) -> str:
    return fingerprint(spki)[:16]


def _day(seconds: int) -> str:
    try:
        return time.strftime("%Y-%m-%d", time.gmtime(seconds))
    except (OverflowError, OSError, ValueError):
        return f"second {seconds}"
