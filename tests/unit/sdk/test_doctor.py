"""What a device's files and status say about its health."""

import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from device_sdk import create_device
from device_sdk.checks import Verdict
from device_sdk.doctor import CERTIFICATE_FILE, check_files, check_status
from device_sdk.status import GatewayStatus, ReaderKeyStatus, Status
from device_sdk.times import as_datetime
from device_sdk.wire.limits import DAY
from tests.support.certificates import as_pem, unreadable
from tests.support.fleet import NOW

UNREADABLE = unreadable()


def certificate(ends: int) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "thermo-1")])
    end = datetime.fromtimestamp(ends, UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(end - timedelta(days=365)).not_valid_after(end)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    ("days", "verdict"), [(15, Verdict.OK), (13, Verdict.WARNING), (0, Verdict.PROBLEM)]
)
def test_a_certificate_is_of_concern_from_fourteen_days_before_its_end(
    made_devices: Path, tmp_path: Path, days: int, verdict: Verdict
) -> None:
    (tmp_path / CERTIFICATE_FILE).write_bytes(certificate(NOW + days * DAY))
    (found,) = [one for one in check_files(tmp_path, NOW) if one.what == "certificate"]
    assert found.verdict is verdict


@pytest.mark.parametrize("der", UNREADABLE.values(), ids=UNREADABLE)
def test_a_certificate_that_cannot_be_read_is_a_problem(
    made_devices: Path, tmp_path: Path, der: bytes
) -> None:
    (tmp_path / CERTIFICATE_FILE).write_bytes(as_pem(der))
    (found,) = [one for one in check_files(tmp_path, NOW) if one.what == "certificate"]
    assert found.verdict is Verdict.PROBLEM


def test_a_passphrase_is_noticed_and_so_is_its_absence(made_devices: Path, tmp_path: Path) -> None:
    create_device(tmp_path / "safe", "thermo-1", b"secret", now=NOW)
    for directory, verdict in (
        (tmp_path / "safe", Verdict.OK),
        (made_devices / "hub", Verdict.WARNING),
    ):
        (found,) = [one for one in check_files(directory, NOW) if one.what == "keys at rest"]
        assert found.verdict is verdict


WELL = Status(
    name="thermo-1",
    fleet="ab" * 32,
    broker="mqtt://127.0.0.1",
    is_connected=True,
    problem="",
    roster_version=7,
    roster_expires=as_datetime(NOW + 300 * DAY),
    is_roster_valid=True,
    is_admitted=True,
    reading_channels=(),
    tokens={},
    reader_keys=(
        ReaderKeyStatus(
            serial=1, not_before=as_datetime(NOW), not_after=as_datetime(NOW + 80 * DAY)
        ),
    ),
    gateway=GatewayStatus(
        name="gw-1", status="online", heard_at=as_datetime(NOW), software="x", roster_version=7
    ),
    copies_waiting=0,
    messages_waiting=0,
    messages_held=0,
    warnings=(),
    log=None,
    log_reports=(),
)


def bad(status: Status, now: int = NOW) -> dict[str, Verdict]:
    checks = check_status(status, now)
    assert all(one.todo for one in checks if one.verdict is not Verdict.OK)
    return {one.what: one.verdict for one in checks if one.verdict is not Verdict.OK}


def test_a_device_that_is_well_has_no_complaint() -> None:
    assert bad(WELL) == {}


def test_each_thing_that_may_be_wrong_is_found() -> None:
    assert bad(replace(WELL, roster_expires=None))["roster"] is Verdict.PROBLEM
    assert bad(WELL, NOW + 287 * DAY)["roster"] is Verdict.WARNING
    assert bad(replace(WELL, is_admitted=False)) == {"admission": Verdict.PROBLEM}
    assert bad(replace(WELL, is_connected=False)) == {"broker": Verdict.PROBLEM}
    assert WELL.gateway is not None
    silent = replace(WELL, gateway=replace(WELL.gateway, status="silent"))
    assert bad(silent) == {"gateway": Verdict.PROBLEM, "clock": Verdict.WARNING}
    assert bad(replace(WELL, gateway=None)) == {"gateway": Verdict.PROBLEM}
    assert bad(WELL, NOW + 301) == {"clock": Verdict.WARNING}
    assert bad(WELL, NOW + 51 * DAY)["reader key"] is Verdict.WARNING
    assert bad(WELL, NOW + 80 * DAY)["reader key"] is Verdict.PROBLEM


def test_what_proves_readings_is_missed_only_where_readings_are_sent_or_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert all(one.what != "proofs" for one in check_status(WELL, NOW))
    member = replace(WELL, reading_channels=("cellar",))
    (found,) = [one for one in check_status(member, NOW) if one.what == "proofs"]
    assert found.verdict is Verdict.OK
    monkeypatch.setitem(sys.modules, "rbcl", None)
    (found,) = [one for one in check_status(member, NOW) if one.what == "proofs"]
    assert found.verdict is Verdict.WARNING
    assert "cellar" in found.found
    assert "sealgate[proofs]" in found.found
