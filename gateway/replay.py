"""Ask a broker for what it retains, and know when all of it has come, or that not all of it did.

Brokers deliver what is retained before what is published later, so that a message published to
ourselves marks the end of a replay. A broker whose queue to us is full drops what comes last:
Mosquitto with default limits replays 1,020 of 20,000, the same ones every time. Our own state,
which always stands there, is therefore asked for last: if it is missing, the replay was cut short.
"""

import asyncio
import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from device_sdk.wire.topics import Topics
from gateway.adopt import Found
from gateway.decide import Decision
from gateway.keeper import Keeper
from gateway.link.port import Arrival, BrokerRefusedError, Connection
from gateway.store.port import Transaction

PLENTY = 500
"""Replayed messages from which on a replay may have been cut short, where a broker does not replay
our state last."""
_MARKER_SECONDS = 2.0
"""A marker may be dropped by a broker whose queue to us is full: it is then sent again."""
_LATE_SECONDS = 1.0
"""Within which a broker that replays in an order of its own has replayed a single message."""


@dataclass(kw_only=True, slots=True)
class Replay:
    """What one question brought. Everything in it was judged, and its decision committed."""

    met: set[str] = field(default_factory=set)
    """Topics at which something stands or stood."""
    left: set[str] = field(default_factory=set)
    """Those whose content nobody can judge yet."""
    news: bool = False
    """Something was there that the ledger did not know of."""
    ended: bool = False
    """Our own state came, which was asked for last."""
    cut: bool = False
    """More may stand there than has come."""


class Replays:
    """Asks over one connection, one question at a time."""

    def __init__(
        self, connection: Connection, keeper: Keeper, topics: Topics, gateway: str
    ) -> None:
        self._connection = connection
        self._keeper = keeper
        self._marker = topics.notice(gateway)
        self._state = topics.state(gateway)
        self._replay = Replay()
        self._token = b""
        self._came_back = asyncio.Event()
        self._state_came = asyncio.Event()
        self._in_order = False
        self._log = structlog.get_logger("gateway.replay")

    # ------------------------------------------------------------------ what the intake reports

    def note_marker(self, payload: bytes) -> None:
        """Something came back that this gateway published to itself."""
        if self._token and payload == self._token:
            self._came_back.set()

    def note_state(self) -> None:
        """Our own state was replayed."""
        self._replay.ended = True
        self._state_came.set()

    def note_retained(self, arrival: Arrival, decision: Decision) -> None:
        """A retained message was judged, and its decision is committed."""
        self._replay.met.add(arrival.topic)
        if decision.left:
            self._replay.left.add(arrival.topic)
        if decision.found in (Found.ADOPTED, Found.CLEARED):
            self._replay.news = True

    # ------------------------------------------------------------------ asking

    @property
    def in_order(self) -> bool:
        """Whether this broker replays our state last, so that a cut is known for certain."""
        return self._in_order

    async def begin(self) -> None:
        """Find out whether our state comes before the marker, when nothing else is asked for.

        If it comes later, this broker has another order. If it does not come at all, the broker
        drops what it should deliver, because somebody floods us: then nothing is known yet.
        """
        while True:
            replay = await self._bring([])
            in_order = replay.ended
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LATE_SECONDS):
                    await self._state_came.wait()
            await self._connection.unsubscribe([self._state])
            if self._state_came.is_set():
                self._in_order = in_order
                return
            self._log.warning("own_state_missing", hint="the broker drops what it should deliver")

    async def ask(self, filters: Sequence[str], *, keep: Sequence[str] = ()) -> Replay:
        """Return what stands under some filters; those to ``keep`` stay subscribed, asked first."""
        replay = await self._bring([*keep, *filters])
        await self._connection.unsubscribe([*filters, self._state])
        ended = replay.ended if self._in_order else len(replay.met) < PLENTY
        replay.cut = not ended
        return replay

    async def _bring(self, filters: Sequence[str]) -> Replay:
        self._replay = replay = Replay()
        self._state_came.clear()
        await self._connection.subscribe([*filters, self._state, self._marker])
        self._token = os.urandom(16)
        self._came_back.clear()
        while not self._came_back.is_set():
            await self._publish_marker()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_MARKER_SECONDS):
                    await self._came_back.wait()
        # Commits end in the order of asking, so the decisions about what came before are made now.
        await self._keeper.write(_nothing)
        return replay

    async def _publish_marker(self) -> None:
        try:
            await self._connection.publish(self._marker, self._token)
        except BrokerRefusedError as error:  # such as over a quota: the next one may pass
            self._log.error("marker_refused", reason=str(error))


def _nothing(_tx: Transaction) -> None:
    """Write nothing."""
