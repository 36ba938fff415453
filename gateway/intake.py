"""The main loop: a batch of arrivals, one transaction, then the PUBACKs, then what follows from it.

PUBACK strictly after the commit (PROTOCOL 13.2): a broker's own PUBACK to a device is no promise
that anything was kept, ours to the broker is.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

import structlog

from device_sdk.wire.topics import Topics
from gateway.decide import Decision, decide
from gateway.fault_points import reached
from gateway.keeper import Keeper
from gateway.link.port import Arrival, Connection
from gateway.seldom import Seldom

_BATCH = 256
_MOST_WAITING = 10_000
"""Read acks that wait in memory for the first reconcile. They are PUBACKed: a broker sends only so
many messages without a PUBACK, some only one, and the replay that they wait for comes behind them.
Their readers answer again if this process ends before."""


class Sorting(Protocol):
    """Where the arrivals that are not for the ledger go, and what follows from the others."""

    def on_state(self, arrival: Arrival) -> None:
        """A gateway's state, ours or another's."""

    def on_log_head(self, arrival: Arrival) -> None:
        """The head of a gateway's log, ours or another's."""

    def on_token_keys(self, arrival: Arrival) -> None:
        """A gateway's keys for tokens, ours or another's."""

    def on_marker(self, arrival: Arrival) -> None:
        """Something came back that we published to ourselves."""

    def on_decision(self, arrival: Arrival, decision: Decision) -> None:
        """A decision that is committed."""


class Intake:
    """Takes in what arrives over one connection."""

    def __init__(
        self, connection: Connection, keeper: Keeper, topics: Topics, marker: str, sorting: Sorting
    ) -> None:
        self._connection = connection
        self._keeper = keeper
        self._topics = topics
        self._marker = marker
        self._states, self._logs = topics.state(""), topics.log("")
        self._tokens = topics.tokens("")
        self._sorting = sorting
        self._waiting: list[Arrival] = []
        self._seldom = Seldom()
        self._log = structlog.get_logger("gateway.intake")

    async def run(self) -> None:
        """Take in batch after batch until the connection is lost (LinkLostError)."""
        while True:
            await self._take_in(await self._connection.batch(_BATCH))

    async def _take_in(self, arrivals: Sequence[Arrival]) -> None:
        ours = [arrival for arrival in arrivals if self._is_for_the_ledger(arrival)]
        decisions = await self._decide(ours) if ours else []
        waiting = [a for a, decision in zip(ours, decisions, strict=True) if decision.wait]
        self._waiting += waiting[: max(0, _MOST_WAITING - len(self._waiting))]
        done = {decision.done for decision in decisions if decision.done}
        _reached(done, "committed")
        try:
            self._connection.ack(arrivals)
            _reached(done, "pubacked")
        finally:  # it is committed, also if the connection is lost by now
            self._carry_out(ours, decisions)

    def _is_for_the_ledger(self, arrival: Arrival) -> bool:
        if arrival.topic == self._marker:
            self._sorting.on_marker(arrival)
            return arrival.retained
        if arrival.topic.startswith(self._states):
            self._sorting.on_state(arrival)
            return False
        if arrival.topic.startswith(self._logs):
            self._sorting.on_log_head(arrival)
            return False
        if arrival.topic.startswith(self._tokens):
            self._sorting.on_token_keys(arrival)
            return False
        return True

    async def _decide(self, arrivals: Sequence[Arrival]) -> list[Decision]:
        return await self._keeper.write(
            # The situation is looked up late: the disk may have taken its time.
            lambda tx: [
                decide(tx, arrival, self._topics, self._keeper.situation) for arrival in arrivals
            ]
        )

    def _carry_out(self, arrivals: Sequence[Arrival], decisions: Sequence[Decision]) -> None:
        for arrival, decision in zip(arrivals, decisions, strict=True):
            if decision.log and (line := self._seldom.line(decision.log)):
                self._log.info(**line)
            self._sorting.on_decision(arrival, decision)

    async def take_waiting(self) -> None:
        """Look again at the read acks that waited for the first reconcile."""
        while self._waiting:
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            decisions = await self._decide(batch)
            self._carry_out(batch, decisions)


def _reached(works: Iterable[str], how_far: str) -> None:
    for work in works:
        reached(f"{work}-{how_far}")
