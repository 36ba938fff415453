"""Uncover what a broker's replay does not reach: take what stands before it out of the way.

A broker that replays only so many copies replays the same ones every time. Those behind them can
stay unknown to a new ledger, or to one restored from a backup, until the readers have read the ones
in front, which may take days. Until then the gateway would have to answer no query at all, or to
say *unknown*, and so *lost*, of messages that it holds. So the copies in front, which are in the
ledger by now, are cleared at the broker, and published again as soon as nothing new appears.

Meanwhile they are missing there, for a few seconds, and nowhere else: they are due in the ledger
before the first of them is cleared, so that whatever dies in between, they are published again.
"""

from collections.abc import Iterable, Sequence
from functools import partial

import structlog

from device_sdk.wire.errors import TopicError
from device_sdk.wire.topics import Kind, Topics
from gateway import copies
from gateway.deliver import Deliverer
from gateway.keeper import Keeper
from gateway.replay import Replay, Replays
from gateway.store.port import Transaction
from gateway.store.records import CopyRef

_AT_ONCE = 256
"""Copies that are cleared or published at once, so that new messages get in between."""


class Lift:
    """Lifts copies of one reader from one sender."""

    def __init__(
        self, replays: Replays, keeper: Keeper, topics: Topics, deliverer: Deliverer
    ) -> None:
        self._replays = replays
        self._keeper = keeper
        self._topics = topics
        self._deliverer = deliverer
        self._log = structlog.get_logger("gateway.lift")

    async def uncover(self, topic_filter: str, first: Replay) -> Replay:
        """Return everything that stands under a filter, of which a replay brought a part."""
        whole, replay = Replay(met=set(first.met), cut=first.cut), first
        lifted: set[str] = set()
        try:
            while replay.cut and (front := replay.met - replay.left - lifted):
                await self._take_away(sorted(front))
                lifted |= front
                replay = await self._replays.ask([topic_filter])
                whole.met |= replay.met
                whole.cut = replay.cut
        finally:
            self._deliverer.lifted.clear()
        self._log.info("lifted", copies=len(lifted), found=len(whole.met))
        for some in _pieces(sorted(lifted)):
            await self._deliverer.visit(some).wait()
        return whole

    async def _take_away(self, topics: list[str]) -> None:
        for some in _pieces(topics):
            refs = list(self._copies(some))
            await self._keeper.write(partial(self._note_lifted, refs))
            self._deliverer.lifted.update(some)
            await self._deliverer.visit(some).wait()

    def _copies(self, topics: Iterable[str]) -> Iterable[CopyRef]:
        for topic in topics:
            try:
                parsed = self._topics.parse(topic)
            except TopicError:
                continue  # a stray, which is cleared for good
            if parsed.kind is Kind.INBOX:
                yield copies.ref_of(parsed)

    def _note_lifted(self, refs: list[CopyRef], tx: Transaction) -> None:
        copies.missed(tx, refs, self._keeper.situation.now, after=copies.RETRY)


def _pieces(topics: list[str]) -> Iterable[Sequence[str]]:
    return (topics[at : at + _AT_ONCE] for at in range(0, len(topics), _AT_ONCE))
