"""Rosters that the owner signs are those that everybody else accepts."""

import pytest

from device_sdk.identity import Identity
from device_sdk.trust import Pin, RosterExpiredError, check_successor
from device_sdk.wire.errors import SignatureError
from device_sdk.wire.limits import MAX_ROSTER_PAGE
from device_sdk.wire.roster_page import ChannelEntry, DeviceEntry
from gateway.owner.signing import Members, open_roster, paginate, sign_roster

NOW = 1_800_000_000
NOBODY = Members(devices={}, channels={})


def sign(members: Members, root: Identity, *, previous: int = 0, now: int = NOW) -> bytes:
    pin = Pin.from_spki(root.spki)
    return sign_roster(members, root=root, pin=pin, previous=previous, now=now, validity=100)


def many(count: int) -> Members:
    spki = Identity.generate().spki
    entry = DeviceEntry(identities=(spki,), roles=("device",), not_after=NOW)
    names = [f"device-{number}" for number in range(count)]
    channel = ChannelEntry(readers=("device-1",), senders=("device-2",), lifetime=60)
    return Members(devices=dict.fromkeys(names, entry), channels={"readings": channel})


def test_a_signed_roster_verifies_under_the_pinned_root_until_it_expires() -> None:
    root = Identity.generate()
    roster = open_roster(sign(many(3), root), Pin.from_spki(root.spki))
    assert roster.devices.keys() == {"device-0", "device-1", "device-2"}
    roster.check_current(NOW + 99)
    with pytest.raises(RosterExpiredError):
        roster.check_current(NOW + 100)


def test_another_owners_roster_is_refused() -> None:
    with pytest.raises(SignatureError):
        open_roster(sign(NOBODY, Identity.generate()), Pin.from_spki(Identity.generate().spki))


@pytest.mark.parametrize("now", [NOW, NOW - 1000], ids=["same second", "clock set back"])
def test_every_roster_is_newer_than_the_one_before(now: int) -> None:
    root = Identity.generate()
    pin = Pin.from_spki(root.spki)
    first = open_roster(sign(NOBODY, root), pin)
    second = open_roster(sign(many(1), root, previous=first.version, now=now), pin)
    assert check_successor(first.head, second.head)


def test_a_large_fleet_is_cut_into_small_pages_and_still_complete() -> None:
    root, members = Identity.generate(), many(2000)
    roster = open_roster(sign(members, root), Pin.from_spki(root.spki))
    assert dict(roster.devices) == members.devices
    assert dict(roster.channels) == members.channels
    assert len(roster.pages) > 1
    assert max(map(len, roster.pages)) < MAX_ROSTER_PAGE / 4


def test_one_more_device_changes_one_page() -> None:
    members = many(1000)
    more = Members(
        devices={**members.devices, "new": members.devices["device-0"]}, channels=members.channels
    )
    assert len(set(paginate(more)) - set(paginate(members))) == 1
