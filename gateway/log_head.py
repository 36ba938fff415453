"""The signed head of the log, published where all can see it (PROTOCOL 8.6)."""

import asyncio
import os

import structlog

from device_sdk.wire import cose
from device_sdk.wire.topics import Topics
from device_sdk.wire.tree_head import LOG_ID_SIZE, TreeHead
from gateway import transparency
from gateway.keeper import Keeper
from gateway.link.port import BrokerRefusedError, Connection

ANEW = 600.0
"""Seconds after which a head is signed anew, so that it tells when the gateway last had no more."""


class LogHead:
    """This process's heads. One for the life of the service."""

    def __init__(self, keeper: Keeper, topics: Topics, name: str) -> None:
        self._keeper = keeper
        self._topic = topics.log(name)
        # Not the ledger's: one that was restored from a backup would grow a second time, and its
        # gateway sign two roots of one size.
        self._log_id = os.urandom(LOG_ID_SIZE)
        self._said: tuple[int, bytes] = (0, b"")
        self._data = b""
        self._changed = asyncio.Event()
        self.shown = asyncio.Event()
        """Whether this connection has seen the head."""
        self._log = structlog.get_logger("gateway.log_head")

    @property
    def topic(self) -> str:
        """Where the head stands."""
        return self._topic

    def grown(self) -> None:
        """Something may have been entered: look, and publish the head if so."""
        self._changed.set()

    def note(self, payload: bytes) -> None:
        """Look at what the broker retains for our head; it may have been overwritten."""
        if payload != self._data:
            self._said = (0, b"")
            self._changed.set()

    async def run(self, connection: Connection, anew: float = ANEW) -> None:
        """Publish the head now, whenever the log has grown, and every ``anew`` seconds."""
        try:
            await self._keeper.write(transparency.begin)
            self._said = (0, b"")
            while True:
                await self._publish(connection)
                self.shown.set()
                await self._wait(anew)
        finally:
            self.shown.clear()

    async def _wait(self, anew: float) -> None:
        try:
            async with asyncio.timeout(anew):
                await self._changed.wait()
        except TimeoutError:
            self._said = (0, b"")
        finally:
            self._changed.clear()

    async def _publish(self, connection: Connection) -> None:
        size, root = await self._keeper.read(transparency.size_and_root)
        if size == 0 or (size, root) == self._said:
            return
        head = TreeHead(
            log_id=self._log_id,
            size=size,
            root=root,
            time=self._keeper.wall,
            roster_version=self._keeper.roster.version,
        )
        self._data = cose.sign(head, self._keeper.identity, self._keeper.pin.aad)
        self._said = (size, root)
        try:
            await connection.publish(self._topic, self._data, retain=True)
        except BrokerRefusedError as error:  # such as over a quota: the next one may pass
            self._log.error("log_head_refused", reason=str(error))
