"""The one owner of everything retained: it visits topics and publishes what should stand there.

One visit to a topic at a time, each deciding against the current row, and each ending with the
broker's PUBACK: so a clear follows the copy's PUBACK, and no late copy rises after its clear
(PROTOCOL 13.5). A topic that is asked for while it is being visited is visited once more.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice

import structlog

from device_sdk.wire.topics import Topics
from gateway import clear, copies
from gateway.effects import Effects
from gateway.fault_points import reached
from gateway.keeper import Keeper
from gateway.link.port import BrokerRefusedError, Connection
from gateway.standing import Standing, standing
from gateway.store.port import Transaction

_BATCH = 64
"""Visits that share one look into the ledger and one commit."""
_ROOM = 256
"""Visits asked for from which on the ledger, instead of our memory, keeps what is due: a new
message's copies wait behind them, and they keep the runners busy."""
_RUNNERS = 2
"""While one batch waits for the broker, the other one commits."""
_SHORTEST_EXPIRY = 60
"""Seconds: where the broker's clock differs from ours it must not drop a copy early."""


class Errand:
    """Visits that somebody waits for. It also ends when they are given up."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._done = asyncio.Event()
        self.one_done(0)

    def one_done(self, count: int = 1) -> None:
        """Count visits that have ended."""
        self._left -= count
        if self._left <= 0:
            self._done.set()

    async def wait(self) -> None:
        """Wait for the last visit's end."""
        await self._done.wait()


class Deliverer:
    """Visits topics. `visit` may be called at any time; `run` works while a connection lasts."""

    def __init__(
        self, keeper: Keeper, topics: Topics, on_effects: Callable[[Effects], object]
    ) -> None:
        self._keeper = keeper
        self._topics = topics
        self._on_effects = on_effects
        self._asked: dict[str, list[Errand]] = {}
        self._visited: set[str] = set()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._log = structlog.get_logger("gateway.deliver")
        self.lifted: set[str] = set()
        """Copies that are not to stand for a while, although they are owed (`gateway.lift`)."""

    def visit(self, topics: Iterable[str]) -> Errand:
        """Ask for visits; return the errand of all of them."""
        wanted = list(dict.fromkeys(topics))
        errand = Errand(len(wanted))
        for topic in wanted:
            self._asked.setdefault(topic, []).append(errand)
        if wanted:
            self._wake.set()
        return errand

    async def room(self) -> None:
        """Wait until so few visits are asked for that more may be found in the ledger."""
        while len(self._asked) >= _ROOM:
            self._room.clear()
            await self._room.wait()

    def give_up(self) -> None:
        """Forget what was asked for: the connection is lost, and the ledger knows what is due."""
        for errands in self._asked.values():
            for errand in errands:
                errand.one_done()
        self._asked.clear()
        self._visited.clear()
        self.lifted.clear()
        self._room.set()

    async def run(self, connection: Connection) -> None:
        """Visit what is asked for until the connection is lost (LinkLostError)."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_RUNNERS):
                tasks.create_task(self._run(connection))

    async def _run(self, connection: Connection) -> None:
        while True:
            batch = self._next_batch()
            if not batch:
                self._wake.clear()
                await self._wake.wait()
                continue
            self._visited.update(batch)
            try:
                await self._visit_all(connection, list(batch))
            finally:
                self._visited.difference_update(batch)
                for errands in batch.values():
                    for errand in errands:
                        errand.one_done()
            self._wake.set()  # what was asked for meanwhile may be visited now

    def _next_batch(self) -> dict[str, list[Errand]]:
        if len(self._asked) < _ROOM:
            self._room.set()
        free = (topic for topic in self._asked if topic not in self._visited)
        return {topic: self._asked.pop(topic) for topic in list(islice(free, _BATCH))}

    async def _visit_all(self, connection: Connection, batch: list[str]) -> None:
        situation = self._keeper.situation
        wanted = await self._keeper.read(
            lambda tx: [standing(tx, self._topics, topic, situation) for topic in batch]
        )
        wanted = [_nothing(one) if one.topic in self.lifted else one for one in wanted]
        done = await asyncio.gather(*(self._publish(connection, one) for one in wanted))
        confirmed = [one for one, ok in zip(wanted, done, strict=True) if ok and one.ref]
        if confirmed:
            _reached(confirmed, "confirmed")
            effects = await self._keeper.write(lambda tx: self._confirm(tx, confirmed))
            _reached(confirmed, "recorded")
            self._on_effects(effects)

    async def _publish(self, connection: Connection, wanted: Standing) -> bool:
        expiry = None
        if wanted.expires is not None:
            expiry = max(wanted.expires - self._keeper.situation.now, _SHORTEST_EXPIRY)
        try:
            await connection.publish(wanted.topic, wanted.payload, retain=True, expiry=expiry)
        except BrokerRefusedError as error:
            self._log.error("publication_refused", reason=str(error))
            return False
        return True

    def _confirm(self, tx: Transaction, confirmed: list[Standing]) -> Effects:
        published = [one.ref for one in confirmed if one.ref and one.payload]
        copies.standing(tx, published, self._keeper.situation.now)
        cleared = [one.ref for one in confirmed if one.ref and not one.payload]
        effects = clear.cleared(tx, cleared)
        _reached(confirmed, "written")
        return effects


def _nothing(wanted: Standing) -> Standing:
    return replace(wanted, payload=b"", expires=None)


def _reached(standings: Iterable[Standing], how_far: str) -> None:
    for work in {"copy" if one.payload else "clear" for one in standings}:
        reached(f"{work}-{how_far}")
