"""Numbers by which a reader notices that messages are missing (PROTOCOL 5.1, 14). Pure.

A sender counts its messages separately for each set of readers: such a *series* consists of
messages that all went to the same readers. So whoever has got number 7 of a series knows that 1 to
6 were sealed to it as well. It is not told who the other readers are: the series' name is random.
"""

import hashlib
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Self

_BITS = 32
MOST_NUMBER = 2**_BITS - 1
"""The last number of a series; the sender begins a new one then."""
MOST_GAPS = 16
"""Gaps that are remembered of one series: the oldest are forgotten first."""
MOST_MISSED = 1_000_000
"""Numbers of one gap: of a greater leap, which no real sender makes, only the end is a gap."""


@dataclass(frozen=True, slots=True)
class Place:
    """A message's series, and its number in it: the header's ``sequence``."""

    series: int
    """1 to 2**32 - 1; 0 is what senders have that keep no series, and says nothing."""
    number: int

    @classmethod
    def of(cls, sequence: int) -> Self:
        """Return what a header's sequence says."""
        return cls(sequence >> _BITS, sequence & MOST_NUMBER)

    @classmethod
    def first(cls) -> Self:
        """Return the beginning of a new series, of which no other message ever was."""
        return cls(1 + secrets.randbelow(2**_BITS - 1), 1)

    @property
    def sequence(self) -> int:
        """What goes into the header."""
        return self.series << _BITS | self.number

    def next(self) -> "Place":
        """Return the next message's place."""
        if not self.series or self.number == MOST_NUMBER:
            return Place.first()
        return Place(self.series, self.number + 1)


def readers_hash(readers: Iterable[str]) -> bytes:
    """Return 32 bytes that are the same for the same set of readers."""
    return hashlib.sha256("\n".join(sorted(readers)).encode()).digest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """Numbers that have not arrived."""

    first: int
    last: int
    """Inclusive."""
    until: int
    """Unix seconds: by then whatever is missing has expired, and nobody need look for it."""

    def without(self, number: int) -> "list[Gap]":
        """Return what is left of the gap once a number of it has arrived."""
        if not self.first <= number <= self.last:
            return [self]
        parts = (replace(self, last=number - 1), replace(self, first=number + 1))
        return [part for part in parts if part.first <= part.last]


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """What has arrived of one series. The first number that arrives leaves no gap."""

    highest: int
    gaps: tuple[Gap, ...] = ()
    """Ascending, `MOST_GAPS` at most."""

    def hear(self, number: int, until: int) -> "Heard":
        """Return it after a number has arrived; ``until`` is that of a gap which this shows.

        A number that came before, or that a sender restored from a backup uses again, changes
        nothing.
        """
        if number > self.highest:
            first = max(self.highest + 1, number - MOST_MISSED)
            gap = Gap(first=first, last=number - 1, until=until)
            gaps = [*self.gaps, gap] if first < number else list(self.gaps)
            return Heard(highest=number, gaps=tuple(gaps[-MOST_GAPS:]))
        gaps = [part for gap in self.gaps for part in gap.without(number)]
        return Heard(highest=self.highest, gaps=tuple(gaps[-MOST_GAPS:]))

    def missed(self, before: int, *, arrived: Collection[int], now: int) -> tuple[range, ...]:
        """Return the numbers below ``before`` that are missing and have not expired for sure.

        ``arrived``: what has arrived in the meantime, but was not heard of here.
        """
        gaps = [gap for gap in self.gaps if gap.until > now]
        for number in arrived:
            gaps = [part for gap in gaps for part in gap.without(number)]
        return tuple(
            range(gap.first, min(gap.last + 1, before)) for gap in gaps if gap.first < before
        )
