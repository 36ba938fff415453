"""One client's socket: packets in, packets out, one after the other, and never too many.

There is no task here: what the event loop reports is handled at once, so nothing can be left
behind half done, and packets keep their order.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, cast

from amqtt.mqtt.packet import (
    DISCONNECT,
    PINGREQ,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBSCRIBE,
    UNSUBSCRIBE,
)

from gateway.access import Role

from . import packets
from .hub import Hub, RefusedError
from .limits import BYTES_A_TURN, CONNECT_SECONDS, KEEP_ALIVE_GRACE, PACKETS_A_TURN
from .packets import MalformedPacketError, Message, UnacceptableProtocolError
from .session import Session

logger = logging.getLogger("gateway.embedded_broker")

# Why a client is not read from for a while, beside the gateways that it has to wait for.
_MORE_TO_DO = "its last packets are still being handled"
_UNREAD = "it does not read what it is sent"


class Connection(asyncio.Protocol):
    """An MQTT 3.1.1 client's connection, from accept to the last byte."""

    def __init__(
        self,
        hub: Hub,
        *,
        max_packet_bytes: int,
        arrived: Callable[[Connection], None],
        gone: Callable[[Connection], None],
    ) -> None:
        self._hub = hub
        self._max_packet_bytes = max_packet_bytes
        self._arrived = arrived
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._session: Session | None = None
        self._will: Message | None = None
        self._keep_alive = 0.0
        self._heard = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._buffer = bytearray()
        self._outgoing: list[bytes] = []
        self._holds: set[object] = set()
        self._awake = False
        self._over = False
        self._handlers: dict[int, Callable[[Session, Any], None]] = {
            PUBLISH: self._on_publish,
            PUBREL: self._on_pubrel,
            PUBACK: self._on_puback,
            PUBREC: self._on_unexpected,  # nothing is ever sent with QoS 2
            PUBCOMP: self._on_unexpected,
            SUBSCRIBE: self._on_subscribe,
            UNSUBSCRIBE: self._on_unsubscribe,
            PINGREQ: self._on_pingreq,
            DISCONNECT: self._on_disconnect,
        }

    @property
    def stranger(self) -> bool:
        return self._session is None

    # ------------------------------------------------------------------ what the event loop reports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._timer = self._loop.call_later(CONNECT_SECONDS, self.end, "no CONNECT in time")
        self._arrived(self)

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        self._buffer += data
        if not self._holds:
            self._work()

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish("the connection was lost")
        if self._timer:
            self._timer.cancel()
        self._gone(self)

    def pause_writing(self) -> None:
        # It could make us collect answers without end.
        self.hold(_UNREAD)

    def resume_writing(self) -> None:
        self.release(_UNREAD)
        self.wake()

    # ------------------------------------------------------------------ reading

    def hold(self, why: object) -> None:
        """Read no more from this client until `release` is called for the same reason."""
        if not self._holds and not self._over:
            self._transport.pause_reading()
        self._holds.add(why)

    def release(self, why: object) -> None:
        """Take one reason away; without reasons left, reading goes on."""
        self._holds.discard(why)
        if not self._holds and not self._over:
            self._transport.resume_reading()
            self._heard = self._loop.time()
            self._loop.call_soon(self._work)

    def _work(self) -> None:
        try:
            for _ in range(PACKETS_A_TURN):
                if self._over or self._holds:
                    return
                frame = packets.cut(
                    self._buffer, publish_limit=self._max_packet_bytes, stranger=self.stranger
                )
                if frame is None:
                    return
                self._handle(frame)
        except MalformedPacketError as error:
            self.end(str(error))
        except Exception as error:
            # A bug must cost one client, not all of them. The error's text may quote what was
            # sent, so only a developer who asked for it gets to see more than the type.
            where = error if logger.isEnabledFor(logging.DEBUG) else None
            logger.error("A packet could not be handled: %s", type(error).__name__, exc_info=where)
            self.end("internal error")
        else:  # others have their turn first
            self.hold(_MORE_TO_DO)
            self._loop.call_soon(self.release, _MORE_TO_DO)

    def _handle(self, frame: bytes) -> None:
        if self._session is None:
            self._on_connect(frame)
            return
        packet = packets.decode(frame)
        self._handlers[packet.fixed_header.packet_type](self._session, packet)

    # ------------------------------------------------------------------ writing

    def wake(self) -> None:
        """Send what is there, in the loop's next turn: what several packets cause goes together."""
        if not self._awake and not self._over:
            self._awake = True
            self._loop.call_soon(self._send)

    def _send(self) -> None:
        self._awake = False
        if self._over:
            return
        outgoing, self._outgoing = self._outgoing, []
        size = sum(map(len, outgoing))
        more = self._session is not None and _UNREAD not in self._holds
        while more and size < BYTES_A_TURN:
            frame = self._session.take() if self._session else None
            if frame is None:
                more = False
            else:
                outgoing.append(frame)
                size += len(frame)
        if outgoing:
            self._transport.write(b"".join(outgoing))
        if more and _UNREAD not in self._holds:
            self.wake()

    def _answer(self, frame: bytes) -> None:
        self._outgoing.append(frame)
        self.wake()

    # ------------------------------------------------------------------ the end

    def end(self, reason: str) -> None:
        """Close at once; unless the client has said goodbye, its will is published."""
        self._transport.abort()
        self._finish(reason)

    def close(self, reason: str) -> None:
        """Close after what is written has been sent, or soon anyway; no will. May become end()."""
        if self._over:
            return
        self._will = None
        self._send()
        self._transport.close()
        self._finish(reason)
        self._timer = self._loop.call_later(CONNECT_SECONDS, self._transport.abort)

    def _finish(self, reason: str) -> None:
        if self._over:
            return
        self._over = True
        name = self._session.client.name if self._session else "a stranger"
        logger.debug("%s: connection ends: %s", name, reason)
        if self._timer:
            self._timer.cancel()
        self._outgoing.clear()
        self._buffer.clear()
        if self._session:
            self._hub.leave(self._session, self, self._will)

    # ------------------------------------------------------------------ packets

    def _on_connect(self, frame: bytes) -> None:
        try:
            hello = packets.decode_connect(frame)
            session, present = self._hub.admit(hello, self)
        except UnacceptableProtocolError as error:
            self._refuse(packets.UNACCEPTABLE_PROTOCOL, str(error))
            return
        except RefusedError as error:
            logger.warning("A client is not admitted: %s", error)
            self._refuse(error.code, str(error))
            return
        self._session, self._will = session, hello.will
        self._answer(packets.connack(packets.ACCEPTED, session_present=present))
        if self._timer:
            self._timer.cancel()
        self._keep_alive = hello.keep_alive * KEEP_ALIVE_GRACE
        if self._keep_alive:
            self._timer = self._loop.call_later(self._keep_alive, self._check_alive)

    def _refuse(self, code: int, reason: str) -> None:
        self._answer(packets.connack(code))
        self.close(reason)

    def _check_alive(self) -> None:
        waits_for_us = bool(self._holds - {_UNREAD})
        silent = 0.0 if waits_for_us else self._loop.time() - self._heard
        if silent >= self._keep_alive:
            self.end("nothing heard for one and a half times its keep alive")
            return
        self._timer = self._loop.call_later(self._keep_alive - silent, self._check_alive)

    def _on_publish(self, session: Session, packet: Any) -> None:
        if packet.qos == 2 and packet.variable_header.packet_id in session.half_received:
            self._answer(packets.pubrec(packet.variable_header.packet_id))
            return
        if not self._hub.publish(session.client, packets.message_of(packet), self):
            # 3.1.1 has no way to refuse one message. A gateway's is dropped: it has others to
            # serve. Anybody else's connection ends, which nobody can take for a success.
            if session.client.role is not Role.ANONYMOUS:  # anybody could fill the log
                logger.warning("%s published where it may not", session.client.name)
            if session.client.role is not Role.GATEWAY:
                self.end("published where it may not")
                return
        if packet.qos == 1:
            self._answer(packets.puback(packet.variable_header.packet_id))
        elif packet.qos == 2:
            session.half_received.add(packet.variable_header.packet_id)
            self._answer(packets.pubrec(packet.variable_header.packet_id))
        if session.client.role is Role.ANONYMOUS:
            # One message each, as devices do it: whoever wants to send many needs as many places.
            self.close("has published its one message")

    def _on_pubrel(self, session: Session, packet: Any) -> None:
        session.half_received.discard(packet.variable_header.packet_id)
        self._answer(packets.pubcomp(packet.variable_header.packet_id))

    def _on_puback(self, session: Session, packet: Any) -> None:
        session.puback(packet.variable_header.packet_id)
        self.wake()

    def _on_subscribe(self, session: Session, packet: Any) -> None:
        codes = self._hub.subscribe(session, packet.payload.topics)
        self._answer(packets.suback(packet.variable_header.packet_id, codes))
        if session.replays_too_much:
            self.end("asks for retained messages faster than it reads them")

    def _on_unsubscribe(self, session: Session, packet: Any) -> None:
        for topic_filter in packet.payload.topics:
            self._hub.unsubscribe(session, topic_filter)
        self._answer(packets.unsuback(packet.variable_header.packet_id))

    def _on_pingreq(self, session: Session, packet: Any) -> None:
        self._answer(packets.PINGRESP)

    def _on_disconnect(self, session: Session, packet: Any) -> None:
        self.close("goodbye")

    def _on_unexpected(self, session: Session, packet: Any) -> None:
        raise MalformedPacketError("an answer to a packet that was never sent")
