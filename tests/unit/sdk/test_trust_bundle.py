"""``device trust`` with the owner's bundle: a device that can connect only with a certificate."""

import shutil
import time
from pathlib import Path

import pytest

from device_sdk.enrolment.enrol import create_device, trust_root
from device_sdk.errors import RootMismatchError, SettingsError
from device_sdk.identity import Identity
from device_sdk.keys.file_vault import IDENTITY_FILE
from device_sdk.wire.certificates import from_pem, key_of, to_pem
from gateway.owner.fleet import Fleet
from tests.support.certificates import other_chain


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An owner's fleet that has admitted the device ``hub``."""
    directory, now = tmp_path_factory.mktemp("made"), int(time.time())
    fleet = Fleet.create(directory / "fleet", name="home", passphrase=None, now=now)
    fleet.admit(create_device(directory / "hub", "hub", None, now=now).read_bytes(), now=now)
    return directory


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "home"))


def test_authority_and_certificate_come_from_the_bundle(home: Path) -> None:
    trust_root(home / "hub", home / "fleet/public", broker="mqtts://broker.example")
    assert (home / "hub/ca.pem").read_bytes() == (home / "fleet/public/ca.pem").read_bytes()
    own = (home / "hub/certificate.pem").read_bytes()
    assert own == (home / "fleet/public/certs/hub").read_bytes()


def test_before_it_is_admitted_a_device_only_learns_whom_to_believe(home: Path) -> None:
    (home / "fleet/public/certs/hub").unlink()
    trust_root(home / "hub", home / "fleet/public")
    assert (home / "hub/ca.pem").exists()
    assert not (home / "hub/certificate.pem").exists()


def test_a_certificate_that_is_not_the_owners_pins_nothing(home: Path) -> None:
    identity = Identity.load(home / "hub" / IDENTITY_FILE, None)
    forged = to_pem(other_chain("hub", identity.spki, now=int(time.time())))
    (home / "fleet/public/certs/hub").write_bytes(forged)
    with pytest.raises(SettingsError, match="no certificate for here"):
        trust_root(home / "hub", home / "fleet/public")
    assert not (home / "hub/root.pub").exists()


def test_an_authority_that_is_not_the_owners_is_not_believed(home: Path) -> None:
    foreign = to_pem(other_chain("hub", Identity.generate().spki, now=int(time.time()))[1:])
    (home / "fleet/public/ca.pem").write_bytes(foreign)
    with pytest.raises(SettingsError, match="no certificate for here"):
        trust_root(home / "hub", home / "fleet/public")
    assert not (home / "hub/ca.pem").exists()


@pytest.mark.parametrize("stolen", [False, True])
def test_after_a_rotation_the_bundle_says_which_roots_are_believed(
    home: Path, *, stolen: bool
) -> None:
    trust_root(home / "hub", home / "fleet/public")
    fleet = Fleet.open(home / "fleet", None)
    first, now = fleet.root.spki, int(time.time())
    fleet.rotate(None, now=now, stolen=stolen)
    trust_root(home / "hub", home / "fleet/public")
    root = Fleet.open(home / "fleet", None).root.spki
    believed = [key_of(one) for one in from_pem((home / "hub/ca.pem").read_bytes())]
    assert believed == ([root] if stolen else [root, first])


def test_another_owners_bundle_changes_nothing(home: Path) -> None:
    trust_root(home / "hub", home / "fleet/public")
    before = from_pem((home / "hub/ca.pem").read_bytes())
    Fleet.create(home / "other", name="other", passphrase=None, now=int(time.time()))
    with pytest.raises(RootMismatchError):
        trust_root(home / "hub", home / "other/public")
    assert from_pem((home / "hub/ca.pem").read_bytes()) == before


def test_a_bundle_without_a_roster_says_so(home: Path) -> None:
    (home / "fleet/public/roster").unlink()
    with pytest.raises(SettingsError, match="no roster of its owner"):
        trust_root(home / "hub", home / "fleet/public")
