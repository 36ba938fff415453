"""Compare what stands at the broker with what should, at every connect and from time to time.

A sweep asks for everything of ours that is retained, and `gateway.decide` judges each topic against
its current row. What the ledger took to be standing, and the sweep has not met, is published again.
The inboxes are asked for in shares, so that new messages get in between.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from device_sdk.wire.errors import TopicError
from device_sdk.wire.topics import FROM_DEVICES, Kind, Topics
from gateway import copies
from gateway.decide import Decision
from gateway.deliver import Deliverer
from gateway.fault_points import reached
from gateway.keeper import Keeper
from gateway.lift import Lift
from gateway.link.port import Arrival, Connection
from gateway.replay import Replay, Replays
from gateway.shares import BURST, Shares
from gateway.standing import copy_topic
from gateway.store.port import Reading, Transaction
from gateway.store.records import CopyRef, MessageKey

_WALK = 256
"""Copies that are looked up, or found missing, at once."""
_BY_NAME = 64
"""Topics asked for one by one in one question."""
_TRUST = (
    Kind.KEYS,
    Kind.CERT,
    Kind.ROSTER,
    Kind.NOTICE,
    Kind.PROOF,
    Kind.LOG,
    Kind.ISSUE,
    Kind.TOKENS,
)


def always_subscribed(topics: Topics) -> list[str]:
    """Return the filters of what the gateway listens to all the time."""
    return [topics.all_of(kind) for kind in (*FROM_DEVICES, Kind.STATE)]


@dataclass(slots=True)
class _Tally:
    """What a sweep has come upon."""

    retained: int = 0
    missing: int = 0
    unseen: bool = False
    """Somewhere more may stand than the broker delivered, though nothing is in front of it."""


class Sweeper:
    """Sweeps over one connection, one sweep at a time."""

    def __init__(
        self,
        connection: Connection,
        keeper: Keeper,
        topics: Topics,
        deliverer: Deliverer,
        gateway: str,
    ) -> None:
        self._keeper = keeper
        self._topics = topics
        self._deliverer = deliverer
        self._inbox = topics.all_of(Kind.INBOX).removesuffix("/#")
        self.replays = Replays(connection, keeper, topics, gateway)
        self._lift = Lift(self.replays, keeper, topics, deliverer)
        self.left: dict[str, int] = {}  # topic -> when to clear it all the same, Unix seconds
        self._stray_pages: set[str] = set()
        self._tally = _Tally()
        self._wanted = asyncio.Event()
        self._log = structlog.get_logger("gateway.reconcile")

    # ------------------------------------------------------------------ what the intake reports

    def note_retained(self, arrival: Arrival, decision: Decision) -> None:
        """A retained message was judged, and its decision is committed."""
        self.replays.note_retained(arrival, decision)
        known = self.left.pop(arrival.topic, decision.left)
        if decision.stray_page:
            self._stray_pages.add(arrival.topic)
        if decision.left:
            self.left[arrival.topic] = min(known, decision.left)
        self._keeper.note_overtaken(decision.overtaken)

    def undecided(self) -> frozenset[MessageKey]:
        """Return the messages of which something stands that nobody can judge yet."""
        found = set()
        for topic in self.left:
            with contextlib.suppress(TopicError):
                parsed = self._topics.parse(topic)
                if parsed.kind is Kind.INBOX:
                    found.add(copies.ref_of(parsed).key)
        return frozenset(found)

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

    async def sweep_first(self) -> None:
        """Sweep until everything that stands there has come: only then *unknown* may be said.

        The devices' own topics have been replayed a moment ago.
        """
        await self.sweep(just_subscribed=True)
        while self._tally.unseen:
            self._log.warning("replay_cut", hint="the broker drops what it should deliver")
            await self.sweep(just_subscribed=True)

    async def sweep(self, *, just_subscribed: bool = False) -> None:
        """Look at everything retained once, and publish what is missing.

        With ``just_subscribed`` the devices' own topics have been replayed a moment ago.
        """
        self._stray_pages.clear()
        self._tally = tally = _Tally()
        await self.replays.begin()
        if not just_subscribed:
            await self.replays.ask([], keep=always_subscribed(self._topics))
        await self._publish_trust(await self._ask([self._topics.all_of(kind) for kind in _TRUST]))
        await self._sweep_inboxes()
        reached("replayed")
        self._log.info(
            "swept",
            retained=tally.retained,
            missing=tally.missing,
            left=len(self.left),
        )

    async def _ask(self, filters: Sequence[str]) -> Replay:
        replay = await self.replays.ask(filters)
        self._tally.retained += len(replay.met)
        return replay

    async def _absent(self, topics: Sequence[str], replay: Replay) -> list[str]:
        """Return those topics at which nothing stands. A replay that was cut proves nothing."""
        absent = [topic for topic in topics if topic not in replay.met]
        if not replay.cut:
            return absent
        found: set[str] = set()
        for at in range(0, len(absent), _BY_NAME):
            found |= (await self.replays.ask(absent[at : at + _BY_NAME])).met
        return [topic for topic in absent if topic not in found]

    # ------------------------------------------------------------------ roster and keys

    async def _publish_trust(self, replay: Replay) -> None:
        devices = await self._keeper.read(lambda tx: tx.devices_with_keys())
        keys = [self._topics.keys(device) for device in devices]
        certificates = map(self._topics.cert, self._keeper.situation.certificates or ())
        self._deliverer.visit(await self._absent([*keys, *certificates], replay))
        if self._keeper.overtaken:
            self._log.error(
                "roster_overtaken", hint="the broker has a newer roster: get the bundle"
            )
        else:
            await self._publish_roster(replay)

    async def _publish_roster(self, replay: Replay) -> None:
        roster = self._keeper.situation.roster
        if roster is None:
            return
        pages = [self._topics.roster_page(digest) for digest in roster.head.head.page_hashes]
        await self._deliverer.visit(await self._absent(pages, replay)).wait()
        await self._deliverer.visit(await self._absent([self._topics.roster()], replay)).wait()
        self._deliverer.visit(self._stray_pages)

    # ------------------------------------------------------------------ inboxes

    async def _sweep_inboxes(self) -> None:
        expected = dict.fromkeys(self._listed(), 0)
        expected |= await self._keeper.read(lambda tx: tx.owed_by_readers())
        before = self._tally.retained
        shares = Shares(expected)
        while readers := shares.take():
            shares.note_brought(await self._sweep_readers(readers))
        # Where no copy of ours can be; among very many copies not also under unlisted names.
        odd = ["", "/+", "/+/+", "/+/+/+/+/#"]
        many = self._tally.retained - before > BURST
        await self.replays.ask([self._inbox + end for end in (odd if many else ["/#"])])

    def _listed(self) -> list[str]:
        roster = self._keeper.situation.roster
        return list(roster.devices) if roster is not None else []

    async def _sweep_readers(self, readers: list[str]) -> int:
        """Sweep some readers' inboxes; return how many copies the largest burst had."""
        standing = [ref for reader in readers for ref in await self._standing(reader)]
        if len(readers) == 1 and len(standing) > BURST:
            return await self._sweep_senders(readers[0], standing)
        replay = await self._ask([f"{self._inbox}/{reader}/#" for reader in readers])
        if not replay.cut:
            await self._publish_missing(standing, replay)
            return len(replay.met)
        if len(readers) == 1:
            return await self._sweep_senders(readers[0], standing)
        half = len(readers) // 2
        parts = readers[:half], readers[half:]
        return max([await self._sweep_readers(part) for part in parts])

    async def _sweep_senders(self, reader: str, standing: list[CopyRef]) -> int:
        """Sweep a reader with very many copies, or more than came, sender by sender."""
        expected = dict.fromkeys(self._listed(), 0) | Counter(ref.key.sender for ref in standing)
        shares, most = Shares(expected), 0
        while senders := shares.take():
            count = await self._sweep_pairs(reader, senders, _from(senders, standing))
            shares.note_brought(count)
            most = max(most, count)
        return most

    async def _sweep_pairs(self, reader: str, senders: list[str], standing: list[CopyRef]) -> int:
        filters = [f"{self._inbox}/{reader}/{sender}/#" for sender in senders]
        replay = await self._ask(filters)
        if replay.cut and len(senders) > 1:
            counts = [
                await self._sweep_pairs(reader, [one], _from([one], standing)) for one in senders
            ]
            return max(counts)
        if replay.cut:
            replay = await self._uncover(filters[0], replay)
            self._tally.unseen |= self.replays.in_order and replay.cut
        await self._publish_missing(standing, replay)
        return len(replay.met)

    async def _uncover(self, topic_filter: str, replay: Replay) -> Replay:
        """Find what was not replayed because too much stands before it, if there may be anything.

        When this process begins, nobody knows what the ledger does not know; later only what was
        not known before is a sign.
        """
        if not self.replays.in_order or (self._keeper.situation.reconciled and not replay.news):
            return replay
        whole = await self._lift.uncover(topic_filter, replay)
        self._tally.retained += len(whole.met) - len(replay.met)
        return whole

    async def _standing(self, reader: str) -> list[CopyRef]:
        """Return the copies that stand as far as the ledger knows. Others are under way already."""
        found: list[CopyRef] = []
        last = 0
        while page := await self._keeper.read(partial(_standing_copies, reader, last)):
            found += [ref for _, ref in page]
            last = page[-1][0]
        return found

    async def _publish_missing(self, standing: Sequence[CopyRef], replay: Replay) -> None:
        by_topic = {copy_topic(self._topics, ref): ref for ref in standing}
        absent = await self._absent(list(by_topic), replay)
        self._tally.missing += len(absent)
        for at in range(0, len(absent), _WALK):
            some = absent[at : at + _WALK]
            await self._deliverer.room()
            await self._keeper.write(partial(self._note_missed, [by_topic[one] for one in some]))
            reached("missing-committed")
            self._deliverer.visit(some)

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


def _from(senders: Sequence[str], refs: Iterable[CopyRef]) -> list[CopyRef]:
    among = set(senders)
    return [ref for ref in refs if ref.key.sender in among]


def _standing_copies(reader: str, after: int, tx: Reading) -> list[tuple[int, CopyRef]]:
    return tx.standing_copies(reader, after, _WALK)
