"""A SQLite database as its two files have it at one moment, and what of them is outdated."""

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from gateway.errors import LedgerDamagedError
from gateway.store.sqlite_pages import (
    FILE_HEADER,
    FRAME_HEADER,
    LOG_HEADER,
    MAGIC,
    MOST_PAGES,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """Bytes of a database file and its log."""

    file: bytes = field(repr=False)
    log: bytes = field(repr=False)
    page_size: int
    usable: int
    """Without the reserved end of each page."""
    pages: int
    newest: dict[int, int] = field(repr=False)
    """Where in the log the newest version of a page begins; all others stand in the file."""

    @classmethod
    def of(cls, file: bytes, log: bytes) -> Self:
        """Put file and log together, as SQLite does. Raises LedgerDamagedError."""
        if len(file) < FILE_HEADER or not file.startswith(MAGIC):
            raise LedgerDamagedError("the ledger's file is not a SQLite database")
        (size,) = struct.unpack_from(">H", file, 16)
        page_size = 65536 if size == 1 else size
        (pages,) = struct.unpack_from(">I", file, 28)
        newest: dict[int, int] = {}
        pending: dict[int, int] = {}
        for number, committed, at in _frames(log, page_size):
            pending[number] = at
            if committed:
                newest |= pending
                pages, pending = committed, {}
        if pages > MOST_PAGES:
            raise LedgerDamagedError("the ledger is too large to be audited: over 128 GiB")
        return cls(
            file=file,
            log=log,
            page_size=page_size,
            usable=page_size - file[20],
            pages=pages,
            newest=newest,
        )

    def page(self, number: int) -> bytes:
        """Return a page as it counts. Raises LedgerDamagedError if it is not there."""
        at = self.newest.get(number)
        if at is not None:
            return self.log[at : at + self.page_size]
        page = self.in_file(number)
        if len(page) < self.page_size:
            raise LedgerDamagedError("the ledger is damaged: its file ends too early")
        return page

    def in_file(self, number: int) -> bytes:
        """Return a page as the file has it."""
        begin = (number - 1) * self.page_size
        return self.file[begin : begin + self.page_size]

    def outdated(self) -> Iterator[tuple[bool, int, bytes]]:
        """Yield (in the log, number, bytes) of every version of a page that does not count."""
        for number in sorted(self.newest):
            if page := self.in_file(number):
                yield False, number, page
        counting = set(self.newest.values())
        step = FRAME_HEADER + self.page_size
        for begin in range(LOG_HEADER, len(self.log) - step + 1, step):
            if begin + FRAME_HEADER not in counting:
                (number,) = struct.unpack_from(">I", self.log, begin)
                yield True, number, self.log[begin + FRAME_HEADER : begin + step]
        if torn := self.log[LOG_HEADER:][(len(self.log) - LOG_HEADER) // step * step :]:
            yield True, 0, torn
        for number in range(self.pages + 1, len(self.file) // self.page_size + 1):
            if number not in self.newest:
                yield False, number, self.in_file(number)


def _frames(log: bytes, page_size: int) -> Iterator[tuple[int, int, int]]:
    """Yield (page, pages of the database if this ends a commit, where the page begins)."""
    step, salt = FRAME_HEADER + page_size, log[16:24]
    for begin in range(LOG_HEADER, len(log) - step + 1, step):
        number, committed = struct.unpack_from(">II", log, begin)
        if log[begin + 8 : begin + 16] != salt:
            return  # from before the log began anew
        yield number, committed, begin + FRAME_HEADER


def read_image(path: Path, steady: contextlib.AbstractContextManager[object]) -> Image:
    """Read both files while ``steady`` holds, which keeps what is read here from being overwritten.

    Raises LedgerDamagedError, OSError.
    """
    log = path.with_name(f"{path.name}-wal")
    # Opened before and closed after SQLite's own: closing any drops SQLite's locks on Linux.
    with path.open("rb") as file:
        with steady:
            data = file.read()
            logged = b""
            with contextlib.suppress(FileNotFoundError):
                logged = log.read_bytes()
        return Image.of(data, logged)
