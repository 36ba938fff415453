"""What others notice while one device floods the gateway with readings that are not proved.

One message after the other goes from a quiet device to a reader, and the time from publishing it to
its copy is taken: first in quiet, then during the flood, in one run. The flood comes from a process
of its own, which publishes sealed readings with random bytes for proofs at a steady rate.
"""

import multiprocessing
import os
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from device_sdk.keys.keystore import KeyStore
from device_sdk.proofs import pedersen, range_proof, sealed_reading
from device_sdk.readings import CONTENT_TYPE, encode
from device_sdk.seal import CommittedReading, WrapTarget, new_message_id, seal
from device_sdk.trust import Pin
from device_sdk.wire.header import Header
from device_sdk.wire.limits import DAY
from device_sdk.wire.reading_policy import Committed, ReadingPolicy
from device_sdk.wire.topics import Topics
from gateway.owner import changes
from gateway.owner.fleet import Fleet
from gateway.owner.reading_rules import RuleWish, set_reading_rule
from gateway.owner.signing import Members
from tests.bench import load
from tests.bench.lifecycles import READER, SENDER, serving
from tests.bench.sealing import PAYLOAD

CHANNEL, FLOODER = "cellar", "flooder"
_TOPICS = Topics()
_MESSAGES, _FLOOD = 300, 2000
_PAUSE = 0.01
"""Seconds between two messages of the quiet device: it is not what loads the gateway."""
_PATIENCE = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """The latency of a quiet device's messages, in seconds."""

    what: str
    quiet: float
    flooded: float


def run(port: int, directory: Path, *, per_second: int) -> list[Line]:
    """Return the medians of plain messages and of readings, in quiet and during a flood."""
    with serving(port, directory, more=(FLOODER,)) as fleet:
        _make_channel(fleet)
        office = _Office(fleet, directory)
        plain, readings = office.plain(2 * _MESSAGES), office.readings(2 * _MESSAGES)
        flood = office.flood(_FLOOD)
        with _observed(port) as observer:
            observer.latencies(office.readings(20))  # the gateway knows the channel from now on
            quiet = [observer.latencies(some[:_MESSAGES]) for some in (plain, readings)]
            with _flooding(port, flood, per_second):
                loud = [observer.latencies(some[_MESSAGES:]) for some in (plain, readings)]
    return [
        Line(what=what, quiet=statistics.median(before), flooded=statistics.median(during))
        for what, before, during in zip(("messages", "readings"), quiet, loud, strict=True)
    ]


def _make_channel(fleet: Fleet) -> None:
    wish = RuleWish(unit="celsius", scale="0.1", span="-40..125", mode="require")

    def edit(members: Members, version: int) -> Members:
        made = changes.set_channel(members, CHANNEL, readers=[READER], senders=[SENDER, FLOODER])
        return set_reading_rule(made, CHANNEL, wish, version)

    fleet.change(edit, now=int(time.time()))


class _Office:
    """Seals messages in advance."""

    def __init__(self, fleet: Fleet, directory: Path) -> None:
        self._directory, self._pin = directory, Pin.from_spki(fleet.root.spki)
        rule = fleet.roster().channels[CHANNEL].reading
        assert rule is not None
        self._policy: ReadingPolicy = rule.policy

    def plain(self, count: int) -> list[load.Publication]:
        return self._seal(SENDER, count)

    def readings(self, count: int) -> list[load.Publication]:
        return self._seal(SENDER, count, proved=True)

    def flood(self, count: int) -> list[load.Publication]:
        return self._seal(FLOODER, count, proved=False)

    def _seal(self, name: str, count: int, *, proved: bool | None = None) -> list[load.Publication]:
        now, made = int(time.time()), []
        with (
            KeyStore.open(self._directory / name, None) as sender,
            KeyStore.open(self._directory / READER, None) as reader,
        ):
            target = WrapTarget(reader=READER, key=reader.reader_keys[0].key.public)
            for sequence in range(1, count + 1):
                reading, data = (None, PAYLOAD) if proved is None else self._reading(proved=proved)
                sealed = seal(
                    data,
                    recipients=[target],
                    sender=name,
                    signer=sender.identity,
                    aad=self._pin.aad,
                    content_type=CONTENT_TYPE if reading else "application/octet-stream",
                    channel=CHANNEL if reading else "direct",
                    issued=now,
                    expires=now + DAY,
                    sequence=sequence,
                    reading=reading,
                )
                topic = _TOPICS.send(name, sealed.message_id)
                made.append(load.Publication(topic, sealed.envelope))
        return made

    def _reading(self, *, proved: bool) -> tuple[CommittedReading, bytes]:
        blinding, policy = pedersen.random_blinding(), self._policy
        steps = policy.low + int.from_bytes(os.urandom(2)) % (policy.high - policy.low)

        def prove(header: Header, digest: bytes) -> bytes:
            if not proved:
                return _random_proof(policy)
            fleet_id = self._pin.fleet_id
            return sealed_reading.prove(header, digest, fleet_id, steps=steps, blinding=blinding)

        committed = Committed(policy=policy, commitment=pedersen.commit(steps, blinding))
        reading = CommittedReading(message_id=new_message_id(), committed=committed, prove=prove)
        return reading, encode(steps, blinding)


def _random_proof(policy: ReadingPolicy) -> bytes:
    """Return points and scalars that are well-formed, so that every equation is calculated."""
    size = range_proof.proof_size(policy.low, policy.high)
    points = (policy.high - policy.low).bit_length()
    some = [pedersen.commit(0, pedersen.random_blinding()) for _ in range(points)]
    scalars = [pedersen.random_blinding() for _ in range(size // 32 - points)]
    return b"".join([*some, *scalars])


class _Observer:
    """Publishes one message at a time, and waits for its copy."""

    def __init__(self, client: mqtt.Client) -> None:
        self._client, self._came = client, threading.Event()
        self._awaited = ""
        client.on_message = self._on_message

    def _on_message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        if message.payload and message.topic.endswith(self._awaited):
            self._came.set()

    def latencies(self, messages: list[load.Publication]) -> list[float]:
        """Return seconds from publishing a message to its copy, for each."""
        found = []
        for message in messages:
            self._came.clear()
            self._awaited = message.topic.rpartition("/")[2]
            start = time.perf_counter()
            self._client.publish(message.topic, message.payload, qos=1)
            if not self._came.wait(_PATIENCE):
                raise TimeoutError("a message did not come")
            found.append(time.perf_counter() - start)
            time.sleep(_PAUSE)
        return found


@contextmanager
def _observed(port: int) -> Iterator[_Observer]:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bench-observer")
    client.on_socket_open = load.at_once
    subscribed = threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        observer = _Observer(client)
        client.subscribe(_TOPICS.inbox_of(READER), qos=1)
        if not subscribed.wait(_PATIENCE):
            raise TimeoutError("the broker did not answer the subscription")
        yield observer
    finally:
        client.disconnect()
        client.loop_stop()


@contextmanager
def _flooding(port: int, flood: list[load.Publication], per_second: int) -> Iterator[None]:
    context = multiprocessing.get_context("spawn")
    begun, stop = context.Event(), context.Event()
    process = context.Process(target=_flood, args=(port, flood, per_second, begun, stop))
    process.start()
    try:
        if not begun.wait(_PATIENCE):
            raise TimeoutError("the flood did not begin")
        yield
    finally:
        stop.set()
        process.join()


def _flood(
    port: int,
    flood: list[load.Publication],
    per_second: int,
    begun: "threading.Event",
    stop: "threading.Event",
) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bench-flooder")
    client.max_inflight_messages_set(1000)
    client.on_socket_open = load.at_once
    client.connect("127.0.0.1", port)
    client.loop_start()
    start, sent = time.perf_counter(), 0
    while not stop.is_set():
        message = flood[sent % len(flood)]
        client.publish(message.topic, message.payload, qos=1)
        sent += 1
        if sent == 100:
            begun.set()
        time.sleep(max(0.0, start + sent / per_second - time.perf_counter()))
    client.disconnect()
    client.loop_stop()
