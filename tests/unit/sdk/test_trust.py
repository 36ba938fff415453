"""What a device believes: only what the pinned owner signed, never older than it has seen."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from device_sdk.identity import Identity
from device_sdk.trust import (
    ForkError,
    Pin,
    RollbackError,
    Roster,
    RosterExpiredError,
    TrustError,
    UnknownDeviceError,
    check_successor,
    complete_roster,
    newest_key,
    verify_excuse,
    verify_head,
    verify_key_statement,
)
from device_sdk.wire import cose
from device_sdk.wire.errors import SignatureError, WireError
from device_sdk.wire.excuse import Excuse
from device_sdk.wire.key_statement import KeyStatement
from device_sdk.wire.limits import CLOCK_SKEW, DAY
from device_sdk.wire.roster_head import RootSuccession, RosterHead
from device_sdk.wire.roster_page import ROLE_GATEWAY, RosterPage, page_hash, page_index
from tests.support.fleet import NOW, Fleet


@pytest.fixture
def fleet(rsa_keys: list[rsa.RSAPrivateKey]) -> Fleet:
    fleet = Fleet(rsa_keys)
    fleet.admit("hub")
    fleet.admit("gw-1", ROLE_GATEWAY)
    return fleet


def test_a_roster_signed_by_another_root_is_refused(fleet: Fleet) -> None:
    head, _ = fleet.signed_roster()
    with pytest.raises(SignatureError):
        verify_head(Pin.from_spki(Identity.generate().spki), head)


def test_an_older_roster_is_a_rollback_and_the_same_one_changes_nothing(fleet: Fleet) -> None:
    old, new = (verify_head(fleet.pin, fleet.signed_roster()[0]) for _ in range(2))
    assert check_successor(None, old)
    assert check_successor(old, new)
    assert not check_successor(new, new)
    with pytest.raises(RollbackError):
        check_successor(new, old)


def test_two_rosters_with_one_version_are_reported_as_a_fork(fleet: Fleet) -> None:
    one = verify_head(fleet.pin, fleet.signed_roster()[0])
    fleet.version -= 1
    fleet.admit("intruder")
    other = verify_head(fleet.pin, fleet.signed_roster()[0])
    with pytest.raises(ForkError):
        check_successor(one, other)


def test_a_page_that_the_owner_did_not_sign_is_refused(fleet: Fleet) -> None:
    signed, [page] = fleet.signed_roster()
    head = verify_head(fleet.pin, signed)
    fleet.admit("intruder")
    forged = RosterPage(devices=fleet.devices, channels={}).encode()
    for pages in ({}, {page_hash(page): forged}, {page_hash(forged): forged}):
        with pytest.raises(TrustError):
            complete_roster(head, pages)


def test_a_name_on_the_wrong_page_is_refused(fleet: Fleet) -> None:
    del fleet.devices["gw-1"]
    empty = RosterPage(devices={}, channels={}).encode()
    full = RosterPage(devices=fleet.devices, channels={}).encode()
    right = [empty, full] if page_index("hub", 2) == 1 else [full, empty]

    def complete(order: list[bytes]) -> Roster:
        head = RosterHead(
            fleet_id=fleet.pin.fleet_id,
            version=NOW,
            issued=NOW,
            expires=NOW + DAY,
            page_hashes=tuple(page_hash(page) for page in order),
        )
        verified = verify_head(fleet.pin, cose.sign(head, fleet.root, fleet.aad))
        return complete_roster(verified, {page_hash(page): page for page in order})

    assert complete(right).is_active("hub", NOW)
    with pytest.raises(TrustError, match="wrong page"):
        complete(right[::-1])


def test_an_expired_roster_says_so_from_the_very_second_on(fleet: Fleet) -> None:
    roster = fleet.roster(expires=NOW + 10)
    roster.check_current(NOW + 9)
    with pytest.raises(RosterExpiredError, match="owner must renew"):
        roster.check_current(NOW + 10)


def test_revoked_differs_from_never_admitted_and_both_are_inactive(fleet: Fleet) -> None:
    fleet.revoke("hub")
    roster = fleet.roster()
    assert roster.is_revoked("hub")
    assert not roster.is_revoked("nobody")
    assert not roster.is_active("hub", NOW)
    assert not roster.is_active("nobody", NOW)
    # Held mail of a revoked device still verifies.
    assert roster.identity("hub", fleet.identities["hub"].kid).spki == fleet.identities["hub"].spki


def test_a_device_is_active_in_its_role_and_until_its_last_second(fleet: Fleet) -> None:
    roster = fleet.roster()
    assert roster.is_active("hub", NOW)
    assert not roster.is_active("hub", NOW, ROLE_GATEWAY)
    assert not roster.is_active("hub", roster.devices["hub"].not_after)
    with pytest.raises(UnknownDeviceError):
        roster.identity("hub", fleet.identities["hub"].kid, ROLE_GATEWAY)
    with pytest.raises(UnknownDeviceError):
        roster.identity("hub", fleet.identities["gw-1"].kid)


def test_a_key_announced_by_another_device_is_refused(fleet: Fleet) -> None:
    fleet.admit("phone")
    roster = fleet.roster()
    assert verify_key_statement(fleet.key_statement("hub"), "hub", roster).device == "hub"
    with pytest.raises(SignatureError):
        verify_key_statement(fleet.key_statement("phone"), "hub", roster)
    claims = KeyStatement(
        device="hub",
        spki=fleet.reader_keys["phone"].public.spki,
        not_before=NOW,
        not_after=NOW + DAY,
        serial=NOW,
    )
    signed_by_phone = cose.sign(claims, fleet.identities["phone"], cose.FLEETLESS_AAD)
    with pytest.raises(UnknownDeviceError):
        verify_key_statement(signed_by_phone, "hub", roster)


def test_the_newest_key_that_outlives_the_message_is_taken(fleet: Fleet) -> None:
    base = verify_key_statement(fleet.key_statement("hub"), "hub", fleet.roster())
    short = replace(base, serial=3, not_after=NOW + 10)
    long = replace(base, serial=2, not_after=NOW + 20)
    future = replace(base, serial=4, not_before=NOW + CLOCK_SKEW + 1)
    assert newest_key([long, short, future], now=NOW, until=NOW + 10) == short
    assert newest_key([long, short], now=NOW, until=NOW + 11) == long
    assert newest_key([long, short], now=NOW, until=NOW + 21) is None
    assert newest_key([replace(future, not_before=NOW + CLOCK_SKEW)], now=NOW, until=NOW + 1)


def test_a_new_root_is_followed_only_along_the_old_ones_signature(fleet: Fleet) -> None:
    new_root, thief = Identity.generate(), Identity.generate()

    def head(*, signer: Identity, succession_by: Identity) -> bytes:
        succession = RootSuccession(
            fleet_id=fleet.pin.fleet_id, next_root_spki=new_root.spki, time=NOW
        )
        return cose.sign(
            RosterHead(
                fleet_id=fleet.pin.fleet_id,
                version=NOW,
                issued=NOW,
                expires=NOW + DAY,
                page_hashes=(b"p" * 32,),
                successions=(cose.sign(succession, succession_by, fleet.aad),),
            ),
            signer,
            fleet.aad,
        )

    assert verify_head(fleet.pin, head(signer=new_root, succession_by=fleet.root)).root.kid == (
        new_root.kid
    )
    for signer, by in ((new_root, thief), (thief, fleet.root), (fleet.root, fleet.root)):
        with pytest.raises(WireError):
            verify_head(fleet.pin, head(signer=signer, succession_by=by))


def test_only_the_owner_excuses(fleet: Fleet) -> None:
    excuse = Excuse(sender="hub", message_id=b"m" * 16, readers=("phone",), time=NOW)
    roster = fleet.roster()
    assert verify_excuse(cose.sign(excuse, fleet.root, fleet.aad), roster, fleet.aad) == excuse
    with pytest.raises(SignatureError):
        verify_excuse(cose.sign(excuse, fleet.identities["gw-1"], fleet.aad), roster, fleet.aad)
