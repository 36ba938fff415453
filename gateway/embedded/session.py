"""What a client is owed: its filters, what waits for it, what it has not PUBACKed. No sockets."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from gateway.access import Client, Role

from . import packets
from .limits import (
    GATEWAY_FULL,
    GATEWAY_FULL_BYTES,
    MAX_ABSENT,
    MAX_ABSENT_BYTES,
    MAX_IN_FLIGHT,
    MAX_REPLAYING,
    MAX_WAITING,
    MAX_WAITING_BYTES,
)
from .packets import Message
from .retained import Retained


class Link(Protocol):
    """The connection of a session, as far as the session and the hub need it."""

    def wake(self) -> None:
        """Something may be there to be sent."""

    def hold(self, why: object) -> None:
        """Read no more from this client until `release` is called for the same reason."""

    def release(self, why: object) -> None: ...

    def end(self, reason: str) -> None:
        """Close at once, and let the hub publish the will."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Live:
    message: Message
    qos: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _InFlight:
    message: Message
    retain: bool


class _Replay:
    """The retained messages that one SUBSCRIBE asked for, looked up again when their turn comes."""

    __slots__ = ("left", "topics")

    def __init__(self, topics: list[tuple[str, int]]) -> None:
        self.topics: Iterator[tuple[str, int]] = iter(topics)
        self.left = len(topics)


class Session:
    """One client's state; it outlives the connection if the client asked for that.

    Everything goes to the client in one order, so what is published after a SUBSCRIBE arrives
    after the retained messages that it asked for.
    """

    def __init__(
        self,
        client: Client,
        client_id: str,
        *,
        clean: bool,
        retained: Retained,
        receives: Callable[[str], bool],
    ) -> None:
        self.client = client
        self.client_id = client_id
        self.clean = clean
        self.link: Link | None = None
        self.over = False
        self.filters: dict[str, int] = {}  # filter -> granted QoS, 0 or 1
        self.half_received: set[int] = set()  # ids of QoS 2 messages between PUBLISH and PUBREL
        self._retained = retained
        self._receives = receives
        self._waiting: deque[_Live | _Replay] = deque()
        self._live = 0
        self._live_bytes = 0
        self._replaying = 0
        self._in_flight: dict[int, _InFlight] = {}
        self._again: deque[int] = deque()
        self._last_id = 0
        self._held: set[Link] = set()

    # ------------------------------------------------------------------ what comes in

    def enqueue(self, message: Message, qos: int) -> None:
        """Queue a message just published. An absent client is owed only QoS 1 (3.1.1, 3.1.2.4)."""
        if self.link is None and qos == 0:
            return
        self._waiting.append(_Live(message=message, qos=qos))
        self._live += 1
        self._live_bytes += len(message.payload)
        if self.link is not None:
            self.link.wake()

    def replay(self, topics: list[tuple[str, int]]) -> None:
        """Queue the retained messages of these topics, with the QoS granted to each."""
        self._waiting.append(_Replay(topics))
        self._replaying += len(topics)

    @property
    def overflows(self) -> bool:
        """Whether more waits than this client may let wait. A connected gateway never overflows."""
        if self.link is None:
            return self._live > MAX_ABSENT or self._live_bytes > MAX_ABSENT_BYTES
        if self.client.role is Role.GATEWAY:
            return False
        return self._live > MAX_WAITING or self._live_bytes > MAX_WAITING_BYTES

    @property
    def replays_too_much(self) -> bool:
        return self._replaying > MAX_REPLAYING and self.client.role is not Role.GATEWAY

    # ------------------------------------------------------------------ what goes out

    def take(self) -> bytes | None:
        """The next PUBLISH to send; None if nothing waits or too much is in flight."""
        while self._again:
            packet_id = self._again.popleft()
            if packet_id in self._in_flight:
                return self._publish_again(packet_id)
        while self._waiting and len(self._in_flight) < MAX_IN_FLIGHT:
            found = self._next()
            self._let_publishers_go_on()
            if found is None:
                continue
            message, qos, retain = found
            # Every message passes here, live or retained, so this is where receiving is allowed.
            if self._receives(message.topic):
                return self._publish(message, qos=qos, retain=retain)
        return None

    def puback(self, packet_id: int) -> None:
        """The client has the message. An unknown id is ignored: a repeated PUBACK is harmless."""
        self._in_flight.pop(packet_id, None)

    def _next(self) -> tuple[Message, int, bool] | None:
        head = self._waiting[0]
        if isinstance(head, _Live):
            self._waiting.popleft()
            self._live -= 1
            self._live_bytes -= len(head.message.payload)
            return head.message, head.qos, False
        for topic, granted in head.topics:
            head.left -= 1
            self._replaying -= 1
            message = self._retained.get(topic)
            if message is not None:  # not cleared since
                return message, min(granted, message.qos), True
        self._waiting.popleft()
        return None

    def _publish(self, message: Message, *, qos: int, retain: bool) -> bytes:
        packet_id = None
        if qos > 0:
            packet_id = self._free_id()
            self._in_flight[packet_id] = _InFlight(message=message, retain=retain)
        return packets.publish(message, qos=qos, packet_id=packet_id, retain=retain, dup=False)

    def _publish_again(self, packet_id: int) -> bytes:
        sent = self._in_flight[packet_id]
        return packets.publish(
            sent.message, qos=1, packet_id=packet_id, retain=sent.retain, dup=True
        )

    def _free_id(self) -> int:
        while True:  # there are far more ids than may be in flight
            self._last_id = self._last_id % 65_535 + 1
            if self._last_id not in self._in_flight:
                return self._last_id

    # ------------------------------------------------------------------ who waits for whom

    def slow_down(self, publisher: Link) -> None:
        """Let a publisher wait if this is a gateway that has enough to do."""
        full = self._live > GATEWAY_FULL or self._live_bytes > GATEWAY_FULL_BYTES
        if full and self.link is not None and self.client.role is Role.GATEWAY:
            self._held.add(publisher)
            publisher.hold(self)

    def _let_publishers_go_on(self) -> None:
        if self._live * 4 <= GATEWAY_FULL and self._live_bytes * 4 <= GATEWAY_FULL_BYTES:
            self._release_all()

    def _release_all(self) -> None:
        while self._held:
            self._held.pop().release(self)

    # ------------------------------------------------------------------ coming and going

    def attach(self, link: Link) -> None:
        """A connection takes the session up; what was in flight is sent again, in order."""
        self.link = link
        self._again = deque(self._in_flight)

    def detach(self) -> None:
        """The connection is gone. Replays go with it: the next SUBSCRIBE asks for them again."""
        self.link = None
        self._again.clear()
        owed = [item for item in self._waiting if isinstance(item, _Live) and item.qos > 0]
        self._waiting = deque(owed)
        self._live = len(owed)
        self._live_bytes = sum(len(item.message.payload) for item in owed)
        self._replaying = 0
        self._release_all()
