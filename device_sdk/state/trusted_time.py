"""The latest time that this device believes in, as a clock that jumps must not lose mail.

What is destructive goes by this time, not by the wall clock. It begins once a gateway's signed time
agrees with the wall clock, and follows it from there: never back on the wall clock's word alone,
and never more than seven days beyond what has passed by the monotonic clock since a gateway agreed
last (PROTOCOL 13.7, 14). What could not be mended if the clock had leapt, forgetting what was
handled and erasing a reader key, goes by `TrustedTime.sure`.
"""

from device_sdk.state.state_file import StateFile
from device_sdk.wire.limits import DAY

_FACT = "trusted-time"
_LEAP = 7 * DAY
_AGREEMENT = DAY
_SAVED_EVERY = 3600
"""Seconds: a memory card wears by being written to."""


class TrustedTime:
    """The high-water mark of wall time, in Unix seconds."""

    def __init__(self, state: StateFile) -> None:
        self._state = state
        stored = state.fact(_FACT) or b""
        self._now = self._saved = int.from_bytes(stored[:8])
        self._agreed = int.from_bytes(stored[8:])
        """The wall time when a gateway agreed last; 0 before the first."""
        self._agreed_tick: float | None = None
        self._sure = self._agreed

    @property
    def now(self) -> int:
        """Unix seconds; 0 until a gateway has agreed for the first time."""
        return self._now

    @property
    def sure(self) -> int:
        """Unix seconds that have passed for certain: `now` without what the clock has leapt.

        A gateway agreed, and so much has passed since by the monotonic clock. `now` never goes back
        behind it, so that what is forgotten by this time is refused ever after.
        """
        return min(self._sure, self._now)

    def advance(self, wall: int, tick: float, gateway: int | None) -> None:
        """Follow the wall clock.

        ``tick`` is the same moment by the monotonic clock, in seconds; ``gateway`` is the time of
        the latest verified state, if any.
        """
        if self._agreed_tick is None:
            self._agreed_tick = tick
        if gateway is not None:
            self._compare(wall, tick, gateway)
        self._sure = max(self._sure, int(self._agreed + tick - self._agreed_tick))
        if self._now < wall <= self._agreed + (tick - self._agreed_tick) + _LEAP:
            self._now = wall
        if self._now >= self._saved + _SAVED_EVERY:
            self.save()

    def _compare(self, wall: int, tick: float, gateway: int) -> None:
        if wall < self._now and gateway + _AGREEMENT < self._now:
            # The clock was ahead when nobody could say so: two witnesses against the mark.
            self._now = max(self._sure, self._agreed, gateway, wall)
        if self._agreed < wall <= gateway + _AGREEMENT:
            self._agreed, self._agreed_tick = wall, tick

    def save(self) -> None:
        """Make the mark durable: before anything is forgotten on its word."""
        if self._now != self._saved:
            self._state.put_fact(_FACT, self._now.to_bytes(8) + self._agreed.to_bytes(8))
            self._saved = self._now
