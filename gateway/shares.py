"""Which parts of the inboxes to ask the broker for at once, so that a replay comes in small bursts.

Brokers deliver in order: a new message waits behind what was replayed before it. Pure.
"""

from collections import deque
from collections.abc import Mapping

BURST = 500
"""Copies that one question should bring: less than the smallest queue limit that brokers are known
to have for a client (Mosquitto: 1,000), and judged within about 50 ms."""
_WIDEST = 64
"""Filters of one question."""


class Shares:
    """Names (of readers, or of senders) in groups, each of them with what is expected under it.

    As more may stand at the broker than is expected, the first group is a single name, and groups
    grow only while they bring no more than a burst.
    """

    def __init__(self, expected: Mapping[str, int]) -> None:
        self._waiting = deque(sorted(expected.items()))
        self._widest = 1

    def take(self) -> list[str]:
        """Return the next group: empty at the end, and one name if much is expected under it."""
        taken: list[str] = []
        total = 0
        while self._waiting and len(taken) < self._widest:
            name, count = self._waiting[0]
            total += count
            if taken and total > BURST:
                break
            self._waiting.popleft()
            taken.append(name)
        return taken

    def note_brought(self, count: int) -> None:
        """Tell how many copies the last group brought."""
        self._widest = min(2 * self._widest, _WIDEST) if count <= BURST else 1
