"""What somebody without any credentials does to a gateway with its own broker."""

import asyncio
import os
import statistics
import time
from urllib.parse import urlsplit

import pytest

from device_sdk import Device
from device_sdk.wire.anonymous import AnonymousBody, AnonymousEnvelope, SpentToken
from device_sdk.wire.anonymous_header import AnonymousHeader
from device_sdk.wire.envelope import Reader
from device_sdk.wire.merkle import root
from device_sdk.wire.names import ANONYMOUS
from device_sdk.wire.query import AnonymousQuery
from device_sdk.wire.topics import Topics
from tests.brokers.raw_client import RawClient
from tests.support.home import Home

TOPICS = Topics()


_NOT_GRANTED = 0x80  # in a SUBACK


@pytest.fixture
def box(home: Home) -> Home:
    home.ok(
        *("fleet", "channel", "set", "./fleet", "box", "--reader", "hub"),
        *("--sender", "thermo-1", "--sender", "phone"),
        *("--anonymous", "--tokens", "1000", "--epoch", "30d"),
    )
    return home


def junk(count: int) -> tuple[bytes, bytes]:
    """An envelope that anybody can make: no key, no token, readers that do not exist."""
    entries = tuple(
        Reader(
            reader=f"r{i:04}",
            kid=i.to_bytes(16, "big"),
            wrapped_cek=bytes(256),
            open_hash=bytes(32),
        )
        for i in range(count)
    )
    now = int(time.time()) // 900 * 900
    header = AnonymousHeader(
        content_type="text/plain", iv=bytes(12), channel="box", expires=now + 86400 // 900 * 900,
        issued=now, message_id=os.urandom(16), reader_root=root([e.leaf_hash() for e in entries]),
        reader_count=count, cek_commitment=bytes(32), key_id=bytes(16),
    )  # fmt: skip
    body = AnonymousBody(
        protected=header.encode(), header=header,
        token=SpentToken(token=bytes(32), mac=bytes(32)), ciphertext=bytes(272),
    )  # fmt: skip
    return header.message_id, AnonymousEnvelope(body=body, readers=entries).encode()


async def test_3e_a_stranger_reads_nothing_and_is_answered_nothing(box: Home) -> None:
    port = urlsplit(box.url).port or 0
    async with await RawClient.dial(port) as stranger:
        await stranger.connect("nobody", "anonymous", "no password at all")
        filters = (TOPICS.notice(ANONYMOUS), TOPICS.tokens("+"), TOPICS.state("+"), "#")
        assert await stranger.subscribe(*filters) == [_NOT_GRANTED] * len(filters)
        sent = await asyncio.to_thread(
            box.ok, "device", "send", "--dir", "./thermo-1", "--channel", "box", "tea", "--json"
        )
        query = AnonymousQuery(
            message_id=bytes.fromhex(sent.json["message_id"]), digest=os.urandom(32)
        )
        await stranger.publish(TOPICS.query(ANONYMOUS), query.encode())
        assert await stranger.next() is None  # closed, after its one message


async def flood(port: int, until: float, data: tuple[bytes, bytes], count: list[int]) -> None:
    """Publish as fast as a stranger may: one message, then another connection."""
    topic = TOPICS.send(ANONYMOUS, data[0])
    while time.monotonic() < until:
        async with await RawClient.dial(port) as stranger:
            await stranger.connect(f"f-{os.urandom(3).hex()}", ANONYMOUS, "x")
            await stranger.publish(topic, data[1])
            assert await stranger.closed()
        count[0] += 1


async def test_5e_junk_of_strangers_does_not_hold_up_the_others(box: Home) -> None:
    """It may slow them down: what a connection and a decoded envelope cost cannot be saved."""
    port = urlsplit(box.url).port or 0
    data = junk(1)
    before: list[float] = []
    during: list[float] = []

    def measure(device: Device, into: list[float], until: float) -> None:
        while time.monotonic() < until:
            began = time.monotonic()
            device.send("named", to=["hub"]).wait_held(60)
            into.append(time.monotonic() - began)

    with Device.open(box.directory / "phone") as device:
        device.send("named", to=["hub"]).wait_held(60)
        await asyncio.to_thread(measure, device, before, time.monotonic() + 1)
        log = (box.directory / "serve.log").stat().st_size
        count = [0]
        until = time.monotonic() + 2
        floods = [asyncio.ensure_future(flood(port, until, data, count)) for _ in range(2)]
        await asyncio.sleep(0.5)
        await asyncio.to_thread(measure, device, during, until)
        await asyncio.gather(*floods)
    grown = (box.directory / "serve.log").stat().st_size - log
    print(
        f"{len(data[1])} bytes, {count[0]} sent in 2 s; held median"
        f" {statistics.median(before) * 1e3:.0f} -> {statistics.median(during) * 1e3:.0f} ms,"
        f" worst {max(before) * 1e3:.0f} -> {max(during) * 1e3:.0f} ms; log grew {grown} bytes"
    )
    assert statistics.median(during) < 20 * statistics.median(before)
    assert grown < 10_000


async def test_14_a_sender_that_repeats_its_request_for_tokens_does_not_hold_up_the_others(
    box: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from device_sdk.link.mqtt import MqttLink
    from device_sdk.wire.login import make_token

    asked: list[bytes] = []
    real = MqttLink.publish

    def publish_and_note(self: MqttLink, topic: str, payload: bytes) -> int | None:
        if "/blind/" in topic:
            asked.append(payload)
        return real(self, topic, payload)

    monkeypatch.setattr(MqttLink, "publish", publish_and_note)

    def get_request() -> str:
        with Device.open(box.directory / "thermo-1") as device:
            until = time.monotonic() + 20
            while not any(len(one) > 30_000 for one in asked) and time.monotonic() < until:
                time.sleep(0.1)
            parts = device._parts
            return make_token(
                "thermo-1", audience=parts.pin.fingerprint, now=int(time.time()),
                signer=parts.keystore.identity, aad=parts.pin.aad,
            )  # fmt: skip

    login = await asyncio.to_thread(get_request)
    request = max(asked, key=len)
    before: list[float] = []
    during: list[float] = []
    sent = 0

    def measure(device: Device, into: list[float], until: float) -> None:
        while time.monotonic() < until:
            began = time.monotonic()
            device.send("named", to=["hub"]).wait_held(60)
            into.append(time.monotonic() - began)

    with Device.open(box.directory / "phone") as device:
        device.send("named", to=["hub"]).wait_held(60)
        await asyncio.to_thread(measure, device, before, time.monotonic() + 1)
        async with await RawClient.dial(urlsplit(box.url).port or 0) as attacker:
            await attacker.connect("thermo-1", "thermo-1", login)
            until = time.monotonic() + 2
            measuring = asyncio.ensure_future(asyncio.to_thread(measure, device, during, until))
            while time.monotonic() < until:
                await attacker.publish(TOPICS.blind("thermo-1"), request)
                sent += 1
                await asyncio.sleep(0.05)
            await measuring
    print(
        f"request of {len(request)} bytes, {sent} sent in 2 s; held median"
        f" {statistics.median(before) * 1e3:.0f} -> {statistics.median(during) * 1e3:.0f} ms,"
        f" worst {max(before) * 1e3:.0f} -> {max(during) * 1e3:.0f} ms"
    )
    assert statistics.median(during) < 3 * statistics.median(before)
