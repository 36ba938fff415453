"""Is anything in the gateway's directory that no row of the ledger explains?"""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.audit import Finding
from gateway.bundle import ROOT_FILE
from gateway.enrolment import IDENTITY_FILE, JOIN_REQUEST_FILE
from gateway.errors import GatewayError
from gateway.login import OPERATOR_FILE
from gateway.own_certificate import CA_FILE, CERTIFICATE_FILE
from gateway.requests import DIRECTORY
from gateway.settings import SETTINGS_FILE
from gateway.store.lock import LOCK_FILE
from gateway.store.sqlite_image import read_image
from gateway.store.sqlite_pages import MAGIC
from gateway.store.sqlite_walk import Stray, Walk

_OURS = (
    CA_FILE,
    CERTIFICATE_FILE,
    IDENTITY_FILE,
    JOIN_REQUEST_FILE,
    LOCK_FILE,
    OPERATOR_FILE,
    ROOT_FILE,
    SETTINGS_FILE,
)
_SERVE = "let the gateway serve a moment: it erases when it starts"
_STILL_READ = f"{_SERVE}; if it does, end what keeps the ledger open for reading"
_KINDS = (
    (MAGIC, "a copied database"),
    (b"\x37\x7f\x06\x82", "a copied log"),
    (b"\x37\x7f\x06\x83", "a copied log"),
    (b"\xd8\x60", "a sealed message"),
)
_HEAD = 16


class AuditError(GatewayError):
    """A directory that cannot be looked at."""


def files_in(data: Path) -> list[Path]:
    """Return all files below the data directory, sorted. Raises AuditError."""
    try:
        if not data.is_dir():
            raise AuditError(f"there is no directory {data}")
        return sorted(path for path in data.rglob("*") if path.is_symlink() or not path.is_dir())
    except OSError as error:
        raise AuditError(f"cannot look into {data}: {error.strerror}") from error


def foreign_files(data: Path, ledger: str, known: Iterable[Path]) -> Iterator[Finding]:
    """Yield the files that a gateway does not keep in its directory.

    ``known`` are others that the operator has put there on purpose, such as a password file.
    """
    ours = {data / name for name in (*_OURS, ledger, f"{ledger}-wal", f"{ledger}-shm")}
    expected = {path.resolve() for path in known}
    for path in files_in(data):
        if data / DIRECTORY in path.parents:  # join requests, for the owner
            continue
        if path in ours or expected & {path.resolve(), *path.resolve().parents}:
            continue
        try:
            with path.open("rb") as file:
                head, size = file.read(_HEAD), os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            continue
        except OSError as error:
            raise AuditError(f"cannot read {path}: {error.strerror}") from error
        kind = next((kind for begin, kind in _KINDS if head.startswith(begin)), "a file")
        yield Finding(
            what=f"{kind} that does not belong here",
            where=_printable(str(path.relative_to(data))),
            size=size,
            todo="move it away, or delete it",
        )


def strays(ledger: Path, connection: sqlite3.Connection) -> Iterator[Finding]:
    """Yield what stands in the ledger's files and in none of its rows.

    Raises LedgerDamagedError, OSError.
    """
    for stray in Walk(read_image(ledger, _snapshot(connection))).strays():
        yield _finding(stray, ledger.name)


@contextmanager
def _snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold a read transaction: what is in the log meanwhile stays there."""
    connection.execute("BEGIN")
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        yield
    finally:
        connection.execute("COMMIT")


def _finding(stray: Stray, name: str) -> Finding:
    file = f"{name}-wal" if stray.in_log else name
    return Finding(
        what="bytes that no row explains",
        where=f"{file} page {stray.page} offset {stray.offset}",
        size=stray.size,
        todo=_STILL_READ if stray.in_log else _SERVE,
        mark=stray.mark,
    )


def _printable(name: str) -> str:
    return ascii(name)[1:-1]
