"""The roster's pages: who belongs to the fleet, and its channels (PROTOCOL 8.3).

The signed head names the pages by their hashes; a page holds the devices and channels whose names
fall to it, so that a device fetches only what changed.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

from device_sdk.wire import cbor
from device_sdk.wire.anonymous_rule import AnonymousRule
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.limits import (
    MAX_LIFETIME,
    MAX_READERS,
    MAX_ROSTER_PAGE,
    MAX_ROSTER_PAGES,
)
from device_sdk.wire.names import DIRECT, as_name
from device_sdk.wire.reading_policy import REQUIRE, ReadingRule
from device_sdk.wire.roster_head import RosterHead
from device_sdk.wire.suites import SPKI_LIMIT, load_verify_key
from device_sdk.wire.totals_rule import TotalsRule

ROLE_DEVICE, ROLE_GATEWAY = "device", "gateway"
ROLES = (ROLE_DEVICE, ROLE_GATEWAY)
_MAX_IDENTITIES = 8

_IDENTITIES, _ROLES, _NOT_AFTER, _REVOKED_AT = range(1, 5)
_READERS, _SENDERS, _LIFETIME, _READING, _ANONYMOUS, _TOTALS = range(1, 7)
_DEVICES, _CHANNELS = range(1, 3)


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceEntry:
    """One device or gateway, as the owner admitted it."""

    identities: tuple[bytes, ...]
    """SubjectPublicKeyInfo DER of each identity key, newest last."""
    roles: tuple[str, ...]
    not_after: int
    """Unix seconds; afterwards the device is no longer active."""
    revoked_at: int = 0
    """Roster version that revoked it; 0 if it is not revoked."""

    def is_active(self, now: int) -> bool:
        """Tell whether it is a member now, Unix seconds: neither revoked nor ended."""
        return not self.revoked_at and now < self.not_after

    def to_cbor(self) -> dict[int, Any]:
        """Return the entry as it stands in a page."""
        fields: dict[int, Any] = {
            _IDENTITIES: list(self.identities),
            _ROLES: list(self.roles),
            _NOT_AFTER: self.not_after,
        }
        if self.revoked_at:
            fields[_REVOKED_AT] = self.revoked_at
        return fields

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Return the entry from decoded CBOR. Raises MalformedError, KeyFormatError."""
        what = "roster.device"
        fields = cbor.as_map(value, what, (_IDENTITIES, _ROLES, _NOT_AFTER), (_REVOKED_AT,))
        identities = tuple(
            cbor.as_bytes(spki, f"{what}.identity", most=SPKI_LIMIT)
            for spki in cbor.as_array(
                fields[_IDENTITIES], f"{what}.identities", least=1, most=_MAX_IDENTITIES
            )
        )
        for spki in identities:
            load_verify_key(spki)
        roles = cbor.as_array(fields[_ROLES], f"{what}.roles", least=1, most=len(ROLES))
        _check_sorted([cbor.as_one_of(role, f"{what}.roles", ROLES) for role in roles], what)
        revoked_at = 0
        if _REVOKED_AT in fields:
            revoked_at = cbor.as_uint(fields[_REVOKED_AT], f"{what}.revoked-at")
            if revoked_at == 0:
                raise MalformedError(f"{what}.revoked-at", expected="a version", got="0")
        return cls(
            identities=identities,
            roles=tuple(roles),
            not_after=cbor.as_uint(fields[_NOT_AFTER], f"{what}.not-after"),
            revoked_at=revoked_at,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelEntry:
    """A named set of readers and permitted senders, both sorted."""

    readers: tuple[str, ...]
    senders: tuple[str, ...]
    lifetime: int
    """Default lifetime of its messages in seconds."""
    reading: ReadingRule | None = None
    """What is demanded of its messages, if they are to be readings (PROTOCOL 17)."""
    totals: TotalsRule | None = None
    """What may be added up of its readings (PROTOCOL 18)."""
    anonymous: AnonymousRule | None = None
    """With it the channel takes anonymous messages only (PROTOCOL 19)."""

    def to_cbor(self) -> dict[int, Any]:
        """Return the entry as it stands in a page."""
        fields: dict[int, Any] = {
            _READERS: list(self.readers),
            _SENDERS: list(self.senders),
            _LIFETIME: self.lifetime,
        }
        if self.reading is not None:
            fields[_READING] = self.reading.to_cbor()
        if self.anonymous is not None:
            fields[_ANONYMOUS] = self.anonymous.to_cbor()
        if self.totals is not None:
            fields[_TOTALS] = self.totals.to_cbor()
        return fields

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Return the entry from decoded CBOR. Raises MalformedError."""
        what = "roster.channel"
        optional = (_READING, _ANONYMOUS, _TOTALS)
        fields = cbor.as_map(value, what, (_READERS, _SENDERS, _LIFETIME), optional)
        if _READING in fields and _ANONYMOUS in fields:
            raise MalformedError(what, expected="readings or anonymity", got="both")
        entry = cls(
            readers=_parse_names(fields[_READERS], f"{what}.readers"),
            senders=_parse_names(fields[_SENDERS], f"{what}.senders"),
            lifetime=cbor.as_uint(fields[_LIFETIME], f"{what}.lifetime", most=MAX_LIFETIME),
            reading=ReadingRule.parse(fields[_READING]) if _READING in fields else None,
            anonymous=(AnonymousRule.parse(fields[_ANONYMOUS]) if _ANONYMOUS in fields else None),
            totals=TotalsRule.parse(fields[_TOTALS]) if _TOTALS in fields else None,
        )
        # What is not proved to be in range could pass for any total.
        proved = entry.reading is not None and entry.reading.mode == REQUIRE
        if entry.totals is not None and not proved:
            raise MalformedError(f"{what}.totals", expected="readings in mode require", got="none")
        return entry


@dataclass(frozen=True, kw_only=True, slots=True)
class RosterPage:
    """The devices and channels whose names fall to one page."""

    devices: Mapping[str, DeviceEntry]
    channels: Mapping[str, ChannelEntry]

    def encode(self) -> bytes:
        """Return the page's bytes, whose SHA-256 the head names."""
        devices = {name: entry.to_cbor() for name, entry in self.devices.items()}
        channels = {name: entry.to_cbor() for name, entry in self.channels.items()}
        return cbor.encode({_DEVICES: cbor.ordered(devices), _CHANNELS: cbor.ordered(channels)})

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode a page. Raises MalformedError, TooLargeError, KeyFormatError."""
        what = "roster-page"
        fields = cbor.as_map(
            cbor.decode(data, what, limit=MAX_ROSTER_PAGE), what, (_DEVICES, _CHANNELS)
        )
        devices = _as_named(fields[_DEVICES], f"{what}.devices")
        channels = _as_named(fields[_CHANNELS], f"{what}.channels")
        if DIRECT in channels:
            raise MalformedError(what, expected="no channel named direct", got="one")
        return cls(
            devices={name: DeviceEntry.parse(entry) for name, entry in devices.items()},
            channels={name: ChannelEntry.parse(entry) for name, entry in channels.items()},
        )


def page_hash(page: bytes) -> bytes:
    """Return SHA-256 of a page's bytes: its name in the head and in its topic."""
    return hashlib.sha256(page).digest()


def page_index(name: str, pages: int) -> int:
    """Return the page that a device or channel name falls to: the first u32 of SHA-256, modulo."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % pages


def encode_bundle(head: bytes, pages: Sequence[bytes]) -> bytes:
    """Return head and pages as one file, the ``roster`` of a public bundle."""
    return cbor.encode([head, list(pages)])


def decode_bundle(data: bytes) -> tuple[bytes, list[bytes]]:
    """Return (head, pages) of a bundle's roster file, still to be verified."""
    what = "roster-file"
    limit = RosterHead.LIMIT + MAX_ROSTER_PAGES * MAX_ROSTER_PAGE
    head, pages = cbor.as_array(cbor.decode(data, what, limit=limit), what, length=2)
    pages = cbor.as_array(pages, f"{what}.pages", least=1, most=MAX_ROSTER_PAGES)
    return cbor.as_bytes(head, f"{what}.head"), [cbor.as_bytes(p, f"{what}.page") for p in pages]


def _as_named(value: Any, what: str) -> dict[str, Any]:
    if type(value) is not dict:
        raise MalformedError(what, expected="a map", got=type(value).__name__)
    for name in value:
        as_name(name, f"{what}.name")
    return value


def _parse_names(value: Any, what: str) -> tuple[str, ...]:
    names = [as_name(name, what) for name in cbor.as_array(value, what, most=MAX_READERS)]
    _check_sorted(names, what)
    return tuple(names)


def _check_sorted(names: Sequence[str], what: str) -> None:
    if any(a >= b for a, b in pairwise(names)):
        raise MalformedError(what, expected="names sorted, each once", got="another order")
