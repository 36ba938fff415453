"""The configuration that ``sealgate broker config`` writes."""

import stat
from pathlib import Path

import pytest
from cryptography import x509

from gateway.owner.errors import FleetError
from gateway.owner.fleet import Fleet
from gateway.owner.mosquitto_config import BrokerPlan, write_configuration
from tests.support.certificates import as_pem, unreadable

from .conftest import NOW

UNREADABLE = unreadable()
PLAN = BrokerPlan(hosts=["broker.example"])


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet.create(tmp_path / "fleet", name="home", passphrase=None, now=NOW)


def test_writing_again_keeps_the_brokers_key_and_renews_its_certificate(
    fleet: Fleet, tmp_path: Path
) -> None:
    out = tmp_path / "broker"
    write_configuration(fleet, out, PLAN, now=NOW)
    key, first = (out / "server.key").read_bytes(), (out / "server.pem").read_bytes()
    write_configuration(fleet, out, PLAN, now=NOW + 5)
    assert (out / "server.key").read_bytes() == key
    assert (out / "server.pem").read_bytes() != first
    assert stat.S_IMODE((out / "server.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(out.stat().st_mode) == 0o700


@pytest.mark.parametrize("der", UNREADABLE.values(), ids=UNREADABLE)
def test_a_broker_certificate_that_cannot_be_read_is_replaced(
    fleet: Fleet, tmp_path: Path, der: bytes
) -> None:
    out = tmp_path / "broker"
    write_configuration(fleet, out, PLAN, now=NOW)
    (out / "server.pem").write_bytes(as_pem(der))
    write_configuration(fleet, out, PLAN, now=NOW)
    renewed = x509.load_pem_x509_certificate((out / "server.pem").read_bytes())
    assert renewed.not_valid_after_utc.timestamp() > NOW


def test_the_brokers_certificate_lasts_as_long_as_the_members(fleet: Fleet, tmp_path: Path) -> None:
    write_configuration(fleet, tmp_path / "broker", PLAN, now=NOW)
    (own,) = x509.load_pem_x509_certificates((tmp_path / "broker/server.pem").read_bytes())
    assert own.not_valid_after_utc.timestamp() == fleet.roster().expires + 30 * 24 * 3600


def test_files_are_named_by_where_they_will_lie(fleet: Fleet, tmp_path: Path) -> None:
    plan = BrokerPlan(hosts=["broker.example"], path="/etc/mosquitto/home", listen="0.0.0.0")
    text = write_configuration(fleet, tmp_path / "broker", plan, now=NOW).read_text()
    assert str(tmp_path) not in text
    assert "keyfile /etc/mosquitto/home/server.key" in text
    assert text.count("listener ") == 2
    assert text.count("\nrequire_certificate true\n") == 2


def test_without_websockets_there_is_one_listener(fleet: Fleet, tmp_path: Path) -> None:
    plan = BrokerPlan(hosts=["broker.example"], websockets=0)
    text = write_configuration(fleet, tmp_path / "broker", plan, now=NOW).read_text()
    assert (text.count("listener "), "protocol websockets" in text) == (1, False)


@pytest.mark.parametrize(
    "plan",
    [
        BrokerPlan(hosts=["mqtts://broker"]),
        BrokerPlan(hosts=["broker"], listen="everywhere"),
        BrokerPlan(hosts=["broker"], path="/etc/a\nallow_anonymous true"),
    ],
)
def test_what_cannot_be_configured_is_refused(
    fleet: Fleet, tmp_path: Path, plan: BrokerPlan
) -> None:
    with pytest.raises(FleetError, match=r"expected|cannot be one"):
        write_configuration(fleet, tmp_path / "broker", plan, now=NOW)
    assert not (tmp_path / "broker" / "mosquitto.conf").exists()


def test_after_a_rotation_the_broker_keeps_the_certificate_that_devices_believe(
    fleet: Fleet, tmp_path: Path
) -> None:
    out = tmp_path / "broker"
    write_configuration(fleet, out, PLAN, now=NOW)
    before = (out / "server.pem").read_bytes()
    fleet.rotate(None, now=NOW + 5)
    rotated = Fleet.open(fleet.directory, None)
    write_configuration(rotated, out, PLAN, now=NOW + 10)
    assert (out / "server.pem").read_bytes() == before
    assert len(x509.load_pem_x509_certificates((out / "ca.pem").read_bytes())) == 2
    write_configuration(rotated, out, PLAN, now=NOW + 31 * 24 * 3600)
    assert (out / "server.pem").read_bytes() != before
    assert len(x509.load_pem_x509_certificates((out / "ca.pem").read_bytes())) == 1


def test_after_a_theft_the_broker_believes_nothing_by_the_old_root(
    fleet: Fleet, tmp_path: Path
) -> None:
    out = tmp_path / "broker"
    write_configuration(fleet, out, PLAN, now=NOW)
    fleet.rotate(None, now=NOW + 5, stolen=True)
    write_configuration(Fleet.open(fleet.directory, None), out, PLAN, now=NOW + 10)
    (only,) = x509.load_pem_x509_certificates((out / "ca.pem").read_bytes())
    (own, *_) = x509.load_pem_x509_certificates((out / "server.pem").read_bytes())
    assert own.issuer == only.subject
