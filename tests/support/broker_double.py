"""A broker in memory, as far as `gateway.link.port.Connection` shows one: it implements the port.

It retains, echoes nothing, and PUBACKs when the test lets it.
"""

import asyncio
from collections.abc import Sequence

from gateway.link.port import Arrival, BrokerRefusedError, LinkLostError


class BrokerDouble:
    """One connection to a broker that exists only in a test."""

    mqtt5 = True

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes]] = []
        """Everything published, in the order of its coming."""
        self.retained: dict[str, bytes] = {}
        self.expiries: dict[str, int | None] = {}
        self.subscribed: list[str] = []
        self.pubacked: list[Arrival] = []
        self.arrivals: asyncio.Queue[Arrival] = asyncio.Queue()
        self.answering = asyncio.Event()
        self.answering.set()
        self.lost = False
        self.refusals = 0
        """Publications to refuse from now on, as a broker over a quota does."""
        self._news = asyncio.Condition()

    async def subscribe(self, filters: Sequence[str]) -> None:
        self.subscribed += filters

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        self.subscribed = [one for one in self.subscribed if one not in filters]

    async def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, expiry: int | None = None
    ) -> None:
        if self.lost:
            raise LinkLostError("the test ended it")
        if self.refusals:
            self.refusals -= 1
            raise BrokerRefusedError("the test wants it")
        async with self._news:
            self.published.append((topic, payload))
            if retain:
                self.retained[topic] = payload
                self.expiries[topic] = expiry
            self._news.notify_all()
        await self.answering.wait()
        if self.lost:
            raise LinkLostError("the test ended it")

    async def batch(self, most: int = 256) -> list[Arrival]:
        arrivals = [await self.arrivals.get()]
        while len(arrivals) < most and not self.arrivals.empty():
            arrivals.append(self.arrivals.get_nowait())
        return arrivals

    def ack(self, arrivals: Sequence[Arrival]) -> None:
        self.pubacked += arrivals

    async def close(self) -> None:
        self.lost = True

    def hold_answers(self) -> None:
        """PUBACK nothing until `answering` is set."""
        self.answering.clear()

    def break_off(self) -> None:
        """Lose the connection."""
        self.lost = True
        self.answering.set()

    async def until(self, count: int) -> list[tuple[str, bytes]]:
        """Wait until so much has been published, and return it."""
        async with self._news:
            await self._news.wait_for(lambda: len(self.published) >= count)
            return list(self.published)

    def count(self, topic: str) -> int:
        """Return how often something has been published to a topic."""
        return [to for to, _ in self.published].count(topic)

    async def until_counted(self, topic: str, count: int) -> None:
        """Wait until so much has been published to a topic."""
        async with self._news:
            await self._news.wait_for(lambda: self.count(topic) >= count)
