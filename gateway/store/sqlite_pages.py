"""What SQLite's published file format says about the bytes of a page (sqlite.org/fileformat2.html).

Pure: bytes go in, numbers come out. A b-tree page (1.6) has a header, an array of pointers to its
cells, and the cells at its end. The gap between array and cells, and the free blocks among the
cells, are used by nothing, whatever they hold. Up to three bytes at a time may lie idle between two
cells besides ("fragments"): too few to be of use to anybody.
"""

import struct
from collections.abc import Callable, Iterator

from gateway.errors import LedgerDamagedError

MAGIC, FILE_HEADER = b"SQLite format 3\0", 100
"""How a file begins, and the bytes before the first b-tree page (1.3)."""
MOST_PAGES = (1 << 25) - 1
"""In a larger file (128 GiB) a page's first byte would not tell what kind of page it is."""
LOG_HEADER, FRAME_HEADER = 32, 24
"""Bytes before the first frame of a write-ahead log, and before the page in each frame (4.1)."""
INTERIOR_INDEX, INTERIOR_TABLE, LEAF_INDEX, LEAF_TABLE = 2, 5, 10, 13
_TREE = frozenset((INTERIOR_INDEX, INTERIOR_TABLE, LEAF_INDEX, LEAF_TABLE))
_BLOCK_HEADER = 4
_DAMAGED = "the ledger is damaged: a page of its file is not as SQLite writes it"


def tree_begin(number: int) -> int:
    """Return where the b-tree header of a page begins: the file's own header stands in page 1."""
    return FILE_HEADER if number == 1 else 0


def is_tree(page: bytes, number: int, pages: int) -> bool:
    """Tell whether a page belongs to a b-tree: any other begins with the number of another page.

    Raises LedgerDamagedError if there is no such page among the file's ``pages``.
    """
    if page[tree_begin(number)] in _TREE:
        return True
    if int.from_bytes(page[:4], "big") > pages or number == 1:
        raise LedgerDamagedError(_DAMAGED)
    return False


def unused(page: bytes, number: int, usable: int) -> Iterator[tuple[int, int]]:
    """Yield (begin, end) of what no cell of a b-tree page uses, free blocks without their headers.

    ``usable`` is the page's size without its reserved end. Raises LedgerDamagedError.
    """
    begin = tree_begin(number)
    block, cells, content = struct.unpack_from(">HHH", page, begin + 1)
    header = 8 if page[begin] in (LEAF_INDEX, LEAF_TABLE) else 12
    gap, content = begin + header + 2 * cells, content or 65536
    if not gap <= content <= usable:
        raise LedgerDamagedError(_DAMAGED)
    yield gap, content
    before = content
    while block:
        following, size = struct.unpack_from(">HH", page, block) if block < usable - 3 else (0, 0)
        if block < before or size < _BLOCK_HEADER or block + size > usable:
            raise LedgerDamagedError(_DAMAGED)
        yield block + _BLOCK_HEADER, block + size
        before, block = block + size, following


def free_pages(read: Callable[[int], bytes], pages: int) -> Iterator[tuple[int, list[int]]]:
    """Yield (page of the free list, free pages that it names), the list read with ``read`` (1.5).

    The pages that it names hold nothing. Raises LedgerDamagedError.
    """
    (trunk,) = struct.unpack_from(">I", read(1), 32)
    for _ in range(pages):
        if not trunk:
            return
        page = read(trunk) if trunk <= pages else b""
        if len(page) < 8 or struct.unpack_from(">I", page, 4)[0] > len(page) // 4 - 2:
            break
        following, count = struct.unpack_from(">II", page)
        yield trunk, list(struct.unpack_from(f">{count}I", page, 8))
        trunk = following
    raise LedgerDamagedError(_DAMAGED)
