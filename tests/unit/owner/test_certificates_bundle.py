"""What a bundle has for brokers: authorities, certificates, the revocation list, access rules."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from device_sdk.identity import Identity
from device_sdk.wire.certificates import from_pem, verify_certificates
from device_sdk.wire.limits import DAY
from device_sdk.wire.owner_grant import OwnerRequest
from device_sdk.wire.roster_page import DeviceEntry
from gateway.owner.certificates_bundle import BrokerFiles
from gateway.owner.errors import FleetError
from gateway.owner.fleet import Fleet
from gateway.owner.signing import Members, open_roster, sign_roster

from .conftest import NOW, MakeRequest


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet.create(tmp_path / "fleet", name="home", passphrase=None, now=NOW)


@pytest.fixture
def files(fleet: Fleet) -> BrokerFiles:
    return fleet.broker_files


def certificate(files: BrokerFiles, name: str) -> x509.Certificate:
    data = (files.public / "certs" / name).read_bytes()
    return x509.load_pem_x509_certificates(data)[0]


def revoked(files: BrokerFiles) -> set[int]:
    crl = x509.load_pem_x509_crl((files.public / "crl.pem").read_bytes())
    return {one.serial_number for one in crl}


def revoke(fleet: Fleet, name: str, now: int) -> None:
    """Sign a roster that revokes a member, and write what follows from it."""
    before = fleet.roster()
    old = before.devices[name]
    entry = DeviceEntry(
        identities=old.identities,
        roles=old.roles,
        not_after=old.not_after,
        revoked_at=before.version + 1,
    )
    sign(fleet, {**before.devices, name: entry}, now)


def grant(fleet: Fleet, second: Identity) -> None:
    """Let another owner's key sign for the fleet, too."""
    fleet.add_owner(OwnerRequest(name="ann", owner_spki=second.spki, time=NOW), now=NOW)


def sign(fleet: Fleet, devices: dict[str, DeviceEntry], now: int, validity: int = 365) -> None:
    data = sign_roster(
        Members(devices=devices, channels={}),
        root=fleet.root,
        pin=fleet.pin,
        previous=fleet.roster().version,
        now=now,
        validity=validity * DAY,
    )
    (fleet.directory / "private/roster").write_bytes(data)
    fleet.broker_files.write(open_roster(data, fleet.pin), fleet.root, now=now)


def test_a_member_gets_a_certificate_that_outlives_the_roster_by_thirty_days(
    fleet: Fleet, files: BrokerFiles, device_request: MakeRequest
) -> None:
    identity = Identity.generate()
    fleet.admit(device_request("hub", identity), now=NOW)
    chain = from_pem((files.public / "certs/hub").read_bytes())
    member = verify_certificates(
        chain, name="hub", identities=[identity.spki], owners=[fleet.root.spki]
    )
    assert member.not_after == NOW + 395 * DAY
    assert chain[1:] == from_pem((files.public / "ca.pem").read_bytes())


def test_the_authority_stays_the_same(
    fleet: Fleet, files: BrokerFiles, device_request: MakeRequest
) -> None:
    before = (files.public / "ca.pem").read_bytes()
    fleet.admit(device_request("hub"), now=NOW + DAY)
    assert (files.public / "ca.pem").read_bytes() == before


def test_a_certificate_is_kept_until_it_would_end_too_early(
    fleet: Fleet, files: BrokerFiles, device_request: MakeRequest
) -> None:
    fleet.admit(device_request("hub"), now=NOW)
    first = certificate(files, "hub")
    fleet.admit(device_request("lamp"), now=NOW + 7 * DAY)
    assert certificate(files, "hub") == first
    fleet.admit(device_request("phone"), now=NOW + 8 * DAY)
    assert certificate(files, "hub").not_valid_after_utc > first.not_valid_after_utc


def test_a_damaged_certificate_is_issued_again(
    fleet: Fleet, files: BrokerFiles, device_request: MakeRequest
) -> None:
    fleet.admit(device_request("hub"), now=NOW)
    whole = (files.public / "certs/hub").read_bytes()
    for number, rest in enumerate((b"", whole[:300], whole[:-5])):
        (files.public / "certs/hub").write_bytes(rest)
        fleet.admit(device_request(f"lamp-{number}"), now=NOW)
        from_pem((files.public / "certs/hub").read_bytes())
        assert len((files.public / "certs/hub").read_bytes()) > 1000


def test_a_new_identity_gets_a_certificate_of_its_own(fleet: Fleet, files: BrokerFiles) -> None:
    first, second = Identity.generate(), Identity.generate()
    until = NOW + 3650 * DAY
    entry = DeviceEntry(identities=(first.spki,), roles=("device",), not_after=until)
    sign(fleet, {"hub": entry}, NOW)
    both = DeviceEntry(identities=(first.spki, second.spki), roles=("device",), not_after=until)
    sign(fleet, {"hub": both}, NOW + 1)
    assert certificate(files, "hub").public_key() == second.key.public_key()


def test_membership_that_ends_earlier_ends_the_certificate(
    fleet: Fleet, files: BrokerFiles
) -> None:
    entry = DeviceEntry(
        identities=(Identity.generate().spki,), roles=("device",), not_after=NOW + 5 * DAY
    )
    sign(fleet, {"hub": entry}, NOW)
    assert certificate(files, "hub").not_valid_after_utc.timestamp() == NOW + 5 * DAY


def test_every_unexpired_certificate_of_a_revoked_member_is_revoked(
    fleet: Fleet, files: BrokerFiles, device_request: MakeRequest
) -> None:
    fleet.admit(device_request("hub"), now=NOW)
    fleet.admit(device_request("lamp"), now=NOW)
    serials = {certificate(files, "hub").serial_number}
    fleet.admit(device_request("phone"), now=NOW + 20 * DAY)
    serials.add(certificate(files, "hub").serial_number)
    assert len(serials) == 2
    assert revoked(files) == set()
    revoke(fleet, "hub", NOW + 21 * DAY)
    assert revoked(files) == serials
    # The first one expires, and need not be listed any more.
    revoke(fleet, "lamp", NOW + 400 * DAY)
    assert revoked(files) >= {certificate(files, "hub").serial_number}
    assert len(revoked(files) & serials) == 1


def test_the_revocation_list_lasts_as_long_as_the_certificates(
    fleet: Fleet, files: BrokerFiles
) -> None:
    crl = x509.load_pem_x509_crl((files.public / "crl.pem").read_bytes())
    assert crl.next_update_utc is not None
    assert crl.next_update_utc.timestamp() == NOW + 395 * DAY


def test_access_rules_name_gateways_and_shut_out_the_revoked(
    fleet: Fleet,
    files: BrokerFiles,
    device_request: MakeRequest,
    gateway_request: MakeRequest,
) -> None:
    fleet.admit(gateway_request("gw-2"), role="gateway", now=NOW)
    fleet.admit(device_request("hub"), now=NOW)
    rules = (files.public / "acl").read_text()
    assert "user gw-2\ntopic write sealgate/1/#\ntopic read sealgate/1/#\n" in rules
    assert "user hub" not in rules
    revoke(fleet, "hub", NOW)
    revoke(fleet, "gw-2", NOW)
    rules = (files.public / "acl").read_text()
    assert "user hub\ntopic deny #\n" in rules
    assert "user gw-2\ntopic deny #\n" in rules
    assert "user gw-2\ntopic write" not in rules


def test_another_owners_revocation_list_is_kept_beside_the_own(
    fleet: Fleet, files: BrokerFiles
) -> None:
    own = (files.public / "crl.pem").read_bytes()
    ca = (files.public / "ca.pem").read_bytes()
    other = Fleet.create(fleet.directory / "other", name="x", passphrase=None, now=NOW)
    theirs = (other.directory / "public/crl.pem").read_bytes()
    their_ca = (other.directory / "public/ca.pem").read_bytes()
    (files.public / "crl.pem").write_bytes(own + theirs)
    files.write(fleet.roster(), fleet.root, now=NOW)
    assert theirs not in (files.public / "crl.pem").read_bytes()  # of nobody that ca.pem names
    (files.public / "ca.pem").write_bytes(ca + their_ca)
    (files.public / "crl.pem").write_bytes(own + theirs)
    files.write(fleet.roster(), fleet.root, now=NOW)
    assert (files.public / "crl.pem").read_bytes().endswith(theirs)
    assert (files.public / "crl.pem").read_bytes().count(b"BEGIN X509 CRL") == 2


def test_a_granted_owner_issues_certificates_and_a_list_of_its_own(
    fleet: Fleet, files: BrokerFiles, device_request: MakeRequest, tmp_path: Path
) -> None:
    fleet.admit(device_request("hub"), now=NOW)
    by_root = certificate(files, "hub")
    second = Identity.generate()
    grant(fleet, second)
    files.write(fleet.roster(), fleet.root, now=NOW)  # which changes nothing
    assert len(from_pem((files.public / "ca.pem").read_bytes())) == 2
    (tmp_path / "second").mkdir()
    theirs = BrokerFiles(public=files.public, private=tmp_path / "second")
    theirs.write(fleet.roster(), second, now=NOW + DAY)
    assert certificate(files, "hub") == by_root  # which is good for long enough
    (files.public / "certs/hub").unlink()
    theirs.write(fleet.roster(), second, now=NOW + DAY)
    chain = from_pem((files.public / "certs/hub").read_bytes())
    assert len(chain) == 3
    identities = fleet.roster().devices["hub"].identities
    verify_certificates(chain, name="hub", identities=identities, owners=[fleet.root.spki])
    # A broker that has a list of one authority alone believes none of the other's certificates.
    assert (files.public / "crl.pem").read_bytes().count(b"BEGIN X509 CRL") == 2


def test_a_granted_owner_that_becomes_the_root_is_an_authority_of_its_own(
    fleet: Fleet, files: BrokerFiles
) -> None:
    second = Identity.generate()
    grant(fleet, second)
    made = files.authority(second, second.spki, now=NOW)
    assert [one.subject == one.issuer for one in made.chain] == [True]
    assert files.authority(second, second.spki, now=NOW).chain == made.chain


def test_whoever_is_no_owner_of_the_fleet_is_no_authority(fleet: Fleet, files: BrokerFiles) -> None:
    with pytest.raises(FleetError, match="does not name this owner"):
        files.write(fleet.roster(), Identity.generate(), now=NOW)


def test_what_was_issued_is_private_and_damage_is_named(fleet: Fleet, files: BrokerFiles) -> None:
    sign(fleet, {"hub": entry_of(Identity.generate())}, NOW)
    issued = files.private / "issued"
    assert stat.S_IMODE(issued.stat().st_mode) == 0o600
    issued.write_text("rubbish\n")
    with pytest.raises(FleetError, match="issued is damaged"):
        files.write(fleet.roster(), fleet.root, now=NOW)


def entry_of(identity: Identity) -> DeviceEntry:
    return DeviceEntry(identities=(identity.spki,), roles=("device",), not_after=NOW + 900 * DAY)


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_everybody_may_read_what_is_given_away(fleet: Fleet, device_request: MakeRequest) -> None:
    fleet.admit(device_request("hub"), now=NOW)
    for name in ("ca.pem", "crl.pem", "acl", "certs/hub"):
        assert stat.S_IMODE((fleet.directory / "public" / name).stat().st_mode) == 0o644
