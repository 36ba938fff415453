"""Proofs that wait to be looked at: in turns by sender, and bounded. Pure.

Whoever sends much has to wait for others, also at the door: when there is no room, the latest of
whoever has most waiting makes room, be it the newcomer itself.
"""

from collections import deque
from dataclasses import dataclass

from gateway.link.port import Arrival
from gateway.reading_rule import Question

MOST_OF_ONE = 64
"""Envelopes of one sender that wait."""
MOST_BYTES = 64 * 1024 * 1024
"""Of all: some 10,000 readings for one reader each."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An envelope that was PUBACKed and stands nowhere but here."""

    arrival: Arrival
    question: Question

    @property
    def sender(self) -> str:
        """Whose turn it takes."""
        return self.question.key.sender

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return len(self.arrival.payload)


class ProofQueue:
    """What waits, each sender's in its order."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[Waiting]] = {}
        """Whose turn is next stands first."""
        self._sizes: dict[str, int] = {}
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._queues)

    def add(self, waiting: Waiting) -> list[Waiting]:
        """Let an envelope wait; return those for which there is no room, it itself perhaps."""
        queue = self._queues.setdefault(waiting.sender, deque())
        queue.append(waiting)
        self._resize(waiting.sender, waiting.size)
        excess = [self._pop_last(waiting.sender)] if len(queue) > MOST_OF_ONE else []
        while self._size > MOST_BYTES:
            most = max(self._sizes, key=lambda sender: self._sizes[sender])
            excess.append(self._pop_last(most))
        return excess

    def next(self) -> Waiting:
        """Take out the first of the sender whose turn it is, who then stands last."""
        sender = next(iter(self._queues))
        queue = self._queues.pop(sender)
        waiting = queue.popleft()
        if queue:
            self._queues[sender] = queue
        self._resize(sender, -waiting.size)
        return waiting

    def drop(self, sender: str) -> list[Waiting]:
        """Take out everything of a sender."""
        dropped = list(self._queues.pop(sender, ()))
        self._resize(sender, -sum(one.size for one in dropped))
        return dropped

    def _pop_last(self, sender: str) -> Waiting:
        queue = self._queues[sender]
        waiting = queue.pop()
        if not queue:
            del self._queues[sender]
        self._resize(sender, -waiting.size)
        return waiting

    def _resize(self, sender: str, by: int) -> None:
        self._size += by
        self._sizes[sender] = self._sizes.get(sender, 0) + by
        if not self._sizes[sender]:
            del self._sizes[sender]
