"""An MQTT client for tests of brokers: over TCP or WebSockets, with or without TLS."""

import ssl
import threading
from typing import Any, Literal

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

PATIENCE = 20.0


class Peer:
    """One connection. What is refused or lost is an answer here, not an error."""

    def __init__(
        self,
        name: str,
        *,
        transport: Literal["tcp", "websockets"] = "tcp",
        tls: ssl.SSLContext | None = None,
        login: tuple[str, str] | None = None,
    ) -> None:
        self.received: list[str] = []
        self._news = threading.Condition()
        self._answers: dict[int, int] = {}
        self._connected: bool | None = None
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=name,
            protocol=paho.MQTTv311,
            transport=transport,
            reconnect_on_failure=False,
        )
        if tls is not None:
            self._client.tls_set_context(tls)
        if login is not None:
            self._client.username_pw_set(*login)
        self._client.on_connect = lambda _c, _u, _f, code, _p: self._note(not code.is_failure)
        self._client.on_disconnect = lambda *_: self._note(False)
        self._client.on_message = self._on_message
        self._client.on_publish = lambda _c, _u, mid, *_: self._answer(mid, 0)
        self._client.on_subscribe = lambda _c, _u, mid, codes, _p: self._answer(mid, codes[0].value)

    def connect(self, port: int) -> bool:
        """Tell whether the broker lets this one in."""
        try:
            self._client.connect("127.0.0.1", port)
        except (OSError, ValueError):  # TLS or HTTP was refused
            return False
        self._client.loop_start()
        with self._news:
            self._news.wait_for(lambda: self._connected is not None, PATIENCE)
            return bool(self._connected)

    def publish(self, topic: str) -> bool:
        """Publish with QoS 1; tell whether it was PUBACKed."""
        info = self._client.publish(topic, b"x", qos=1)
        return self._wait(info.mid) == 0

    def subscribe(self, topic_filter: str) -> bool:
        """Subscribe; tell whether that was granted."""
        code, mid = self._client.subscribe(topic_filter, qos=1)
        return code == MQTTErrorCode.MQTT_ERR_SUCCESS and self._wait(mid or 0) in (0, 1)

    def wait_for(self, topic: str) -> None:
        """Wait until something was received from a topic."""
        with self._news:
            assert self._news.wait_for(lambda: topic in self.received, PATIENCE), topic

    def close(self) -> None:
        """Disconnect, and end the thread."""
        self._client.disconnect()
        self._client.loop_stop()

    def _wait(self, mid: int) -> int:
        with self._news:
            self._news.wait_for(lambda: mid in self._answers or not self._connected, PATIENCE)
            return self._answers.get(mid, -1)

    def _note(self, connected: bool) -> None:
        with self._news:
            self._connected = connected
            self._news.notify_all()

    def _answer(self, mid: int, code: int) -> None:
        with self._news:
            self._answers[mid] = code
            self._news.notify_all()

    def _on_message(self, _client: paho.Client, _user: Any, message: paho.MQTTMessage) -> None:
        with self._news:
            self.received.append(message.topic)
            self._news.notify_all()
