"""What a device remembers: its owner (``root.pub``) and its broker (``settings``).

Both are private files, as a broker URL may hold a password. `device_sdk.enrolment.enrol` decides
about them.
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from device_sdk.errors import SettingsError
from device_sdk.key_file import check_private, write_private_file
from device_sdk.trust import Pin
from device_sdk.wire import bundle
from device_sdk.wire.errors import KeyFormatError, WireError
from device_sdk.wire.roster_head import decode_chain, encode_chain
from device_sdk.wire.topics import DEFAULT_PREFIX, PREFIX_RULE, is_prefix

ROOT_FILE, _CHAIN, _SETTINGS = bundle.ROOT, "root.chain", "settings"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How a device reaches its broker."""

    broker: str = ""
    """URL, perhaps with user and password; empty if nobody has said yet."""
    password_file: str = ""
    """A file whose first line is the password of the URL's user; empty for none."""
    ca: str = ""
    """A PEM file of the certificate authorities to believe for mqtts; empty for the system's."""
    prefix: str = DEFAULT_PREFIX
    """The first levels of every topic."""


def read_root(source: Path | bytes) -> Pin:
    """Return the root of a ``root.pub`` (PEM). Raises SettingsError."""
    if isinstance(source, Path):
        what, pem = str(source), _read(source)
    else:
        what, pem = "the owner's root", source
    try:
        return Pin.from_pem(pem)
    except KeyFormatError as error:
        raise SettingsError(f"{what}: expected an owner's public key in PEM") from error


def read_pin(directory: Path) -> Pin:
    """Return the pinned root. Raises SettingsError if there is none yet."""
    if not has_pin(directory):
        raise SettingsError(
            f"{directory} trusts no owner yet: sealgate device trust ROOT.PUB --dir {directory}"
        )
    pin, chain = read_root(directory / ROOT_FILE), directory / _CHAIN
    if not chain.exists():
        return pin
    try:
        return pin.after(decode_chain(_read(chain)))
    except WireError as error:
        raise SettingsError(f"{chain} is damaged: let the device trust its owner anew") from error


def has_pin(directory: Path) -> bool:
    """Tell whether there is a pinned root, readable or not."""
    return (directory / ROOT_FILE).exists()


def write_pin(directory: Path, pin: Pin) -> None:
    """Store the pinned root, and what is known of its successors."""
    if pin.successions:
        write_private_file(directory / _CHAIN, encode_chain(pin.successions))
    write_private_file(directory / ROOT_FILE, pin.to_pem())


def read_settings(directory: Path) -> Settings:
    """Return what the device remembers; the defaults before it was told anything.

    Raises:
        SettingsError: the file is damaged.
        LoosePermissionsError: others may read it.
    """
    path = directory / _SETTINGS
    if not path.exists():
        return Settings()
    check_private(path)
    known = {field.name for field in fields(Settings)}
    try:
        stored: Any = json.loads(_read(path))
    except ValueError as error:
        raise SettingsError(f"{path} is damaged: expected JSON") from error
    if not isinstance(stored, dict) or not all(isinstance(v, str) for v in stored.values()):
        raise SettingsError(f"{path} is damaged: expected names with texts")
    return Settings(**{name: value for name, value in stored.items() if name in known})


def write_settings(directory: Path, settings: Settings) -> None:
    """Store what the device is to remember."""
    write_private_file(directory / _SETTINGS, json.dumps(asdict(settings), indent=2).encode())


def check_prefix(prefix: str) -> None:
    """Raise SettingsError if no topic can begin like that, or the gateway does not allow it."""
    if not is_prefix(prefix):
        raise SettingsError(f"topic prefix: expected {PREFIX_RULE}, got {prefix[:80]!r}")


def read_password(path: Path) -> str:
    """Return the first line of a password file. Raises SettingsError."""
    try:
        return _read(path).decode().splitlines()[0]
    except (UnicodeDecodeError, IndexError):
        raise SettingsError(f"{path}: expected a password in its first line") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
