"""Who belongs to a fleet, read from its public bundle alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from device_sdk.trust import Roster
from device_sdk.wire.roster_page import DeviceEntry
from device_sdk.wire.suites import fingerprint
from gateway.owner.bundle import PublicBundle
from gateway.owner.difference import describe, describe_anonymity, describe_totals
from gateway.owner.errors import FleetError
from gateway.owner.register import Register

State = Literal["active", "revoked", "ended"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One device or gateway of the roster. Times are Unix seconds."""

    name: str
    roles: tuple[str, ...]
    state: State
    """*ended*: its membership ran out."""
    not_after: int
    reader_key_until: int
    """When the last of its reader keys in the bundle expires; 0 if there is none."""
    fingerprint: str
    """SHA-256 of its newest identity key, 64 hex digits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """One channel of the roster."""

    name: str
    readers: tuple[str, ...]
    senders: tuple[str, ...]
    lifetime: int
    """Seconds for which its messages are held by default."""
    readings: str
    """What it demands of readings, for people; empty if nothing."""
    totals: str
    """What may be added up of them, for people; empty if nothing."""
    anonymous: str
    """How its senders stay unknown, for people; empty if they do not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """A fleet as its bundle tells it."""

    name: str
    """Empty where only the bundle is at hand: it is the owner's own word."""
    root_fingerprint: str
    """Of the first root, which everybody pins."""
    present_root: str
    """Fingerprint of the root of today: another one after a rotation."""
    owners: tuple[str, ...]
    """Fingerprints of those whom it granted to sign as well."""
    roster_version: int
    roster_expires: int
    members: tuple[Member, ...]
    channels: tuple[Channel, ...]


def read_overview(directory: Path, *, now: int) -> Overview:
    """Read a fleet's directory or a copy of its bundle, and verify it.

    Raises:
        FleetError: no fleet and no bundle.
        TrustError, WireError: a bundle that its root did not sign.
    """
    bundle = find_bundle(directory)
    roster = bundle.roster()
    return Overview(
        name=Register(directory).name or "",
        root_fingerprint=bundle.pin().fingerprint,
        present_root=fingerprint(roster.head.root.spki),
        owners=tuple(fingerprint(key.spki) for key in roster.head.granted),
        roster_version=roster.version,
        roster_expires=roster.expires,
        members=tuple(
            _member(name, entry, bundle, roster, now)
            for name, entry in sorted(roster.devices.items())
        ),
        channels=tuple(
            Channel(
                name=name,
                readers=entry.readers,
                senders=entry.senders,
                lifetime=entry.lifetime,
                readings=describe(entry.reading) if entry.reading is not None else "",
                totals=describe_totals(entry.totals) if entry.totals is not None else "",
                anonymous=describe_anonymity(entry.anonymous) if entry.anonymous else "",
            )
            for name, entry in sorted(roster.channels.items())
        ),
    )


def find_bundle(directory: Path) -> PublicBundle:
    """Return the bundle in a fleet's directory, or the one that it is. Raises FleetError."""
    bundle = PublicBundle(directory / "public")
    if not bundle.root_file.exists():
        bundle = PublicBundle(directory)
    if not bundle.root_file.exists():
        raise FleetError(f"{directory} holds no fleet and no bundle: expected a root.pub in it")
    return bundle


def _member(
    name: str, entry: DeviceEntry, bundle: PublicBundle, roster: Roster, now: int
) -> Member:
    statements = bundle.statements(name, roster, now).values()
    return Member(
        name=name,
        roles=entry.roles,
        state=_state(entry, now),
        not_after=entry.not_after,
        reader_key_until=max((statement.not_after for statement in statements), default=0),
        fingerprint=fingerprint(entry.identities[-1]),
    )


def _state(entry: DeviceEntry, now: int) -> State:
    if entry.revoked_at:
        return "revoked"
    return "active" if entry.is_active(now) else "ended"
