"""A device comes to be, and to belong to an owner.

The pinned root never changes: a device that is to belong to another owner is made anew.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from device_sdk.enrolment.certificate_files import take_bundle
from device_sdk.enrolment.settings_file import (
    ROOT_FILE,
    check_prefix,
    has_pin,
    read_pin,
    read_root,
    read_settings,
    write_pin,
    write_settings,
)
from device_sdk.errors import RootMismatchError, SettingsError
from device_sdk.keys.keystore import JOIN_REQUEST, TOKEN_FILE, KeyStore, check_holds_device
from device_sdk.link.broker_url import BrokerUrl
from device_sdk.trust import Pin
from device_sdk.wire.errors import WireError


def create_device(
    directory: Path,
    name: str,
    passphrase: bytes | None,
    *,
    now: int,
    module: Path | None = None,
    token: str = "",
) -> Path:
    """Make a device's keys; return the path of the join request for its owner.

    ``name`` is its id, 1 to 64 of ``a-z 0-9 . _ -``. ``now`` is Unix seconds. With ``module``, the
    path of a PKCS#11 library, the keys are made inside the token of the label ``token``, and
    ``passphrase`` is its PIN.

    Raises:
        NoDeviceError: the directory already holds a device.
        MalformedError: the name is none.
        KeyFileError: the directory is open to others, or the token does not do what is needed.
    """
    if module is None:
        KeyStore.create(directory, name, passphrase, now=now).close()
        return directory / JOIN_REQUEST
    from device_sdk.keys.token_vault import TokenPlace, TokenVault  # only where somebody has one

    place = TokenPlace.choose(module, token, name)
    vault = TokenVault(directory / TOKEN_FILE, place, passphrase)
    try:
        store = KeyStore.create(directory, name, None, now=now, vault=vault)
    except BaseException:
        vault.close()
        raise
    store.close()
    return directory / JOIN_REQUEST


def trust_root(
    directory: Path,
    root: Path | bytes,
    *,
    broker: str | None = None,
    password_file: Path | None = None,
    ca: Path | None = None,
    prefix: str | None = None,
    successions: Iterable[bytes] = (),
) -> Pin:
    """Pin the owner of a device's fleet, and remember the broker.

    ``root`` is the path or content of the owner's ``root.pub``, or the owner's public bundle: then
    the device also takes its certificate, if there is one, and believes the owner's authority about
    its broker. ``successions`` are those of the root that are known (PROTOCOL 8.4); a bundle brings
    them, while a ``root.pub`` alone does not say that it was replaced. What is None stays as it
    was, so that calling it again with the same root changes the broker alone.

    Raises:
        NoDeviceError: the directory holds no device.
        LoosePermissionsError: others may look into it.
        RootMismatchError: the device has pinned another root.
        SettingsError: no public key, a broker URL or prefix of another form, or a bundle whose
            certificates are not its owner's.
    """
    check_holds_device(directory)
    bundle = root if isinstance(root, Path) and root.is_dir() else None
    pin = read_root(bundle / ROOT_FILE if bundle is not None else root)
    told = {
        "broker": broker,
        "password_file": password_file and str(password_file.absolute()),
        "ca": ca and str(ca.absolute()),
        "prefix": prefix,
    }
    if broker is not None:
        BrokerUrl.parse(broker)
    if prefix is not None:
        check_prefix(prefix)
    if has_pin(directory):
        pinned = read_pin(directory)
        _check_same_root(pin, pinned)
        pin = pinned
    pin = _knowing(pin, tuple(successions))
    settings = replace(
        read_settings(directory), **{name: value for name, value in told.items() if value}
    )
    write_settings(directory, settings)
    if bundle is not None:
        pin = take_bundle(directory, bundle, pin)
    # The root comes last: a device that has one is enrolled.
    write_pin(directory, pin)
    return pin


def _knowing(pin: Pin, successions: tuple[bytes, ...]) -> Pin:
    known, common = pin.successions, min(len(pin.successions), len(successions))
    if known[:common] != successions[:common]:
        raise RootMismatchError("this device knows another successor of its owner's root")
    try:
        return pin if len(known) >= len(successions) else pin.after(successions)
    except WireError as error:
        raise SettingsError(f"the owner's root was not replaced as it is said: {error}") from error


def _check_same_root(new: Pin, pinned: Pin) -> None:
    if new.fingerprint != pinned.fingerprint:
        raise RootMismatchError(
            f"this device belongs to the owner {pinned.fingerprint[:16]}..., and was given the "
            f"root {new.fingerprint[:16]}...: make a new device for another owner"
        )
