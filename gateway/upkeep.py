"""What time brings: expiry, publishing again what nobody confirmed, erasing what was dropped."""

import asyncio
from collections.abc import Callable

from device_sdk.wire.topics import Topics
from gateway import clear, copies, expire
from gateway.deliver import Deliverer, Errand
from gateway.effects import Effects
from gateway.fault_points import reached
from gateway.keeper import Keeper
from gateway.roster_expiry import RosterExpiry
from gateway.standing import copy_topic
from gateway.store.port import Transaction
from gateway.store.records import CopyRef

_SWEEP_TICKS = 10
"""Ticks between two looks at what has expired."""
_DUE = 256
_ERASE_PAUSE = 1.0
"""Seconds between two erasures: each one costs an fsync."""
_BUSY_PAUSE = 0.25


class Upkeep:
    """Runs as long as the service, with or without a broker."""

    def __init__(
        self,
        keeper: Keeper,
        topics: Topics,
        deliverer: Deliverer,
        carry_out: Callable[[Effects], Errand],
    ) -> None:
        self._keeper = keeper
        self._topics = topics
        self._deliverer = deliverer
        self._carry_out = carry_out
        self._erase = asyncio.Event()
        self._expiry = RosterExpiry()
        self.on_tick: Callable[[], None] = lambda: None

    def erase_soon(self) -> None:
        """Something was dropped: remove its bytes from the files, several at a time."""
        self._erase.set()

    async def run(self, seconds: float) -> None:
        """Look every so many seconds at what is due."""
        ticks = 0
        while True:
            await self._keeper.tick()
            if ticks % _SWEEP_TICKS == 0:
                await self.sweep()
            self._expiry.say(self._keeper.situation)
            self.on_tick()
            await asyncio.sleep(seconds)
            ticks += 1

    async def sweep(self) -> None:
        """Do everything that expiry and the newest roster ask for."""
        more = True
        while more:
            swept = await self._keeper.write(self._expire)
            if swept.effects.clear:
                reached("expiry-committed")
            self._carry_out(swept.effects)
            more = swept.more
        # Of what was dropped just before a kill or a lost connection nobody has told us.
        self.erase_soon()

    def _expire(self, tx: Transaction) -> expire.Swept:
        swept = expire.sweep(tx, self._keeper.situation)
        if swept.effects.clear:
            reached("expiry-written")
        return swept

    async def publish_due(self, seconds: float) -> None:
        """Ask for visits to the copies whose publication or clearing is due, as room allows."""
        while True:
            await self._deliverer.room()
            refs = await self._keeper.write(self._due)
            self._deliverer.visit(copy_topic(self._topics, ref) for ref in refs)
            if not refs:
                await asyncio.sleep(seconds)

    def _due(self, tx: Transaction) -> list[CopyRef]:
        now = self._keeper.situation.now
        return [*copies.due(tx, now, _DUE), *clear.due(tx, now, _DUE)]

    async def erase(self) -> None:
        """Erase when asked to, as long as the service runs."""
        while True:
            await self._erase.wait()
            self._erase.clear()
            reached("erasure-due")
            done = await self._keeper.erase()
            reached("erasure-done")
            if not done:  # somebody is just listing the messages
                self._erase.set()
            await asyncio.sleep(_ERASE_PAUSE if done else _BUSY_PAUSE)
