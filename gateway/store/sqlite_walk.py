"""Which bytes of a ledger's files does no row explain?

Every b-tree is walked from its root, so that each page and each byte is accounted for by what
SQLite would read. What is left over must be zero, or an older place of what a row has. Left alone
are idle bytes of up to three between two rows, and page numbers, which the free list leaves behind
and which tell nothing.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.errors import LedgerDamagedError
from gateway.store.sqlite_cells import Cell, cells, record, right_child, values
from gateway.store.sqlite_image import Image
from gateway.store.sqlite_pages import (
    INTERIOR_INDEX,
    INTERIOR_TABLE,
    free_pages,
    is_tree,
    tree_begin,
    unused,
)
from gateway.store.sqlite_shifted import Shifted

SMALLEST = 16
"""Bytes of the smallest thing that counts as a trace of a message: its id."""
_FRAGMENT = 3
_ROOT_COLUMN = 3
_LOCK_BYTE = 1 << 30
_LINK = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Stray:
    """Bytes that should not be there."""

    in_log: bool
    page: int
    offset: int
    """Within the page, of the first one."""
    size: int
    mark: int
    """Of their content, so that two looks can tell whether they found the same."""


class Walk:
    """One walk through everything."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._reached = bytearray(image.pages + 1)
        self._known: set[int] = set()
        """Hashes of all values of the rows, and of what stands on overflow pages."""

    def strays(self) -> Iterator[Stray]:
        """Yield what no row explains. Raises LedgerDamagedError."""
        try:
            yield from self._strays()
        except IndexError:
            raise LedgerDamagedError("the ledger is damaged: a row is no record") from None

    def _strays(self) -> Iterator[Stray]:
        image, roots = self._image, [1]
        while roots:
            yield from self._tree(roots.pop(), roots)
        yield from self._free()
        for number in range(1, image.pages + 1):
            if not self._reached[number] and number != _LOCK_BYTE // image.page_size + 1:
                yield from _stray(image.page(number), number)
        for in_log, number, page in image.outdated():
            yield from self._outdated(in_log, number, page)

    # ------------------------------------------------------------ what counts

    def _tree(self, root: int, roots: list[int]) -> Iterator[Stray]:
        waiting, shifted, numbers = [root], Shifted(), []
        while waiting:
            number = waiting.pop()
            page = self._reach(number)
            if not is_tree(page, number, self._image.pages):
                raise LedgerDamagedError("the ledger is damaged: a table's page is none")
            found = cells(page, number, self._image.usable)
            if page[tree_begin(number)] in (INTERIOR_INDEX, INTERIOR_TABLE):
                waiting += [*(cell.child for cell in found), right_child(page, number)]
            numbers.append(number)
            shifted.add_unused(number, page, self._unaccounted(page, number, found))
            for cell in found:
                payload = page[cell.payload : cell.payload + cell.here]
                self._known.update(map(hash, values(payload, SMALLEST)))
                if root == 1 and cell.here:
                    roots += _root(payload)
                if cell.overflow:
                    yield from self._overflow(cell)
        if root == 1:
            return  # the schema has nothing but SQL
        self._explain(shifted, numbers)
        for number, offset, data in shifted.strays():
            yield _stray_at(number, offset, data)

    def _explain(self, shifted: Shifted, numbers: list[int]) -> None:
        for number in numbers:
            if shifted.is_over:
                return
            page = self._image.page(number)
            for cell in cells(page, number, self._image.usable):
                shifted.explain(page[cell.begin : cell.end])

    def _reach(self, number: int) -> bytes:
        if not 0 < number <= self._image.pages or self._reached[number]:
            raise LedgerDamagedError("the ledger is damaged: two tables share a page")
        self._reached[number] = 1
        return self._image.page(number)

    def _unaccounted(
        self, page: bytes, number: int, found: list[Cell]
    ) -> Iterator[tuple[int, int]]:
        begin = tree_begin(number)
        empty = list(unused(page, number, self._image.usable))
        yield from empty
        array = empty[0][0]
        used = [(0, array), *empty, *((block - _LINK, block) for block, _ in empty[1:])]
        used += [(cell.begin, cell.end) for cell in found]
        end = begin
        for following, after in sorted(used):
            if following - end > _FRAGMENT:
                yield end, following
            end = max(end, after)
        yield end, self._image.page_size

    def _overflow(self, cell: Cell) -> Iterator[Stray]:
        number, left = cell.overflow, cell.elsewhere
        while left > 0:
            page = self._reach(number)
            size = min(left, self._image.usable - _LINK)
            self._known.add(hash(page[_LINK : _LINK + size].rstrip(b"\0")))
            end = _LINK + size
            if not self._only_numbers(page, end):
                yield from _stray(page, number, end)
            (number,) = struct.unpack_from(">I", page)
            left -= size

    def _free(self) -> Iterator[Stray]:
        for trunk, named in free_pages(self._image.page, self._image.pages):
            page, end = self._reach(trunk), 8 + _LINK * len(named)
            if not self._only_numbers(page, end):
                yield from _stray(page, trunk, end)
            for number in named:
                yield from _stray(self._reach(number), number)

    def _only_numbers(self, page: bytes, begin: int) -> bool:
        begin += -begin % _LINK
        words = struct.unpack_from(f">{(len(page) - begin) // _LINK}I", page, begin)
        return all(word <= self._image.pages for word in words)

    # ------------------------------------------------------------ what does not count

    def _outdated(self, in_log: bool, number: int, page: bytes) -> Iterator[Stray]:
        """Yield the values of a page's older version that no row has any more."""
        gone = [value for value in self._contents(page, number) if hash(value) not in self._known]
        for value in gone:
            at = page.find(value)
            yield Stray(
                in_log=in_log, page=number, offset=at, size=len(value), mark=hash((number, value))
            )

    def _contents(self, page: bytes, number: int) -> Iterator[bytes]:
        try:
            if is_tree(page, number, self._image.pages):
                for cell in cells(page, number, self._image.usable):
                    yield from values(page[cell.payload : cell.payload + cell.here], SMALLEST)
                return
        except LedgerDamagedError:
            pass  # of a file that was longer; whatever it is, nobody explains it
        if not self._only_numbers(page, 0):
            yield page[_LINK : self._image.usable].rstrip(b"\0")


def _root(payload: bytes) -> list[int]:
    """Return the root page that a row of the schema names."""
    kind, begin, end = list(record(payload))[_ROOT_COLUMN]
    number = 1 if kind == 9 else int.from_bytes(payload[begin:end], "big")
    return [number] if number else []


def _stray(page: bytes, number: int, begin: int = 0) -> Iterator[Stray]:
    """Yield what stands on a page from ``begin`` on, if anything does."""
    data = page[begin:].rstrip(b"\0")
    if data:
        skipped = len(data) - len(data.lstrip(b"\0"))
        yield _stray_at(number, begin + skipped, data[skipped:])


def _stray_at(number: int, offset: int, data: bytes) -> Stray:
    return Stray(
        in_log=False, page=number, offset=offset, size=len(data), mark=hash((number, data))
    )
