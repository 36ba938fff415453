"""Trying again, later and later. Seconds of a monotonic clock, as the wall clock may jump."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Backoff:
    """How long to wait between tries: ``first`` seconds, then twice as long, up to ``most``."""

    first: float
    most: float


@dataclass(slots=True)
class Pace:
    """When one thing is due next, and how often it was tried."""

    due: float = 0.0
    tries: int = 0

    def tried(self, tick: float, backoff: Backoff) -> None:
        """Take note of a try at ``tick``."""
        self.due = tick + min(backoff.first * 2.0 ** min(self.tries, 30), backoff.most)
        self.tries += 1


@dataclass(slots=True)
class Allowance:
    """So many at once, and afterwards one every so many seconds."""

    burst: int
    every: float
    _spent_until: float = 0.0
    """The tick at which everything spent is earned again."""

    def available_at(self, tick: float) -> float:
        """Return the tick from which one may be spent: in the past if it may be now."""
        return max(self._spent_until, tick) - (self.burst - 1) * self.every

    def spend(self, tick: float) -> None:
        """Spend one."""
        self._spent_until = max(self._spent_until, tick) + self.every
