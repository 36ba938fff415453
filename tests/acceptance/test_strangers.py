"""What somebody without any credentials does to a gateway with its own broker."""

import asyncio
import os
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


async def test_a_stranger_reads_nothing_and_is_answered_nothing(box: Home) -> None:
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


async def flood(
    port: int, data: tuple[bytes, bytes], sent: asyncio.Semaphore, enough: asyncio.Event
) -> None:
    """Publish as fast as a stranger may: one message, then another connection."""
    topic = TOPICS.send(ANONYMOUS, data[0])
    while not enough.is_set():
        async with await RawClient.dial(port) as stranger:
            await stranger.connect(f"f-{os.urandom(3).hex()}", ANONYMOUS, "x")
            await stranger.publish(topic, data[1])
            assert await stranger.closed()
        sent.release()


async def test_while_strangers_flood_the_gateway_with_junk_others_are_served(box: Home) -> None:
    """It may slow them down: what a connection and a decoded envelope cost cannot be saved."""
    port, data = urlsplit(box.url).port or 0, junk(1)
    sent, enough = asyncio.Semaphore(0), asyncio.Event()

    def hold(device: Device, count: int) -> None:
        for _ in range(count):
            device.send("named", to=["hub"]).wait_held(60)

    with Device.open(box.directory / "phone") as device:
        await asyncio.to_thread(hold, device, 1)
        log = (box.directory / "serve.log").stat().st_size
        floods = [asyncio.ensure_future(flood(port, data, sent, enough)) for _ in range(2)]
        for _ in range(50):  # it is in full swing
            await asyncio.wait_for(sent.acquire(), 30)
        await asyncio.to_thread(hold, device, 20)
        assert not any(task.done() for task in floods)
        enough.set()
        await asyncio.gather(*floods)
    # Nor does it fill the disk.
    assert (box.directory / "serve.log").stat().st_size - log < 10_000
