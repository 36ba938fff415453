"""The paho edge: one MQTT 3.1.1 connection after the other, each with credentials of its own.

Every connection is a new paho client, so that nothing of an older one (a stale login token, or
messages in its memory) outlives it: what is to be sent again, the outbox knows better. The client
id is the device's name and the session is clean; nothing depends on what a broker remembers.
"""

import contextlib
import logging
import random
import secrets
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from device_sdk.anonymous.apart import Apart
from device_sdk.errors import (
    BrokerCertificateError,
    BrokerUnavailableError,
    OwnCertificateError,
    SettingsError,
)
from device_sdk.link.broker_url import BrokerUrl
from device_sdk.link.port import (
    Connected,
    Disconnected,
    LinkEvent,
    Published,
    Received,
    Subscribed,
)
from device_sdk.pace import Backoff
from device_sdk.wire.certificates import why_refused

KEEPALIVE = 30
CONNECT_TIMEOUT = 10.0
GOODBYE = 1.0
"""Seconds for the broker to confirm the last messages when the link is closed."""
RECONNECT = Backoff(first=0.5, most=60.0)
_LOOP_SECONDS = 1.0
_FAILED = 0x80

logger = logging.getLogger(__name__)

Credentials = Callable[[], tuple[str, str] | None]
"""Returns user and password for one connection, or None for an anonymous one."""
Present = Callable[[ssl.SSLContext], None]
"""Gives a TLS context the device's own certificate, if there is one."""


@dataclass(frozen=True, slots=True)
class _Live:
    """A connection that the broker has accepted."""

    number: int
    client: paho.Client
    pending: deque[paho.MQTTMessageInfo] = field(default_factory=deque)
    """What was published, from the oldest on that the broker has not confirmed."""


class MqttLink:
    """A `device_sdk.link.port.Link` to a real broker."""

    def __init__(
        self,
        url: BrokerUrl,
        *,
        client_id: str,
        credentials: Credentials,
        ca: str = "",
        present: Present | None = None,
        anonymous: Credentials | None = None,
        reconnect: Backoff = RECONNECT,
    ) -> None:
        """Prepare the link. Both the authorities and ``present`` are asked for each connection.

        ``anonymous`` gives the credentials of connections that do not name the device; None from
        it, or no such callable, means that there can be none.

        Raises:
            SettingsError: ``ca``, a PEM file of certificate authorities, cannot be used.
        """
        self._url = url
        self._client_id = client_id
        self._credentials = credentials
        self._ca, self._present, self._reconnect = ca, present, reconnect
        self._anonymous, self._apart = anonymous, Apart(self._send_apart)
        if url.tls:
            _tls_context(ca)
        self._report: Callable[[LinkEvent], None] = _nobody
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sealgate-mqtt", daemon=True)
        self._connections = 0
        self._live: _Live | None = None

    # device_sdk.link.port.Link

    def __str__(self) -> str:
        """Name the broker, without user and password."""
        return str(self._url)

    def start(self, report: Callable[[LinkEvent], None]) -> None:
        """Begin to connect."""
        self._report = report
        self._thread.start()

    def publish(self, topic: str, payload: bytes) -> int | None:
        """Publish with QoS 1; None if offline."""
        live = self._live
        if live is None:
            return None
        info = live.client.publish(topic, payload, qos=1)
        live.pending.append(info)
        while live.pending and live.pending[0].is_published():
            live.pending.popleft()
        return info.mid

    def publish_apart(self, topic: str, payload: bytes) -> None:
        """Publish on a connection of its own, if there can be one."""
        if self._anonymous is None or self._anonymous() is None:
            self.publish(topic, payload)
        else:
            self._apart.publish(topic, payload)

    def _send_apart(self, topic: str, payload: bytes) -> None:
        login = self._anonymous() if self._anonymous is not None else None
        client = self._new_client(f"a-{secrets.token_hex(8)}", login, present=None)
        done: list[str] = []
        client.on_connect = _publish_once(topic, payload, done)
        client.on_publish = lambda *_: done.append("")
        client.connect(self._url.host, self._url.port, keepalive=KEEPALIVE)
        until = time.monotonic() + CONNECT_TIMEOUT
        code = MQTTErrorCode.MQTT_ERR_SUCCESS
        while code == MQTTErrorCode.MQTT_ERR_SUCCESS and not done and time.monotonic() < until:
            code = client.loop(_LOOP_SECONDS)
        client.disconnect()
        client.loop(0.0)
        if not done or done[0]:
            raise BrokerUnavailableError(done[0] if done else "the broker has not confirmed it")

    def subscribe(self, filters: Sequence[str]) -> int | None:
        """Subscribe with QoS 1; None if offline."""
        live = self._live
        if live is None:
            return None
        code, ticket = live.client.subscribe([(name, 1) for name in filters])
        return ticket if code == MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def unsubscribe(self, filters: Sequence[str]) -> None:
        """Unsubscribe."""
        live = self._live
        if live is not None:
            live.client.unsubscribe(list(filters))

    def close(self) -> None:
        """Disconnect, after a moment for the broker to confirm what was published.

        A socket that is closed while confirmations are coming in may take what it sent back.
        """
        self._apart.close(GOODBYE)
        self._closing.set()
        live = self._live
        if live is not None:
            until = time.monotonic() + GOODBYE
            for info in list(live.pending):
                with contextlib.suppress(RuntimeError, ValueError):  # it never left
                    info.wait_for_publish(max(until - time.monotonic(), 0.0))
            live.client.disconnect()
        # A try to connect that has begun ends by itself, and disconnects at once.
        if self._thread.is_alive():
            self._thread.join(2 * GOODBYE)

    # The thread.

    def _run(self) -> None:
        tries = 0
        while not self._closing.is_set():
            before = self._connections
            end = self._connect_and_serve()
            self._live = None
            if self._closing.is_set():
                return
            tries = 0 if self._connections > before else tries + 1
            self._report(end)
            delay = min(self._reconnect.first * 2.0 ** min(tries, 30), self._reconnect.most)
            # A fleet must not come back in one instant when its broker does.
            self._closing.wait(delay * random.uniform(0.5, 1.0))  # noqa: S311

    def _connect_and_serve(self) -> Disconnected:
        """Serve one connection to its end; return why it ended or was not made."""
        client: _Client | None = None
        try:
            client = self._make_client()
            refusal: list[str] = []
            client.on_connect = self._on_connect(refusal)
            client.connect(self._url.host, self._url.port, keepalive=KEEPALIVE)
            code = MQTTErrorCode.MQTT_ERR_SUCCESS
            while code == MQTTErrorCode.MQTT_ERR_SUCCESS:
                code = client.loop(_LOOP_SECONDS)
        except Exception as error:  # whatever a broker's bytes or the network do to the client
            logger.debug("connection to %s failed", self._url, exc_info=True)
            return self._failed(error)
        if client.alert:
            return self._refused(client.alert)
        if refusal:
            return Disconnected(
                problem=f"the broker {self._url} does not let this device in: {refusal[0]}"
            )
        return Disconnected(problem=f"the connection to the broker {self._url} was lost")

    def _failed(self, error: Exception) -> Disconnected:
        alert = getattr(error, "reason", None)
        if isinstance(alert, str) and why_refused(alert):
            return self._refused(alert)
        is_brokers = isinstance(error, ssl.SSLCertVerificationError)
        return Disconnected(
            problem=f"the broker {self._url} cannot be reached: {_why(error)}",
            kind=BrokerCertificateError if is_brokers else BrokerUnavailableError,
        )

    def _refused(self, alert: str) -> Disconnected:
        why = why_refused(alert)
        return Disconnected(
            problem=f"the broker {self._url} refuses this device's certificate: {why}",
            kind=OwnCertificateError,
        )

    def _make_client(self) -> "_Client":
        return self._new_client(self._client_id, self._credentials(), present=self._present)

    def _new_client(
        self, client_id: str, login: tuple[str, str] | None, *, present: Present | None
    ) -> "_Client":
        client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=True,
            protocol=paho.MQTTv311,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_TIMEOUT
        if login is not None:
            client.username_pw_set(*login)
        if self._url.tls:
            context = _tls_context(self._ca)
            if present is not None:
                present(context)
            client.tls_set_context(context)
        # With this set, paho writes to the socket from our thread alone.
        client.on_socket_register_write = _nothing
        client.on_socket_open = _send_at_once
        return client

    def _on_connect(self, refusal: list[str]) -> Callable[..., None]:
        def on_connect(
            client: paho.Client, _user: Any, _flags: Any, code: ReasonCode, _properties: Any
        ) -> None:
            if code.is_failure:
                refusal.append(str(code).lower())
                client.disconnect()
                return
            if self._closing.is_set():
                client.disconnect()
                return
            self._connections += 1
            self._listen(client, self._connections)
            self._live = _Live(self._connections, client)
            self._report(Connected(connection=self._connections))

        return on_connect

    def _listen(self, client: paho.Client, number: int) -> None:
        """Let the client report. Its thread holds paho's locks then: nothing may be done there."""

        def on_message(_client: paho.Client, _user: Any, message: paho.MQTTMessage) -> None:
            try:
                topic = message.topic
            except UnicodeDecodeError:
                return
            self._report(
                Received(topic=topic, payload=bytes(message.payload), retained=message.retain)
            )

        def on_publish(_client: paho.Client, _user: Any, ticket: int, *_: Any) -> None:
            self._report(Published(connection=number, ticket=ticket))

        client.on_message = on_message
        client.on_publish = on_publish
        client.on_subscribe = self._on_subscribe(number)

    def _on_subscribe(self, number: int) -> Callable[..., None]:
        def on_subscribe(
            _client: paho.Client, _user: Any, ticket: int, codes: list[ReasonCode], _more: Any
        ) -> None:
            refused = any(code.value >= _FAILED for code in codes)
            self._report(Subscribed(connection=number, ticket=ticket, is_refused=refused))

        return on_subscribe


class _Client(paho.Client):
    """paho's client, which otherwise keeps to itself why a TLS connection ended."""

    alert = ""
    """OpenSSL's name of the alert by which the broker refused our certificate. In TLS 1.3 it comes
    when the handshake is over for us (RFC 8446 4.4.2)."""

    def _sock_recv(self, bufsize: int) -> bytes:
        try:
            return super()._sock_recv(bufsize)
        except ssl.SSLError as error:
            if why_refused(error.reason or ""):
                self.alert = error.reason
            raise


def _publish_once(topic: str, payload: bytes, done: list[str]) -> Callable[..., None]:
    """Return what publishes as soon as it is connected, or says in ``done`` why it cannot."""

    def on_connect(
        client: paho.Client, _user: Any, _flags: Any, code: ReasonCode, _properties: Any
    ) -> None:
        if code.is_failure:
            done.append(f"the broker lets nobody in anonymously: {str(code).lower()}")
        else:
            client.publish(topic, payload, qos=1)

    return on_connect


def _tls_context(ca: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca or None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"{ca}: expected certificate authorities in PEM: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


def _nobody(_event: LinkEvent) -> None:
    """Before `MqttLink.start` nobody listens."""


def _send_at_once(_client: paho.Client, _user: Any, connection: Any) -> None:
    # Nagle's algorithm and delayed acknowledgements together would hold a message for 40 ms.
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _nothing(*_: Any) -> None:
    """Somebody else's duty."""
