"""A device's certificate: taken when the owner issued a later one, and never from anybody else."""

import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from device_sdk.certificate import OwnCertificate
from device_sdk.errors import StateFileError
from device_sdk.identity import Identity
from device_sdk.wire.certificates import encode_certificates, from_pem
from device_sdk.wire.errors import MalformedError, SignatureError
from tests.support.certificates import authority_of, chain_for, other_chain
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
    assert own.take(encode_certificates(chain), fleet.roster())
    assert from_pem(own.path.read_bytes()) == list(chain)
    assert stat.S_IMODE(own.path.stat().st_mode) == 0o600


def test_a_later_one_takes_its_place_and_an_earlier_one_does_not(
    fleet: Fleet, own: OwnCertificate, identity: Identity
) -> None:
    old, new = (encode_certificates(issued(fleet, identity, now)) for now in (NOW, NOW + 60))
    assert own.take(old, fleet.roster())
    assert own.take(new, fleet.roster())
    stored = own.path.read_bytes()
    assert not own.take(old, fleet.roster())
    assert not own.take(new, fleet.roster())
    assert own.path.read_bytes() == stored


def test_a_damaged_one_is_replaced(fleet: Fleet, own: OwnCertificate, identity: Identity) -> None:
    own.path.write_bytes(b"rubbish")
    assert own.take(encode_certificates(issued(fleet, identity)), fleet.roster())


def test_what_is_not_the_owners_word_about_this_device_changes_nothing(
    fleet: Fleet, own: OwnCertificate, identity: Identity
) -> None:
    for chain in (
        issued(fleet, identity, name="lamp"),
        issued(fleet, Identity.generate()),
        other_chain("hub", identity.spki, now=NOW),
    ):
        with pytest.raises(SignatureError):
            own.take(encode_certificates(chain), fleet.roster())
    with pytest.raises(MalformedError):
        own.take(b"rubbish", fleet.roster())
    assert not own.path.exists()


def test_a_disk_that_takes_nothing_is_said(
    fleet: Fleet, identity: Identity, tmp_path: Path
) -> None:
    own = OwnCertificate(tmp_path / "gone", name="hub", identity=identity.spki)
    with pytest.raises(StateFileError, match="cannot store"):
        own.take(encode_certificates(issued(fleet, identity)), fleet.roster())


def test_the_owners_authority_is_believed_only_where_the_device_was_enrolled_with_one(
    fleet: Fleet, own: OwnCertificate, identity: Identity, tmp_path: Path
) -> None:
    chain = issued(fleet, identity)
    own.take(encode_certificates(chain), fleet.roster())
    assert not (tmp_path / "ca.pem").exists()  # its broker may have another
    own.believe(chain, fleet.root.spki)
    assert from_pem((tmp_path / "ca.pem").read_bytes()) == list(chain[1:])


def test_nobody_elses_authority_is_believed(
    fleet: Fleet, own: OwnCertificate, identity: Identity, tmp_path: Path
) -> None:
    with pytest.raises(MalformedError, match="authority"):
        own.believe(other_chain("hub", identity.spki, now=NOW), fleet.root.spki)
    assert not (tmp_path / "ca.pem").exists()


def test_after_a_rotation_both_authorities_are_believed(
    fleet: Fleet, own: OwnCertificate, identity: Identity, tmp_path: Path
) -> None:
    own.believe(issued(fleet, identity), fleet.root.spki)
    next_root = Identity.generate()
    later = chain_for(authority_of(next_root, now=NOW), "hub", identity.spki, now=NOW + 60)
    assert own.take_chain(later, next_root.spki)
    assert len(from_pem((tmp_path / "ca.pem").read_bytes())) == 2
