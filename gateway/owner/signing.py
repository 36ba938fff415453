"""A list of devices and channels becomes a signed roster (PROTOCOL 8.3). Pure.

The rest of the project verifies rosters; only here, beside the root key, is one ever made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from device_sdk.trust import Pin, Roster, complete_roster, verify_head
from device_sdk.wire import cose
from device_sdk.wire.errors import TooLargeError
from device_sdk.wire.limits import DAY, KIB, MAX_ROSTER_PAGE, MAX_ROSTER_PAGES
from device_sdk.wire.roster_head import RosterHead
from device_sdk.wire.roster_page import (
    ChannelEntry,
    DeviceEntry,
    RosterPage,
    decode_bundle,
    encode_bundle,
    page_hash,
    page_index,
)
from device_sdk.wire.suites import Signer

ROSTER_VALIDITY = 365 * DAY
"""How long a roster, and so an outdated one, is good for unless the owner says otherwise."""

_PAGE_TARGET = 32 * KIB
"""A page is split before it grows past this: about 200 devices, fetched again when one changes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Members:
    """Whom the owner vouches for: what a roster says apart from its number and dates."""

    devices: Mapping[str, DeviceEntry]
    channels: Mapping[str, ChannelEntry]

    @classmethod
    def of(cls, roster: Roster) -> Self:
        """Return those whom a roster lists."""
        return cls(devices=roster.devices, channels=roster.channels)


def next_version(previous: int, now: int) -> int:
    """Return a version that no roster had before, also after a restore (PROTOCOL 8.3)."""
    return max(previous + 1, now)


def sign_roster(
    members: Members,
    *,
    root: Signer,
    pin: Pin,
    previous: int,
    now: int,
    validity: int,
    successions: tuple[bytes, ...] = (),
    grants: tuple[bytes, ...] = (),
) -> bytes:
    """Return head and pages as a bundle's ``roster`` file.

    ``root`` is the present root, or a key that it granted. ``previous`` is the version it replaces
    (0 if none), ``validity`` in seconds.

    Raises:
        TooLargeError: more members than 200 pages hold.
    """
    pages = paginate(members)
    head = RosterHead(
        fleet_id=pin.fleet_id,
        version=next_version(previous, now),
        issued=now,
        expires=now + validity,
        page_hashes=tuple(page_hash(page) for page in pages),
        successions=successions,
        grants=grants,
    )
    return encode_bundle(cose.sign(head, root, pin.aad), pages)


def open_roster(data: bytes, pin: Pin) -> Roster:
    """Return the verified roster of a bundle's ``roster`` file. Raises WireError, TrustError."""
    head, pages = decode_bundle(data)
    return complete_roster(verify_head(pin, head), {page_hash(page): page for page in pages})


def paginate(members: Members) -> list[bytes]:
    """Return the encoded pages: as few as keep each of them small. Raises TooLargeError."""
    count = 1
    pages = _paginate(members, count)
    while max(map(len, pages)) > _PAGE_TARGET and count < MAX_ROSTER_PAGES:
        count = min(2 * count, MAX_ROSTER_PAGES)
        pages = _paginate(members, count)
    longest = max(map(len, pages))
    if longest > MAX_ROSTER_PAGE:
        raise TooLargeError(
            "roster page", expected=f"at most {MAX_ROSTER_PAGE} bytes", got=f"{longest} bytes"
        )
    return pages


def _paginate(members: Members, count: int) -> list[bytes]:
    devices: list[dict[str, DeviceEntry]] = [{} for _ in range(count)]
    channels: list[dict[str, ChannelEntry]] = [{} for _ in range(count)]
    for name, device in members.devices.items():
        devices[page_index(name, count)][name] = device
    for name, channel in members.channels.items():
        channels[page_index(name, count)][name] = channel
    return [
        RosterPage(devices=d, channels=c).encode() for d, c in zip(devices, channels, strict=True)
    ]
