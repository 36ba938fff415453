"""What a bundle has for brokers: authorities, certificates, the revocation list, access rules."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from device_sdk.identity import Identity
from device_sdk.wire.certificates import from_pem, public_key, verify_certificates
from device_sdk.wire.limits import CLOCK_SKEW, DAY
from device_sdk.wire.owner_grant import OwnerRequest
from device_sdk.wire.roster_page import DeviceEntry
from gateway.owner import changes
from gateway.owner.certificates import (
    Authority,
    granted_authority,
    pem,
    revocation_list,
    root_authority,
)
from gateway.owner.certificates_bundle import BrokerFiles
from gateway.owner.errors import FleetError
from gateway.owner.fleet import Fleet
from gateway.owner.register import Register
from gateway.owner.second import make_owner, open_fleet, pull
from gateway.owner.signing import Members, open_roster, sign_roster
from tests.support.certificates import as_pem
from tests.support.certificates import unreadable as unreadable_certificates

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


def ca(files: BrokerFiles) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates((files.public / "ca.pem").read_bytes())


def keys(files: BrokerFiles) -> list[bytes]:
    """Return whose keys are authorities, in order."""
    return [public_key(one) for one in ca(files)]


def add(path: Path, more: bytes) -> None:
    path.write_bytes(path.read_bytes() + more)


def second_owner(fleet: Fleet, directory: Path) -> Fleet:
    """Return another owner's directory, whom the root has granted the fleet."""
    fleet.add_owner(make_owner(directory, directory.name, None, now=NOW), now=NOW)
    open_fleet(directory, fleet.directory, now=NOW)
    return Fleet.open(directory, None)


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
    unreadable = [as_pem(der) for der in unreadable_certificates().values()]
    for number, rest in enumerate((b"", whole[:300], whole[:-5], *unreadable)):
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


def test_a_list_of_nobody_whom_the_roster_names_is_dropped(
    fleet: Fleet, files: BrokerFiles
) -> None:
    own = (files.public / "crl.pem").read_bytes()
    other = Fleet.create(fleet.directory / "other", name="x", passphrase=None, now=NOW)
    theirs, their_ca = (
        (other.directory / "public" / name).read_bytes() for name in ("crl.pem", "ca.pem")
    )
    (files.public / "crl.pem").write_bytes(own + theirs)
    (files.public / "ca.pem").write_bytes((files.public / "ca.pem").read_bytes() + their_ca)
    files.write(fleet.roster(), fleet.root, now=NOW)
    assert (files.public / "crl.pem").read_bytes().count(b"BEGIN X509 CRL") == 1
    assert theirs not in (files.public / "crl.pem").read_bytes()


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
    fleet: Fleet, tmp_path: Path
) -> None:
    ann = second_owner(fleet, tmp_path / "ann")
    ann.rotate(None, now=NOW)
    ann = Fleet.open(ann.directory, None)
    head = ann.roster().head
    made = ann.broker_files.authority(ann.root, head, now=NOW)
    assert [one.subject == one.issuer for one in made.chain] == [True]
    assert ann.broker_files.authority(ann.root, head, now=NOW).chain == made.chain


def test_whom_the_owners_have_not_signed_no_broker_is_told_to_believe(
    fleet: Fleet, files: BrokerFiles
) -> None:
    thief = Identity.generate()
    foreign = root_authority(thief, now=NOW)
    # By the root's name, and by an authority that has the name of the root's but not its key.
    named = granted_authority(
        thief.spki, Authority(key=foreign.key, chain=(ca(files)[0],)), now=NOW
    )
    add(files.public / "ca.pem", pem([*foreign.chain, named]))
    files.write(fleet.roster(), fleet.root, now=NOW)
    assert keys(files) == [fleet.root.spki]


def test_a_members_own_key_is_no_authority_even_if_the_root_has_signed_for_it(
    fleet: Fleet, files: BrokerFiles
) -> None:
    hub = Identity.generate()
    sign(fleet, {"hub": entry_of(hub)}, NOW)
    add(files.public / "ca.pem", (files.public / "certs/hub").read_bytes())
    files.write(fleet.roster(), fleet.root, now=NOW)
    assert keys(files) == [fleet.root.spki]


def test_nothing_foreign_comes_with_another_owners_bundle(fleet: Fleet, tmp_path: Path) -> None:
    ann = second_owner(fleet, tmp_path / "ann")
    carried = Path(shutil.copytree(fleet.directory / "public", tmp_path / "carried"))
    thief = root_authority(Identity.generate(), now=NOW)
    add(carried / "ca.pem", pem(thief.chain))
    crl = revocation_list(thief, {}, number=1, now=NOW, not_after=NOW + DAY)
    add(carried / "crl.pem", crl.public_bytes(Encoding.PEM))
    (carried / "acl").write_text("topic readwrite #\n")
    pull(ann.directory, carried, now=NOW)
    assert keys(ann.broker_files) == [fleet.root.spki, ann.root.spki]
    lists = (ann.directory / "public/crl.pem").read_bytes()
    assert lists == (fleet.directory / "public/crl.pem").read_bytes()
    rules = (ann.directory / "public/acl").read_bytes()
    assert rules == (fleet.directory / "public/acl").read_bytes()


def test_a_granted_owner_is_an_authority_by_the_roots_signature_alone(
    fleet: Fleet, tmp_path: Path
) -> None:
    ann = second_owner(fleet, tmp_path / "ann")
    before = ca(ann.broker_files)
    add(ann.directory / "public/ca.pem", pem(root_authority(ann.root, now=NOW).chain))
    ann.change(changes.renew, now=NOW)
    assert ca(ann.broker_files) == before


def test_a_revocation_list_in_an_owners_name_needs_its_signature(
    fleet: Fleet, tmp_path: Path
) -> None:
    ann = second_owner(fleet, tmp_path / "ann")
    right = (fleet.directory / "public/crl.pem").read_bytes()
    key = root_authority(Identity.generate(), now=NOW).key
    thief = Authority(key=key, chain=(ca(fleet.broker_files)[0],))
    forged = revocation_list(thief, {}, number=2**40, now=NOW, not_after=NOW + DAY)
    carried = Path(shutil.copytree(fleet.directory / "public", tmp_path / "carried"))
    (carried / "crl.pem").write_bytes(forged.public_bytes(Encoding.PEM) + right)
    pull(ann.directory, carried, now=NOW)
    assert (ann.directory / "public/crl.pem").read_bytes() == right


def test_what_is_left_out_of_another_owners_bundle_stays_as_it_was(
    fleet: Fleet, tmp_path: Path
) -> None:
    ann = second_owner(fleet, tmp_path / "ann")
    carried = Path(shutil.copytree(fleet.directory / "public", tmp_path / "carried"))
    for name in ("ca.pem", "crl.pem"):
        (carried / name).unlink()
    before = keys(ann.broker_files), (ann.directory / "public/crl.pem").read_bytes()
    pull(ann.directory, carried, now=NOW)
    assert (keys(ann.broker_files), (ann.directory / "public/crl.pem").read_bytes()) == before


def test_an_older_revocation_list_does_not_come_back_with_a_bundle(
    fleet: Fleet, device_request: MakeRequest, tmp_path: Path
) -> None:
    fleet.admit(device_request("hub"), now=NOW)
    ann = second_owner(fleet, tmp_path / "ann")
    older = (fleet.directory / "public/crl.pem").read_bytes()
    revoke(fleet, "hub", NOW + 1)
    (fleet.directory / "public/roster").write_bytes(
        (fleet.directory / "private/roster").read_bytes()
    )
    serial = certificate(fleet.broker_files, "hub").serial_number
    pull(ann.directory, fleet.directory, now=NOW + 2)
    carried = Path(shutil.copytree(fleet.directory / "public", tmp_path / "carried"))
    (carried / "crl.pem").write_bytes(older)
    pull(ann.directory, carried, now=NOW + 2)
    assert serial in revoked(ann.broker_files)


def test_a_damaged_list_takes_none_of_the_others_with_it(fleet: Fleet, tmp_path: Path) -> None:
    ann = second_owner(fleet, tmp_path / "ann")
    ann.change(changes.renew, now=NOW + 1)
    path = ann.directory / "public/crl.pem"
    assert path.read_bytes().count(b"BEGIN X509 CRL") == 2
    rubbish = b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"
    path.write_bytes(rubbish + path.read_bytes())
    ann.change(changes.renew, now=NOW + 2)
    assert path.read_bytes().count(b"BEGIN X509 CRL") == 2


def test_a_rotation_ends_granted_owners_as_authorities_at_once(
    fleet: Fleet, tmp_path: Path
) -> None:
    ann, old = second_owner(fleet, tmp_path / "ann"), fleet.root
    assert keys(fleet.broker_files) == [old.spki, ann.root.spki]
    fleet.rotate(None, now=NOW)
    fleet = Fleet.open(fleet.directory, None)
    assert keys(fleet.broker_files) == [fleet.root.spki, old.spki]
    assert (fleet.directory / "public/crl.pem").read_bytes().count(b"BEGIN X509 CRL") == 2


def test_a_root_before_is_believed_for_thirty_days_more(fleet: Fleet) -> None:
    old = fleet.root
    fleet.rotate(None, now=NOW)
    fleet = Fleet.open(fleet.directory, None)
    made = NOW - CLOCK_SKEW
    fleet.change(changes.renew, now=made + 30 * DAY - 1)
    assert keys(fleet.broker_files) == [fleet.root.spki, old.spki]
    fleet.change(changes.renew, now=made + 30 * DAY)
    assert keys(fleet.broker_files) == [fleet.root.spki]


def test_a_stolen_root_is_believed_no_longer_and_does_not_come_back(
    fleet: Fleet, tmp_path: Path
) -> None:
    stolen = ca(fleet.broker_files)
    fleet.rotate(None, now=NOW, stolen=True)
    fleet = Fleet.open(fleet.directory, None)
    assert keys(fleet.broker_files) == [fleet.root.spki]
    carried = Path(shutil.copytree(fleet.directory / "public", tmp_path / "carried"))
    add(carried / "ca.pem", pem(stolen))
    pull(fleet.directory, carried, now=NOW)
    assert keys(fleet.broker_files) == [fleet.root.spki]
    # A later rotation for no such reason is one like any other.
    second = fleet.root
    fleet.rotate(None, now=NOW)
    fleet = Fleet.open(fleet.directory, None)
    assert keys(fleet.broker_files) == [fleet.root.spki, second.spki]


@pytest.mark.parametrize(
    ("where", "step"),
    [(Register, "write_roster"), (Register, "finish_rotation"), (Fleet, "_publish")],
)
def test_a_stolen_root_is_forgotten_also_if_the_rotation_was_cut_short(
    fleet: Fleet, where: type, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cut(BaseException):
        """The power fails."""

    def cut(*_: object, **__: object) -> None:
        raise Cut

    stolen = fleet.root
    with monkeypatch.context() as patch:
        patch.setattr(where, step, cut)
        with pytest.raises(Cut):
            fleet.rotate(None, now=NOW, stolen=True)
    fleet = Fleet.open(fleet.directory, None)
    fleet.change(changes.renew, now=NOW + 1)
    assert keys(fleet.broker_files) == [fleet.root.spki]
    assert (fleet.root.spki == stolen.spki) is (step == "write_roster")


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
