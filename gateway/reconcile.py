"""Compare what stands at the broker with what should, at every connect and from time to time.

A sweep subscribes to everything of ours that is retained, and `gateway.decide` judges each topic
against its current row. What the ledger holds and the sweep has not met is published again.

Replay is a hint. It may be cut short: Mosquitto with default limits replays 1,020 of 20,000, the
same ones every time. So a reader's or sender's share is asked for separately where much stands.
"""

import asyncio
import contextlib
import os
from collections.abc import Iterable
from functools import partial

import structlog

from device_sdk.wire.topics import FROM_DEVICES, Kind, Topics
from gateway import copies
from gateway.decide import Decision
from gateway.deliver import Deliverer
from gateway.fault_points import reached
from gateway.keeper import Keeper
from gateway.link.port import Arrival, BrokerRefusedError, Connection
from gateway.standing import copy_topic
from gateway.store.port import Transaction
from gateway.store.records import CopyRef

PLENTY = 500
"""Replayed messages from which on a replay may have been cut short."""
_SHARES = 64
"""Readers or senders whose share is asked for at once."""
_MARKER_SECONDS = 2.0
"""A marker may be dropped by a broker whose queue to us is full: it is then sent again."""
_WALK = 512
_FROM_US = (Kind.INBOX, Kind.KEYS, Kind.ROSTER, Kind.NOTICE)


def always_subscribed(topics: Topics) -> list[str]:
    """Return the filters of what the gateway listens to all the time."""
    return [topics.all_of(kind) for kind in (*FROM_DEVICES, Kind.STATE)]


class Sweeper:
    """Sweeps over one connection, one sweep at a time."""

    def __init__(
        self,
        connection: Connection,
        keeper: Keeper,
        topics: Topics,
        deliverer: Deliverer,
        marker: str,
    ) -> None:
        self._connection = connection
        self._keeper = keeper
        self._topics = topics
        self._deliverer = deliverer
        self._marker = marker
        self._token = b""
        self._came_back = asyncio.Event()
        self._met: set[str] = set()
        self.left: dict[str, int] = {}  # topic -> when to clear it all the same, Unix seconds
        self._stray_pages: set[str] = set()
        self._replayed = 0
        self._wanted = asyncio.Event()
        self._log = structlog.get_logger("gateway.reconcile")
        deliverer.on_standing = self.note_standing

    # ------------------------------------------------------------------ what the intake reports

    def note_marker(self, payload: bytes) -> None:
        """Something came back that this gateway published to itself."""
        if self._token and payload == self._token:
            self._came_back.set()

    def note_retained(self, arrival: Arrival, decision: Decision) -> None:
        """A retained message was judged, and its decision is committed."""
        self._met.add(arrival.topic)
        self._replayed += 1
        known = self.left.pop(arrival.topic, decision.left)
        if decision.stray_page:
            self._stray_pages.add(arrival.topic)
        if decision.left:
            self.left[arrival.topic] = min(known, decision.left)
        self._keeper.note_overtaken(decision.overtaken)

    def note_standing(self, refs: Iterable[CopyRef]) -> None:
        """Copies were published just now: they are not missing."""
        self._met.update(copy_topic(self._topics, ref) for ref in refs)

    # ------------------------------------------------------------------ sweeping

    def sweep_soon(self) -> None:
        """Sweep as soon as possible: a newer roster may tell what to make of what was left."""
        self._wanted.set()

    async def run(self, seconds: float) -> None:
        """Sweep every so many seconds, and when asked to (LinkLostError ends it)."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wanted.wait()
            self._wanted.clear()
            await self.sweep()

    async def sweep(self, *, just_subscribed: bool = False) -> None:
        """Look at everything retained once, and publish what is missing.

        With ``just_subscribed`` the devices' own topics have been replayed a moment ago.
        """
        self._met.clear()
        self._stray_pages.clear()
        filters = [self._topics.all_of(kind) for kind in _FROM_US]
        always = [] if just_subscribed else always_subscribed(self._topics)
        if await self._replay([*always, *filters], filters) >= PLENTY:
            await self._ask_in_shares(self._topics.all_of(Kind.INBOX)[:-2])
        reached("replayed")
        missing = await self._publish_missing()
        self._log.info("swept", retained=len(self._met), missing=missing, left=len(self.left))

    async def _ask_in_shares(self, base: str, *, may_split: bool = True) -> None:
        # inbox/{reader}/#, several readers at a time, and where one has very much to read also
        # inbox/{reader}/{sender}/#
        roster = self._keeper.situation.roster
        bases = [f"{base}/{name}" for name in roster.devices] if roster else []
        waiting = [bases[at : at + _SHARES] for at in range(0, len(bases), _SHARES)]
        while waiting:
            share = waiting.pop()
            filters = [f"{one}/#" for one in share]
            if await self._replay(filters, filters) < PLENTY:
                continue
            half = len(share) // 2
            if half:
                waiting += [share[:half], share[half:]]
            elif may_split:
                await self._ask_in_shares(share[0], may_split=False)

    async def _replay(self, filters: list[str], leave: list[str]) -> int:
        self._replayed = 0
        await self._connection.subscribe([*filters, self._marker])
        self._token = os.urandom(16)
        self._came_back.clear()
        while not self._came_back.is_set():
            await self._publish_marker()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_MARKER_SECONDS):
                    await self._came_back.wait()
        await self._connection.unsubscribe(leave)
        return self._replayed

    async def _publish_marker(self) -> None:
        try:
            await self._connection.publish(self._marker, self._token)
        except BrokerRefusedError as error:  # such as over a quota: the next one may pass
            self._log.error("marker_refused", reason=str(error))

    # ------------------------------------------------------------------ what follows

    async def _publish_missing(self) -> int:
        missing = await self._missing_copies()
        devices = await self._keeper.read(lambda tx: tx.devices_with_keys())
        keys = [self._topics.keys(device) for device in devices]
        self._deliverer.visit(topic for topic in keys if topic not in self._met)
        if self._keeper.overtaken:
            self._log.error(
                "roster_overtaken", hint="the broker has a newer roster: get the bundle"
            )
        else:
            await self._publish_roster()
        return missing

    async def _publish_roster(self) -> None:
        roster = self._keeper.situation.roster
        if roster is None:
            return
        pages = [self._topics.roster_page(digest) for digest in roster.head.head.page_hashes]
        await self._deliverer.visit(page for page in pages if page not in self._met).wait()
        if self._topics.roster() not in self._met:
            await self._deliverer.visit([self._topics.roster()]).wait()
        self._deliverer.visit(self._stray_pages)

    async def _missing_copies(self) -> int:
        count, last = 0, None
        while refs := await self._keeper.read(partial(copies.owed_after, after=last, limit=_WALK)):
            absent = [ref for ref in refs if copy_topic(self._topics, ref) not in self._met]
            if absent:
                await self._deliverer.room()
                await self._keeper.write(partial(self._note_missed, absent))
                reached("missing-committed")
                self._deliverer.visit(copy_topic(self._topics, ref) for ref in absent)
            count, last = count + len(absent), refs[-1]
        return count

    def _note_missed(self, absent: list[CopyRef], tx: Transaction) -> None:
        copies.missed(tx, absent, self._keeper.situation.now)

    def clear_overdue(self) -> None:
        """Clear what nobody could tell the worth of until its own expiry."""
        now = self._keeper.situation.now
        if self._keeper.situation.paused:
            return
        overdue = [topic for topic, until in self.left.items() if until <= now]
        for topic in overdue:
            del self.left[topic]
        self._deliverer.visit(overdue)
