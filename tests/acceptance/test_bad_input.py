"""Bad input on its whole way: real devices, a real gateway, and a sender or a broker that lies."""

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from device_sdk.wire import cose
from device_sdk.wire.envelope import Copy
from device_sdk.wire.query import Query
from device_sdk.wire.read_ack import READ, UNREADABLE, ReadAck
from device_sdk.wire.topics import Topics
from tests.brokers.mosquitto import Mosquitto
from tests.support.dishonest import SENDER, TEXTS, DishonestSender, put
from tests.support.home import Home
from tests.support.onlooker import inboxes, is_copy, onlooker

# ------------------------------ a sender that lies


def texts_in(messages: list[Any]) -> list[str]:
    """Return the texts that the messages say, among whatever else."""
    payloads = [base64.b64decode(message["base64"]) for message in messages]
    return [text for payload in payloads for text in TEXTS if text.encode() in payload]


@pytest.mark.parametrize(
    ("attack", "shown", "verdicts"),
    [
        (DishonestSender.salamander, [[TEXTS[0]], []], {"hub": READ, "phone": UNREADABLE}),
        (DishonestSender.short_key, [[], []], {"hub": UNREADABLE, "phone": UNREADABLE}),
    ],
)
def test_two_readers_are_never_shown_different_texts_and_both_are_released(
    home_on_each_broker: Home,
    attack: Callable[[DishonestSender], None],
    shown: list[list[str]],
    verdicts: dict[str, str],
) -> None:
    home = home_on_each_broker
    with onlooker(home) as snooper:
        attack(DishonestSender(home))
        snooper.wait_for(is_copy, count=2)
        assert [texts_in(home.read(reader)) for reader in ("hub", "phone")] == shown
        acks = snooper.wait_for(lambda packet: "/read/" in packet.topic, count=2)
        said = [cose.parse_signed(ReadAck, ack.payload).claims for ack in acks]
        assert {ack.reader: ack.verdict for ack in said} == verdicts
        snooper.wait_for(lambda packet: "/inbox/" in packet.topic and not packet.payload, count=2)
        assert inboxes(snooper.standing()) == []
    assert not any(home.owing())


# ------------------------------ a broker that damages


def test_a_copy_damaged_at_the_broker_is_asked_for_and_read(
    made_home: Path, mosquitto: str, tmp_path: Path
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        home = Home(made_home, tmp_path / "home", broker=broker.url)
        try:
            home.serve()
            home.trust()
            home.send("21.5", "hub")
            with onlooker(home) as snooper:
                (topic,) = inboxes(snooper.standing())
                right = snooper.standing()[topic]
                wrapped = Copy.decode(right).reader.wrapped_cek
                damaged = right.replace(wrapped, bytes(len(wrapped)))
                put(home, topic, damaged, retain=True)
                assert [message["text"] for message in home.read("hub")] == ["21.5"]
                asked = snooper.wait_for(lambda packet: packet.topic == Topics().query("hub"))
                queries = [cose.parse_signed(Query, packet.payload).claims for packet in asked]
                assert [wanted.sender for query in queries for wanted in query.wanted] == [SENDER]
                assert inboxes(snooper.standing()) == []
        finally:
            home.stop()


def test_what_somebody_plants_in_an_inbox_is_not_shown_and_hides_nothing(
    made_home: Path, mosquitto: str, tmp_path: Path
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        home = Home(made_home, tmp_path / "home", broker=broker.url)
        try:
            home.serve()
            home.trust()
            home.send("21.5", "hub", "phone")
            with onlooker(home) as snooper:
                standing = snooper.standing()
            for topic in inboxes(standing):
                other = topic.replace("/hub/", "/-/").replace("/phone/", "/hub/")
                put(home, other.replace("/-/", "/phone/"), standing[topic], retain=True)
            planted = Topics().inbox("hub", "phone", os.urandom(16))
            put(home, planted, b"planted", retain=True)
            assert [message["text"] for message in home.read("hub")] == ["21.5"]
            assert [message["text"] for message in home.read("phone")] == ["21.5"]
            assert not any(home.owing())
            home.stop()
            home.serve()  # which begins with a look at everything that stands there
            with onlooker(home) as snooper:
                assert inboxes(snooper.standing()) == []
        finally:
            home.stop()


# ------------------------------ a user who errs


def test_an_empty_message_is_sent_and_read_as_one(home: Home) -> None:
    home.send("", "hub")
    assert [message["text"] for message in home.read("hub")] == [""]


def test_a_message_to_nobody_or_too_large_is_refused_in_one_line_and_leaves_nothing(
    home: Home,
) -> None:
    send = ("device", "send", "--dir", "./thermo-1")
    assert "--to" in home.fails(*send, "x")
    assert "262144" in home.fails(*send, "--to", "hub", "-", text="x" * (256 * 1024 + 1)).replace(
        ",", ""
    )
    assert home.ok("device", "sent", "--dir", "./thermo-1", "--json").out == ""
    assert home.owing() == []
