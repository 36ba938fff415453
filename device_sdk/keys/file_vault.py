"""Private keys in files of the device's directory: ``identity.pem`` and ``reader-SERIAL.pem``.

Beside them are, once the device has sent readings, the secrets ``reading-PERIOD.key``.
"""

import hmac
import os
from pathlib import Path

from device_sdk.identity import Identity
from device_sdk.key_file import load_secret, save_secret
from device_sdk.keys.reader_key import ReaderKey
from device_sdk.keys.vault import PrivateIdentity

IDENTITY_FILE = "identity.pem"
_READING_KEY_SIZE = 32


class FileVault:
    """Keys in PKCS#8 files of mode 0600, encrypted if there is a passphrase; a `Vault`."""

    def __init__(self, directory: Path, passphrase: bytes | None) -> None:
        self._directory, self._passphrase = directory, passphrase
        self._reading_keys: dict[int, bytes] = {}

    def make_identity(self) -> Identity:
        return Identity.generate()

    def keep_identity(self, identity: PrivateIdentity) -> None:
        assert isinstance(identity, Identity)  # noqa: S101  it is the one made here
        identity.save(self._directory / IDENTITY_FILE, self._passphrase)

    def identity(self) -> Identity:
        return Identity.load(self._directory / IDENTITY_FILE, self._passphrase)

    def make_reader_key(self, serial: int) -> ReaderKey:
        key = ReaderKey.generate()
        key.save(self._path(serial), self._passphrase)
        return key

    def reader_key(self, serial: int) -> ReaderKey | None:
        path = self._path(serial)
        return ReaderKey.load(path, self._passphrase) if path.exists() else None

    def erase_reader_key(self, serial: int) -> None:
        self._path(serial).unlink(missing_ok=True)

    def serials(self) -> set[int]:
        for path in self._directory.glob(".reader-*.new"):
            path.unlink()  # half-written
        found = (path.stem.removeprefix("reader-") for path in self._directory.glob("reader-*.pem"))
        return {int(serial) for serial in found if serial.isdecimal()}

    def reading_mac(self, period: int, data: bytes) -> bytes:
        key = self._reading_keys.get(period)
        if key is None:
            path = self._reading_path(period)
            if not path.exists():
                save_secret(path, os.urandom(_READING_KEY_SIZE), self._passphrase)
            key = load_secret(path, self._passphrase, size=_READING_KEY_SIZE)
            self._reading_keys = {period: key}
        return hmac.digest(key, data, "sha512")

    def reading_periods(self) -> set[int]:
        paths = self._directory.glob("reading-*.key")
        found = (path.stem.removeprefix("reading-") for path in paths)
        return {int(period) for period in found if period.isdecimal()}

    def erase_reading_key(self, period: int) -> None:
        self._reading_keys.pop(period, None)
        self._reading_path(period).unlink(missing_ok=True)

    def close(self) -> None:
        """Nothing is open between two calls."""

    def _reading_path(self, period: int) -> Path:
        return self._directory / f"reading-{period}.key"

    def _path(self, serial: int) -> Path:
        return self._directory / f"reader-{serial}.pem"
