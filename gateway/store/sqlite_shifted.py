"""Unused bytes of a b-tree that are only an older place of rows which are still there.

When SQLite splits a page it copies rows to another one, and leaves their bytes in the space that is
unused from then on. They tell nothing that the ledger does not hold. So what counts is whether the
same bytes stand in a row of the same tree: pure, and quick enough for a large ledger.
"""

from collections.abc import Iterable, Iterator

_WORD = 4
"""Bytes that are compared at a time, at every place of both."""
_RUN = 13
"""So many places in a row at which stands what no row has: an id of 16 bytes has them, unless by
chance a part of it looks like pointers, and anything longer has many more. Where two older rows
meet there are three, and seven where SQLite wrote a note of its own over one."""
_FULL = 14
"""So many of the bytes there are not zero. Where notes of SQLite's own and scraps of rows lie side
by side, what no row has can be as long, but much of it is zero: the notes are small numbers,
and what was erased is zero. Of thirty thousand ids one has as many zeros."""

Span = tuple[int, int]
"""Begin and end within a page."""


class Shifted:
    """The unused space of one tree, and what its rows explain of it."""

    def __init__(self) -> None:
        self._stale: list[tuple[int, int, bytes]] = []
        self._unexplained: set[int] = set()

    def add_unused(self, number: int, page: bytes, spans: Iterable[Span]) -> None:
        """Take in what is unused of a page, unless it is zero."""
        most = len(page) >> 8
        for begin, end in spans:
            if page.count(0, begin, end) == end - begin:
                continue
            data = page[begin:end]
            self._stale.append((number, begin, data))
            self._unexplained.update(
                word
                for at, word in enumerate(_words_everywhere(data))
                if not _are_pointers(data, at, (begin + at) % 2, most)
            )

    def explain(self, row: bytes) -> None:
        """Take in what a row has of its page: after all that is unused."""
        for begin in range(_WORD if self._unexplained else 0):
            self._unexplained.difference_update(_words(row, begin))

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be explained."""
        return not self._unexplained

    def strays(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield (page, offset, bytes) of what no row has."""
        for number, begin, data in self._stale:
            for first, last in self._runs(data):
                yield number, begin + first, data[first : last + _WORD - 1]

    def _runs(self, data: bytes) -> Iterator[Span]:
        first = 0
        for at, word in enumerate([*_words_everywhere(data), -1]):
            if word not in self._unexplained:
                if at - first >= _RUN and _is_full(data[first : at + _WORD - 1]):
                    yield first, at
                first = at + 1


def _is_full(data: bytes) -> bool:
    return len(data) - data.count(0) >= _FULL


def _words_everywhere(data: bytes) -> list[int]:
    """Return the word at every place."""
    words = [0] * max(len(data) - _WORD + 1, 0)
    for begin in range(_WORD):
        words[begin::_WORD] = _words(data, begin)
    return words


def _words(data: bytes, begin: int) -> memoryview:
    count = max(len(data) - begin, 0) // _WORD
    return memoryview(data[begin : begin + count * _WORD]).cast("I")


def _are_pointers(data: bytes, at: int, odd: int, most: int) -> bool:
    """Tell whether at a place may stand pointers to cells that a page had once.

    They stand at even places of a page, and are smaller than it; they tell nothing.
    """
    return data[at + odd] < most and data[at + odd + 2] < most
