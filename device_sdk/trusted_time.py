"""The latest time that this device believes in, as a clock that jumps must not lose mail.

What is destructive (closing a message as expired, forgetting what was handled, erasing a reader
key) goes by this time, not by the wall clock: it never goes back, and follows a leap of the wall
clock of more than seven days only once a gateway's signed time agrees (PROTOCOL 13.7).
"""

from device_sdk.state_file import StateFile
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
        stored = state.fact(_FACT)
        self._saved = int.from_bytes(stored) if stored else 0
        self._now = self._saved

    @property
    def now(self) -> int:
        """Unix seconds; 0 before the first `advance` of a new state file."""
        return self._now

    def advance(self, wall: int, gateway: int | None) -> None:
        """Follow the wall clock. ``gateway`` is the time of the latest verified state, if any."""
        agreed = gateway is not None and wall <= gateway + _AGREEMENT
        if wall > self._now and (not self._now or wall <= self._now + _LEAP or agreed):
            self._now = wall
        if self._now >= self._saved + _SAVED_EVERY:
            self.save()

    def save(self) -> None:
        """Make the mark durable: before anything is forgotten on its word."""
        if self._now != self._saved:
            self._state.put_fact(_FACT, self._now.to_bytes(8))
            self._saved = self._now
