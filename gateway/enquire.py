"""Answer devices' queries, one device after the other, a piece of the query at a time."""

import asyncio
from collections.abc import Callable, Container
from functools import partial

from device_sdk.wire.query import Query
from gateway import answer
from gateway.deliver import Errand
from gateway.effects import Effects
from gateway.keeper import Keeper
from gateway.link.port import Connection
from gateway.store.port import Reading
from gateway.store.records import MessageKey
from gateway.tell import Teller


class Enquiries:
    """The newest query of each device, waiting for its answer.

    Before the first reconcile has ended nothing is answered: the ledger may not know yet what it
    holds, and "nothing waits for you" would be taken for the truth.
    """

    def __init__(
        self,
        keeper: Keeper,
        teller: Teller,
        on_effects: Callable[[Effects], Errand],
        undecided: Callable[[], Container[MessageKey]] = frozenset,
    ) -> None:
        self._keeper = keeper
        self._teller = teller
        self._on_effects = on_effects
        self._undecided = undecided
        self._queries: dict[str, Query] = {}
        self._wake = asyncio.Event()

    def ask(self, query: Query) -> None:
        """Take a verified query; a device's newer one replaces it."""
        self._queries[query.device] = query
        self._wake.set()

    def reconciled(self) -> None:
        """The first reconcile has ended: what waited can be answered."""
        self._wake.set()

    async def run(self, connection: Connection) -> None:
        """Answer until the connection is lost (LinkLostError)."""
        while True:
            self._wake.clear()
            while self._queries and self._keeper.situation.reconciled:
                device = next(iter(self._queries))
                await self._answer(connection, self._queries.pop(device))
            await self._wake.wait()

    async def _answer(self, connection: Connection, query: Query) -> None:
        pieces = answer.pieces(query)
        for index, piece in enumerate(pieces, start=1):
            found = await self._keeper.read(partial(self._look_up, piece))
            # The copies asked for come before the answer that counts them.
            await self._on_effects(found.effects).wait()
            await self._teller.send(
                connection,
                query.device,
                found.events,
                nonce=query.nonce,
                owed=found.owed if index == len(pieces) else None,
            )

    def _look_up(self, piece: Query, tx: Reading) -> answer.Answer:
        return answer.answer(tx, piece, self._keeper.situation, self._undecided())
