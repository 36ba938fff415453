"""The ledger as one SQLite file, in a thread of its own.

Write-ahead log, every commit on disk before it is reported, and deleted bytes overwritten: each of
these settings has another default somewhere, so each is set and read back. What is deleted leaves
the files with the next `erase`.
"""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

from gateway.errors import (
    LedgerDamagedError,
    LedgerError,
    LedgerTooNewError,
    LedgerUnavailableError,
)
from gateway.store.lock import DirectoryLock
from gateway.store.port import Reading, Transaction
from gateway.store.queries import migrations, queries
from gateway.store.records import MessageKey, Summary
from gateway.store.sqlite_erase import Eraser
from gateway.store.sqlite_reading import SqliteReading
from gateway.store.sqlite_transaction import SqliteTransaction

T = TypeVar("T")

LEDGER_FILE = "ledger.sqlite"
_APPLICATION_ID = 0x5EA16A7E
_WRITE_PRAGMAS: dict[str, str | int] = {
    "journal_mode": "wal",
    "synchronous": 2,  # FULL
    "secure_delete": 1,
    "foreign_keys": 1,
    "temp_store": 2,  # MEMORY: nothing sealed goes to a temporary file
    "trusted_schema": 0,
}
_BUSY_SECONDS = 10.0
_PAGE = 500

_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)


class SqliteLedger:
    """`gateway.store.port.Ledger` on one SQLite file."""

    def __init__(
        self, connection: sqlite3.Connection, thread: ThreadPoolExecutor, lock: DirectoryLock
    ) -> None:
        """Use `open`."""
        self._connection = connection
        self._eraser = Eraser(connection)
        self._thread = thread
        self._lock = lock

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a ledger, or make a new one, in a directory that is there.

        Raises:
            LedgerLockedError: another process uses the directory.
            LedgerTooNewError: written by a newer release.
            LedgerDamagedError: not a ledger.
            LedgerUnavailableError: the disk is full or fails, or the file may not be written.
        """
        lock = DirectoryLock(path.parent)
        thread = ThreadPoolExecutor(1, thread_name_prefix="sealgate-ledger")
        try:
            connection = thread.submit(_connect, path).result()
        except BaseException:
            thread.shutdown()
            lock.release()
            raise
        return cls(connection, thread, lock)

    async def run(self, work: Callable[[Transaction], T]) -> T:
        """See `gateway.store.port.Ledger.run`.

        Work whose caller was cancelled is done whole or not at all; nobody learns which.
        """

        def in_transaction() -> T:
            with _translated():
                with _transaction(self._connection, "BEGIN IMMEDIATE"):
                    transaction = SqliteTransaction(self._connection)
                    result = work(transaction)
                if transaction.dropped:
                    self._eraser.dropped()
            return result

        return await self._in_thread(in_transaction)

    async def read(self, work: Callable[[Reading], T]) -> T:
        """See `gateway.store.port.Ledger.read`."""

        def in_transaction() -> T:
            with _translated(), _transaction(self._connection, "BEGIN"):
                return work(SqliteReading(self._connection))

        return await self._in_thread(in_transaction)

    async def erase(self) -> bool:
        """See `gateway.store.port.Ledger.erase`; of a large ledger it takes several calls."""

        def erase() -> bool:
            with _translated():
                return self._eraser.erase()

        return await self._in_thread(erase)

    async def close(self) -> None:
        """See `gateway.store.port.Ledger.close`. Nothing happens the second time.

        What cannot be erased any more is erased by the process that opens the ledger next.
        """
        with contextlib.suppress(LedgerError):
            await self._in_thread(lambda: _close(self._connection, self._eraser))
        self._thread.shutdown()
        self._lock.release()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            future = asyncio.get_running_loop().run_in_executor(self._thread, work)
        except RuntimeError as error:
            raise LedgerError("the ledger is closed") from error
        return await future


@contextlib.contextmanager
def look_into(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a ledger for looking only, also while a gateway has it open, and leave no trace.

    Raises:
        LedgerError: there is no ledger, or none that this release knows.
    """
    if not path.exists():
        raise LedgerError(f"there is no ledger {path}")
    # Where no log is, nobody has the ledger open: SQLite would make one, and leave it behind.
    mode = "ro" if path.with_name(f"{path.name}-wal").exists() else "ro&immutable=1"
    with _translated(), contextlib.closing(_open_file(path, mode)) as connection:
        _check_schema(connection, _schema(connection))
        yield connection


def read_summaries(path: Path) -> Iterator[Summary]:
    """List what a ledger holds, also while a gateway has it open.

    No transaction stays open between two pages, so that the gateway can truncate its log.

    Raises:
        LedgerError: there is no ledger, or none that this release knows.
    """
    with look_into(path) as connection:
        after: MessageKey | None = None
        while page := SqliteReading(connection).summaries(after, _PAGE):
            yield from (summary for _, summary in page)
            after = page[-1][0]


def quick_check(connection: sqlite3.Connection) -> str:
    """Return what SQLite finds wrong with a ledger's file, "" if nothing."""
    with _translated():
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    return "" if found == "ok" else str(found)


def _connect(path: Path) -> sqlite3.Connection:
    with _translated():
        _make_private(path)
        connection = _open_file(path, "rw")
        try:
            _check_schema(connection, _schema(connection))
            for pragma, wanted in _WRITE_PRAGMAS.items():
                _set_pragma(connection, pragma, wanted)
            # The temporary file of a large rebuild: on no other file system than the ledger itself.
            directory = str(path.parent.absolute())
            _set_pragma(connection, "temp_store_directory", directory)
            _migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def _make_private(path: Path) -> None:
    # SQLite gives its log the mode of the file itself.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _open_file(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
    )


def _schema(connection: sqlite3.Connection) -> int:
    """Return the schema number; 0 for an empty file."""
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if tables and application != _APPLICATION_ID:
        raise LedgerDamagedError("the ledger's file is a database of something else")
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _check_schema(connection: sqlite3.Connection, found: int) -> None:
    known = len(migrations())
    if found > known:
        raise LedgerTooNewError(found=found, known=known)


def _set_pragma(connection: sqlite3.Connection, pragma: str, wanted: str | int) -> None:
    value = wanted if isinstance(wanted, int) else "'{}'".format(wanted.replace("'", "''"))
    connection.execute(f"PRAGMA {pragma} = {value}").fetchall()
    (got,) = connection.execute(f"PRAGMA {pragma}").fetchone()
    if got != wanted:
        raise LedgerError(
            f"this SQLite does not take {pragma} = {wanted} (it stays {got}): use another build"
        )


def _migrate(connection: sqlite3.Connection) -> None:
    found = _schema(connection)
    for number, script in enumerate(migrations()[found:], start=found + 1):
        with _transaction(connection, "BEGIN IMMEDIATE"):
            for statement in _statements(script):
                connection.execute(statement)
            if number == 1:
                connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                connection.execute(
                    queries()["new_meta"],
                    {"ledger_id": os.urandom(16), "tombstone_key": os.urandom(32)},
                )
            connection.execute(f"PRAGMA user_version = {number}")


def _statements(script: str) -> Iterator[str]:
    # executescript would commit what came before it.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A failing disk may have ended the transaction already, or not let it end in any way.
        with contextlib.suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        raise


def _close(connection: sqlite3.Connection, eraser: Eraser) -> None:
    with _translated():
        try:
            eraser.erase()
        finally:
            connection.close()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _UNAVAILABLE:
            raise LedgerUnavailableError(f"the ledger's disk fails: {error}") from error
        raise LedgerDamagedError(f"the ledger is damaged: {error}") from error
