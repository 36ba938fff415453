"""Channels end to end: the owner names readers and senders, and nobody can add another."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from device_sdk import Device, RefusedError, RosterUnknownError
from device_sdk.wire import merkle
from device_sdk.wire.envelope import Copy, Inclusion
from device_sdk.wire.roster_page import RosterPage, page_hash
from device_sdk.wire.topics import Topics
from tests.brokers.mosquitto import Mosquitto
from tests.brokers.raw_client import RawClient
from tests.support.home import Home
from tests.support.owner import Owner

TOPICS = Topics()
PATIENCE = 60.0


@pytest.fixture
def greenhouse(home_on_each_broker: Home) -> Home:
    """The channel greenhouse: thermo-1 writes, hub and phone read."""
    home = home_on_each_broker
    Owner(home).set_channel("greenhouse", readers=["hub", "phone"], senders=["thermo-1"])
    return home


def test_a_message_to_a_channel_is_read_by_its_readers_and_then_gone(greenhouse: Home) -> None:
    sent = greenhouse.ok(
        *("device", "send", "--dir", "./thermo-1", "--channel", "greenhouse", "21.5", "--json")
    ).json
    assert [one["reader"] for one in sent["readers"]] == ["hub", "phone"]
    assert (sent["channel"], sent["left_out"]) == ("greenhouse", {})
    assert sent["expires_at"] - sent["sent_at"] == Owner.CHANNEL_LIFETIME
    for reader in ("hub", "phone"):
        (message,) = greenhouse.read(reader)
        assert (message["text"], message["channel"]) == ("21.5", "greenhouse")
    assert greenhouse.sent(sent["message_id"])["state"] == "settled"
    assert greenhouse.owing() == []


def test_a_sender_without_permission_is_refused_on_its_own_device(greenhouse: Home) -> None:
    error = greenhouse.fails(
        "device", "send", "--dir", "./hub", "--channel", "greenhouse", "--timeout", "0", "x"
    )
    assert error == "sealgate: the owner does not let hub write to the channel greenhouse"
    error = greenhouse.fails(
        "device", "send", "--dir", "./hub", "--channel", "attic", "--timeout", "0", "x"
    )
    assert error == "sealgate: the roster lists no channel named 'attic'"
    both = ("--channel", "greenhouse", "--to", "hub")
    assert "either --to or --channel" in greenhouse.fails(
        "device", "send", "--dir", "./thermo-1", *both, "x"
    )


def test_a_revoked_reader_is_left_out_and_the_others_get_the_message(greenhouse: Home) -> None:
    Owner(greenhouse).revoke("phone")
    done = greenhouse.ok(
        "device", "send", "--dir", "./thermo-1", "--channel", "greenhouse", "21.5", "--json"
    )
    assert done.json["left_out"] == {"phone": "revoked"}
    assert "phone is left out (revoked)" in done.err
    assert [one["text"] for one in greenhouse.read("hub")] == ["21.5"]


# ------------------------------ an operator who wants to read along


class Operator:
    """Somebody with all rights at the broker, but none of the owner's or the devices' keys."""

    def __init__(self, home: Home) -> None:
        self._port = urlsplit(home.url).port or 0

    async def retain(self, topic: str, payload: bytes) -> None:
        """Publish retained, past every rule."""
        async with await RawClient.dial(self._port) as client:
            await client.connect("operator", "operator", "any")
            await client.publish(topic, payload, retain=True)

    async def take_copy(self, reader: str) -> tuple[str, bytes]:
        """Return a copy that stands at the broker, and its topic."""
        async with await RawClient.dial(self._port) as client:
            await client.connect("operator-2", "operator", "any")
            await client.subscribe(TOPICS.inbox_of(reader))
            message = await client.next()
            assert message is not None
            return message.topic, message.payload


@pytest.fixture
def operated(made_home: Path, tmp_path: Path, mosquitto: str) -> Iterator[Home]:
    """A home beside a Mosquitto without access rules: its operator may do anything there."""
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        home = Home(made_home, tmp_path / "home", broker=broker.url)
        try:
            home.serve()
            home.trust()
            Owner(home).set_channel("greenhouse", readers=["hub"], senders=["thermo-1"])
            yield home
        finally:
            home.stop()


def ghosts(copy: Copy) -> Sequence[tuple[Copy, str]]:
    """Return copies for phone, which is no reader, as a gateway could cut them; and the error."""
    ghost = replace(copy.reader, reader="phone")
    second, longer = Inclusion(index=1, path=()), Inclusion(index=0, path=(os.urandom(32),))
    return [
        (replace(copy, reader=ghost), "not part of the reader list that the sender signed"),
        (replace(copy, reader=ghost, inclusion=second), "is outside the 1 readers signed for"),
        (replace(copy, reader=ghost, inclusion=longer), "longer than the tree is high"),
    ]


async def test_a_gateway_that_adds_a_ghost_reader_is_refused_by_the_root_of_the_tree(
    operated: Home, caplog: pytest.LogCaptureFixture
) -> None:
    operated.ok("device", "send", "--dir", "./thermo-1", "--channel", "greenhouse", "21.5")
    operator = Operator(operated)
    topic, data = await operator.take_copy("hub")
    ghost_topic = TOPICS.inbox("phone", "thermo-1", TOPICS.parse(topic).message_id)
    assert operated.stop() == 0  # an honest gateway would clear what it has not made
    for ghost, error in ghosts(Copy.decode(data)):
        caplog.clear()
        await operator.retain(ghost_topic, ghost.encode())
        with Device.open(operated.directory / "phone") as phone:
            assert list(phone.inbox(timeout=1)) == []
            with phone._courier.changed:
                assert len(phone._parts.inbox.wanted) == 1
                assert phone._parts.inbox.count_unconfirmed() == 0  # nothing was signed about it
        assert error in caplog.text


async def test_a_header_with_the_ghosts_own_tree_is_no_message_of_the_sender(
    operated: Home, caplog: pytest.LogCaptureFixture
) -> None:
    operated.ok("device", "send", "--dir", "./thermo-1", "--channel", "greenhouse", "21.5")
    operator = Operator(operated)
    topic, data = await operator.take_copy("hub")
    ghost_topic = TOPICS.inbox("phone", "thermo-1", TOPICS.parse(topic).message_id)
    assert operated.stop() == 0
    copy = Copy.decode(data)
    reader = replace(copy.reader, reader="phone")
    header = replace(copy.body.header, reader_root=merkle.root([reader.leaf_hash()]))
    body = replace(copy.body, protected=header.encode(), header=header)
    ghost = replace(copy, body=body, reader=reader, inclusion=Inclusion(index=0, path=()))
    await operator.retain(ghost_topic, ghost.encode())
    with Device.open(operated.directory / "phone") as phone:
        assert list(phone.inbox(timeout=1)) == []
    assert "the signature does not verify" in caplog.text


async def test_a_roster_page_with_a_ghost_reader_is_not_believed(
    operated: Home, caplog: pytest.LogCaptureFixture
) -> None:
    roster = Owner(operated).roster()
    (page,) = roster.pages
    readers = replace(roster.channels["greenhouse"], readers=("hub", "phone"))
    forged = replace(RosterPage.decode(page), channels={"greenhouse": readers}).encode()
    assert operated.stop() == 0
    await Operator(operated).retain(TOPICS.roster_page(page_hash(page)), forged)
    with (  # it has never been open, so that it has to fetch the roster
        Device.open(operated.directory / "thermo-1") as device,
        pytest.raises(RosterUnknownError),
    ):
        device.send("21.5", channel="greenhouse", timeout=2)
    assert "not the one that its topic names" in caplog.text


async def test_a_sender_that_seals_a_channels_message_to_a_ghost_is_refused_by_the_gateway(
    operated: Home,
) -> None:
    with Device.open(operated.directory / "thermo-1") as device:
        device.send("so that the roster is known", channel="greenhouse").wait_held(PATIENCE)
        with device._courier.changed:  # a dishonest sender takes its own word for the owner's
            rosters = device._parts.rosters
            assert rosters.roster is not None
            wider = replace(rosters.roster.channels["greenhouse"], readers=("hub", "phone"))
            rosters.roster = replace(rosters.roster, channels={"greenhouse": wider})
        sent = device.send("21.5", channel="greenhouse")
        with pytest.raises(RefusedError) as caught:
            sent.wait_held(PATIENCE)
        assert caught.value.reason == "reader-unknown"
