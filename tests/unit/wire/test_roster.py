"""The roster's own rules: order on a page, rotation of the root, and what cannot be undone."""

from dataclasses import replace

import pytest

from device_sdk.identity import Identity
from device_sdk.trust import ForkError, Pin, RollbackError, check_successor, verify_head
from device_sdk.wire import cbor, cose
from device_sdk.wire.errors import MalformedError, SignatureError
from device_sdk.wire.roster_head import RootSuccession, RosterHead
from device_sdk.wire.roster_page import (
    ROLE_DEVICE,
    ChannelEntry,
    DeviceEntry,
    RosterPage,
    decode_bundle,
    encode_bundle,
    page_index,
)

NOW = 1_800_000_000
OLD, NEW, NEWEST = (Identity.generate() for _ in range(3))
PIN = Pin.from_spki(OLD.spki)


def succession(old: Identity, new: Identity) -> bytes:
    claims = RootSuccession(fleet_id=PIN.fleet_id, next_root_spki=new.spki, time=NOW)
    return cose.sign(claims, old, PIN.aad)


TO_NEW, TO_NEWEST = succession(OLD, NEW), succession(NEW, NEWEST)


def signed_head(
    signer: Identity, version: int, *successions: bytes, expires: int = NOW + 100
) -> bytes:
    head = RosterHead(
        fleet_id=PIN.fleet_id,
        version=version,
        issued=NOW,
        expires=expires,
        page_hashes=(b"p" * 32,),
        successions=successions,
    )
    return cose.sign(head, signer, PIN.aad)


def test_a_device_that_slept_through_two_rotations_finds_its_way() -> None:
    head = verify_head(PIN, signed_head(NEWEST, 3, TO_NEW, TO_NEWEST))
    assert head.root.kid == NEWEST.kid
    with pytest.raises(SignatureError):
        verify_head(PIN, signed_head(NEWEST, 3, TO_NEWEST, TO_NEW))
    with pytest.raises(SignatureError):
        verify_head(PIN, signed_head(NEWEST, 3, TO_NEWEST))


def test_a_root_that_was_replaced_signs_no_newer_roster() -> None:
    rotated = verify_head(PIN, signed_head(NEW, 2, TO_NEW))
    by_the_old_root = verify_head(PIN, signed_head(OLD, 3))
    to_a_thief = verify_head(PIN, signed_head(NEWEST, 3, succession(OLD, NEWEST)))
    for stolen in (by_the_old_root, to_a_thief):
        with pytest.raises(RollbackError, match="replaced"):
            check_successor(rotated, stolen)
    assert check_successor(rotated, verify_head(PIN, signed_head(NEW, 3, TO_NEW)))
    assert check_successor(rotated, verify_head(PIN, signed_head(NEWEST, 3, TO_NEW, TO_NEWEST)))


def test_the_same_roster_signed_again_is_no_fork() -> None:
    data = signed_head(OLD, 2)
    again = cbor.decode(data[1:], "test", limit=9999)
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    r, s = again[3][:32], int.from_bytes(again[3][32:])
    again[3] = r + (order - s).to_bytes(32)  # the other signature that everybody can calculate
    malleated = verify_head(PIN, data[:1] + cbor.encode(again))
    assert malleated.data != data
    assert not check_successor(verify_head(PIN, data), malleated)
    with pytest.raises(ForkError):
        check_successor(malleated, verify_head(PIN, signed_head(OLD, 2, expires=NOW + 101)))


ENTRY = DeviceEntry(identities=(OLD.spki,), roles=(ROLE_DEVICE,), not_after=NOW)
CHANNEL = ChannelEntry(readers=("a", "b"), senders=(), lifetime=60)


def test_a_page_has_one_encoding_whatever_order_it_was_filled_in() -> None:
    names = ["b", "aa", "a", "a-very-long-name-of-a-device"]
    one = RosterPage(devices=dict.fromkeys(names, ENTRY), channels={"kitchen": CHANNEL})
    other = RosterPage(devices=dict.fromkeys(names[::-1], ENTRY), channels={"kitchen": CHANNEL})
    assert one.encode() == other.encode()
    assert RosterPage.decode(one.encode()) == one


@pytest.mark.parametrize(
    "page",
    [
        RosterPage(devices={"UPPER": ENTRY}, channels={}),
        RosterPage(devices={}, channels={"direct": CHANNEL}),
        RosterPage(devices={"a": replace(ENTRY, identities=())}, channels={}),
        RosterPage(devices={"a": replace(ENTRY, identities=(OLD.spki,) * 9)}, channels={}),
        RosterPage(devices={"a": replace(ENTRY, identities=(b"no key",))}, channels={}),
        RosterPage(devices={"a": replace(ENTRY, roles=("gateway", "device"))}, channels={}),
        RosterPage(devices={"a": replace(ENTRY, roles=("owner",))}, channels={}),
        RosterPage(devices={"a": replace(ENTRY, roles=())}, channels={}),
        RosterPage(devices={}, channels={"c": replace(CHANNEL, readers=("b", "a"))}),
        RosterPage(devices={}, channels={"c": replace(CHANNEL, senders=("a", "a"))}),
        RosterPage(devices={}, channels={"c": replace(CHANNEL, lifetime=31 * 86400)}),
    ],
)
def test_a_page_that_breaks_a_rule_is_refused(page: RosterPage) -> None:
    with pytest.raises(MalformedError):
        RosterPage.decode(page.encode())


def test_a_revocation_names_the_version_that_made_it() -> None:
    revoked = RosterPage(devices={"a": replace(ENTRY, revoked_at=7)}, channels={})
    assert RosterPage.decode(revoked.encode()).devices["a"].revoked_at == 7
    entry = {1: [OLD.spki], 2: ["device"], 3: NOW, 4: 0}
    with pytest.raises(MalformedError, match="a version"):
        RosterPage.decode(cbor.encode({1: {"a": entry}, 2: {}}))


def test_names_spread_over_the_pages_by_their_hash() -> None:
    assert page_index("hub", 1) == 0
    assert {page_index(f"device-{number}", 7) for number in range(200)} == set(range(7))


def test_a_bundle_keeps_head_and_pages_together() -> None:
    assert decode_bundle(encode_bundle(b"head", [b"one", b"two"])) == (b"head", [b"one", b"two"])
    with pytest.raises(MalformedError):
        decode_bundle(encode_bundle(b"head", []))
