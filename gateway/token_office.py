"""The gateway's keys for tokens, published where all can see them, and the tokens themselves.

Keys are drawn, shown and logged while a connection lasts: without one nobody could use them. What
is over is erased by the sweep, with or without a connection (PROTOCOL 19.2, 19.3).
"""

import asyncio
import contextlib
import time
from collections.abc import Callable

import structlog

from device_sdk.wire import cose
from device_sdk.wire.epoch_key import EpochKey, TokenKeys
from device_sdk.wire.token_request import Denial, TokenIssue
from device_sdk.wire.topics import Topics
from gateway import oprf, tokens
from gateway.keeper import Keeper
from gateway.link.port import BrokerRefusedError, Connection
from gateway.log_head import LogHead
from gateway.tokens import Grant

ISSUE_EVERY = 5.0
"""Seconds in which one device's request under one key is answered once: a thousand tokens take a
processor 60 ms, and the answer has 32 KB. Devices ask again later than that."""
MOST_ISSUED = 10_000
"""Answers that are remembered for that."""
LOOK = 5.0
"""Seconds between two looks at whether a key is to be drawn, or its period is over."""


class TokenOffice:
    """One for the life of the service."""

    def __init__(
        self,
        keeper: Keeper,
        topics: Topics,
        name: str,
        log_head: LogHead,
        tick: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keeper = keeper
        self._topics = topics
        self._name = name
        self._log_head = log_head
        self._said: tuple[EpochKey, ...] | None = ()
        self._data = b""
        self._look = asyncio.Event()
        self._tick = tick
        self._grants: dict[tuple[str, bytes], Grant] = {}
        self._issued: dict[tuple[str, bytes], float] = {}
        self._wake = asyncio.Event()
        self._log = structlog.get_logger("gateway.token_office")

    @property
    def topic(self) -> str:
        """Where the keys stand."""
        return self._topics.tokens(self._name)

    def note(self, payload: bytes) -> None:
        """Look at what the broker retains for our keys; it may have been overwritten."""
        if payload != self._data:
            self._said = None
            self._look.set()

    def look_soon(self) -> None:
        """There is a new roster, which may ask for keys, or for none any more; or the first
        reconcile has ended, before which none is drawn."""
        self._look.set()

    def ask(self, grant: Grant) -> None:
        """Answer a request that was decided about; the same device's next one under the same key
        replaces it. One that was answered a moment ago is passed over."""
        place = (grant.request.device, grant.request.key_id)
        if self._tick() < self._issued.get(place, 0.0):
            return
        self._grants[place] = grant
        self._wake.set()

    async def run(self, connection: Connection) -> None:
        """Draw and publish, and issue, until the connection is lost (LinkLostError)."""
        self._said, self._data = (), b""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._show(connection))
            tasks.create_task(self._issue_all(connection))

    # ------------------------------------------------------------------ keys

    async def _show(self, connection: Connection) -> None:
        while True:
            # Not before the first reconcile has ended: a ledger that was lost adopts what it finds
            # made with the keys that it had, and tells by its keys what it can have known.
            is_ready = self._keeper.situation.reconciled
            due = await self._keeper.read(lambda tx: tokens.due_keys(tx, self._keeper.situation))
            if due and is_ready:
                await self._keeper.write(lambda tx: tokens.draw(tx, self._keeper.situation))
                self._log_head.grown()
            await self._publish(connection)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self._look.wait()
            self._look.clear()

    async def _publish(self, connection: Connection) -> None:
        keys = await self._keeper.read(lambda tx: tokens.shown(tx, self._keeper.situation))
        if keys == self._said:
            return
        record = TokenKeys(gateway=self._name, time=self._keeper.wall, keys=keys)
        # Without any, nothing stands there: also what stood there before goes.
        data = cose.sign(record, self._keeper.identity, self._keeper.pin.aad) if keys else b""
        self._data, self._said = data, keys
        try:
            await connection.publish(self.topic, data, retain=True)
        except BrokerRefusedError as error:  # such as over a quota: the next one may pass
            self._log.error("token_keys_refused", reason=str(error))

    # ------------------------------------------------------------------ tokens

    async def _issue_all(self, connection: Connection) -> None:
        while True:
            self._wake.clear()
            while self._grants:
                place = next(iter(self._grants))
                grant = self._grants.pop(place)
                self._remember(place)
                await self._issue(connection, grant)
            await self._wake.wait()

    def _remember(self, place: tuple[str, bytes]) -> None:
        self._issued.pop(place, None)
        self._issued[place] = self._tick() + ISSUE_EVERY
        if len(self._issued) > MOST_ISSUED:
            del self._issued[next(iter(self._issued))]

    async def _issue(self, connection: Connection, grant: Grant) -> None:
        request = grant.request
        # A thousand take 60 ms: others' messages need not wait for them.
        answer = await asyncio.to_thread(_answer, grant)
        if answer.denial:
            self._log.info("tokens_denied", device=request.device, reason=answer.denial)
        try:
            await connection.publish(self._topics.issue(request.device), answer.encode())
        except BrokerRefusedError as error:
            self._log.error("issue_refused", device=request.device, reason=str(error))


def _answer(grant: Grant) -> TokenIssue:
    request = grant.request
    if grant.denial:
        return TokenIssue(key_id=request.key_id, request=request.digest, denial=grant.denial)
    try:
        evaluated, proof = oprf.issue(grant.seed, request.blinded)
    except oprf.BlindedError:
        return TokenIssue(key_id=request.key_id, request=request.digest, denial=Denial.MALFORMED)
    return TokenIssue(
        key_id=request.key_id, request=request.digest, evaluated=evaluated, proof=proof
    )
