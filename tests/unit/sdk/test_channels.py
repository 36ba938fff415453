"""A message to a channel: to whom the owner says, and to nobody else."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from device_sdk import (
    LifetimeError,
    NoReadersLeftError,
    NotAdmittedError,
    NotPermittedError,
    ReadersError,
    RosterExpiredError,
    UnknownChannelError,
)
from device_sdk.channels import LeftOut, channel_wish, choose_channel_targets
from device_sdk.keys.reader_keys import ReaderKeys
from device_sdk.seal import Sealed, WrapTarget, seal
from device_sdk.series import Place
from device_sdk.state.state_file import StateFile
from device_sdk.wire.envelope import Envelope
from device_sdk.wire.key_statement import encode_key_list
from device_sdk.wire.limits import DAY
from device_sdk.wire.roster_page import ChannelEntry
from tests.support.fleet import NOW, Fleet
from tests.support.hub_fleet import HubFleet, await_key, await_roster

ME = "thermo-1"


def entry(*readers: str, senders: tuple[str, ...] = (ME,), lifetime: int = DAY) -> ChannelEntry:
    return ChannelEntry(readers=tuple(sorted(readers)), senders=senders, lifetime=lifetime)


@pytest.fixture
def fleet(device_fleet: Fleet) -> Fleet:
    device_fleet.channels["cellar"] = entry("hub", "phone")
    return device_fleet


@pytest.fixture
def keys(fleet: Fleet, tmp_path: Path) -> ReaderKeys:
    keys = ReaderKeys(StateFile(tmp_path / "state.sqlite"))
    for name in ("hub", "phone"):
        keys.take_list(name, encode_key_list([fleet.key_statement(name)]), fleet.roster())
    return keys


def choose(
    fleet: Fleet,
    keys: ReaderKeys,
    channel: str = "cellar",
    lifetime: timedelta | None = None,
    now: int = NOW,
    expires: int = NOW + 365 * DAY,
) -> tuple[list[WrapTarget], dict[str, str]]:
    roster = fleet.roster(expires=expires)
    targets, left_out = choose_channel_targets(
        channel_wish(channel, lifetime, now).draft(roster),
        sender=ME,
        sender_kid=fleet.identities[ME].kid,
        roster=roster,
        keys=keys,
    )
    return targets, dict(left_out)


# ------------------------------ what the roster says


def test_a_channels_readers_are_those_of_the_roster(fleet: Fleet, keys: ReaderKeys) -> None:
    assert choose(fleet, keys) == ([fleet.target("hub"), fleet.target("phone")], {})


def test_a_channels_messages_live_as_long_as_the_owner_says_unless_told_otherwise(
    fleet: Fleet,
) -> None:
    roster = fleet.roster()
    assert channel_wish("cellar", None, NOW).draft(roster).expires == NOW + DAY
    assert channel_wish("cellar", timedelta(hours=1), NOW).draft(roster).expires == NOW + 3600
    for lifetime in (timedelta(0), timedelta(days=31)):
        with pytest.raises(LifetimeError):
            channel_wish("cellar", lifetime, NOW)


def test_a_channel_that_the_roster_does_not_list_is_named(fleet: Fleet, keys: ReaderKeys) -> None:
    for name in ("attic", "direct", "Cellar", "a/b", ""):
        with pytest.raises(UnknownChannelError) as caught:
            choose(fleet, keys, name)
        assert caught.value.channel == name


def test_a_sender_that_the_owner_does_not_permit_is_refused(fleet: Fleet, keys: ReaderKeys) -> None:
    fleet.channels["cellar"] = entry("hub", senders=("stranger",))
    with pytest.raises(NotPermittedError) as caught:
        choose(fleet, keys)
    assert (caught.value.sender, caught.value.channel) == (ME, "cellar")


def test_a_revoked_sender_and_an_expired_roster_seal_nothing(
    fleet: Fleet, keys: ReaderKeys
) -> None:
    with pytest.raises(RosterExpiredError):
        choose(fleet, keys, expires=NOW)
    fleet.revoke(ME)
    with pytest.raises(NotAdmittedError, match="revoked"):
        choose(fleet, keys)


def test_readers_that_cannot_be_sealed_to_are_left_out_and_the_reason_is_told(
    fleet: Fleet, keys: ReaderKeys
) -> None:
    fleet.admit("gw-1", "gateway")
    fleet.channels["cellar"] = entry("hub", "phone", "stranger", "nobody", "gw-1")
    fleet.revoke("phone")
    targets, left_out = choose(fleet, keys)
    assert targets == [fleet.target("hub")]
    assert left_out == {
        "phone": LeftOut.REVOKED,
        "stranger": LeftOut.NO_KEY,
        "nobody": LeftOut.INACTIVE,
        "gw-1": LeftOut.INACTIVE,
    }


def test_a_reader_whose_key_ends_before_the_message_is_left_out(
    fleet: Fleet, keys: ReaderKeys
) -> None:
    with pytest.raises(NoReadersLeftError) as caught:
        choose(fleet, keys, now=NOW + 89 * DAY, lifetime=timedelta(days=2))
    assert caught.value.left_out == {"hub": LeftOut.NO_KEY, "phone": LeftOut.NO_KEY}
    assert "hub (no-key)" in str(caught.value)
    assert choose(fleet, keys, now=NOW + 89 * DAY)[1] == {}


def test_a_channel_without_readers_is_an_error(fleet: Fleet, keys: ReaderKeys) -> None:
    fleet.channels["cellar"] = entry()
    with pytest.raises(NoReadersLeftError, match="lists none"):
        choose(fleet, keys)


# ------------------------------ a device


@pytest.fixture
def cellar(hub_fleet: HubFleet) -> HubFleet:
    hub_fleet.desk.channels["cellar"] = entry("hub", "phone")
    hub_fleet.desk.publish_roster()
    return hub_fleet


def test_a_channel_message_reaches_every_reader_of_the_channel(cellar: HubFleet) -> None:
    with cellar.open(ME) as device:
        sent = device.send("21.5", channel="cellar")
        sent.wait_held(10)
        assert (sent.record.channel, sent.record.readers) == ("cellar", ("hub", "phone"))
        assert sent.left_out == {}
        assert sent.record.expires_at - sent.record.sent_at == timedelta(days=1)
        for name in ("hub", "phone"):
            with cellar.open(name) as reader, next(reader.inbox(timeout=10)) as message:
                assert (message.channel, message.text()) == ("cellar", "21.5")
        assert set(sent.wait_read(10).read_by) == {"hub", "phone"}


def test_readers_and_a_channel_exclude_each_other(cellar: HubFleet) -> None:
    with cellar.open(ME) as device:
        with pytest.raises(ReadersError, match="neither"):
            device.send("a")
        with pytest.raises(ReadersError, match="both"):
            device.send("a", to=["hub"], channel="cellar")
        assert device.sent() == []


def test_who_was_left_out_is_known_to_later_processes(cellar: HubFleet) -> None:
    cellar.desk.revoke("phone")
    cellar.desk.publish_roster()
    with cellar.open(ME) as device:
        sent = device.send("21.5", channel="cellar")
        sent.wait_held(10)
        assert sent.left_out == {"phone": "revoked"}
    with cellar.open(ME) as device:
        assert device.record(sent.message_id).left_out == {"phone": "revoked"}


def test_a_reader_whose_key_never_comes_is_waited_for_once_and_then_left_out(
    cellar: HubFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device_sdk.recipients.GRACE", 0.01)
    monkeypatch.setattr("device_sdk.recipients.ROSTER_GRACE", 0.05)
    cellar.desk.statements["phone"] = []
    cellar.desk.publish_keys("phone")
    with cellar.open(ME) as device:
        assert device.send("1", channel="cellar").left_out == {"phone": "no-key"}
        monkeypatch.setattr("device_sdk.recipients.ROSTER_GRACE", 1e6)  # the test would time out
        sent = device.send("2", channel="cellar", timeout=1e6)
        assert sent.left_out == {"phone": "no-key"}
        with cellar.open("phone"):  # it announces its key
            await_key(device, "phone")
        assert device.send("3", channel="cellar").left_out == {}


def test_each_set_of_readers_and_each_channel_has_a_series_of_its_own(cellar: HubFleet) -> None:
    cellar.desk.channels["attic"] = entry("hub", "phone")
    cellar.desk.publish_roster()
    with cellar.open(ME) as device:
        device.send("1", channel="cellar").wait_held(10)
        device.send("2", channel="cellar").wait_held(10)
        device.send("3", channel="attic").wait_held(10)
        device.send("4", to=["hub", "phone"]).wait_held(10)
        cellar.desk.revoke("phone")
        cellar.desk.publish_roster()
        await_roster(device, cellar.desk.version)
        device.send("5", channel="cellar").wait_held(10)
    envelopes = {one.payload: one for one in cellar.hub.wait_for("sealgate/1/send/thermo-1/+", 5)}
    places = [Place.of(Envelope.decode(data).body.header.sequence) for data in envelopes]
    assert [place.number for place in places] == [1, 2, 1, 1, 1]
    assert len({place.series for place in places}) == 4


def test_what_stands_in_the_channel_counts_by_the_newest_roster(cellar: HubFleet) -> None:
    with cellar.open(ME) as device:
        device.send("1", channel="cellar").wait_held(10)
        cellar.desk.channels["cellar"] = entry("phone")
        cellar.desk.publish_roster()
        await_roster(device, cellar.desk.version)
        assert device.send("2", channel="cellar").record.readers == ("phone",)
        del cellar.desk.channels["cellar"]
        cellar.desk.publish_roster()
        await_roster(device, cellar.desk.version)
        with pytest.raises(UnknownChannelError):
            device.send("3", channel="cellar", timeout=0)


def test_a_roster_that_comes_while_a_message_is_sealed_counts(
    cellar: HubFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed: list[Sealed] = []

    def slow(*values: Any, **fields: Any) -> Sealed:
        if not sealed:  # the owner revokes a reader in the very moment
            cellar.desk.revoke("phone")
            cellar.desk.publish_roster()
            await_roster(device, cellar.desk.version)
        sealed.append(seal(*values, **fields))
        return sealed[-1]

    monkeypatch.setattr("device_sdk.posting.seal", slow)
    with cellar.open(ME) as device:
        sent = device.send("21.5", channel="cellar")
        assert (sent.record.readers, sent.left_out) == (("hub",), {"phone": "revoked"})
        assert len(sealed) == 2
        assert len(device.sent()) == 1
