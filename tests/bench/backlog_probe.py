"""A device that goes on sending while the gateway reconciles, and watches what stands meanwhile."""

import threading
import time
from collections.abc import Callable

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from device_sdk.seal import Sealed
from device_sdk.wire import cose
from device_sdk.wire.notice import EventKind, Notice
from tests.bench.backlog_fleet import GATEWAY, PROBE, TOPICS
from tests.bench.load import at_once

_EVERY = 0.05
"""Seconds between two messages: they come whatever became of those before."""
_RETAINED = "$SYS/broker/retained messages/count"
_PUBLISHED = "$SYS/broker/publish/messages/received"


class Probe:
    """Sends from the moment the gateway is connected. Times are `time.monotonic`."""

    def __init__(self, port: int, make: Callable[[], Sealed]) -> None:
        self._make = make
        self._sent: dict[bytes, float] = {}
        self.held: list[tuple[float, float]] = []
        """(when sent, seconds until the *held* came) of each message."""
        self.retained: list[tuple[float, int]] = []
        """(when, how many messages are retained at the broker)."""
        self.published: list[tuple[float, int]] = []
        """(when, how many publications the broker has taken from everybody)."""
        self._online, self._stop = threading.Event(), threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="probe")
        self._client.on_message = self._on_message
        self._client.on_socket_open = at_once
        self._client.connect("127.0.0.1", port)
        own = [TOPICS.notice(PROBE), TOPICS.state(GATEWAY), _RETAINED, _PUBLISHED]
        self._client.subscribe([(topic, 1) for topic in own])
        self._client.loop_start()
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def end(self) -> None:
        """Send no more, wait some time for what is not held yet, and go."""
        self._stop.set()
        self._online.set()
        self._thread.join()
        deadline = time.monotonic() + 10
        while len(self.held) < len(self._sent) and time.monotonic() < deadline:
            time.sleep(0.05)
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def unanswered(self) -> int:
        """Messages that were sent, and not held: a device sends them again."""
        return len(self._sent) - len(self.held)

    def _send(self) -> None:
        self._online.wait()
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due += _EVERY
            sealed = self._make()
            self._sent[sealed.message_id] = time.monotonic()
            self._client.publish(TOPICS.send(PROBE, sealed.message_id), sealed.envelope, qos=1)

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        now = time.monotonic()
        if message.topic == _RETAINED:
            self.retained.append((now, int(message.payload)))
        elif message.topic == _PUBLISHED:
            self.published.append((now, int(message.payload)))
        elif message.topic == TOPICS.state(GATEWAY):
            if not message.retain:
                self._online.set()
        else:
            self._note(bytes(message.payload), now)

    def _note(self, payload: bytes, now: float) -> None:
        for event in cose.parse_signed(Notice, payload).claims.events:
            if event.kind is EventKind.HELD and event.message_id in self._sent:
                sent = self._sent[event.message_id]
                self.held.append((sent, now - sent))
