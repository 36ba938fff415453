"""Whether the broker has shown everything: its replay of retained messages may be cut short.

Mosquitto 2.0 with default limits replays 1,020 of 20,000, the same ones every time. So after what
came is read, a reader subscribes again (which replays again) until nothing new comes, and as long
as the gateway says that more is owed than the reader knows of. Pure.
"""

from device_sdk.inbox.store import Key
from device_sdk.pace import Backoff, Pace

AGAIN = Backoff(first=1.0, most=60.0)
LARGE = 16
"""Copies in one replay from which on a broker may have cut it short. After a smaller one the
gateway is asked instead: a handful of copies that are just being cleared would only be acked again.
"""


class Replay:
    """Counts what came since the latest subscription."""

    def __init__(self) -> None:
        self._new = 0
        self._is_cut_short = False
        self._is_missing = False
        self._uncleared: set[Key] = set()
        self._pace = Pace()

    @property
    def uncleared(self) -> int:
        """Messages that were answered, and whose copies may still stand at the broker."""
        return len(self._uncleared)

    def arrived(self, *, retained: bool) -> None:
        """A copy came that was not known."""
        self._new += retained
        self._pace = Pace()

    def cut_short(self) -> None:
        """A copy came that there was no room for."""
        self._is_cut_short = True

    def answered(self, key: Key) -> None:
        """A read ack goes out, by which the copy will be cleared."""
        self._uncleared.add(key)

    def cleared(self, key: Key) -> None:
        """The copy was cleared while we listened."""
        self._uncleared.discard(key)

    def compare(self, owed: int, accounted: int) -> None:
        """The gateway says how many copies are owed; so many are accounted for here."""
        self._is_missing = owed > accounted

    def take_doubt(self) -> bool:
        """Tell whether to ask the gateway if that was all; once for what a replay brought."""
        doubt, self._new = self._new > 0, 0
        return doubt

    def is_due(self, tick: float) -> bool:
        """Tell whether to subscribe again, once everything that came is read."""
        if self._is_cut_short or self._new >= LARGE:
            return True
        return self._is_missing and self._pace.due <= tick

    def next_due(self) -> float | None:
        """Return the tick at which missing copies are looked for again; None if none are."""
        return self._pace.due if self._is_missing else None

    def subscribed(self, tick: float) -> None:
        """The inbox is subscribed to (again): what stands at the broker comes once more."""
        self._new = 0
        self._is_cut_short = False
        self._is_missing = False
        self._uncleared.clear()
        self._pace.tried(tick, AGAIN)
