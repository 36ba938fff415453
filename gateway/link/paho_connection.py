"""One live connection: paho-mqtt's client, driven by the event loop itself instead of a thread.

paho offers its socket for that. What it does not do is bound anything: here arrivals beyond the
buffer stay in the socket, and publications wait for a place in the window.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Sequence
from typing import Any, NoReturn

import paho.mqtt.client as mqtt
from paho.mqtt.reasoncodes import ReasonCode

from gateway.fault_points import reached
from gateway.link.buffer import Answers, Arrivals, Codes
from gateway.link.paho_client import DeafClient
from gateway.link.port import Arrival, BrokerRefusedError, LinkLostError

_MISC_SECONDS = 1.0
_GOODBYE_SECONDS = 2.0
ANSWER_SECONDS = 30.0
"""A broker that answers our pings, and not the publication that is due, has lost it or its answer.
A new connection finds out what stands there."""
_PACKETS_A_TURN = 32
"""Packets read before other tasks get their turn."""
_PACKET_ROOM = 64
"""Bytes of a PUBLISH that are neither topic nor payload, and some more."""
_REFUSED = 0x80
_NO_TOKEN = 0
_GOODBYE = 0
"""Stands for the goodbye's end among the packet ids, of which 0 is none."""


class PahoConnection:
    """A `gateway.link.port.Connection` over a client whose CONNECT is already sent."""

    def __init__(self, client: DeafClient, *, mqtt5: bool, window: int) -> None:
        self._client = client
        self._mqtt5 = mqtt5
        self._loop = asyncio.get_running_loop()
        self._most = window
        self._window = asyncio.Semaphore(window)
        self._largest = 2**28
        self._lost: LinkLostError | None = None
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._answers = Answers()
        self._arrivals = Arrivals()
        self._reading = False
        self._reported = 0
        self._misc = self._loop.call_later(_MISC_SECONDS, self._on_misc)
        self._attach()

    # ------------------------------------------------------------------ the port

    @property
    def mqtt5(self) -> bool:
        return self._mqtt5

    async def opened(self) -> None:
        """Wait for the CONNACK. Raises LinkLostError, BrokerRefusedError."""
        await self._opened

    async def subscribe(self, filters: Sequence[str]) -> None:
        self._check()
        _, mid = self._client.subscribe([(topic_filter, 1) for topic_filter in filters])
        codes = await self._answer(mid)
        if len(codes) != len(filters):
            self._give_up_on(f"{len(codes)} codes as the answer to {len(filters)} subscriptions")
        for topic_filter, code in zip(filters, codes, strict=True):
            if code >= _REFUSED:
                raise BrokerRefusedError(f"the broker refuses the subscription to {topic_filter}")

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        self._check()
        _, mid = self._client.unsubscribe(list(filters))
        await self._answer(mid)

    async def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, expiry: int | None = None
    ) -> None:
        async with self._window:
            self._check()
            if len(payload) + len(topic) + _PACKET_ROOM > self._largest:
                raise BrokerRefusedError(f"the broker takes packets up to {self._largest} bytes")
            properties = b"" if expiry is None else _expiry(expiry)
            packet_id = self._client.put(topic, payload, retain=retain, properties=properties)
            if expiry is not None:
                reached("copy-sent")
            elif retain and not payload:
                reached("clear-sent")
            codes = await self._answer(packet_id)
        if len(codes) != 1:
            self._give_up_on(f"{len(codes)} codes as the answer to a publication")
        if codes[0] >= _REFUSED:
            raise BrokerRefusedError(f"the broker refuses a publication: reason 0x{codes[0]:02x}")

    async def batch(self, most: int = 256) -> list[Arrival]:
        while not self._arrivals:
            self._check()
            await self._arrivals.wait()
        arrivals = self._arrivals.take(most)
        self._read_again()
        return arrivals

    def ack(self, arrivals: Sequence[Arrival]) -> None:
        self._check()
        self._client.puback(one.token for one in arrivals if one.token != _NO_TOKEN)

    async def close(self) -> None:
        if self._lost is None:
            self._client.disconnect()
            with contextlib.suppress(LinkLostError, TimeoutError):
                async with asyncio.timeout(_GOODBYE_SECONDS):
                    await self._answers.to(_GOODBYE)
        self.abort("closed by the gateway")

    def abort(self, reason: str) -> None:
        """End the connection without a goodbye, if it has not ended yet."""
        sock = self._client.socket()
        self._on_lost(reason)
        if sock is not None and sock.fileno() >= 0:
            self._detach(sock)
            sock.close()
        # paho closes once more when it is collected, perhaps after the event loop has gone.
        self._client.on_socket_close = None

    # ------------------------------------------------------------------ paho and the event loop

    def _attach(self) -> None:
        client = self._client
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.listener = self
        client.on_subscribe = client.on_unsubscribe = self._on_suback
        client.on_socket_register_write = self._on_writable
        client.on_socket_unregister_write = self._on_written
        client.on_socket_close = self._on_socket_close
        sock = client.socket()
        if isinstance(sock, socket.socket):
            # Many small packets wait for each other's answers here.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read_again()
        if client.want_write():
            self._on_writable(client, None, client.socket())

    def _read_again(self) -> None:
        sock = self._client.socket()
        if (
            sock is not None
            and self._lost is None
            and not self._reading
            and not self._arrivals.full
        ):
            self._reading = True
            self._loop.add_reader(sock.fileno(), self._on_readable)
            if self._has_pending(sock):
                self._loop.call_soon(self._on_readable)

    def _read_no_more(self, sock: Any) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(sock.fileno())

    def _on_readable(self) -> None:
        sock = self._client.socket()
        if not self._reading or sock is None:
            return
        for _ in range(_PACKETS_A_TURN):
            reported = self._reported
            self._client.loop_read()
            # paho does not say whether there was a packet, but most packets are reported to us.
            if sock.fileno() < 0 or (self._reported == reported and not self._has_pending(sock)):
                break
        else:
            if self._has_pending(sock):
                self._loop.call_soon(self._on_readable)
        if self._arrivals.full and sock.fileno() >= 0:
            self._read_no_more(sock)

    def _on_writable(self, _client: mqtt.Client, _userdata: Any, sock: Any) -> None:
        self._loop.add_writer(sock.fileno(), self._client.loop_write)

    def _on_written(self, _client: mqtt.Client, _userdata: Any, sock: Any) -> None:
        self._loop.remove_writer(sock.fileno())

    def _on_socket_close(self, _client: mqtt.Client, _userdata: Any, sock: Any) -> None:
        self._detach(sock)
        # paho closes the socket after this call, and may or may not call on_disconnect.
        self._loop.call_soon(self._on_lost, "the broker closed the connection")

    def _has_pending(self, sock: Any) -> bool:
        # Bytes that paho or TLS have taken from the socket: it will not become readable for them.
        if sock.fileno() < 0:
            return False
        return self._client.has_unread or (isinstance(sock, ssl.SSLSocket) and sock.pending() > 0)

    def _detach(self, sock: Any) -> None:
        self._reading = False
        if sock.fileno() < 0:
            return
        self._loop.remove_reader(sock.fileno())
        self._loop.remove_writer(sock.fileno())

    def _on_misc(self) -> None:
        if self._lost is None:
            self._misc = self._loop.call_later(_MISC_SECONDS, self._on_misc)
            self._client.loop_misc()
        if self._reading and self._answers.overdue(ANSWER_SECONDS):
            self.abort("the broker left a packet unanswered")

    # ------------------------------------------------------------------ what paho reports

    def _on_connect(
        self, _client: mqtt.Client, _userdata: Any, _flags: Any, code: ReasonCode, properties: Any
    ) -> None:
        self._reported += 1
        if self._opened.done():
            return
        if code.is_failure:
            self._opened.set_exception(BrokerRefusedError(f"the broker refuses: {code}"))
        else:
            # paho ignores how many publications the broker can take at a time (MQTT 5 3.2.2.3.3).
            most = getattr(properties, "ReceiveMaximum", self._most)
            self._window = asyncio.Semaphore(min(self._most, most))
            # A larger packet would end the connection (MQTT 5 3.2.2.3.6).
            self._largest = getattr(properties, "MaximumPacketSize", self._largest)
            self._opened.set_result(None)

    def _on_disconnect(
        self, _client: mqtt.Client, _userdata: Any, flags: Any, code: ReasonCode, _properties: Any
    ) -> None:
        told = flags.is_disconnect_packet_from_server
        self._on_lost(f"the broker ended it: {code}" if told else "the connection broke")

    def _on_lost(self, reason: str) -> None:
        if self._lost is not None:
            return
        self._lost = LinkLostError(f"the connection to the broker is lost: {reason}")
        self._misc.cancel()
        if not self._opened.done():
            why = self._client.refused
            self._opened.set_exception(BrokerRefusedError(refusal(why)) if why else self._lost)
            self._opened.exception()  # nobody may be waiting any more
        self._answers.fail(self._lost)
        self._arrivals.wake()

    def on_arrival(self, topic: bytes, payload: bytes, *, retained: bool, packet_id: int) -> None:
        """See `gateway.link.paho_client.Listener`."""
        self._reported += 1
        try:
            name = topic.decode()
        except UnicodeDecodeError:
            name = ""  # a broker must not let it pass; it is nobody's topic then
        self._arrivals.add(Arrival(topic=name, payload=payload, retained=retained, token=packet_id))

    def on_puback(self, packet_id: int, code: int) -> None:
        """See `gateway.link.paho_client.Listener`."""
        self._settle(packet_id, [code])

    def _on_suback(
        self, _client: mqtt.Client, _userdata: Any, mid: int, codes: Any, _properties: Any
    ) -> None:
        self._settle(mid, [code.value for code in codes])

    # ------------------------------------------------------------------ waiting for answers

    def _give_up_on(self, what: str) -> NoReturn:
        self.abort(f"the broker sent {what}")
        self._check()
        raise AssertionError("an aborted connection is lost")

    def _check(self) -> None:
        if self._lost is not None:
            raise LinkLostError(str(self._lost))

    async def _answer(self, packet_id: int | None) -> Codes:
        # Nothing was read since the packet was queued: all of this happens in one thread.
        if packet_id is None:
            raise LinkLostError("the connection to the broker is lost")
        return await self._answers.to(packet_id)

    def _settle(self, packet_id: int, codes: Codes) -> None:
        self._reported += 1
        self._answers.settle(packet_id, codes)


def refusal(why: str) -> str:
    """Return what to say of a broker that does not accept our certificate."""
    return f"the broker refuses this gateway's certificate: {why}"


def _expiry(seconds: int) -> bytes:
    """Return properties with nothing but a Message Expiry Interval (MQTT 5.0 3.3.2.3.3)."""
    return struct.pack("!BBI", 5, 2, min(seconds, 2**32 - 1))
