"""A device whose disk is full: a typed error, nothing half-done, and on it goes with more room."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_sdk import Device, StateFileError
from tests.support.hub_fleet import HubFleet

LARGE = b"x" * 200_000


def held(device: Device, *payloads: bytes) -> None:
    for payload in payloads:
        device.send(payload, to=["hub"]).wait_held(10)


@contextlib.contextmanager
def no_more_pages(device: Device) -> Iterator[None]:
    """Let the device's state file grow no more."""
    with device._courier.changed:
        pages = device._state.row("PRAGMA page_count")
        assert pages is not None
        device._state.execute(f"PRAGMA max_page_count={pages[0]}")
    yield
    with device._courier.changed:
        device._state.execute("PRAGMA max_page_count=1073741823")


def test_a_message_that_cannot_be_stored_is_an_error_and_leaves_no_gap(
    hub_fleet: HubFleet,
) -> None:
    with hub_fleet.open("thermo-1") as device:
        held(device, b"1")
        with no_more_pages(device), pytest.raises(StateFileError, match="full"):
            device.send(LARGE, to=["hub"])
        assert len(device.sent()) == 1
        held(device, LARGE)
    with hub_fleet.open("hub") as device:
        found = []
        for message in device.inbox(timeout=10, until_empty=True):
            with message:
                found.append((message.sequence, message.missed, len(message.payload)))
    assert found == [(1, (), 1), (2, (), len(LARGE))]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    path = tmp_path / "small"
    path.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(path)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no small file system can be mounted: {done.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


def fill(device: Device) -> list[str]:
    """Send until there is no room for more; return the ids of what was stored."""
    stored = []
    with contextlib.suppress(StateFileError):
        while True:
            stored.append(device.send(LARGE, to=["hub"]).message_id)
    return stored


def test_a_device_on_a_full_disk_loses_nothing_and_goes_on_with_more_room(
    hub_fleet: HubFleet, small_disk: Path
) -> None:
    shutil.copytree(hub_fleet.directory / "thermo-1", small_disk / "thermo-1")
    hub_fleet.directory = small_disk
    hub_fleet.desk.is_silent = True
    with hub_fleet.open("thermo-1") as device:
        stored = fill(device)
        with pytest.raises(StateFileError, match="full"):
            device.send(LARGE, to=["hub"])
        assert 0 < len(stored) < 10
        assert {record.message_id for record in device.sent()} == set(stored)
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        hub_fleet.desk.is_silent = False
        held(device, b"there is room again")
    with hub_fleet.open("thermo-1") as device:
        for message_id in stored:
            device.find(message_id).wait_held(10)
