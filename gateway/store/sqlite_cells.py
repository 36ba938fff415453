"""The cells of SQLite's b-tree pages, and the values in them (sqlite.org/fileformat2.html, 1.6, 2).

Pure. Only for looking at a ledger from outside: the gateway itself leaves rows to SQLite.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.errors import LedgerDamagedError
from gateway.store.sqlite_pages import (
    INTERIOR_INDEX,
    INTERIOR_TABLE,
    LEAF_TABLE,
    tree_begin,
)

_SMALLEST_CELL = 4
_BEYOND = "the ledger is damaged: a row reaches beyond its page"
_FIXED = {5: 6, 6: 8, 7: 8, 8: 0, 9: 0}
"""Sizes of the serial types that are not their own number or counted (2.1)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One cell. Offsets are within its page; sizes in bytes."""

    begin: int
    end: int
    payload: int
    """Where the part of the payload that stands here begins."""
    here: int
    """That part's size; 0 if the cell is only a signpost."""
    elsewhere: int = 0
    """What stands on overflow pages."""
    overflow: int = 0
    """The first of these pages."""
    child: int = 0
    """The page of what comes before, on interior pages."""


def cells(page: bytes, number: int, usable: int) -> list[Cell]:
    """Return a b-tree page's cells. Raises LedgerDamagedError if they are not there."""
    begin = tree_begin(number)
    kind, (count,) = page[begin], struct.unpack_from(">H", page, begin + 3)
    array = begin + (12 if kind in (INTERIOR_INDEX, INTERIOR_TABLE) else 8)
    try:
        pointers = struct.unpack_from(f">{count}H", page, array)
        found = [_cell(page, kind, at, usable) for at in pointers]
    except (struct.error, IndexError):
        raise LedgerDamagedError(_BEYOND) from None
    if any(cell.end > usable for cell in found):
        raise LedgerDamagedError(_BEYOND)
    return found


def right_child(page: bytes, number: int) -> int:
    """Return the page of what comes after all cells of an interior page."""
    return int(struct.unpack_from(">I", page, tree_begin(number) + 8)[0])


def _cell(page: bytes, kind: int, begin: int, usable: int) -> Cell:
    at = begin
    child = 0
    if kind in (INTERIOR_INDEX, INTERIOR_TABLE):
        (child,) = struct.unpack_from(">I", page, at)
        at += 4
    if kind == INTERIOR_TABLE:
        _, at = varint(page, at)
        return Cell(begin=begin, end=at, payload=at, here=0, child=child)
    size, at = varint(page, at)
    if kind == LEAF_TABLE:
        _, at = varint(page, at)
    here = _local(size, kind, usable)
    overflow, end = 0, at + here
    if here < size:
        (overflow,) = struct.unpack_from(">I", page, end)
        end += 4
    return Cell(
        begin=begin,
        end=max(end, begin + _SMALLEST_CELL),
        payload=at,
        here=here,
        elsewhere=size - here,
        overflow=overflow,
        child=child,
    )


def _local(size: int, kind: int, usable: int) -> int:
    """Return how much of a payload stands in its cell."""
    most = usable - 35 if kind == LEAF_TABLE else (usable - 12) * 64 // 255 - 23
    if size <= most:
        return size
    least = (usable - 12) * 32 // 255 - 23
    some = least + (size - least) % (usable - 4)
    return some if some <= most else least


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Return (number, where it ends)."""
    number = 0
    for place in range(at, at + 8):
        number = number << 7 | data[place] & 0x7F
        if data[place] < 0x80:
            return number, place + 1
    return number << 8 | data[at + 8], at + 9


def record(payload: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (serial type, begin, end) of each column; IndexError where the bytes are no record."""
    header, at = varint(payload, 0)
    data = header
    while at < header:
        kind, at = varint(payload, at)
        size = (kind - 12) // 2 if kind >= 12 else _FIXED.get(kind, kind)
        yield kind, data, data + size
        data += size


def values(payload: bytes, smallest: int) -> Iterator[bytes]:
    """Yield texts and blobs of at least so many bytes; of one that is cut off, what there is."""
    try:
        for kind, begin, end in record(payload):
            if kind >= 12 and min(end, len(payload)) - begin >= smallest:
                yield payload[begin:end]
    except IndexError:
        return
