"""The public bundle as files: what the owner gives away, and a gateway serves.

``root.pub`` (PEM), ``roster`` (head and pages), ``keys/{device}`` (a device's statements),
``excuses/{sender}-{message-id}``. A file changes as a whole or not at all, and the roster last:
whoever sees it sees the keys it needs.
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path

from device_sdk.trust import Pin, Roster, TrustError, verify_key_statement
from device_sdk.wire import bundle as names
from device_sdk.wire.errors import KeyFormatError, WireError
from device_sdk.wire.key_statement import KeyStatement, decode_key_list, encode_key_list
from device_sdk.wire.limits import MAX_KEY_STATEMENTS
from gateway.files import write_whole
from gateway.owner.errors import FleetError
from gateway.owner.signing import open_roster


class PublicBundle:
    """The directory ``public`` of a fleet, or a copy of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root_file = directory / names.ROOT
        self.roster_file = directory / names.ROSTER
        self.keys = directory / names.KEYS
        self.excuses = directory / names.EXCUSES

    def pin(self) -> Pin:
        """Return the root that the bundle names. Raises FleetError."""
        try:
            return Pin.from_pem(_read(self.root_file))
        except KeyFormatError as error:
            raise FleetError(f"{self.root_file} holds no owner's public key: {error}") from error

    def roster_data(self) -> bytes:
        """Return the roster's file as it is. Raises FleetError."""
        return _read(self.roster_file)

    def roster(self) -> Roster:
        """Return the verified roster. Raises FleetError, TrustError, WireError."""
        return open_roster(self.roster_data(), self.pin())

    def write_root(self, pin: Pin) -> None:
        """Write the root's public key, and make room for the rest."""
        self.keys.mkdir(parents=True, exist_ok=True)
        write_whole(self.root_file, pin.to_pem())

    def write_roster(self, data: bytes) -> None:
        """Replace the roster."""
        write_whole(self.roster_file, data)

    def statements(self, device: str, roster: Roster, now: int) -> dict[bytes, KeyStatement]:
        """Return a device's unexpired statements that verify; whatever else is there is ignored."""
        try:
            listed = decode_key_list((self.keys / device).read_bytes())
        except (FileNotFoundError, WireError):
            return {}
        found = {}
        for data in listed:
            with contextlib.suppress(WireError, TrustError):
                statement = verify_key_statement(data, device, roster)
                if statement.not_after > now:
                    found[data] = statement
        return found

    def may_state(self, device: str, reader_spki: bytes) -> bool:
        """Tell whether a device's file holds a reader key anywhere; nothing is verified."""
        try:
            return reader_spki in (self.keys / device).read_bytes()
        except FileNotFoundError:
            return False

    def add_statement(self, device: str, data: bytes, roster: Roster, now: int) -> None:
        """Put a statement beside the device's unexpired ones. Raises TrustError, WireError."""
        statement = verify_key_statement(data, device, roster)
        self.add_statements(device, {data: statement}, roster, now)

    def add_statements(
        self, device: str, more: Mapping[bytes, KeyStatement], roster: Roster, now: int
    ) -> None:
        """Put verified statements beside the device's unexpired ones."""
        known = self.statements(device, roster, now)
        found = {**known, **more}
        if not more or (found == known and (self.keys / device).exists()):
            return
        ordered = sorted(found, key=lambda item: found[item].serial)
        self.keys.mkdir(parents=True, exist_ok=True)
        write_whole(self.keys / device, encode_key_list(ordered[-MAX_KEY_STATEMENTS:]))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FleetError(f"cannot read {path}: {error.strerror}") from error
