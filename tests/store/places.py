"""Where a store keeps a ledger, and what a test may do to it from outside. Every store has one."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from gateway.store.port import Ledger
from gateway.store.sqlite import LEDGER_FILE, SqliteLedger


class Place(Protocol):
    """One ledger's place. At most one `Ledger` of it is open at a time."""

    def open(self) -> Ledger:
        """Open the ledger, a new one at first."""

    def save(self, name: str) -> None:
        """Keep the ledger as it is now on disk, also while it is open. Replaces an older one."""

    def put_back(self, name: str) -> None:
        """Let the place be as it was at `save`, whatever has happened since; it is not open."""

    def contents(self) -> Iterator[bytes]:
        """Return all bytes that are on disk, but for what `save` keeps."""


class SqlitePlace:
    """A directory with one file, and its log while it is open."""

    def __init__(self, directory: Path) -> None:
        self._here = directory / "ledger"
        self._saved = directory / "saved"
        self._here.mkdir(parents=True)

    def open(self) -> Ledger:
        return SqliteLedger.open(self._here / LEDGER_FILE)

    def save(self, name: str) -> None:
        shutil.rmtree(self._saved / name, ignore_errors=True)
        # Without the log's index, which is shared memory, and gone with a machine that fell.
        shutil.copytree(self._here, self._saved / name, ignore=shutil.ignore_patterns("*-shm"))

    def put_back(self, name: str) -> None:
        shutil.rmtree(self._here)
        shutil.copytree(self._saved / name, self._here)

    def contents(self) -> Iterator[bytes]:
        return (path.read_bytes() for path in self._here.iterdir())


PLACES = {"sqlite": SqlitePlace}
"""A store to be tested is named here once."""
