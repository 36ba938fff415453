"""Anonymous messages end to end: one of a channel's senders wrote, and nobody knows which."""

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from device_sdk import Device, NoTokenError
from device_sdk.anonymous.seal import seal_anonymous
from device_sdk.anonymous.store import Token
from device_sdk.seal import WrapTarget
from device_sdk.wire import cose
from device_sdk.wire.epoch_key import EpochKey
from device_sdk.wire.limits import DAY
from device_sdk.wire.names import ANONYMOUS
from device_sdk.wire.notice import Event, EventKind, Notice
from device_sdk.wire.topics import Topics
from gateway.fault_points import ARRIVAL_STEPS, SWITCH
from tests.brokers.mosquitto import Mosquitto
from tests.brokers.raw_client import RawClient
from tests.support.home import Home
from tests.support.hub_fleet import read

PATIENCE = 60.0
TOPICS = Topics()


@pytest.fixture
def box(home_on_each_broker: Home) -> Home:
    """The anonymous channel box: thermo-1 and phone write two messages each, hub reads."""
    home = home_on_each_broker
    home.ok(
        *("fleet", "channel", "set", "./fleet", "box", "--reader", "hub"),
        *("--sender", "thermo-1", "--sender", "phone"),
        *("--anonymous", "--tokens", "2", "--epoch", "30d"),
    )
    return home


def send(home: Home, text: str, sender: str = "thermo-1") -> Any:
    """Send a message to the box; return what its sender knows of it."""
    return home.ok(
        *("device", "send", "--dir", f"./{sender}", "--channel", "box", text, "--json")
    ).json


def test_a_message_is_read_without_its_sender_and_is_then_gone(box: Home) -> None:
    with Device.open(box.directory / "thermo-1") as device:
        sent = device.send("tea", channel="box", anonymous=True, timeout=PATIENCE)
        sent.wait_held(PATIENCE)
        (message,) = box.read("hub")
        sent.wait_read(PATIENCE)
    assert (message["text"], message["sender"], message["channel"]) == ("tea", "anonymous", "box")
    assert box.sent(sent.message_id)["state"] == "settled"
    assert box.owing() == [[]]  # nobody can say that it took note of the outcome
    assert "2 messages of each sender in 30d" in box.ok("fleet", "show", "./fleet").out


def test_the_owner_says_how_many_each_sender_may_write(box: Home) -> None:
    send(box, "one")
    assert "1 for box" in box.ok("device", "status", "--dir", "./thermo-1").out
    assert box.ok("device", "status", "--dir", "./thermo-1", "--json").json["tokens"] == {"box": 1}
    send(box, "two")
    error = box.fails("device", "send", "--dir", "./thermo-1", "--channel", "box", "three")
    assert "no token for an anonymous message to the channel box" in error
    assert "all of this period are spent" in error
    send(box, "three", sender="phone")
    assert {message["text"] for message in box.read("hub")} == {"one", "two", "three"}


def test_a_channel_that_is_no_longer_anonymous_names_its_senders_again(box: Home) -> None:
    send(box, "tea")
    assert [one["sender"] for one in box.read("hub")] == ["anonymous"]
    box.ok("fleet", "channel", "set", "./fleet", "box", "--no-anonymous")
    with Device.open(box.directory / "thermo-1") as device:
        for _ in range(100):  # until the roster has come
            roster = device._parts.rosters.roster
            if roster is not None and roster.channels["box"].anonymous is None:
                break
            with device._courier.changed:
                device._courier.pause(0.5)
        device.send("coffee", channel="box").wait_held(PATIENCE)
    assert [one["sender"] for one in box.read("hub")] == ["thermo-1"]


async def test_nothing_that_passes_about_a_message_names_its_sender(
    made_home: Path, tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        home = Home(made_home, tmp_path / "home", broker=broker.url)
        try:
            home.serve()
            home.trust()
            home.ok(
                *("fleet", "channel", "set", "./fleet", "box", "--reader", "hub"),
                *("--sender", "thermo-1", "--sender", "phone", "--anonymous"),
            )
            async with await RawClient.dial(urlsplit(home.url).port or 0) as onlooker:
                await onlooker.connect("operator", "operator", "any")
                await onlooker.subscribe("sealgate/#")
                message_id = send(home, "tea")["message_id"]
                home.read("hub")
                seen: list[tuple[str, bytes]] = []
                while not any("/read/" in topic for topic, _ in seen):
                    message = await onlooker.next()
                    assert message is not None
                    seen.append((message.topic, message.payload))
        finally:
            home.stop()
    about = [(t, data) for t, data in seen if message_id in t or bytes.fromhex(message_id) in data]
    assert any(topic == TOPICS.send(ANONYMOUS, bytes.fromhex(message_id)) for topic, _ in about)
    assert len(about) >= 3
    for topic, data in about:
        assert "thermo-1" not in topic
        assert b"thermo-1" not in data
    assert any(topic == TOPICS.blind("thermo-1") for topic, _ in seen)  # it did ask by name


# ------------------------------ double spending


def steal_token(directory: Path) -> Token:
    """Copy a token that a device has not spent yet, as whoever restores a backup does."""
    with sqlite3.connect(directory / "state.sqlite") as other:
        token, output, key = other.execute(
            "SELECT token, output, key FROM token JOIN token_key USING (key_id) ORDER BY begins"
        ).fetchone()
    other.close()
    return Token(key=EpochKey.decode(key), token=token, output=output)


async def publish_again(home: Home, device: Device, token: Token) -> Event:
    """Publish another message with a token; return what the gateway says about it."""
    with device._courier.changed:
        roster, parts = device._parts.rosters.roster, device._parts
        assert roster is not None
        statement = parts.reader_keys.latest("hub", roster)
    assert statement is not None
    now = int(time.time())
    sealed = seal_anonymous(
        b"the same again",
        recipients=[WrapTarget(reader="hub", key=statement.wrap_key)],
        token=token,
        aad=parts.pin.aad,
        content_type="text/plain",
        issued=now,
        expires=now // DAY * DAY + 2 * DAY,
    )
    port = urlsplit(home.url).port or 0
    password = home.directory / "gateway-data" / "operator-password"
    async with await RawClient.dial(port) as onlooker, await RawClient.dial(port) as anybody:
        secret = password.read_text().strip() if password.exists() else "any"
        await onlooker.connect("operator", "operator", secret)
        await onlooker.subscribe(TOPICS.notice(ANONYMOUS))
        await anybody.connect(f"a-{os.urandom(4).hex()}", "anonymous", "anonymous")
        await anybody.publish(TOPICS.send(ANONYMOUS, sealed.message_id), sealed.envelope)
        while True:
            message = await onlooker.next()
            assert message is not None
            for event in cose.parse_signed(Notice, message.payload).claims.events:
                if event.message_id == sealed.message_id:
                    return event


@pytest.mark.parametrize("step", ARRIVAL_STEPS)
def test_a_device_gets_its_tokens_although_the_gateway_is_killed_before_it_answers(
    box: Home, step: str
) -> None:
    box.stop()
    box.environment[SWITCH] = f"blind-{step}"
    box.serve()
    del box.environment[SWITCH]
    with Device.open(box.directory / "thermo-1") as device:
        assert box._serve is not None
        with box._serve as killed:
            assert killed.wait(PATIENCE) == -9
        box._serve = None
        box.serve()
        device.send("tea", channel="box", timeout=PATIENCE).wait_held(PATIENCE)


async def test_a_token_is_spent_once_also_if_the_gateway_is_killed_before_it_confirms(
    box: Home,
) -> None:
    with Device.open(box.directory / "thermo-1") as device:
        device.send("first", channel="box").wait_held(PATIENCE)
    token = steal_token(box.directory / "thermo-1")
    box.stop()
    box.environment[SWITCH] = "send-committed"
    box.serve()
    del box.environment[SWITCH]
    with Device.open(box.directory / "thermo-1") as device:
        sent = device.send("second", channel="box")
        assert box._serve is not None
        with box._serve as killed:
            assert killed.wait(PATIENCE) == -9
        box._serve = None
        box.serve()
        sent.wait_held(PATIENCE)
        with pytest.raises(NoTokenError):
            device.send("third", channel="box", timeout=0)
        event = await publish_again(box, device, token)
        assert (event.kind, event.word) == (EventKind.REFUSED, "token-spent")
    with Device.open(box.directory / "hub") as hub:
        assert sorted(read(hub)) == [b"first", b"second"]


def test_a_device_that_is_killed_uses_no_token_twice(box: Home) -> None:
    script = (
        "import os, signal, sys\n"
        "from device_sdk import Device\n"
        "from device_sdk.outbox.outbox import Outbox\n"
        "def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)\n"
        "device = Device.open(sys.argv[1])\n"
        "Outbox.add = die\n"
        "device.send('lost', channel='box', timeout=30)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "./thermo-1"],
        cwd=box.directory,
        check=False,
    )
    assert done.returncode == -9
    send(box, "one")
    error = box.fails("device", "send", "--dir", "./thermo-1", "--channel", "box", "two")
    assert "all of this period are spent" in error
    assert [one["text"] for one in box.read("hub")] == ["one"]
