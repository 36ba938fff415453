"""The embedded broker with a handful of accounts, for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.access import Client, Role
from gateway.embedded_broker import EmbeddedBroker
from tests.brokers.raw_client import RawClient

PREFIX = "sealgate/1"
CLIENTS = {
    "gw-1": Role.GATEWAY,
    "snooper": Role.OPERATOR,
    "thermo-1": Role.DEVICE,
    "hub": Role.DEVICE,
    "mallory": Role.DEVICE,
}


def authenticate(client_id: str, username: str, password: str) -> Client | None:
    """Everybody's password is their own name backwards."""
    if username in CLIENTS and password == username[::-1]:
        return Client(name=username, role=CLIENTS[username])
    return None


class Bench:
    """The broker, and all clients of one test, which are closed with it."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self.broker = broker
        self._clients: list[RawClient] = []

    @property
    def port(self) -> int:
        return self.broker.port

    async def dial(self) -> RawClient:
        """A connection that has said nothing yet."""
        client = await RawClient.dial(self.port)
        self._clients.append(client)
        return client

    async def log_in(self, name: str, *, client_id: str | None = None, **how: object) -> RawClient:
        """A connected client; it must be admitted."""
        client = await self.dial()
        answer = await client.connect(client_id or name, name, name[::-1], **how)
        assert answer is not None
        assert answer[1] == 0, f"{name} was not admitted: {answer!r}"
        return client

    async def close(self) -> None:
        for client in self._clients:
            await client.close()


@asynccontextmanager
async def embedded_broker(max_packet_bytes: int = 2_000_000) -> AsyncIterator[Bench]:
    """A started broker on a free port."""
    broker = EmbeddedBroker(
        host="127.0.0.1", port=0, authenticate=authenticate, max_packet_bytes=max_packet_bytes
    )
    await broker.start()
    bench = Bench(broker)
    try:
        yield bench
    finally:
        await broker.stop()
        await bench.close()
