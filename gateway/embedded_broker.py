"""A broker inside the gateway's process, for fleets that have none, for the demo and for tests.

It speaks MQTT 3.1.1 over TCP. Of amqtt it uses the packet codec, strictly (`embedded.packets`).
amqtt's own `Broker` changes sessions before it has checked who connects: whoever knows a client id
can, without any password, end that client's subscriptions and publish what it likes. That and what
else it does (tests/brokers/test_stock_amqtt.py shows it) leave hardly a method between socket and
codec that could stay, so what stands there is the project's own.

- Nobody is admitted without `authenticate`. A device's client id is its own id. A client id
  belongs to the name that uses it, so no name can throw out, or stand in the way of, another.
- `gateway.access` decides about every subscription, every publication, wills included, and every
  delivery, live or retained. A refused subscription gets 0x80. A refused publication ends the
  connection, except a gateway's, which is PUBACKed, dropped and logged.
- Only a gateway's RETAIN counts; anybody else's message is carried and not kept.
- Retained messages and sessions live in memory only. After a restart the gateway publishes the
  copies it holds again, from its ledger. Wills are not published when the broker itself stops.
- A SUBSCRIBE is answered with all matching retained messages, every time. Whatever is published
  after it arrives after them.
- QoS 2 is accepted, and granted as QoS 1. `$share` is refused, as no role's rules cover it.
  Persistent sessions are kept for an hour.
- A device that reads too slowly loses its session; a gateway never does: then devices wait.
- No TLS: listen on the loopback interface, or within a network that may see tokens and the
  operator's password. For anything else use a real broker (`serve --broker mqtts://...`).
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from functools import partial

from device_sdk.wire.topics import DEFAULT_PREFIX
from gateway.access import check_prefix
from gateway.errors import GatewayError

from .embedded.connection import Connection
from .embedded.hub import Authenticate, Hub
from .embedded.limits import MAX_CONNECTIONS, MAX_PACKET_BYTES, MAX_STRANGERS, STOP_SECONDS

__all__ = ["Authenticate", "BrokerNotStartedError", "EmbeddedBroker"]

logger = logging.getLogger("gateway.embedded_broker")


class BrokerNotStartedError(GatewayError):
    """The embedded broker cannot listen where it should."""


class EmbeddedBroker:
    """An MQTT 3.1.1 broker in the caller's event loop.

    ``host`` is an address to listen on, ``port`` 0 a free port. ``authenticate`` is called with
    client id, user name and password, none of the latter two empty, and returns who that is, or
    None; it must not block. ``max_packet_bytes`` bounds a PUBLISH as a whole.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        authenticate: Authenticate,
        prefix: str = DEFAULT_PREFIX,
        max_packet_bytes: int = MAX_PACKET_BYTES,
    ) -> None:
        self._host = host
        self._asked_port = port
        self._authenticate = authenticate
        self._prefix = check_prefix(prefix)
        self._max_packet_bytes = max_packet_bytes
        self._hub: Hub | None = None
        self._server: asyncio.Server | None = None
        self._connections: dict[Connection, None] = {}  # the oldest first
        self._nobody = asyncio.Event()

    @property
    def port(self) -> int:
        """The port it listens on; RuntimeError if it is not started."""
        if self._server is None:
            raise RuntimeError("the embedded broker has no port before start() and after stop()")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Listen. Raises BrokerNotStartedError if the address cannot be had."""
        if self._server is not None:
            return
        hub = Hub(self._authenticate, prefix=self._prefix)
        try:
            self._server = await asyncio.get_running_loop().create_server(
                partial(self._connection, hub), self._host, self._asked_port
            )
        except (OSError, OverflowError) as error:
            raise BrokerNotStartedError(
                f"expected to listen on {self._host}:{self._asked_port}: {error};"
                " choose another address, or stop what uses it"
            ) from error
        self._hub = hub
        if not _is_loopback(self._host):
            logger.warning("Listening beyond this machine without TLS: tokens can be overheard")

    async def stop(self) -> None:
        """Close every connection and the port, within about two seconds."""
        if self._server is None or self._hub is None:
            return
        server, self._server = self._server, None
        server.close()
        for connection in list(self._connections):
            connection.close("the broker stops")
        if not await self._all_gone():
            for connection in list(self._connections):
                connection.end("the broker stops")
            await self._all_gone()
        self._hub.close()
        await server.wait_closed()

    async def _all_gone(self) -> bool:
        if not self._connections:
            return True
        self._nobody.clear()
        try:
            await asyncio.wait_for(self._nobody.wait(), STOP_SECONDS)
        except TimeoutError:
            return False
        return True

    def _connection(self, hub: Hub) -> asyncio.Protocol:
        return Connection(
            hub,
            max_packet_bytes=self._max_packet_bytes,
            arrived=self._on_arrived,
            gone=self._on_gone,
        )

    def _on_arrived(self, connection: Connection) -> None:
        self._connections[connection] = None
        if self._server is None:  # accepted just before stop()
            connection.end("the broker stops")
            return
        strangers = [one for one in self._connections if one.stranger]
        if len(strangers) > MAX_STRANGERS or len(self._connections) > MAX_CONNECTIONS:
            # Whoever means it says who it is at once: the longest silent has had its chance.
            del self._connections[strangers[0]]
            strangers[0].end("somebody else wants to be let in")

    def _on_gone(self, connection: Connection) -> None:
        self._connections.pop(connection, None)
        if not self._connections:
            self._nobody.set()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
