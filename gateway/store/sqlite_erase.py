"""Removing deleted bytes from a SQLite ledger's files.

``secure_delete`` overwrites what is deleted, but not everything that is stale: when SQLite shifts
rows between neighbouring pages to balance its trees, the old pages keep the shifted rows' bytes in
the unused space between their parts, and these survive when the row is deleted at its new place
(found by searching the files of a ledger with a few thousand deletions for each deleted id). Only
rebuilding the file leaves no such space behind. A rebuild costs about 5 ms a megabyte, so that a
large ledger is rebuilt less often; until then `Eraser.erase` says that it has not finished.
"""

import sqlite3
import time

from gateway.fault_points import reached

_REST, _SHORT = 20, 0.02
"""A rebuild of one second is followed by so many without one; a short one by none."""
_IN_MEMORY = 32 * 1024 * 1024
"""Bytes of file up to which the rebuild happens in memory; a larger one takes a temporary file,
without a name, in the ledger's own directory (`PRAGMA temp_store_directory`)."""


class Eraser:
    """Keeps in mind what is still to be erased."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Assume that the process before did not finish."""
        self._connection = connection
        self._stale = True
        self._rest_until = 0.0

    def dropped(self) -> None:
        """Remember that a transaction has dropped something."""
        self._stale = True

    def erase(self) -> bool:
        """Rebuild the file if needed, and fold the log in. False: not finished, try again later.

        Raises:
            sqlite3.Error: the disk is full or fails.
        """
        if self._stale and time.monotonic() >= self._rest_until:
            self._rebuild()
            reached("erasure-rebuilt")
        return self._truncate() and not self._stale

    def _rebuild(self) -> None:
        started = time.monotonic()
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        (page_size,) = self._connection.execute("PRAGMA page_size").fetchone()
        memory = pages * page_size <= _IN_MEMORY
        try:
            self._connection.execute(f"PRAGMA temp_store = {2 if memory else 1}")
            self._connection.execute("VACUUM")
        finally:
            self._connection.execute("PRAGMA temp_store = 2")
            ended = time.monotonic()
            took = ended - started
            self._rest_until = ended + (_REST * took if took > _SHORT else 0)
        self._stale = False

    def _truncate(self) -> bool:
        (timeout,) = self._connection.execute("PRAGMA busy_timeout").fetchone()
        self._connection.execute("PRAGMA busy_timeout = 0")
        try:
            busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {timeout}")
        return not busy
