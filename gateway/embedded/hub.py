"""Admits clients and carries messages between them, under the rules of `gateway.access`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from paho.mqtt.matcher import MQTTMatcher

from gateway.access import Action, Client, Role, may

from . import packets
from .limits import ABSENT_SECONDS, MAX_ANONYMOUS, MAX_FILTER_CHARS, MAX_FILTERS, MAX_JOINERS
from .packets import Connect, Message
from .retained import Retained
from .session import Link, Session

logger = logging.getLogger("gateway.embedded_broker")

Authenticate = Callable[[str, str, str], Client | None]
# Who needs no password, and how many of each may be connected.
_STRANGERS = {Role.JOINER: MAX_JOINERS, Role.ANONYMOUS: MAX_ANONYMOUS}


class RefusedError(Exception):
    """A client is not admitted; ``code`` is CONNACK's return code (MQTT 3.1.1, 3.2.2.3)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Hub:
    """Sessions, subscriptions and retained messages. Everything happens at once: nothing awaits."""

    def __init__(self, authenticate: Authenticate, *, prefix: str) -> None:
        self._authenticate = authenticate
        self._prefix = prefix
        self._retained = Retained()
        self._filters = MQTTMatcher()  # type: ignore[no-untyped-call]
        # A client id means something only together with who uses it: nobody can take over,
        # or stand in the way of, a session of somebody else.
        self._sessions: dict[tuple[Client, str], Session] = {}
        self._expiry: dict[Session, asyncio.TimerHandle] = {}

    # ------------------------------------------------------------------ admission

    def admit(self, hello: Connect, link: Link) -> tuple[Session, bool]:
        """The client's session, and whether it was there before; RefusedError."""
        client = self._identify(hello)
        if hello.will and not self._may(client, "publish", hello.will.topic):
            raise RefusedError(packets.NOT_AUTHORIZED, f"{client.name}: will on a forbidden topic")
        key = (client, hello.client_id or f"unnamed {id(link)}")
        old = self._sessions.get(key)
        if old is not None and old.link is not None:
            old.link.end("the same client has connected again")
            old = self._sessions.get(key)
        # Nothing is kept for those who may be anybody.
        clean = hello.clean or client.role in _STRANGERS
        if old is not None and clean:
            self._forget(old)
            old = None
        if client.role in _STRANGERS:
            self._make_room_for(client.role)
        session = old or self._new_session(key, clean=clean)
        if expiry := self._expiry.pop(session, None):
            expiry.cancel()
        session.attach(link)
        return session, old is not None

    def _identify(self, hello: Connect) -> Client:
        # Before this has succeeded nothing of anybody's state may be looked at or changed.
        if not hello.username or not hello.password:
            raise RefusedError(packets.NOT_AUTHORIZED, "no user name and password")
        try:
            client = self._authenticate(hello.client_id, hello.username, hello.password)
        except Exception as error:  # noqa: BLE001 - a stranger must not learn or break anything
            logger.error("Checking a client failed: %s", type(error).__name__)
            raise RefusedError(packets.SERVER_UNAVAILABLE, "could not be checked") from None
        if client is None:
            raise RefusedError(packets.NOT_AUTHORIZED, "wrong user name or password")
        if client.role is Role.DEVICE and not client.name == hello.username == hello.client_id:
            raise RefusedError(
                packets.IDENTIFIER_REJECTED, f"{client.name}: a device's client id is its own id"
            )
        if not hello.client_id and not hello.clean:
            raise RefusedError(packets.IDENTIFIER_REJECTED, f"{client.name}: no client id")
        return client

    def _make_room_for(self, role: Role) -> None:
        """Bound those who need no password: the one that has waited longest comes again."""
        alike = [one for one in self._sessions.values() if one.client.role is role]
        for oldest in alike[: max(0, len(alike) + 1 - _STRANGERS[role])]:
            if oldest.link is not None:
                oldest.link.end("somebody else needs the place")

    def _new_session(self, key: tuple[Client, str], *, clean: bool) -> Session:
        client, client_id = key
        receives = partial(self._may, client, "receive")
        session = Session(
            client, client_id, clean=clean, retained=self._retained, receives=receives
        )
        self._sessions[key] = session
        return session

    def leave(self, session: Session, link: Link, will: Message | None) -> None:
        """A connection has ended; ``will`` is given if the client did not say goodbye."""
        if session.link is not link:
            return
        session.detach()
        if session.clean or session.over:
            self._forget(session)
        else:
            loop = asyncio.get_running_loop()
            self._expiry[session] = loop.call_later(ABSENT_SECONDS, self._forget, session)
        if will is not None:
            self.publish(session.client, will)

    def _forget(self, session: Session) -> None:
        session.over = True
        for topic_filter in list(session.filters):
            self.unsubscribe(session, topic_filter)
        key = (session.client, session.client_id)
        if self._sessions.get(key) is session:
            del self._sessions[key]
        if expiry := self._expiry.pop(session, None):
            expiry.cancel()

    def close(self) -> None:
        """Forget everybody."""
        for session in list(self._sessions.values()):
            self._forget(session)

    # ------------------------------------------------------------------ messages

    def publish(self, client: Client, message: Message, link: Link | None = None) -> bool:
        """Carry a message to all who want and may have it; False if the client may not publish it.

        Only a gateway's RETAIN counts (PROTOCOL, "Topics"); anybody else's message is carried
        and not kept. ``link`` is where it came from, to be slowed down if need be.
        """
        if not self._may(client, "publish", message.topic):
            return False
        if message.retain and client.role is Role.GATEWAY:
            if message.payload:
                self._retained.keep(message)
            else:
                self._retained.clear(message.topic)
        for session, granted in self._wanted_by(message.topic).items():
            session.enqueue(message, min(granted, message.qos))
            if session.overflows:
                self._throw_out(session)
            elif link is not None and client.role is not Role.GATEWAY:
                session.slow_down(link)
        return True

    def _wanted_by(self, topic: str) -> dict[Session, int]:
        # Once for each session, however many of its filters match.
        wanted: dict[Session, int] = {}
        for subscribers in self._filters.iter_match(topic):  # type: ignore[no-untyped-call]
            for session, granted in subscribers.items():
                wanted[session] = max(granted, wanted.get(session, 0))
        return wanted

    def _throw_out(self, session: Session) -> None:
        link = session.link
        why = "stayed away too long" if link is None else "reads too slowly"
        logger.warning("%s %s: its session ends", session.client.name, why)
        self._forget(session)
        if link is not None:
            # Not now: its will would be published in the middle of this message's round.
            asyncio.get_running_loop().call_soon(link.end, "too slow")

    # ------------------------------------------------------------------ subscriptions

    def subscribe(self, session: Session, topics: list[tuple[str, int]]) -> list[int]:
        """Grant what is allowed, and queue the retained messages; SUBACK's codes."""
        codes = [self._grant(session, topic_filter, qos) for topic_filter, qos in topics]
        found: dict[str, int] = {}
        # Each filter is looked up, and each message sent, once, however often one packet asks.
        for topic_filter in dict(topics):
            if (granted := session.filters.get(topic_filter)) is not None:
                for message in self._retained.matching(topic_filter):
                    found[message.topic] = max(granted, found.get(message.topic, 0))
        if found:
            session.replay(list(found.items()))
        if refused := codes.count(packets.REFUSED_FILTER):
            logger.warning("%s: %d subscriptions are refused", session.client.name, refused)
        return codes

    def _grant(self, session: Session, topic_filter: str, qos: int) -> int:
        full = len(session.filters) >= MAX_FILTERS and topic_filter not in session.filters
        too_long = len(topic_filter) > MAX_FILTER_CHARS
        if full or too_long or not self._may(session.client, "subscribe", topic_filter):
            return packets.REFUSED_FILTER
        granted = min(qos, 1)  # QoS 2 is granted as QoS 1 (MQTT 3.1.1, 3.9.3)
        session.filters[topic_filter] = granted
        try:
            subscribers = self._filters[topic_filter]
        except KeyError:
            subscribers = self._filters[topic_filter] = {}
        subscribers[session] = granted
        return granted

    def unsubscribe(self, session: Session, topic_filter: str) -> None:
        if session.filters.pop(topic_filter, None) is None:
            return
        subscribers = self._filters[topic_filter]
        del subscribers[session]
        if not subscribers:
            del self._filters[topic_filter]  # type: ignore[no-untyped-call]

    def _may(self, client: Client, action: Action, topic: str) -> bool:
        return may(client, action, topic, prefix=self._prefix)
