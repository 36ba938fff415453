"""The broker edge on paho-mqtt: MQTT 5 where the broker speaks it, 3.1.1 otherwise."""

import asyncio
import random
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from device_sdk.wire.certificates import why_refused
from gateway.link.address import BrokerAddress
from gateway.link.paho_client import DeafClient
from gateway.link.paho_connection import PahoConnection, refusal
from gateway.link.port import BrokerRefusedError, Credentials, LinkError, LinkLostError, Will

KEEP_ALIVE = 30
"""Seconds: a broker that vanished without a word is noticed within twice that."""
SESSION_EXPIRY = 24 * 3600
"""Seconds that the broker keeps what it could not deliver. Nothing depends on it."""
WINDOW = 256
"""Publications without a PUBACK: a broker answers them within milliseconds."""
RECEIVE_MAXIMUM = 65_535
"""Arrivals without a PUBACK, as many as there can be. What comes too fast stays in the socket, but
a broker drops what is over this and its queue limit together, such as the end of a replay."""
LARGEST_PACKET = 1_200_000
"""Bytes: the largest envelope and MQTT's own part. A broker that speaks MQTT 5 drops the rest."""
_NEWEST = MQTTProtocolVersion.MQTTv5
_CONNECT_SECONDS = 10.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 30.0
_SHORT_LIVED = 5.0


class PahoLink:
    """A `gateway.link.port.Link`.

    ``credentials`` and ``will`` are called for every attempt, so that both are fresh. ``ca`` is a
    PEM file; without one the system's authorities count. With ``lasting`` the broker is asked to
    keep what arrives while the gateway is away; nothing depends on it. ``present`` shows the
    gateway's own certificate to a broker that asks for it; both are read for every attempt, after
    ``credentials`` was called.

    Raises LinkError if ``ca`` holds no certificates.
    """

    def __init__(
        self,
        address: BrokerAddress,
        *,
        client_id: str,
        credentials: Callable[[], Credentials | None],
        will: Callable[[], Will] | None = None,
        ca: Path | None = None,
        present: Callable[[ssl.SSLContext], None] | None = None,
        lasting: bool = True,
    ) -> None:
        self._address = address
        self._client_id = client_id
        self._credentials = credentials
        self._will = will
        self._lasting = lasting
        self._ca, self._present = ca, present
        if address.tls:
            _tls_context(ca)
        self._version = _NEWEST
        self._connected_at = -_SHORT_LIVED
        self._log = structlog.get_logger("gateway.link")

    async def connect(self) -> PahoConnection:
        """Return a connection; tries again with growing pauses until there is one."""
        pause = _FIRST_PAUSE
        if time.monotonic() - self._connected_at < _SHORT_LIVED:
            # The last one broke at once, and so may this one: do not hammer the broker.
            await asyncio.sleep(pause)
        while True:
            version = self._version
            try:
                connection = await self._attempt()
            except LinkError as error:
                if version is _NEWEST and self._version is not _NEWEST:
                    continue  # at once
                retry_in = round(pause * random.uniform(0.75, 1.25), 2)  # noqa: S311
                self._log.warning(
                    "broker_unavailable",
                    broker=str(self._address),
                    reason=str(error),
                    retry_in=retry_in,
                )
            else:
                self._connected_at = time.monotonic()
                return connection
            await asyncio.sleep(retry_in)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _attempt(self) -> PahoConnection:
        # Files are read, names are resolved and TLS is negotiated in there, which blocks.
        client = await asyncio.to_thread(self._client)
        try:
            code = await asyncio.to_thread(self._open, client)
        except (OSError, ValueError) as error:
            alert = getattr(error, "reason", None)
            if isinstance(alert, str) and (why := why_refused(alert)):
                raise BrokerRefusedError(refusal(why)) from error
            raise LinkError(f"cannot connect: {error}") from error
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise LinkError(f"cannot connect: {mqtt.error_string(code)}")
        mqtt5 = self._version is _NEWEST
        connection = PahoConnection(client, mqtt5=mqtt5, window=WINDOW)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await connection.opened()
        except BaseException as error:
            connection.abort("not admitted")
            if isinstance(error, TimeoutError):
                raise LinkError("cannot connect: the broker does not answer") from None
            self._fall_back(error)
            raise
        return connection

    def _fall_back(self, error: BaseException) -> None:
        # A broker without MQTT 5 says so, or just closes. One that says something else speaks it.
        closed = isinstance(error, LinkLostError)
        refused = isinstance(error, BrokerRefusedError) and "protocol version" in str(error)
        if self._version is _NEWEST:
            if closed or refused:
                self._version = MQTTProtocolVersion.MQTTv311
        elif closed:
            # Neither: perhaps the broker was only about to stop.
            self._version = _NEWEST

    def _client(self) -> DeafClient:
        mqtt5 = self._version is _NEWEST
        client = DeafClient(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=None if mqtt5 else not self._lasting,
            protocol=self._version,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        # The window is ours: paho's own makes it look at all outgoing messages for every PUBACK.
        client.max_inflight_messages_set(0)
        client.connect_timeout = _CONNECT_SECONDS
        # Nothing is written before somebody reads: a broker that refuses our certificate says why,
        # and closes, and a write that fails then would be all that paho tells of it.
        client.on_socket_register_write = _nothing
        login = self._credentials()
        if self._address.tls:
            context = _tls_context(self._ca)
            if self._present is not None:
                self._present(context)
            client.tls_set_context(context)
        if login is not None:
            client.username_pw_set(login.user, login.password)
        if self._will is not None:
            will = self._will()
            client.will_set(will.topic, will.payload, qos=1, retain=True)
        return client

    def _open(self, client: mqtt.Client) -> MQTTErrorCode:
        host, port = self._address.host, self._address.port
        if self._version is not _NEWEST:
            return client.connect(host, port, keepalive=KEEP_ALIVE)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_EXPIRY if self._lasting else 0
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        properties.MaximumPacketSize = LARGEST_PACKET
        return client.connect(
            host, port, keepalive=KEEP_ALIVE, clean_start=not self._lasting, properties=properties
        )


def _nothing(*_: object) -> None:
    """`PahoConnection` takes over as soon as there is a connection."""


def _tls_context(ca: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    except (OSError, ssl.SSLError) as error:
        raise LinkError(f"expected certificates in PEM form in {ca}, got: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
