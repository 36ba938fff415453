"""Opening and closing a device: whose password goes where, and that the directory is free again."""

import contextlib
import sqlite3
import time
from pathlib import Path

import pytest

from device_sdk import Device, SettingsError, StateFileError, trust_root
from device_sdk.assembly import make_link
from device_sdk.enrolment.settings_file import Settings, read_pin
from device_sdk.identity import Identity
from device_sdk.keys.keystore import KeyStore
from device_sdk.wire.certificates import to_pem
from device_sdk.wire.limits import DAY
from tests.support.certificates import authority_of, to_der
from tests.support.hub_fleet import HubFleet


def credentials(directory: Path, settings: Settings) -> tuple[str, str] | None:
    """What a device with these settings would log in with."""
    with KeyStore.open(directory, None) as keystore:
        return make_link(settings, keystore, read_pin(directory))._credentials()


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("home-secret\n")
    return path


def test_a_password_in_the_url_is_that_brokers_whatever_file_there_is(
    hub_fleet: HubFleet, password_file: Path
) -> None:
    settings = Settings(broker="mqtt://bob:his@127.0.0.1:2", password_file=str(password_file))
    assert credentials(hub_fleet.directory / "hub", settings) == ("bob", "his")


def test_a_password_file_is_read_for_the_urls_user(
    hub_fleet: HubFleet, password_file: Path
) -> None:
    settings = Settings(broker="mqtt://bob@127.0.0.1:2", password_file=str(password_file))
    assert credentials(hub_fleet.directory / "hub", settings) == ("bob", "home-secret")


def test_a_remembered_password_is_not_for_another_broker(
    hub_fleet: HubFleet, password_file: Path
) -> None:
    directory = hub_fleet.directory / "hub"
    trust_root(
        directory, hub_fleet.root, broker="mqtt://me@127.0.0.1:1", password_file=password_file
    )
    password_file.unlink()  # whoever reads it now fails
    Device.open(directory, broker="mqtt://bob@127.0.0.1:2").close()


def test_a_password_without_a_user_is_refused_and_not_ignored(
    hub_fleet: HubFleet, password_file: Path
) -> None:
    with pytest.raises(SettingsError, match="USER@host"):
        Device.open(
            hub_fleet.directory / "hub", broker="mqtt://127.0.0.1:2", password_file=password_file
        )


def test_a_close_that_fails_leaves_the_directory_free(hub_fleet: HubFleet) -> None:
    device = hub_fleet.open("hub")
    device.waiting()
    later, tick = int(time.time()) + 60, time.monotonic() + 60
    device._parts.time.advance(later, tick, later)  # there is something to save
    other = sqlite3.connect(hub_fleet.directory / "hub" / "state.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with contextlib.suppress(StateFileError):
        device.close()
    other.execute("ROLLBACK")
    other.close()
    hub_fleet.open("hub").close()


def test_a_root_before_the_present_one_is_forgotten_before_each_connection(
    hub_fleet: HubFleet,
) -> None:
    hub_fleet.read()  # the device knows the roster from now on
    made = int(time.time()) - 31 * DAY
    chains = [
        authority_of(key, now=made).chain for key in (hub_fleet.desk.root, Identity.generate())
    ]
    present, both = to_pem(to_der(chains[0])), to_pem(to_der([*chains[0], *chains[1]]))
    ca, link = hub_fleet.directory / "hub/ca.pem", hub_fleet.hub.link("hub")
    ca.write_bytes(both)
    with hub_fleet.open("hub", link) as device:
        assert ca.read_bytes() == present
        device.waiting()
        ca.write_bytes(both)
        link.lose("it went away")
        with device._courier.changed:
            assert device._courier.wait(
                lambda: bool(device._courier.problem), time.monotonic() + 10
            )
        assert ca.read_bytes() == present
