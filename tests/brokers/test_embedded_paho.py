"""The embedded broker with the client library that devices use."""

import asyncio
import queue
import threading
from typing import Any

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from gateway.embedded_broker import EmbeddedBroker
from tests.brokers.embedded import PREFIX, authenticate, embedded_broker

PATIENCE = 20.0


class Paho:
    """A paho client with its own thread, and what happens to it as a queue."""

    def __init__(self, name: str, *, version: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv311):
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=version)
        self.client.username_pw_set(name, name[::-1])
        self.client.reconnect_delay_set(min_delay=1, max_delay=1)
        self.events: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.client.on_connect = lambda c, u, f, reason, p: self._put("connect", str(reason))
        self.client.on_subscribe = lambda c, u, mid, codes, p: self._put("subscribe", codes)
        self.client.on_message = lambda c, u, message: self._put("message", message)

    def _put(self, what: str, value: Any) -> None:
        self.events.put((what, value))

    async def start(self, port: int) -> None:
        await asyncio.to_thread(self.client.connect, "127.0.0.1", port)
        self.client.loop_start()

    async def next(self, what: str) -> Any:
        """The next event of this kind; others are passed over."""
        while True:
            kind, value = await asyncio.to_thread(self.events.get, timeout=PATIENCE)
            if kind == what:
                return value

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        info = self.client.publish(topic, payload, qos=1, retain=retain)
        await asyncio.to_thread(info.wait_for_publish, PATIENCE)

    async def stop(self) -> None:
        self.client.disconnect()
        await asyncio.to_thread(self.client.loop_stop)


async def test_a_client_that_asks_for_mqtt_5_is_told_and_gets_in_with_3_1_1() -> None:
    async with embedded_broker() as bench:
        newer = Paho("hub", version=MQTTProtocolVersion.MQTTv5)
        await newer.start(bench.port)
        assert await newer.next("connect") == "Unsupported protocol version"
        await newer.stop()
        older = Paho("hub")
        await older.start(bench.port)
        assert await older.next("connect") == "Success"
        await older.stop()


async def test_copies_published_while_a_reader_is_away_come_complete_and_clears_arrive() -> None:
    async with embedded_broker() as bench:
        gateway, hub = Paho("gw-1"), Paho("hub")
        await gateway.start(bench.port)
        topics = {f"{PREFIX}/inbox/hub/thermo-1/{number:032x}" for number in range(1500)}
        for topic in topics:
            gateway.client.publish(topic, bytes(512), qos=1, retain=True)
        await gateway.publish(f"{PREFIX}/state/gw-1", b"online", retain=True)
        await hub.start(bench.port)
        assert await hub.next("connect") == "Success"
        hub.client.subscribe(f"{PREFIX}/inbox/hub/#", qos=1)
        came = [await hub.next("message") for _ in topics]
        assert {message.topic for message in came} == topics
        assert all(message.retain for message in came)
        topic = min(topics)
        await gateway.publish(topic, b"", retain=True)
        cleared = await hub.next("message")
        assert (cleared.topic, cleared.payload, cleared.retain) == (topic, b"", False)
        await hub.stop()
        await gateway.stop()


async def test_clients_come_back_after_the_broker_was_restarted() -> None:
    broker = EmbeddedBroker(host="127.0.0.1", port=0, authenticate=authenticate)
    await broker.start()
    port = broker.port
    hub = Paho("hub")
    lost = threading.Event()
    hub.client.on_disconnect = lambda *_: lost.set()
    await hub.start(port)
    assert await hub.next("connect") == "Success"
    await broker.stop()
    assert await asyncio.to_thread(lost.wait, PATIENCE)
    again = EmbeddedBroker(host="127.0.0.1", port=port, authenticate=authenticate)
    await again.start()
    assert await hub.next("connect") == "Success"
    await hub.stop()
    await again.stop()
