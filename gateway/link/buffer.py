"""What has arrived and not been taken, and who waits for which answer of the broker."""

import asyncio
from collections import deque
from collections.abc import Sequence

from gateway.link.port import Arrival, LinkLostError

MOST = 4096
"""Arrivals, and..."""
MOST_BYTES = 32 * 1024 * 1024
"""...bytes that may wait for the gateway; more stay in the socket, un-PUBACKed."""

Codes = Sequence[int]
"""Reason codes; 0x80 and above are refusals."""


class Arrivals:
    """A queue that says when it is full, and whose reader can be woken to see what is wrong."""

    def __init__(self) -> None:
        self._queue: deque[Arrival] = deque()
        self._bytes = 0
        self._news = asyncio.Event()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def full(self) -> bool:
        """Whether reading from the socket should stop."""
        return len(self._queue) >= MOST or self._bytes >= MOST_BYTES

    def add(self, arrival: Arrival) -> None:
        """Put an arrival at the end."""
        self._queue.append(arrival)
        self._bytes += len(arrival.payload)
        self._news.set()

    def wake(self) -> None:
        """Wake whoever waits, though nothing has arrived."""
        self._news.set()

    async def wait(self) -> None:
        """Wait for an arrival, or until woken."""
        self._news.clear()
        await self._news.wait()

    def take(self, most: int) -> list[Arrival]:
        """Return the first arrivals."""
        taken = [self._queue.popleft() for _ in range(min(most, len(self._queue)))]
        self._bytes -= sum(len(arrival.payload) for arrival in taken)
        return taken


class Answers:
    """Futures by packet id. Packet ids of publications and subscriptions never coincide.

    Brokers answer in the order of asking (MQTT 5.0 4.6), so the oldest is the one that is due: its
    time begins when there is none before it. On a slow line the others wait longer.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[Codes]] = {}
        self._due_since = 0.0

    async def to(self, packet_id: int) -> Codes:
        """Wait for the answer to a packet. Raises LinkLostError if it cannot come any more."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Codes] = loop.create_future()
        if not self._waiting:
            self._due_since = loop.time()
        self._waiting[packet_id] = future
        try:
            return await future
        finally:
            if packet_id == next(iter(self._waiting), None):
                self._due_since = loop.time()
            self._waiting.pop(packet_id, None)

    def overdue(self, seconds: float) -> bool:
        """Tell whether the answer that is due has been missing for longer than this."""
        waited = asyncio.get_running_loop().time() - self._due_since
        return bool(self._waiting) and waited > seconds

    def settle(self, packet_id: int, codes: Codes) -> None:
        """Hand an answer to whoever waits for it."""
        future = self._waiting.get(packet_id)
        if future is not None and not future.done():
            future.set_result(codes)

    def fail(self, error: LinkLostError) -> None:
        """No more answers will come."""
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)
                future.exception()  # nobody may be waiting any more
        self._waiting.clear()
