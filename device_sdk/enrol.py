"""Making a device, and what its owner needs to admit it."""

from pathlib import Path

from device_sdk.key_file import write_private_file
from device_sdk.keystore import KeyStore
from device_sdk.settings_file import trust_root

__all__ = ["create_device", "trust_root"]

JOIN_REQUEST = "join-request"


def create_device(directory: Path, name: str, passphrase: bytes | None, *, now: int) -> Path:
    """Make a device's keys; return the path of the join request for its owner.

    ``name`` is its id, 1 to 64 of ``a-z 0-9 . _ -``. ``now`` is Unix seconds.

    Raises:
        NoDeviceError: the directory already holds a device.
        MalformedError: the name is none.
        KeyFileError: the directory is open to others.
    """
    with KeyStore.create(directory, name, passphrase, now=now) as keystore:
        path = directory / JOIN_REQUEST
        write_private_file(path, keystore.join_request(now=now))
        return path
