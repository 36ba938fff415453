"""Whole lifecycles through a real gateway: send, hold, deliver, read ack, clear.

The gateway is a process of its own beside Mosquitto. The load has sealed its messages and signed
its read acks before the clock starts, so that the gateway is what is measured.
"""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as mqtt

from device_sdk.keys.keystore import KeyStore
from device_sdk.seal import WrapTarget, seal
from device_sdk.trust import Pin
from device_sdk.unseal import check_copy, open_copy
from device_sdk.wire import cose
from device_sdk.wire.envelope import Envelope
from device_sdk.wire.limits import DAY
from device_sdk.wire.read_ack import READ, ReadAck
from device_sdk.wire.roster_page import ROLE_GATEWAY
from device_sdk.wire.topics import Kind, Topic, Topics
from gateway.enrolment import init_gateway
from gateway.owner.fleet import Fleet
from tests.bench import load
from tests.bench.sealing import PAYLOAD

_TOPICS = Topics()
SENDER, READER, _GATEWAY = "sender", "reader", "gw-1"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Prepared:
    """Messages to send, and the read ack for each."""

    messages: list[load.Publication]
    acks: dict[str, load.Publication]
    """By the topic of the reader's copy."""


def run(port: int, directory: Path, *, count: int, window: int) -> float:
    """Return lifecycles per second through a gateway at Mosquitto on ``port``."""
    with serving(port, directory) as fleet:
        prepared = _prepare(fleet, directory, count)

        def react(client: mqtt.Client, topic: str, payload: bytes) -> bool:
            if not payload:
                return True  # cleared: the lifecycle has ended
            ack = prepared.acks[topic]
            client.publish(ack.topic, ack.payload, qos=1)
            return False

        return load.run(
            port,
            inbox=_TOPICS.inbox_of(READER),
            messages=prepared.messages,
            window=window,
            react=react,
        )


@contextlib.contextmanager
def serving(port: int, directory: Path, *, more: Sequence[str] = ()) -> Iterator[Fleet]:
    """Run a gateway for sender and reader, and for ``more`` devices, at Mosquitto on ``port``."""
    now = int(time.time())
    fleet = Fleet.create(directory / "fleet", name="bench", passphrase=None, now=now)
    request = init_gateway(directory / "data", _GATEWAY, None, now).read_bytes()
    fleet.admit(request, role=ROLE_GATEWAY, now=now)
    for name in (SENDER, READER, *more):
        with KeyStore.create(directory / name, name, None, now=now) as store:
            fleet.admit(store.join_request(now=now), now=now)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "gateway.cli", "serve"),
            *("--data", directory / "data", "--bundle", directory / "fleet" / "public"),
            *("--broker", f"mqtt://127.0.0.1:{port}"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        if not process.stdout.readline().startswith("ready"):
            raise RuntimeError("the gateway did not start")
        yield fleet
    finally:
        process.terminate()
        process.wait()


def _prepare(fleet: Fleet, directory: Path, count: int) -> _Prepared:
    now, roster, aad = int(time.time()), fleet.roster(), Pin.from_spki(fleet.root.spki).aad
    messages, acks = [], {}
    with (
        KeyStore.open(directory / SENDER, None) as sender,
        KeyStore.open(directory / READER, None) as reader,
    ):
        key = reader.reader_keys[0].key
        target = WrapTarget(reader=READER, key=key.public)
        for sequence in range(1, count + 1):
            sealed = seal(
                PAYLOAD,
                recipients=[target],
                sender=SENDER,
                signer=sender.identity,
                aad=aad,
                content_type="application/octet-stream",
                issued=now,
                expires=now + DAY,
                sequence=sequence,
            )
            name = (READER, SENDER, sealed.message_id)
            topic = Topic(
                kind=Kind.INBOX, owner=READER, sender=SENDER, message_id=sealed.message_id
            )
            copy = Envelope.decode(sealed.envelope).copies()[0].encode()
            checked = check_copy(copy, topic=topic, reader=READER, roster=roster, aad=aad, now=now)
            ack = ReadAck(
                verdict=READ,
                sender=SENDER,
                message_id=sealed.message_id,
                digest=sealed.digest,
                reader=READER,
                time=now,
                open_token=open_copy(checked, key).open_token,
            )
            send = _TOPICS.send(SENDER, sealed.message_id)
            messages.append(load.Publication(send, sealed.envelope))
            signed = cose.sign(ack, reader.identity, aad)
            acks[_TOPICS.inbox(*name)] = load.Publication(_TOPICS.read(*name), signed)
    return _Prepared(messages=messages, acks=acks)
