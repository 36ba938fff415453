"""The device's durable state: one SQLite file, for one process, that a crash cannot half-write.

WAL with synchronous=FULL: what a transaction has committed survives a power cut. secure_delete=ON:
deleted envelopes are overwritten, not merely unlinked. Nothing in it is plaintext or a private key.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from device_sdk.errors import StateFileError
from device_sdk.key_file import check_private
from device_sdk.state.sql_files import migrations

_MOST = 2**63 - 1
"""The largest integer that SQLite stores."""


_SETTINGS: Mapping[str, tuple[str, str | int]] = {
    "journal_mode": ("WAL", "wal"),
    "synchronous": ("FULL", 2),
    "secure_delete": ("ON", 1),
    "foreign_keys": ("ON", 1),
    "temp_store": ("MEMORY", 2),
}
"""What is set at every opening, and what SQLite answers if it has been."""


def storable(value: int) -> int:
    """Return an unsigned 64-bit number as SQLite can store it: what is larger never comes."""
    return min(value, _MOST)


class StateFile:
    """One open state file. Its user sees to it that one thread at a time calls it."""

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises StateFileError, LoosePermissionsError."""
        self._path = path
        self._swept = -1
        with self._translated():
            _make(path)
            check_private(path)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            try:
                self._configure()
                self._migrate()
            except BaseException:
                self._db.close()
                raise

    def _configure(self) -> None:
        # The defaults differ from build to build, so none of them is left to chance; nor is what
        # SQLite makes of them: on some file systems there is no WAL.
        for name, (wanted, expected) in _SETTINGS.items():
            self._db.execute(f"PRAGMA {name}={wanted}")
            (got,) = self._db.execute(f"PRAGMA {name}").fetchone()
            if got != expected:
                raise StateFileError(
                    f"SQLite cannot use {name}={wanted} for {self._path}: got {got}"
                )

    def _migrate(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        steps = migrations()
        if version > len(steps):
            raise StateFileError(
                f"{self._path} was written by a newer version of this software: update it"
            )
        for number, script in enumerate(steps[version:], start=version + 1):
            self._db.executescript(f"BEGIN;\n{script}\nPRAGMA user_version={number};\nCOMMIT;")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what the block writes, whole, or nothing of it. Raises StateFileError."""
        with self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk may have rolled it back already.
                with contextlib.suppress(sqlite3.OperationalError):
                    self._db.execute("ROLLBACK")
                raise

    def execute(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Run one statement. Raises StateFileError."""
        with self._translated():
            self._db.execute(sql, values)

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row, within a transaction. Raises StateFileError."""
        with self._translated():
            self._db.executemany(sql, rows)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query. Raises StateFileError."""
        with self._translated():
            return self._db.execute(sql, values).fetchall()

    def row(self, sql: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """Return the first row of a query, or None. Raises StateFileError."""
        with self._translated():
            row: tuple[Any, ...] | None = self._db.execute(sql, values).fetchone()
            return row

    def fact(self, name: str) -> bytes | None:
        """Return a single fact."""
        row = self.row("SELECT value FROM fact WHERE name = ?", (name,))
        return None if row is None else row[0]

    def put_fact(self, name: str, value: bytes) -> None:
        """Store a single fact."""
        self.execute(
            "INSERT INTO fact VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            (name, value),
        )

    def sweep(self) -> None:
        """Empty the write-ahead log, where deleted bytes linger, if anything was written."""
        if self._db.total_changes != self._swept:
            self.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._swept = self._db.total_changes

    def close(self) -> None:
        """Close the file; its write-ahead log is folded in and removed."""
        self._db.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StateFileError(f"the state file {self._path} failed: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _make(path: Path) -> None:
    """Make the file if there is none, private, and so that a power cut leaves its name there."""
    # SQLite gives its -wal and -shm files the mode of the file itself.
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
