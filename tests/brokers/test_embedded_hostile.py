"""Malicious and careless clients of the embedded broker, and what the others notice: nothing."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator

import pytest

from tests.brokers.embedded import PREFIX, Bench, embedded_broker
from tests.brokers.raw_client import connect, packet, publish, subscribe, text

NOTICE = f"{PREFIX}/notice/hub"
QUERY = f"{PREFIX}/query/mallory"
MAX_PACKET = 100_000


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with embedded_broker(max_packet_bytes=MAX_PACKET) as bench:
        yield bench


async def _others_are_served(bench: Bench) -> None:
    hub = await bench.log_in("hub")
    gateway = await bench.log_in("gw-1")
    await hub.subscribe(NOTICE)
    await gateway.publish(NOTICE, b"x")
    assert await hub.until(NOTICE) == []


def _altered(frame: bytes, index: int, byte: int) -> bytes:
    return frame[:index] + bytes([byte]) + frame[index + 1 :]


_GOOD = publish(QUERY, b"x")
MALFORMED = {
    "type 0": packet(0x00),
    "type 15": packet(0xF0),
    "a CONNACK": packet(0x20, b"\0\0"),
    "a SUBACK": packet(0x90, b"\0\1\0"),
    "a second CONNECT": connect("mallory", "mallory", "yrollam"),
    "an endless length": b"\x30\xff\xff\xff\xff\x7f",
    "a length in more bytes than needed": b"\xc0\x80\x00",
    "PINGREQ with a body": packet(0xC0, b"x"),
    "PINGREQ with flags": packet(0xC1),
    "SUBSCRIBE without its flag": _altered(subscribe(NOTICE), 0, 0x80),
    "SUBSCRIBE of nothing": packet(0x82, b"\0\1"),
    "SUBSCRIBE with packet id 0": subscribe(QUERY, packet_id=0),
    "SUBSCRIBE with QoS 3": subscribe(QUERY, qos=3),
    "SUBSCRIBE cut short": packet(0x82, b"\0\1" + text(QUERY)),
    "SUBSCRIBE in bytes that are not UTF-8": packet(0x82, b"\0\1" + text(b"\xff\xfe") + b"\1"),
    "UNSUBSCRIBE of nothing": packet(0xA2, b"\0\1"),
    "PUBLISH without a topic": publish("", b"x"),
    "PUBLISH to a wildcard": publish(f"{PREFIX}/query/+", b"x"),
    "PUBLISH to bytes that are not UTF-8": publish(b"\xff\xfe", b"x"),
    "PUBLISH with QoS 3": publish(QUERY, b"x", qos=3),
    "PUBLISH with packet id 0": publish(QUERY, b"x", packet_id=0),
    "PUBLISH with DUP and QoS 0": _altered(publish(QUERY, b"x", qos=0), 0, 0x38),
    "PUBLISH whose topic is longer than itself": packet(0x32, b"\xff\xffab"),
    "PUBLISH of no bytes": packet(0x32),
    "PUBACK with a tail": packet(0x40, b"\0\1\0"),
    "PUBREC for nothing sent": packet(0x50, b"\0\1"),
    "larger than allowed": publish(QUERY, bytes(MAX_PACKET)),
    "a SUBSCRIBE larger than allowed": packet(0x82, b"\0\1" + bytes(98_304)),
}


@pytest.mark.parametrize("frame", MALFORMED.values(), ids=MALFORMED.keys())
async def test_who_breaks_the_protocol_is_disconnected_and_the_others_are_served(
    bench: Bench, frame: bytes
) -> None:
    mallory = await bench.log_in("mallory")
    await mallory.publish(QUERY, b"x")
    await mallory.send(frame)
    assert await mallory.closed()
    await _others_are_served(bench)


_CONNECT = connect("mallory", "mallory", "yrollam")
BAD_FIRST = {
    "no MQTT": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "another protocol's name": _CONNECT.replace(b"MQTT", b"MQXX"),
    "a PUBLISH": _GOOD,
    "a PINGREQ": packet(0xC0),
    "the reserved flag": _altered(_CONNECT, 9, 0xC3),
    "a password and no user name": _altered(_CONNECT, 9, 0x42),
    "will flags and no will": _altered(_CONNECT, 9, 0xC2 | 0x08),
    "a will with QoS 3": _altered(_CONNECT, 9, 0xC2 | 0x1C),
    "a will that is missing": _altered(_CONNECT, 9, 0xC6),
    "trailing bytes": packet(0x10, _CONNECT[2:] + b"x"),
    "cut short": packet(0x10, _CONNECT[2:-3]),
    "a client id that is not UTF-8": connect(b"\xff\xfe", "mallory", "yrollam"),
    "more than 16 KiB": connect("m" * 20_000, "gw-1", "1-wg"),
    "256 MiB announced": b"\x10\xff\xff\xff\x7f",
}


@pytest.mark.parametrize("frame", BAD_FIRST.values(), ids=BAD_FIRST.keys())
async def test_who_does_not_begin_with_a_proper_connect_is_disconnected(
    bench: Bench, frame: bytes
) -> None:
    stranger = await bench.dial()
    await stranger.send(frame)
    assert await stranger.closed()
    await _others_are_served(bench)


async def test_a_packet_announced_too_large_is_refused_before_it_has_come(bench: Bench) -> None:
    mallory = await bench.log_in("mallory")
    await mallory.send(b"\x32\xff\xff\xff\x7f")
    assert await mallory.closed()


async def test_packets_may_come_byte_by_byte(bench: Bench) -> None:
    gateway = await bench.log_in("gw-1")
    await gateway.subscribe(f"{PREFIX}/query/+")
    slow = await bench.dial()
    for byte in _CONNECT + _GOOD:
        await slow.send(bytes([byte]))
        await asyncio.sleep(0)
    assert await slow.read() == (0x20, b"\0\0")
    assert await slow.read() == (0x40, b"\0\1")
    message = await gateway.next()
    assert message is not None
    assert message.payload == b"x"


async def test_garbage_after_login_ends_one_connection_and_nothing_else(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    dice = random.Random(20_250_101)
    for _ in range(100):
        mallory = await bench.log_in("mallory")
        frame = bytearray(dice.choice([_GOOD, subscribe(QUERY), _CONNECT, packet(0x40, b"\0\1")]))
        for _ in range(dice.randrange(1, 4)):
            frame[dice.randrange(len(frame))] = dice.randrange(256)
        await mallory.send(bytes(frame))
        await mallory.close()
    await _others_are_served(bench)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_who_sends_no_connect_is_not_waited_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.embedded.connection.CONNECT_SECONDS", 0.05)
    stranger = await bench.dial()
    await stranger.send(_CONNECT[:10])
    assert await stranger.closed()


async def test_silent_strangers_make_room_for_whoever_says_who_it_is(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.embedded_broker.MAX_STRANGERS", 3)
    strangers = [await bench.dial() for _ in range(3)]
    await bench.log_in("hub")
    assert await strangers[0].closed()
    await strangers[1].connect("thermo-1", "thermo-1", "1-omreht")
    for _ in range(4):
        await bench.dial()
    assert await strangers[2].closed()
    await strangers[1].send(packet(0xC0))
    assert await strangers[1].read() == (0xD0, b"")  # who has logged in is no stranger any more


async def test_with_every_connection_taken_by_clients_nobody_else_gets_in(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.embedded_broker.MAX_CONNECTIONS", 2)
    await _others_are_served(bench)
    assert await (await bench.dial()).closed()


async def test_a_silent_client_is_gone_after_its_keep_alive_and_its_will_is_published(
    bench: Bench,
) -> None:
    hub = await bench.log_in("hub")
    await hub.subscribe(f"{PREFIX}/state/+")
    silent = await bench.log_in("gw-1", keep_alive=1, will=(f"{PREFIX}/state/gw-1", b"offline"))
    assert await silent.closed()
    message = await hub.next()
    assert message is not None
    assert message.payload == b"offline"


async def test_a_client_that_does_not_read_loses_its_session_and_the_others_lose_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.embedded.session.MAX_WAITING", 50)
    lazy = await bench.log_in("snooper")
    await lazy.subscribe("#")
    hub = await bench.log_in("hub")
    await hub.subscribe(NOTICE)
    gateway = await bench.log_in("gw-1")
    count = 2000  # more than may be in flight and may wait
    for number in range(count):
        await gateway.publish(NOTICE, b"%d" % number)
        message = await hub.next()
        assert message is not None
        assert message.payload == b"%d" % number
    assert await lazy.closed()


async def test_an_absent_client_is_owed_only_so_much(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.embedded.session.MAX_ABSENT", 50)
    hub = await bench.log_in("hub", clean=False)
    await hub.subscribe(NOTICE)
    await hub.send(packet(0xE0))
    assert await hub.closed()
    gateway = await bench.log_in("gw-1")
    for _ in range(60):
        await gateway.publish(NOTICE, b"x")
    again = await bench.dial()
    assert await again.connect("hub", "hub", "buh", clean=False) == b"\0\0"


async def test_a_gateway_that_is_slow_to_puback_makes_devices_wait_and_loses_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.embedded.session.MAX_IN_FLIGHT", 4)
    monkeypatch.setattr("gateway.embedded.session.GATEWAY_FULL", 10)
    gateway = await bench.log_in("gw-1")
    await gateway.subscribe(f"{PREFIX}/query/+")
    mallory = await bench.log_in("mallory")
    count = 500
    for number in range(count):
        await mallory.send(publish(QUERY, b"%d" % number, packet_id=number + 1))
    first = [await gateway.next(puback=False) for _ in range(4)]
    for message in first:
        assert message is not None
        assert message.packet_id is not None
        await gateway.send(packet(0x40, message.packet_id.to_bytes(2)))
    rest = [await gateway.next() for _ in range(count - 4)]
    came = [message.payload for message in first + rest if message]
    assert came == [b"%d" % number for number in range(count)]
    for _ in range(count):
        assert (await mallory.read() or (0,))[0] == 0x40


async def test_asking_for_everything_again_and_again_without_reading_ends_the_connection(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.embedded.session.MAX_REPLAYING", 100)
    monkeypatch.setattr("gateway.embedded.session.MAX_IN_FLIGHT", 4)
    gateway = await bench.log_in("gw-1")
    for number in range(30):
        await gateway.publish(f"{PREFIX}/keys/d{number}", b"k", retain=True)
    mallory = await bench.log_in("mallory")
    for _ in range(10):
        await mallory.send(subscribe(f"{PREFIX}/keys/+"))
    assert await mallory.closed()
    await _others_are_served(bench)


async def test_a_filter_longer_than_any_topic_is_refused(bench: Bench) -> None:
    mallory = await bench.log_in("mallory")
    inbox = f"{PREFIX}/inbox/mallory"
    assert await mallory.subscribe(f"{inbox}/{'x' * 2000}", f"{inbox}/#") == [0x80, 1]


async def test_a_filter_that_one_subscribe_repeats_is_answered_once(bench: Bench) -> None:
    gateway = await bench.log_in("gw-1")
    for number in range(3):
        await gateway.publish(f"{PREFIX}/keys/d{number}", b"k", retain=True)
    mallory = await bench.log_in("mallory")
    asked = [*[f"{PREFIX}/keys/+"] * 1000, f"{PREFIX}/keys/d1", f"{PREFIX}/notice/mallory"]
    assert await mallory.subscribe(*asked) == [1] * len(asked)
    await gateway.publish(f"{PREFIX}/notice/mallory", b"end")
    came = [message.topic for message in await mallory.until(f"{PREFIX}/notice/mallory")]
    assert sorted(came) == [f"{PREFIX}/keys/d{number}" for number in range(3)]


async def test_neither_passwords_nor_payloads_are_logged_and_amqtt_logs_nothing(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    gateway = await bench.log_in("gw-1", will=(f"{PREFIX}/state/gw-1", b"secret-will"))
    await gateway.publish(NOTICE, b"secret-payload", retain=True)
    await gateway.publish("elsewhere", b"secret-payload")
    await (await bench.dial()).connect("hub", "hub", "secret-password")
    mallory = await bench.log_in("mallory")
    await mallory.send(publish(NOTICE, b"secret-payload"))
    assert await mallory.closed()
    await gateway.close()
    await _others_are_served(bench)
    assert "published where it may not" in caplog.text
    assert "secret" not in caplog.text
    assert "yrollam" not in caplog.text
    assert not [record for record in caplog.records if record.name.startswith("amqtt")]
