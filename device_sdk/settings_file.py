"""What a device was told at enrolment: its owner (``root.pub``) and its broker (``settings``).

Both are private files, as a broker URL may hold a password. The pinned root never changes: a device
that is to belong to another owner is made anew.
"""

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from device_sdk.broker_url import BrokerUrl
from device_sdk.errors import RootMismatchError, SettingsError
from device_sdk.key_file import check_private, write_private_file
from device_sdk.keystore import NoDeviceError
from device_sdk.trust import Pin
from device_sdk.wire.errors import KeyFormatError
from device_sdk.wire.topics import DEFAULT_PREFIX

_ROOT, _SETTINGS, _IDENTITY = "root.pub", "settings", "identity.pem"


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


def trust_root(
    directory: Path,
    root: Path | bytes,
    *,
    broker: str | None = None,
    password_file: Path | None = None,
    ca: Path | None = None,
    prefix: str | None = None,
) -> Pin:
    """Pin the owner of a device's fleet, and remember the broker.

    ``root`` is the path or content of the owner's ``root.pub``. What is None stays as it was, so
    that calling it again with the same root changes the broker alone.

    Raises:
        NoDeviceError: the directory holds no device.
        RootMismatchError: the device has pinned another root.
        SettingsError: no public key, or a broker URL of another form.
    """
    if not (directory / _IDENTITY).exists():
        raise NoDeviceError(f"{directory} holds no device: sealgate device init makes one")
    check_private(directory)
    pin = read_root(root)
    told = {
        "broker": broker,
        "password_file": password_file and str(password_file.absolute()),
        "ca": ca and str(ca.absolute()),
        "prefix": prefix,
    }
    if broker is not None:
        BrokerUrl.parse(broker)
    if (directory / _ROOT).exists():
        _check_same_root(pin, read_pin(directory))
    settings = replace(
        read_settings(directory), **{name: value for name, value in told.items() if value}
    )
    write_private_file(directory / _SETTINGS, json.dumps(asdict(settings), indent=2).encode())
    # The root comes last: a device that has one is enrolled.
    write_private_file(directory / _ROOT, pin.to_pem())
    return pin


def _check_same_root(new: Pin, pinned: Pin) -> None:
    if new.fingerprint != pinned.fingerprint:
        raise RootMismatchError(
            f"this device belongs to the owner {pinned.fingerprint[:16]}..., and was given the "
            f"root {new.fingerprint[:16]}...: make a new device for another owner"
        )


def read_pin(directory: Path) -> Pin:
    """Return the pinned root. Raises SettingsError if there is none yet."""
    path = directory / _ROOT
    if not path.exists():
        raise SettingsError(
            f"{directory} trusts no owner yet: sealgate device trust ROOT.PUB --dir {directory}"
        )
    return read_root(path)


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
