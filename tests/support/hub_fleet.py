"""Real devices on a broker in memory, with a gateway that is played by hand."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from device_sdk import Device, create_device, trust_root
from device_sdk.trust import Pin
from device_sdk.wire.join_request import verify_join_request
from tests.support.desk import Desk
from tests.support.hub import Hub, HubLink

NAMES = ("thermo-1", "hub", "phone")


def make_devices(directory: Path) -> None:
    """Make devices that nobody has admitted: once, as their keys take a while."""
    for name in NAMES:
        create_device(directory / name, name, None, now=int(time.time()))


class HubFleet:
    """Copies of those devices, admitted by the owner of a `Desk`."""

    def __init__(self, made: Path, directory: Path) -> None:
        self.directory = shutil.copytree(made, directory)
        self.hub = Hub()
        self.desk = Desk(self.hub)
        self.root = Pin.from_spki(self.desk.root.spki).to_pem()
        for path in sorted(self.directory.iterdir()):
            self.admit(path)
        self.desk.publish_roster()
        self.desk.publish_state()

    def admit(self, path: Path) -> None:
        """Take in a device as an owner and a gateway would, and pin the owner."""
        request, _ = verify_join_request((path / "join-request").read_bytes())
        self.desk.admit(request.name, request.identity_spki)
        self.desk.statements[request.name] = [request.key_statement]
        self.desk.publish_keys(request.name)
        trust_root(path, self.root)

    def open(self, name: str, link: HubLink | None = None) -> Device:
        """Open a device on the hub."""
        return Device.open(self.directory / name, link=link or self.hub.link(name))

    def send(self, *payloads: bytes | str) -> list[str]:
        """Let thermo-1 write to hub, and wait until each message is held; return the ids."""
        with self.open("thermo-1") as device:
            ids = []
            for payload in payloads:
                sent = device.send(payload, to=["hub"])
                sent.wait_held(10)
                ids.append(sent.message_id)
            return ids

    def read(self, name: str = "hub") -> list[bytes]:
        """Let a device read all that waits for it, as a process of its own would."""
        with self.open(name) as device:
            return read(device)


def await_roster(device: Device, version: int) -> None:
    """Wait until a device goes by a version of the roster."""

    def has_come() -> bool:
        roster = device._parts.rosters.roster
        return roster is not None and roster.version >= version

    with device._courier.changed:
        assert device._courier.wait(has_come, time.monotonic() + 10)


def await_key(device: Device, name: str) -> None:
    """Wait until a device knows a key of a reader."""

    def has_come() -> bool:
        roster = device._parts.rosters.roster
        return roster is not None and device._parts.reader_keys.latest(name, roster) is not None

    with device._courier.changed:
        assert device._courier.wait(has_come, time.monotonic() + 10)


class HandlerError(Exception):
    """What goes wrong in an application."""


def read(device: Device, fail: Callable[[bytes], bool] = lambda payload: False) -> list[bytes]:
    """Read what there is; a handler that fails goes on with the next message."""
    payloads = []
    for message in device.inbox(timeout=10, until_empty=True):
        payloads.append(message.payload)
        try:
            with message:
                if fail(message.payload):
                    raise HandlerError
        except HandlerError:
            continue
    return payloads
