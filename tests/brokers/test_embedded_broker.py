"""The embedded broker as its clients see it: who gets in, and who may do what."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.access import Client, Role
from gateway.embedded_broker import BrokerNotStartedError, EmbeddedBroker
from tests.brokers.embedded import PREFIX, Bench, authenticate, embedded_broker
from tests.brokers.raw_client import RawClient, packet, publish, subscribe

COPY = f"{PREFIX}/inbox/hub/thermo-1/0a"
NOTICE = f"{PREFIX}/notice/hub"


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with embedded_broker() as bench:
        yield bench


# ---------------------------------------------------------------------------- who gets in


@pytest.mark.parametrize(
    ("client_id", "username", "password", "code"),
    [
        ("hub", None, None, 5),
        ("hub", "hub", None, 5),
        ("hub", "hub", "", 5),
        ("hub", "", "", 5),
        ("hub", "hub", "wrong", 5),
        ("hub", "nobody", "ydobon", 5),
        ("thermo-1", "hub", "buh", 2),
        ("", "hub", "buh", 2),
        ("hub", "hub", "buh", 0),
        ("anything", "gw-1", "1-wg", 0),
        ("", "snooper", "repoons", 0),
    ],
)
async def test_only_a_known_client_gets_in_and_a_device_only_under_its_own_client_id(
    bench: Bench, client_id: str, username: str | None, password: str | None, code: int
) -> None:
    client = await bench.dial()
    assert await client.connect(client_id, username, password) == bytes([0, code])
    if code:
        assert await client.closed()


async def test_a_stranger_can_neither_throw_out_nor_silence_nor_speak_for_a_client(
    bench: Bench,
) -> None:
    hub = await bench.log_in("hub", clean=False)
    gateway = await bench.log_in("gw-1")
    await hub.subscribe(NOTICE)
    for clean in (True, False):
        stranger = await bench.dial()
        will = (f"{PREFIX}/announce/hub", b"forged")
        answer = await stranger.connect("hub", "hub", "wrong", clean=clean, will=will)
        assert answer == b"\0\5"
    await gateway.publish(NOTICE, b"still there")
    message = await hub.next()
    assert message is not None
    assert message.payload == b"still there"


async def test_a_device_that_connects_again_takes_the_place_of_its_old_connection(
    bench: Bench,
) -> None:
    old = await bench.log_in("hub")
    new = await bench.log_in("hub")
    assert await old.closed()
    assert await new.subscribe(NOTICE) == [1]


async def test_the_same_client_id_under_another_name_is_another_session(bench: Bench) -> None:
    hub = await bench.log_in("hub")
    await hub.subscribe(NOTICE)
    await bench.log_in("snooper", client_id="hub")
    gateway = await bench.log_in("gw-1", client_id="hub")
    await gateway.publish(NOTICE, b"x")
    assert (await hub.next()) is not None


async def test_an_anonymous_client_is_refused_however_generous_the_authentication() -> None:
    def generous(client_id: str, username: str, password: str) -> Client:
        return Client(name="gw-1", role=Role.GATEWAY)

    broker = EmbeddedBroker(host="127.0.0.1", port=0, authenticate=generous)
    await broker.start()
    for username, password in ((None, None), ("", ""), ("gw-1", None), ("gw-1", ""), ("", "x")):
        async with await RawClient.dial(broker.port) as client:
            assert await client.connect("gw-1", username, password) == b"\0\5"
    await broker.stop()


async def test_an_authentication_that_fails_to_run_lets_nobody_in() -> None:
    def broken(client_id: str, username: str, password: str) -> None:
        raise RuntimeError(password)

    broker = EmbeddedBroker(host="127.0.0.1", port=0, authenticate=broken)
    await broker.start()
    async with await RawClient.dial(broker.port) as client:
        assert await client.connect("hub", "hub", "buh") == b"\0\3"
    await broker.stop()


@pytest.mark.parametrize("level", [3, 5])
async def test_another_mqtt_version_is_answered_so_that_a_client_can_fall_back(
    bench: Bench, level: int
) -> None:
    client = await bench.dial()
    assert await client.connect("hub", "hub", "buh", level=level) == b"\0\1"
    assert await client.closed()


# ---------------------------------------------------------------------------- what is allowed


async def test_a_device_gets_0x80_for_what_is_not_its_own_and_for_shared_subscriptions(
    bench: Bench,
) -> None:
    hub = await bench.log_in("hub")
    codes = await hub.subscribe(
        "#",
        f"{PREFIX}/inbox/+/#",
        f"{PREFIX}/inbox/hub/#",
        f"{PREFIX}/inbox/thermo-1/#",
        f"$share/g/{PREFIX}/inbox/hub/#",
        f"{PREFIX}/keys/+",
    )
    assert codes == [0x80, 0x80, 1, 0x80, 0x80, 1]


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("payload", [b"forged", b""])
@pytest.mark.parametrize("retain", [False, True])
async def test_who_publishes_where_it_may_not_is_disconnected_and_changes_nothing(
    bench: Bench, qos: int, payload: bytes, retain: bool
) -> None:
    gateway = await bench.log_in("gw-1")
    await gateway.publish(COPY, b"copy", retain=True)
    hub = await bench.log_in("hub")
    await hub.subscribe(f"{PREFIX}/inbox/hub/#", NOTICE)
    first = await hub.next()
    for name in ("mallory", "snooper"):
        bad = await bench.log_in(name)
        await bad.send(publish(COPY, payload, qos=qos, retain=retain))
        await bad.send(packet(0x62, b"\0\1"))  # PUBREL
        assert await bad.closed()
    await hub.send(subscribe(f"{PREFIX}/inbox/hub/#"))
    again = await hub.next()
    assert first is not None
    assert again is not None
    assert (first.payload, first.retain) == (again.payload, again.retain) == (b"copy", True)
    await gateway.publish(NOTICE, b"")
    assert await hub.until(NOTICE) == []


async def test_a_gateway_is_not_disconnected_by_a_refused_publish_and_nobody_gets_it(
    bench: Bench,
) -> None:
    operator = await bench.log_in("snooper")
    await operator.subscribe("#")
    gateway = await bench.log_in("gw-1")
    await gateway.publish("elsewhere/1", b"refused", retain=True)
    await gateway.publish(NOTICE, b"marker")
    assert await operator.until(NOTICE) == []


async def test_a_will_on_a_forbidden_topic_is_refused_at_connect(bench: Bench) -> None:
    mallory = await bench.dial()
    answer = await mallory.connect(
        "mallory", "mallory", "yrollam", will=(COPY, b""), will_retain=True
    )
    assert answer == b"\0\5"


async def test_a_will_is_published_when_a_client_vanishes_and_not_when_it_says_goodbye(
    bench: Bench,
) -> None:
    hub = await bench.log_in("hub")
    await hub.subscribe(f"{PREFIX}/state/+", NOTICE)
    for goodbye in (False, True):
        will = (f"{PREFIX}/state/gw-1", b"offline")
        gateway = await bench.log_in("gw-1", will=will, will_retain=True)
        if goodbye:
            await gateway.publish(will[0], b"", retain=True)
            await gateway.send(packet(0xE0))
            assert await gateway.closed()
        await gateway.close()
    gateway = await bench.log_in("gw-1", client_id="last")
    await gateway.publish(NOTICE, b"")
    assert [message.payload for message in await hub.until(NOTICE)] == [b"offline", b""]


async def test_what_a_device_publishes_with_retain_is_carried_and_not_kept(bench: Bench) -> None:
    gateway = await bench.log_in("gw-1")
    await gateway.subscribe(f"{PREFIX}/send/#", f"{PREFIX}/state/gw-1")
    device = await bench.log_in("thermo-1")
    await device.publish(f"{PREFIX}/send/thermo-1/0a", b"x", retain=True)
    message = await gateway.next()
    assert message is not None
    assert (message.payload, message.retain) == (b"x", False)
    assert await gateway.subscribe(f"{PREFIX}/send/#") == [1]
    await gateway.send(publish(f"{PREFIX}/state/gw-1", b""))
    assert await gateway.until(f"{PREFIX}/state/gw-1") == []


async def test_tls_is_not_offered_and_a_tls_client_is_closed(bench: Bench) -> None:
    client = await bench.dial()
    await client.send(bytes.fromhex("16030100f5010000f10303") + bytes(240))
    assert await client.closed()
    with pytest.raises(TypeError):
        EmbeddedBroker(host="127.0.0.1", port=0, authenticate=authenticate, tls=None)  # type: ignore[call-arg]


# ---------------------------------------------------------------------------- start and stop


async def test_it_starts_on_a_free_port_says_when_it_cannot_and_starts_again() -> None:
    async with embedded_broker() as bench:
        first = bench.broker
        second = EmbeddedBroker(host="127.0.0.1", port=first.port, authenticate=authenticate)
        with pytest.raises(BrokerNotStartedError, match="choose another address"):
            await second.start()
        with pytest.raises(RuntimeError):
            _ = second.port
        await first.stop()
        await second.start()
        assert second.port > 0
        await second.stop()
        await second.stop()


async def test_stopping_closes_everyone_even_who_does_not_read_and_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    async with embedded_broker() as bench:
        await bench.dial()
        operator = await bench.log_in("snooper")
        await operator.subscribe("#")
        gateway = await bench.log_in("gw-1")
        for _ in range(40):  # the operator reads none of these: more than the sockets take
            await gateway.publish(COPY, bytes(1_000_000))
        hub = await bench.log_in("hub", clean=False)
        await bench.broker.stop()
        assert await hub.closed()
        assert not bench.broker._connections
    assert asyncio.all_tasks() == before
