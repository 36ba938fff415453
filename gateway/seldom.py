"""Lines for the log that anybody can cause as often as it likes: counted, and said now and then.

Who publishes anonymously proves nothing before its token is looked at, so a line for each message
would let a stranger fill the disk.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping

from device_sdk.wire.names import ANONYMOUS

SAY_EVERY = 60.0
"""Seconds between two lines that differ by no more than the message."""


class Seldom:
    """Holds back what was said a moment ago."""

    def __init__(self, tick: Callable[[], float] = time.monotonic) -> None:
        """``tick`` is a monotonic clock in seconds."""
        self._tick = tick
        self._unsaid: Counter[tuple[str, str]] = Counter()
        self._said: dict[tuple[str, str], float] = {}

    def line(self, line: Mapping[str, str]) -> dict[str, str | int]:
        """Return what to say of a line now; nothing if it is about nobody, and too soon.

        A line about a device or sender with a name passes as it is.
        """
        if ANONYMOUS not in (line.get("sender"), line.get("device")):
            return dict(line)
        kind = (line["event"], line.get("reason", ""))
        self._unsaid[kind] += 1
        now, before = self._tick(), self._said.get(kind)
        if before is not None and now < before + SAY_EVERY:
            return {}
        self._said[kind] = now
        alike = {name: value for name, value in line.items() if name != "message"}
        return {**alike, "count": self._unsaid.pop(kind)}
