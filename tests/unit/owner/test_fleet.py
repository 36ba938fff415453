"""An owner's fleet on disk."""

import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from device_sdk.identity import Identity
from device_sdk.key_file import PassphraseError
from device_sdk.trust import Roster, verify_key_statement
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.key_statement import decode_key_list
from device_sdk.wire.limits import DAY
from device_sdk.wire.roster_page import ChannelEntry, DeviceEntry
from gateway.owner import changes
from gateway.owner.bundle import PublicBundle
from gateway.owner.errors import FleetError, NotAdmittedError
from gateway.owner.fleet import Fleet
from gateway.owner.signing import Members

from .conftest import NOW, MakeRequest

AIR = ChannelEntry(readers=("hub",), senders=("thermo-1",), lifetime=DAY)


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet.create(tmp_path / "fleet", name="home", passphrase=None, now=NOW)


def public_roster(fleet: Fleet) -> Roster:
    """What somebody sees who has the bundle and nothing else."""
    return PublicBundle(fleet.directory / "public").roster()


def contents(directory: Path) -> dict[str, bytes]:
    files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def test_a_new_fleet_has_a_roster_of_nobody_that_verifies(fleet: Fleet) -> None:
    assert public_roster(fleet).devices == {}
    assert public_roster(fleet).expires == NOW + 365 * DAY


def test_only_the_owner_may_look_into_the_private_part(fleet: Fleet) -> None:
    private = fleet.directory / "private"
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in private.iterdir()} == {0o600}


def test_the_public_part_is_readable_and_holds_no_private_key(fleet: Fleet) -> None:
    files = contents(fleet.directory / "public")
    assert files.keys() == {"root.pub", "roster", "ca.pem", "crl.pem", "acl"}
    assert not any(b"PRIVATE" in data for data in files.values())
    assert stat.S_IMODE((fleet.directory / "public" / "roster").stat().st_mode) == 0o644


def test_a_fleet_is_never_made_over_another(fleet: Fleet) -> None:
    before = contents(fleet.directory)
    with pytest.raises(FleetError, match="there already"):
        Fleet.create(fleet.directory, name="other", passphrase=None, now=NOW)
    assert contents(fleet.directory) == before


def test_a_fleets_name_follows_the_rule_for_names(tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match="fleet name"):
        Fleet.create(tmp_path / "fleet", name="My Home", passphrase=None, now=NOW)
    assert not (tmp_path / "fleet").exists()


def test_a_root_key_under_a_passphrase_opens_only_with_it(tmp_path: Path) -> None:
    Fleet.create(tmp_path, name="home", passphrase=b"correct", now=NOW)
    assert Fleet.open(tmp_path, b"correct").name == "home"
    with pytest.raises(PassphraseError):
        Fleet.open(tmp_path, b"wrong")
    with pytest.raises(PassphraseError):
        Fleet.open(tmp_path, None)


def test_a_directory_without_a_fleet_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match=r"private/root\.pem"):
        Fleet.open(tmp_path, None)


def test_whoever_is_admitted_is_active_in_the_bundle(
    fleet: Fleet, device_request: MakeRequest, gateway_request: MakeRequest
) -> None:
    fleet.admit(device_request("hub"), now=NOW)
    fleet.admit(gateway_request("gw-1"), role="gateway", now=NOW)
    roster = public_roster(fleet)
    assert roster.is_active("hub", NOW)
    assert roster.is_active("gw-1", NOW, "gateway")
    assert not roster.is_active("gw-1", NOW)


def test_an_admitted_devices_reader_key_is_in_the_bundle(
    fleet: Fleet, device_request: MakeRequest
) -> None:
    fleet.admit(device_request("hub"), now=NOW)
    (statement,) = decode_key_list((fleet.directory / "public/keys/hub").read_bytes())
    assert verify_key_statement(statement, "hub", public_roster(fleet)).device == "hub"


def test_the_same_request_again_changes_nobody(fleet: Fleet, device_request: MakeRequest) -> None:
    request = device_request("hub")
    assert fleet.admit(request, now=NOW).is_new
    keys = (fleet.directory / "public/keys/hub").read_bytes()
    before = public_roster(fleet)
    again = fleet.admit(request, now=NOW)
    assert not again.is_new
    assert again.roster.devices == before.devices
    assert again.roster.version > before.version
    assert (fleet.directory / "public/keys/hub").read_bytes() == keys


def test_a_newer_request_adds_its_reader_key_and_drops_expired_ones(
    fleet: Fleet, device_request: MakeRequest
) -> None:
    identity = Identity.generate()
    fleet.admit(device_request("hub", identity, validity=10 * DAY), now=NOW)
    fleet.admit(device_request("hub", identity, valid_from=NOW + DAY), now=NOW + DAY)
    assert len(decode_key_list((fleet.directory / "public/keys/hub").read_bytes())) == 2
    fleet.admit(device_request("hub", identity, valid_from=NOW + 20 * DAY), now=NOW + 20 * DAY)
    assert len(decode_key_list((fleet.directory / "public/keys/hub").read_bytes())) == 2


def test_rubbish_in_the_bundle_does_not_stop_an_admission(
    fleet: Fleet, device_request: MakeRequest
) -> None:
    (fleet.directory / "public/keys/hub").write_bytes(b"rubbish")
    (fleet.directory / "public/roster").unlink()
    fleet.admit(device_request("hub"), now=NOW)
    assert len(decode_key_list((fleet.directory / "public/keys/hub").read_bytes())) == 1
    assert public_roster(fleet).is_active("hub", NOW)


def test_another_devices_reader_key_is_not_admitted(
    fleet: Fleet, device_request: MakeRequest
) -> None:
    fleet.admit(device_request("hub"), now=NOW)
    before = contents(fleet.directory)
    with pytest.raises(NotAdmittedError, match="reader key of hub"):
        fleet.admit(device_request("aaa", key_of="hub"), now=NOW)
    assert contents(fleet.directory) == before
    fleet.admit(device_request("aaa"), now=NOW)


def test_a_refused_request_leaves_every_file_as_it_was(
    fleet: Fleet, device_request: MakeRequest
) -> None:
    fleet.admit(device_request("hub"), now=NOW)
    before = contents(fleet.directory)
    with pytest.raises(NotAdmittedError):
        fleet.admit(device_request("hub"), now=NOW)
    assert contents(fleet.directory) == before


def test_an_older_bundle_put_in_place_does_not_throw_anybody_out(
    fleet: Fleet, device_request: MakeRequest
) -> None:
    old = (fleet.directory / "public/roster").read_bytes()
    fleet.admit(device_request("hub"), now=NOW)
    (fleet.directory / "public/roster").write_bytes(old)
    fleet.admit(device_request("phone"), now=NOW)
    assert public_roster(fleet).devices.keys() == {"hub", "phone"}


def test_a_roster_that_was_signed_and_not_given_away_is_given_away_by_the_next_run(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cut(BaseException):
        """The power fails."""

    def cut(*_: object) -> None:
        raise Cut

    def set_air(members: Members, version: int) -> Members:
        return replace(members, channels={"air": AIR})

    with monkeypatch.context() as patch:
        patch.setattr(PublicBundle, "write_roster", cut)
        with pytest.raises(Cut):
            fleet.change(set_air, now=NOW)
    assert public_roster(fleet).channels == {}
    fleet.change(changes.renew, now=NOW)
    assert public_roster(fleet).channels == {"air": AIR}


def test_what_everybody_else_would_refuse_is_refused_before_it_is_written(fleet: Fleet) -> None:
    fleet.change(changes.renew, now=NOW)
    before = contents(fleet.directory)
    entry = DeviceEntry(identities=(fleet.root.spki,), roles=("device",), not_after=NOW)
    names = tuple(f"device-{number:058}" for number in range(1000))
    for channels, devices in (
        ({"direct": AIR}, {}),
        ({"air": replace(AIR, readers=("b", "a"))}, {}),
        ({"air": replace(AIR, lifetime=31 * DAY)}, {}),
        ({}, {"a": replace(entry, identities=(fleet.root.spki,) * 9)}),
        ({}, {"a": replace(entry, identities=(b"no key",))}),
        ({}, {"a" * 65: entry}),
        # Two of them are more than fits into one of 200 pages.
        ({f"c{n}": replace(AIR, readers=names, senders=names) for n in range(201)}, {}),
    ):
        made = Members(devices=devices, channels=channels)
        with pytest.raises(MalformedError):
            fleet.change(lambda _members, _version, made=made: made, now=NOW)  # type: ignore[misc]
    assert contents(fleet.directory) == before


def test_two_admissions_at_once_both_count(
    fleet: Fleet, device_request: MakeRequest, tmp_path: Path
) -> None:
    names = [f"device-{number}" for number in range(6)]
    for name in names:
        (tmp_path / name).write_bytes(device_request(name))
    program = (
        "import sys; from pathlib import Path; from gateway.owner.fleet import Fleet\n"
        "fleet = Fleet.open(Path(sys.argv[1]), None)\n"
        f"[fleet.admit(Path(path).read_bytes(), now={NOW}) for path in sys.argv[2:]]"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, fleet.directory, *[tmp_path / name for name in half]]
        )
        for half in (names[:3], names[3:])
    ]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert public_roster(fleet).devices.keys() == set(names)
