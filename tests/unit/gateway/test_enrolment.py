"""A gateway's own identity."""

import stat
from pathlib import Path

import pytest

from device_sdk.identity import Identity
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.join_request import verify_join_request
from device_sdk.wire.roster_page import ROLE_DEVICE, ROLE_GATEWAY, DeviceEntry
from gateway.enrolment import (
    JOIN_REQUEST_FILE,
    EnrolmentError,
    NotAdmittedError,
    admitted_name,
    init_gateway,
    load_identity,
)
from tests.support.envelopes import NOW, YEAR, Fleet


def test_a_new_gateway_has_a_private_directory_and_a_request_signed_by_its_own_key(
    tmp_path: Path,
) -> None:
    data = tmp_path / "new" / "gw"
    path = init_gateway(data, "gw-1", None, NOW)
    request, statement = verify_join_request(path.read_bytes())
    assert (request.name, statement) == ("gw-1", None)
    assert request.identity_spki == load_identity(data, None).spki
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE((data / "identity.pem").stat().st_mode) == 0o600


def test_an_identity_is_never_overwritten(tmp_path: Path) -> None:
    init_gateway(tmp_path / "gw", "gw-1", None, NOW)
    before = (tmp_path / "gw" / "identity.pem").read_bytes()
    with pytest.raises(EnrolmentError, match="already"):
        init_gateway(tmp_path / "gw", "gw-1", None, NOW)
    assert (tmp_path / "gw" / "identity.pem").read_bytes() == before


def test_a_bad_name_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(MalformedError):
        init_gateway(tmp_path / "gw", "GW 1", None, NOW)
    assert not (tmp_path / "gw").exists()


def test_a_directory_that_others_may_look_into_is_refused(tmp_path: Path) -> None:
    loose = tmp_path / "gw"
    loose.mkdir(mode=0o755)
    with pytest.raises(EnrolmentError, match="chmod 700"):
        init_gateway(loose, "gw-1", None, NOW)
    loose.chmod(0o700)
    init_gateway(loose, "gw-1", None, NOW)
    loose.chmod(0o750)
    with pytest.raises(EnrolmentError, match="chmod 700"):
        load_identity(loose, None)


def test_without_an_identity_the_error_says_how_to_make_one(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(EnrolmentError, match="sealgate gateway init"):
            load_identity(path, None)


def entry(identity: Identity, role: str, *, revoked_at: int = 0, not_after: int = 0) -> DeviceEntry:
    return DeviceEntry(
        identities=(Identity.generate().spki, identity.spki),
        roles=(role,),
        not_after=not_after or NOW + YEAR,
        revoked_at=revoked_at,
    )


def test_a_gateways_name_is_the_one_it_was_admitted_under() -> None:
    fleet, identity = Fleet(), Identity.generate()
    fleet.admit("thermo")
    fleet.entries["gw-7"] = entry(identity, ROLE_GATEWAY)
    assert admitted_name(fleet.roster(), identity, NOW) == "gw-7"


@pytest.mark.parametrize(
    ("role", "changes"),
    [
        (ROLE_DEVICE, {}),
        (ROLE_GATEWAY, {"revoked_at": NOW}),
        (ROLE_GATEWAY, {"not_after": NOW}),
    ],
)
def test_a_gateway_that_is_none_or_no_longer_one_has_no_name(
    role: str, changes: dict[str, int]
) -> None:
    fleet, identity = Fleet(), Identity.generate()
    fleet.entries["gw-7"] = entry(identity, role, **changes)
    with pytest.raises(NotAdmittedError):
        admitted_name(fleet.roster(), identity, NOW)


def test_an_init_that_was_cut_short_can_be_done_again(tmp_path: Path) -> None:
    data = tmp_path / "gw"
    (data / JOIN_REQUEST_FILE).mkdir(parents=True)  # the request cannot be put in its place
    data.chmod(0o700)
    with pytest.raises(OSError, match=JOIN_REQUEST_FILE):
        init_gateway(data, "gw-1", None, NOW)
    (data / JOIN_REQUEST_FILE).rmdir()
    assert init_gateway(data, "gw-1", None, NOW).stat().st_size > 0
    load_identity(data, None)
