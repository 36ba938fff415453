"""Notices: what became of whose messages, batched per device, signed and published.

A notice is never stored: one that is lost is derived from the ledger again when its device asks.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence

import structlog

from device_sdk.wire import cose
from device_sdk.wire.notice import Event, Notice
from device_sdk.wire.topics import Topics
from gateway.answer import split_events
from gateway.deliver import Errand
from gateway.effects import Tell
from gateway.fault_points import reached
from gateway.keeper import Keeper
from gateway.link.port import BrokerRefusedError, Connection

_COUNTERS = 1000
"""Reserved at a time; a restart leaves a gap, which means nothing."""
_MOST_WAITING = 100_000
"""Events that may wait for a broker that is away; the devices ask for the rest."""
_DEVICES_AT_A_TIME = 64


class Teller:
    """Collects events and sends them. One for the life of the service."""

    def __init__(self, keeper: Keeper, topics: Topics, ledger_id: bytes) -> None:
        self._keeper = keeper
        self._topics = topics
        self._ledger_id = ledger_id
        self._behind: deque[tuple[Errand, tuple[Tell, ...]]] = deque()
        self._events: dict[str, list[Event]] = {}
        self._waiting = 0
        self._wake, self._ready = asyncio.Event(), asyncio.Event()
        self._next_counter = self._end_counter = 0
        self._counting = asyncio.Lock()
        self._log = structlog.get_logger("gateway.tell")

    def tell(self, tells: tuple[Tell, ...], after: Errand) -> None:
        """Send events once an errand is done: *held* follows its copies, *read* its clear."""
        if self._waiting + len(tells) > _MOST_WAITING:
            self._log.warning("events_dropped", count=len(tells))
            return
        self._waiting += len(tells)
        self._behind.append((after, tells))
        self._wake.set()

    async def run(self, connection: Connection) -> None:
        """Send what there is to tell until the connection is lost (LinkLostError)."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._release())
            tasks.create_task(self._send_all(connection))

    async def _release(self) -> None:
        # In order, so that a device hears of a message's beginning before its end.
        while True:
            while not self._behind:
                self._wake.clear()
                await self._wake.wait()
            errand, tells = self._behind[0]
            await errand.wait()
            self._behind.popleft()
            for tell in tells:
                self._events.setdefault(tell.device, []).append(tell.event)
            self._ready.set()

    async def _send_all(self, connection: Connection) -> None:
        while True:
            self._ready.clear()
            while self._events:
                devices = list(self._events)[:_DEVICES_AT_A_TIME]
                taken = {device: self._events.pop(device) for device in devices}
                try:
                    await asyncio.gather(
                        *(self.send(connection, device, taken[device]) for device in devices)
                    )
                except BaseException:
                    self._put_back(taken)
                    raise
                self._waiting -= sum(map(len, taken.values()))
            await self._ready.wait()

    def _put_back(self, taken: dict[str, list[Event]]) -> None:
        # Some may have been sent: devices hear twice what they know, which changes nothing.
        for device, events in taken.items():
            self._events[device] = [*events, *self._events.get(device, [])]

    async def send(
        self,
        connection: Connection,
        device: str,
        events: Iterable[Event],
        *,
        nonce: bytes = b"",
        owed: int | None = None,
    ) -> None:
        """Send events in as many notices as they need; ``owed`` goes into the last of them.

        With ``owed`` a notice is sent even without events: it ends the answer to a query.
        """
        groups: Sequence[tuple[Event, ...]] = split_events(events)
        if not groups and owed is not None:
            groups = [()]
        for index, group in enumerate(groups, start=1):
            last = index == len(groups)
            await self._publish(connection, device, group, nonce, owed if last else None)

    async def _publish(
        self,
        connection: Connection,
        device: str,
        events: tuple[Event, ...],
        nonce: bytes,
        owed: int | None,
    ) -> None:
        situation = self._keeper.situation
        notice = Notice(
            device=device,
            ledger_id=self._ledger_id,
            counter=await self._count(),
            time=self._keeper.wall,
            roster_version=situation.roster.version if situation.roster else 0,
            events=events,
            query_nonce=nonce,
            owed=owed,
        )
        data = cose.sign(notice, self._keeper.identity, self._keeper.pin.aad)
        reached("notice-due")
        try:
            await connection.publish(self._topics.notice(device), data)
        except BrokerRefusedError as error:
            self._log.error("notice_refused", device=device, reason=str(error))
        reached("notice-sent")

    async def _count(self) -> int:
        async with self._counting:
            if self._next_counter == self._end_counter:
                first = await self._keeper.write(lambda tx: tx.take_counters(_COUNTERS))
                self._next_counter, self._end_counter = first, first + _COUNTERS
            counter = self._next_counter
            self._next_counter += 1
        return counter
