"""Somebody who may read everything at the broker: the operator, subscribed to ``#``."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from device_sdk.wire.topics import Kind, Topics
from gateway.cli.demo.facts import DemoError

OPERATOR = "operator"
_PATIENCE = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Packet:
    """Something that passed the broker."""

    topic: str
    payload: bytes
    retained: bool
    """Whether it stood at the broker already."""


class Snooper:
    """Sees every packet from its start to its end, and can look at what stands at the broker."""

    def __init__(self, host: str, port: int, password: str) -> None:
        self._host, self._port, self._password = host, port, password
        self._packets: list[Packet] = []
        self._changed = threading.Condition()
        self._subscribed = threading.Event()
        self._client = self._new_client("snooper")
        self._client.on_message = self._note
        self._client.on_subscribe = lambda *_: self._subscribed.set()

    def __enter__(self) -> Self:
        _connect(self._client, self._host, self._port)
        self._client.subscribe("#")
        if not self._subscribed.wait(_PATIENCE):
            raise DemoError("the broker did not let the operator subscribe to #")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def packets(self) -> tuple[Packet, ...]:
        """Everything seen so far."""
        with self._changed:
            return tuple(self._packets)

    def wait_for(self, wanted: Callable[[Packet], bool], count: int = 1) -> list[Packet]:
        """Return the packets that are wanted once there are ``count``. Raises DemoError."""
        with self._changed:
            found: list[Packet] = []

            def enough() -> bool:
                found[:] = filter(wanted, self._packets)
                return len(found) >= count

            if not self._changed.wait_for(enough, _PATIENCE):
                raise DemoError(f"the snooper saw {len(found)} of {count} expected packets")
            return found

    def standing(self) -> dict[str, bytes]:
        """Return what the broker holds retained, by topic, as a new subscriber gets it.

        Nothing says where a replay ends. So a second subscription follows the first: the gateway's
        state, which is always retained, comes once for each, and last of all for the second.
        """
        found: dict[str, bytes] = {}
        complete = threading.Event()
        states = Topics().all_of(Kind.STATE)
        left = [2]

        def note(_client: Client, _data: Any, message: MQTTMessage) -> None:
            if message.retain:
                found[message.topic] = bytes(message.payload)
                left[0] -= message.topic.startswith(states.removesuffix("#"))
                if left[0] <= 0:
                    complete.set()

        client = self._new_client("census")
        client.on_message = note
        _connect(client, self._host, self._port)
        try:
            client.subscribe("#")
            client.subscribe(states)
            if not complete.wait(_PATIENCE):
                raise DemoError("the broker did not replay what it holds")
        finally:
            client.disconnect()
            client.loop_stop()
        return found

    def _new_client(self, name: str) -> Client:
        client = Client(CallbackAPIVersion.VERSION2, client_id=name)
        client.username_pw_set(OPERATOR, self._password)
        return client

    def _note(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        packet = Packet(
            topic=message.topic, payload=bytes(message.payload), retained=message.retain
        )
        with self._changed:
            self._packets.append(packet)
            self._changed.notify_all()


def _connect(client: Client, host: str, port: int) -> None:
    connected = threading.Event()
    client.on_connect = lambda *_: connected.set()
    try:
        client.connect(host, port)
    except OSError as error:
        raise DemoError(f"the snooper cannot reach the broker: {error}") from error
    client.loop_start()
    if not connected.wait(_PATIENCE):
        raise DemoError("the broker does not answer the snooper")
