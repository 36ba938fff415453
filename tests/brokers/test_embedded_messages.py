"""The embedded broker as its clients see it: what comes to whom, when, and how often."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.brokers.embedded import PREFIX, Bench, embedded_broker
from tests.brokers.raw_client import RawClient, packet, publish, subscribe, text

COPY = f"{PREFIX}/inbox/hub/thermo-1/0a"
NOTICE = f"{PREFIX}/notice/hub"


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with embedded_broker() as bench:
        yield bench


# ---------------------------------------------------------------------------- retained messages


async def test_nobody_gets_retained_messages_for_what_somebody_else_has_subscribed_to(
    bench: Bench,
) -> None:
    gateway = await bench.log_in("gw-1")
    await gateway.publish(COPY, b"copy", retain=True)
    hub = await bench.log_in("hub")
    operator = await bench.log_in("snooper")
    await hub.subscribe(f"{PREFIX}/inbox/hub/#")
    await operator.subscribe("#")
    mallory = await bench.log_in("mallory")
    await mallory.subscribe(f"{PREFIX}/notice/mallory")
    await gateway.publish(f"{PREFIX}/notice/mallory", b"marker")
    assert await mallory.until(f"{PREFIX}/notice/mallory") == []


async def test_replays_are_marked_retained_live_messages_are_not_and_a_clear_goes_to_all(
    bench: Bench,
) -> None:
    gateway = await bench.log_in("gw-1")
    await gateway.publish(COPY, b"one", retain=True)
    hub = await bench.log_in("hub")
    await hub.subscribe(f"{PREFIX}/inbox/hub/#", NOTICE)
    await gateway.publish(COPY, b"two", retain=True)
    await gateway.publish(COPY, b"", retain=True)
    await gateway.publish(NOTICE, b"")
    came = [(message.payload, message.retain) for message in await hub.until(NOTICE)]
    assert came[-2:] == [(b"two", False), (b"", False)]
    assert came[0] == (b"one", True)
    await hub.send(subscribe(f"{PREFIX}/inbox/hub/#"))
    await gateway.publish(NOTICE, b"")
    assert await hub.until(NOTICE) == []


async def test_subscribing_again_to_the_same_filter_replays_again(bench: Bench) -> None:
    gateway = await bench.log_in("gw-1")
    for number in range(3):
        await gateway.publish(f"{PREFIX}/keys/d{number}", b"k", retain=True)
    hub = await bench.log_in("hub")
    for _ in range(3):
        await hub.send(subscribe(f"{PREFIX}/keys/+"))
        topics = {message.topic for message in [await hub.next() for _ in range(3)] if message}
        assert topics == {f"{PREFIX}/keys/d{number}" for number in range(3)}


async def test_a_replay_of_five_thousand_is_complete_before_a_marker_published_after_it(
    bench: Bench,
) -> None:
    gateway = await bench.log_in("gw-1")
    count = 5000
    writing = asyncio.create_task(_publish_copies(gateway, count))
    for _ in range(count):
        assert (await gateway.read() or (0,))[0] == 0x40
    await writing
    await gateway.send(subscribe(f"{PREFIX}/inbox/#", f"{PREFIX}/state/gw-1"))
    await gateway.send(publish(f"{PREFIX}/state/gw-1", b"marker"))
    assert await gateway.read() == (0x90, b"\0\1\1\1")  # the SUBACK comes before the replay
    came = await gateway.until(f"{PREFIX}/state/gw-1")
    assert {message.topic for message in came} == {
        f"{PREFIX}/inbox/hub/thermo-1/{number:x}" for number in range(count)
    }
    assert len(came) == count
    assert all(message.retain for message in came)


async def _publish_copies(gateway: RawClient, count: int) -> None:
    for number in range(count):
        topic = f"{PREFIX}/inbox/hub/thermo-1/{number:x}"
        await gateway.send(publish(topic, bytes(64), retain=True, packet_id=number + 1))


# ---------------------------------------------------------------------------- QoS and sessions


async def test_a_message_comes_once_with_the_lower_qos_however_many_filters_match(
    bench: Bench,
) -> None:
    operator = await bench.log_in("snooper")
    await operator.subscribe("#", qos=0)
    assert await operator.subscribe(f"{PREFIX}/#", qos=2) == [1]
    gateway = await bench.log_in("gw-1")
    await gateway.send(publish(COPY, b"a", qos=0))
    await gateway.publish(COPY, b"b")
    await gateway.publish(NOTICE, b"")
    came = [(message.payload, message.qos) for message in await operator.until(NOTICE)]
    assert came == [(b"a", 0), (b"b", 1)]


async def test_a_qos_2_message_sent_twice_before_its_pubrel_is_carried_once(bench: Bench) -> None:
    gateway = await bench.log_in("gw-1")
    await gateway.subscribe(f"{PREFIX}/query/+")
    device = await bench.log_in("hub")
    once = publish(f"{PREFIX}/query/hub", b"q", qos=2, packet_id=9)
    again = bytes([once[0] | 8]) + once[1:]
    for frame in (once, again):
        await device.send(frame)
        assert await device.read() == (0x50, b"\0\x09")
    await device.send(packet(0x62, b"\0\x09"))
    assert await device.read() == (0x70, b"\0\x09")
    await device.publish(f"{PREFIX}/query/hub", b"marker")
    came = [await gateway.next(), await gateway.next()]
    assert [message.payload for message in came if message] == [b"q", b"marker"]


async def test_a_persistent_session_is_owed_what_came_while_it_was_away(bench: Bench) -> None:
    hub = await bench.log_in("hub", clean=False)
    await hub.subscribe(NOTICE)
    gateway = await bench.log_in("gw-1")
    await gateway.publish(NOTICE, b"not pubacked")
    assert await hub.next(puback=False) is not None
    await hub.close()
    for number in range(20):
        await gateway.publish(NOTICE, b"%d" % number)
    hub = await bench.dial()
    assert await hub.connect("hub", "hub", "buh", clean=False) == b"\1\0"
    first = await hub.next()
    assert first is not None
    assert (first.payload, first.dup) == (b"not pubacked", True)
    rest = [await hub.next() for _ in range(20)]
    assert [message.payload for message in rest if message] == [b"%d" % n for n in range(20)]
    await hub.close()
    hub = await bench.dial()
    assert await hub.connect("hub", "hub", "buh", clean=True) == b"\0\0"


async def test_unsubscribing_ends_the_messages(bench: Bench) -> None:
    hub = await bench.log_in("hub")
    await hub.subscribe(NOTICE, f"{PREFIX}/keys/+")
    await hub.send(packet(0xA2, b"\0\5" + text(f"{PREFIX}/keys/+") + text("never/there")))
    assert await hub.read() == (0xB0, b"\0\5")
    gateway = await bench.log_in("gw-1")
    await gateway.publish(f"{PREFIX}/keys/hub", b"k")
    await gateway.publish(NOTICE, b"")
    assert await hub.until(NOTICE) == []
