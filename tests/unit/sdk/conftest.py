"""What the SDK's tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.fleet import Fleet
from tests.support.hub_fleet import HubFleet, make_devices
from tests.support.reader import Reader
from tests.support.sender import Sender
from tests.support.totals import Metering


@pytest.fixture
def device_fleet(rsa_keys: list[rsa.RSAPrivateKey]) -> Fleet:
    fleet = Fleet(rsa_keys)
    for name in ("thermo-1", "hub", "phone", "stranger"):
        fleet.admit(name)
    return fleet


@pytest.fixture
def sender(device_fleet: Fleet, tmp_path: Path) -> Sender:
    return Sender(device_fleet, tmp_path / "state.sqlite")


@pytest.fixture
def reader(device_fleet: Fleet, tmp_path: Path) -> Reader:
    return Reader(device_fleet, tmp_path / "state.sqlite")


@pytest.fixture(scope="session")
def made_devices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("devices")
    make_devices(directory)
    return directory


@pytest.fixture
def hub_fleet(made_devices: Path, tmp_path: Path) -> HubFleet:
    return HubFleet(made_devices, tmp_path / "devices")


@pytest.fixture
def metering(tmp_path: Path) -> Iterator[Metering]:
    """Meters, trustees and a gateway that adds up, in memory."""
    metering = Metering(tmp_path)
    yield metering
    metering.close()
