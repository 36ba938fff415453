"""A device's certificate: taken when the owner issued a later one, and never from anybody else."""

import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from device_sdk.enrolment.certificate import OwnCertificate
from device_sdk.errors import StateFileError
from device_sdk.identity import Identity
from device_sdk.trust import VerifiedHead
from device_sdk.wire.certificates import encode_certificates, from_pem, key_of, to_pem
from device_sdk.wire.errors import MalformedError, SignatureError
from device_sdk.wire.limits import CLOCK_SKEW, DAY
from tests.support.certificates import authority_of, chain_for, other_chain, to_der
from tests.support.fleet import NOW, Fleet


@pytest.fixture
def fleet() -> Fleet:
    fleet = Fleet([])
    fleet.admit("gw-1", "gateway")
    return fleet


@pytest.fixture
def identity() -> Identity:
    return Identity.generate()


@pytest.fixture
def own(identity: Identity, tmp_path: Path) -> OwnCertificate:
    return OwnCertificate(tmp_path, name="hub", identity=identity.spki)


def issued(fleet: Fleet, identity: Identity, now: int = NOW, name: str = "hub") -> Sequence[bytes]:
    return chain_for(authority_of(fleet.root, now=NOW), name, identity.spki, now=now)


def test_a_certificate_of_the_owner_is_stored_for_nobody_elses_eyes(
    fleet: Fleet, own: OwnCertificate, identity: Identity
) -> None:
    chain = issued(fleet, identity)
    assert own.take(encode_certificates(chain), fleet.roster(), now=NOW)
    assert from_pem(own.path.read_bytes()) == list(chain)
    assert stat.S_IMODE(own.path.stat().st_mode) == 0o600


def test_a_later_one_takes_its_place_and_an_earlier_one_does_not(
    fleet: Fleet, own: OwnCertificate, identity: Identity
) -> None:
    old, new = (encode_certificates(issued(fleet, identity, now)) for now in (NOW, NOW + 60))
    assert own.take(old, fleet.roster(), now=NOW)
    assert own.take(new, fleet.roster(), now=NOW)
    stored = own.path.read_bytes()
    assert not own.take(old, fleet.roster(), now=NOW)
    assert not own.take(new, fleet.roster(), now=NOW)
    assert own.path.read_bytes() == stored


def test_a_damaged_one_is_replaced(fleet: Fleet, own: OwnCertificate, identity: Identity) -> None:
    own.path.write_bytes(b"rubbish")
    assert own.take(encode_certificates(issued(fleet, identity)), fleet.roster(), now=NOW)


def test_what_is_not_the_owners_word_about_this_device_changes_nothing(
    fleet: Fleet, own: OwnCertificate, identity: Identity
) -> None:
    for chain in (
        issued(fleet, identity, name="lamp"),
        issued(fleet, Identity.generate()),
        other_chain("hub", identity.spki, now=NOW),
    ):
        with pytest.raises(SignatureError):
            own.take(encode_certificates(chain), fleet.roster(), now=NOW)
    with pytest.raises(MalformedError):
        own.take(b"rubbish", fleet.roster(), now=NOW)
    assert not own.path.exists()


def test_a_disk_that_takes_nothing_is_said(
    fleet: Fleet, identity: Identity, tmp_path: Path
) -> None:
    own = OwnCertificate(tmp_path / "gone", name="hub", identity=identity.spki)
    with pytest.raises(StateFileError, match="cannot store"):
        own.take(encode_certificates(issued(fleet, identity)), fleet.roster(), now=NOW)


def test_the_owners_authority_is_believed_only_where_the_device_was_enrolled_with_one(
    fleet: Fleet, own: OwnCertificate, identity: Identity, tmp_path: Path
) -> None:
    chain = issued(fleet, identity)
    own.take(encode_certificates(chain), fleet.roster(), now=NOW)
    assert not (tmp_path / "ca.pem").exists()  # its broker may have another
    own.believe(chain, fleet.root.spki, now=NOW)
    assert from_pem((tmp_path / "ca.pem").read_bytes()) == list(chain[1:])


def test_nobody_elses_authority_is_believed(
    fleet: Fleet, own: OwnCertificate, identity: Identity, tmp_path: Path
) -> None:
    with pytest.raises(MalformedError, match="authority"):
        own.believe(other_chain("hub", identity.spki, now=NOW), fleet.root.spki, now=NOW)
    assert not (tmp_path / "ca.pem").exists()


@pytest.fixture
def ca(fleet: Fleet, own: OwnCertificate, identity: Identity, tmp_path: Path) -> Path:
    """The device was enrolled with its owner's first root."""
    own.believe(issued(fleet, identity), fleet.root.spki, now=NOW)
    return tmp_path / "ca.pem"


def rotated(fleet: Fleet, root: Identity) -> VerifiedHead:
    """Return a head by which this root has taken the first one's place."""
    return replace(fleet.roster().head, root=root.public, former=(fleet.root.spki,))


def believed(ca: Path) -> list[bytes]:
    """Return whose keys are believed."""
    return [key_of(one) for one in from_pem(ca.read_bytes())]


def test_after_a_rotation_both_authorities_are_believed_for_thirty_days(
    fleet: Fleet, own: OwnCertificate, identity: Identity, ca: Path
) -> None:
    root = Identity.generate()
    head = rotated(fleet, root)
    own.forget_former(head, now=NOW + 400 * DAY)  # the new one's has not come yet
    assert believed(ca) == [fleet.root.spki]
    later = chain_for(authority_of(root, now=NOW), "hub", identity.spki, now=NOW + 60)
    assert own.take_chain(later, head, now=NOW)
    assert believed(ca) == [root.spki, fleet.root.spki]
    own.forget_former(head, now=NOW - CLOCK_SKEW + 30 * DAY - 1)
    assert believed(ca) == [root.spki, fleet.root.spki]
    own.forget_former(head, now=NOW - CLOCK_SKEW + 30 * DAY)
    assert believed(ca) == [root.spki]


def test_a_root_whose_date_says_so_is_believed_alone_at_once(
    fleet: Fleet, own: OwnCertificate, identity: Identity, ca: Path
) -> None:
    root = Identity.generate()
    backdated = authority_of(root, now=NOW - 30 * DAY)
    later = chain_for(backdated, "hub", identity.spki, now=NOW + 60)
    assert own.take_chain(later, rotated(fleet, root), now=NOW)
    assert believed(ca) == [root.spki]


def test_what_is_handed_over_takes_the_place_of_what_was_believed(
    fleet: Fleet, own: OwnCertificate, ca: Path
) -> None:
    root, thief = Identity.generate(), Identity.generate()
    head = rotated(fleet, root)
    first, present, foreign = (
        one for key in (fleet.root, root, thief) for one in to_der(authority_of(key, now=NOW).chain)
    )
    own.believe([present, first, foreign], root.spki, head.former, now=NOW)
    assert believed(ca) == [root.spki, fleet.root.spki]
    own.believe([present], root.spki, head.former, now=NOW)
    assert believed(ca) == [root.spki]


def test_authorities_of_no_root_of_the_fleet_are_forgotten_with_the_next_certificate(
    fleet: Fleet, own: OwnCertificate, identity: Identity, ca: Path
) -> None:
    thief = Identity.generate()
    ca.write_bytes(ca.read_bytes() + to_pem(to_der(authority_of(thief, now=NOW).chain)))
    assert own.take_chain(issued(fleet, identity), fleet.roster().head, now=NOW)
    assert believed(ca) == [fleet.root.spki]
