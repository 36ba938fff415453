"""A load: publishes prepared messages, a bounded number unfinished, and counts what is finished."""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

PATIENCE = 120.0
"""Seconds without any end in sight after which a run has failed."""


@dataclass(frozen=True, slots=True)
class Publication:
    """Something to publish at QoS 1, without RETAIN."""

    topic: str
    payload: bytes


def at_once(_client: mqtt.Client, _data: object, sock: object) -> None:
    """Send small packets at once: Nagle's algorithm and delayed TCP acknowledgements cost 40 ms."""
    assert isinstance(sock, socket.socket)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


Reaction = Callable[[mqtt.Client, str, bytes], bool]
"""Called in the network thread with everything that arrives; True if a lifecycle has ended."""


def run(
    port: int, *, inbox: str, messages: Sequence[Publication], window: int, react: Reaction
) -> float:
    """Return lifecycles per second of one run."""
    gate, done = threading.Semaphore(window), threading.Semaphore(0)
    subscribed = threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bench-load")
    client.max_inflight_messages_set(4 * window)

    def on_message(_client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if react(client, message.topic, bytes(message.payload)):
            done.release()
            gate.release()

    client.on_message = on_message
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_socket_open = at_once
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        client.subscribe(inbox, qos=1)
        if not subscribed.wait(PATIENCE):
            raise TimeoutError("the broker did not answer the subscription")
        start = time.perf_counter()
        for message in messages:
            if not gate.acquire(timeout=PATIENCE):
                raise TimeoutError("lifecycles stopped ending")
            client.publish(message.topic, message.payload, qos=1)
        for _ in messages:
            if not done.acquire(timeout=PATIENCE):
                raise TimeoutError("lifecycles stopped ending")
        return len(messages) / (time.perf_counter() - start)
    finally:
        client.disconnect()
        client.loop_stop()
