"""A device's keys at rest: one directory, one process, nobody else.

Layout: the ``join-request`` for the owner, and for each reader key the statement that announces it,
``reader-SERIAL.statement``. Private keys lie in a `Vault`: beside them as files, or in a token that
the file ``token`` names. Directory 0700, files 0600; anything looser is refused.
"""

import fcntl
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from device_sdk.key_file import KeyFileError, check_private, write_private_file
from device_sdk.keys.file_vault import IDENTITY_FILE, FileVault
from device_sdk.keys.vault import PrivateIdentity, PrivateReaderKey, Vault
from device_sdk.wire import cose
from device_sdk.wire.errors import SealgateError
from device_sdk.wire.join_request import JoinRequest
from device_sdk.wire.key_statement import KeyStatement
from device_sdk.wire.limits import (
    CLOCK_SKEW,
    READER_KEY_RENEWAL,
    READER_KEY_VALIDITY,
    READING_KEY_KEPT,
    READING_KEY_PERIOD,
)
from device_sdk.wire.names import as_name

JOIN_REQUEST = "join-request"
TOKEN_FILE = "token"  # noqa: S105  a file's name
"""Names the token that has the private keys; see `device_sdk.keys.token_vault`."""
_LOCK = "lock"

logger = logging.getLogger(__name__)


class DirectoryInUseError(SealgateError):
    """Another process has the device's directory open: ``pid``, or 0 if unknown."""

    def __init__(self, directory: Path, pid: int) -> None:
        super().__init__(f"{directory} is in use by process {pid or 'unknown'}: stop it first")
        self.pid = pid


class NoDeviceError(SealgateError):
    """The directory holds no device, or already holds one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnReaderKey:
    """One of the device's reader keys, with what it says about it."""

    statement: KeyStatement
    signed: bytes
    """The statement as it is announced."""
    key: PrivateReaderKey


class KeyStore:
    """The keys of one device, locked to this process until `close`."""

    def __init__(self, directory: Path, vault: Vault, lock: int) -> None:
        self.directory = directory
        self._vault = vault
        self._lock = lock
        self.identity = vault.identity()
        self._keys = self._load_reader_keys()

    @classmethod
    def create(
        cls,
        directory: Path,
        name: str,
        passphrase: bytes | None,
        *,
        now: int,
        vault: Vault | None = None,
    ) -> Self:
        """Make a device: its directory, identity, first reader key and join request.

        Its private keys go into ``vault``, or into files under ``passphrase``. What was killed
        half-way, or failed, can be repeated.

        Raises:
            NoDeviceError: the directory already holds a device.
            MalformedError: a name outside 1 to 64 of a-z 0-9 . _ -
        """
        as_name(name, "device name")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_private(directory)
        lock = _take_lock(directory)
        try:
            vault = vault or FileVault(directory, passphrase)
            _make_device(directory, name, vault, now=now)
            return cls(directory, vault, lock)
        except BaseException:
            os.close(lock)
            raise

    @classmethod
    def open(cls, directory: Path, passphrase: bytes | None) -> Self:
        """Open a device's keys. ``passphrase`` is a token's PIN where it has them.

        Raises:
            NoDeviceError: there is no device in the directory.
            DirectoryInUseError: another process uses it.
            KeyFileError: a key is missing, damaged, open to others, or its passphrase is wrong.
        """
        check_holds_device(directory)
        lock = _take_lock(directory)
        try:
            return cls(directory, _open_vault(directory, passphrase), lock)
        except BaseException:
            os.close(lock)
            raise

    def close(self) -> None:
        """Let other processes use the directory."""
        if self._lock >= 0:
            self._vault.close()
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def name(self) -> str:
        """The device's id."""
        return self._keys[-1].statement.device

    @property
    def reader_keys(self) -> Sequence[OwnReaderKey]:
        """All reader keys that are still here, oldest first."""
        return tuple(self._keys)

    def reader_key(self, kid: bytes) -> PrivateReaderKey | None:
        """Return the reader key of a kid, or None if it is gone."""
        return next((own.key for own in self._keys if own.key.kid == kid), None)

    def join_request(self, *, now: int) -> bytes:
        """Return the signed request by which the owner admits this device (PROTOCOL 8.2)."""
        return _join_request(self.identity, self._keys[-1], now=now)

    def reading_mac(self, data: bytes, *, issued: int) -> bytes:
        """Return what the blinding of a reading is made of: 64 bytes (PROTOCOL 17.2).

        ``issued`` is the message's, in Unix seconds. Raises as `Vault.reading_mac`, and, for a
        reading whose key was erased, gives what opens nothing.
        """
        return self._vault.reading_mac(issued // READING_KEY_PERIOD, data)

    def renewal_due(self, *, now: int) -> bool:
        """Tell whether the newest reader key is old enough for a successor."""
        return now >= self._keys[-1].statement.not_before + READER_KEY_RENEWAL

    def add_reader_key(self, *, now: int, above: int = 0) -> OwnReaderKey:
        """Make, save and return a new reader key. It takes seconds on a small machine.

        ``above`` is the highest serial known to others: after a restore it is above our own.
        """
        # One in a token may be later than all that the directory knows.
        known = max(self._keys[-1].statement.serial, above, *self._vault.serials())
        serial = max(known + 1, now)
        own = _make_reader_key(self.directory, self.name, self.identity, self._vault, now, serial)
        self._keys.append(own)
        return own

    def erase_expired(self, *, now: int) -> int:
        """Erase the reader keys that no valid message can need; return how many.

        Reading keys go as well, once no total is made of what they hide any more.

        The newest stays, so that the device keeps its name and last serial.
        """
        expired = [own for own in self._keys[:-1] if own.statement.not_after + CLOCK_SKEW < now]
        for own in expired:
            # The statement goes first: a key without one is erased by the next opening.
            _statement_path(self.directory, own.statement.serial).unlink(missing_ok=True)
            self._vault.erase_reader_key(own.statement.serial)
            self._keys.remove(own)
        for period in self._vault.reading_periods():
            is_over = (period + 1) * READING_KEY_PERIOD + READING_KEY_KEPT < now
            # A clock may have been ahead by years, and nothing is hidden by that key any more.
            never_came = (period - 1) * READING_KEY_PERIOD > now
            if is_over or never_came:
                self._vault.erase_reading_key(period)
        return len(expired)

    def _load_reader_keys(self) -> list[OwnReaderKey]:
        _clear_orphans(self.directory, self._vault)
        statements = sorted(
            (self._load_statement(path) for path in self.directory.glob("reader-*.statement")),
            key=lambda loaded: loaded[0].serial,
        )
        if not statements:
            raise KeyFileError(f"{self.directory} holds an identity, but no reader key")
        keys = []
        for statement, signed in statements:
            key = self._vault.reader_key(statement.serial)
            if key is None:
                problem = f"there is no key file or object for the reader key {statement.serial}"
                if statement is statements[-1][0]:
                    raise KeyFileError(f"{self.directory}: {problem}")
                # Erased, but for its statement; only the newest is never erased.
                logger.warning("%s: what is sealed to it stays sealed", problem)
                continue
            keys.append(OwnReaderKey(statement=statement, signed=signed, key=key))
        return keys

    def _load_statement(self, path: Path) -> tuple[KeyStatement, bytes]:
        signed = path.read_bytes()
        parsed = cose.parse_signed(KeyStatement, signed)
        return parsed.verify(self.identity.public, cose.FLEETLESS_AAD), signed


def check_holds_device(directory: Path) -> None:
    """Raise NoDeviceError if no device is there, LoosePermissionsError if it is open to others."""
    if not holds_device(directory):
        raise NoDeviceError(f"{directory} holds no device: sealgate device init makes one")
    check_private(directory)


def holds_device(directory: Path) -> bool:
    """Tell whether a device was made in a directory, wherever its private keys are."""
    return (directory / IDENTITY_FILE).exists() or (directory / TOKEN_FILE).exists()


def _open_vault(directory: Path, passphrase: bytes | None) -> Vault:
    if not (directory / TOKEN_FILE).exists():
        return FileVault(directory, passphrase)
    from device_sdk.keys.token_vault import TokenVault  # only where somebody has one

    return TokenVault.open(directory / TOKEN_FILE, passphrase)


def _make_device(directory: Path, name: str, vault: Vault, *, now: int) -> None:
    if holds_device(directory):
        raise NoDeviceError(f"{directory} already holds a device: choose another directory")
    # Left by a making that was cut off, under an identity that nobody has.
    for serial in _stated(directory):
        vault.erase_reader_key(serial)
        _statement_path(directory, serial).unlink()
    _clear_orphans(directory, vault)
    identity = vault.make_identity()
    first = _make_reader_key(directory, name, identity, vault, now, now)
    write_private_file(directory / JOIN_REQUEST, _join_request(identity, first, now=now))
    # The identity comes last: a directory that has one is complete.
    vault.keep_identity(identity)


def _join_request(identity: PrivateIdentity, newest: OwnReaderKey, *, now: int) -> bytes:
    request = JoinRequest(
        name=newest.statement.device,
        identity_spki=identity.spki,
        time=now,
        key_statement=newest.signed,
    )
    return cose.sign(request, identity, cose.FLEETLESS_AAD)


def _clear_orphans(directory: Path, vault: Vault) -> None:
    """Erase reader keys without a statement: half-made or half-erased, and never in use.

    A later one than all statements is none of these if nothing says that it was being made: in a
    token it is from after the backup that the directory was put back from.
    """
    stated = _stated(directory)
    marks = list(directory.glob("reader-*.making"))
    half_made = {_serial_of(path) for path in marks}
    for serial in vault.serials() - stated:
        if serial in half_made or serial < max(stated, default=0):
            vault.erase_reader_key(serial)
    for path in marks:
        path.unlink()


def _stated(directory: Path) -> set[int]:
    return {_serial_of(path) for path in directory.glob("reader-*.statement")}


def _serial_of(path: Path) -> int:
    serial = path.stem.removeprefix("reader-")
    return int(serial) if serial.isdecimal() else 0


def _make_reader_key(
    directory: Path, name: str, identity: PrivateIdentity, vault: Vault, now: int, serial: int
) -> OwnReaderKey:
    """Make and store a reader key, and the statement that announces it."""
    mark = directory / f"reader-{serial}.making"
    write_private_file(mark, b"")
    key = vault.make_reader_key(serial)
    statement = KeyStatement(
        device=name,
        spki=key.public.spki,
        not_before=now,
        not_after=now + READER_KEY_VALIDITY,
        serial=serial,
    )
    signed = cose.sign(statement, identity, cose.FLEETLESS_AAD)
    # The statement comes last: a key that has one is complete.
    write_private_file(_statement_path(directory, serial), signed)
    mark.unlink()
    return OwnReaderKey(statement=statement, signed=signed, key=key)


def _statement_path(directory: Path, serial: int) -> Path:
    return directory / f"reader-{serial}.statement"


def _take_lock(directory: Path) -> int:
    lock = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(lock, 20, 0)
        os.close(lock)
        raise DirectoryInUseError(directory, int(pid) if pid.isdigit() else 0) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock
