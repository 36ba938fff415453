"""What the owner can change, and what it cannot: members to members, without files or keys."""

from dataclasses import replace

import pytest

from device_sdk.identity import Identity
from device_sdk.wire.limits import DAY, MAX_LIFETIME
from device_sdk.wire.roster_page import ChannelEntry, DeviceEntry
from gateway.owner import changes
from gateway.owner.errors import NotChangedError
from gateway.owner.signing import Members

from .conftest import NOW

ENTRY = DeviceEntry(identities=(Identity.generate().spki,), roles=("device",), not_after=NOW)
AIR = ChannelEntry(readers=("hub", "phone"), senders=("thermo-1",), lifetime=DAY)
MEMBERS = Members(
    devices={
        **dict.fromkeys(("hub", "phone", "thermo-1"), ENTRY),
        "gw-1": replace(ENTRY, roles=("gateway",)),
        "lost": replace(ENTRY, revoked_at=7),
    },
    channels={"air": AIR},
)


def test_renewing_changes_nobody() -> None:
    assert changes.renew(MEMBERS, 8) == MEMBERS


@pytest.mark.parametrize("name", ["hub", "gw-1"])
def test_whoever_is_revoked_stays_listed_with_the_version_that_did_it(name: str) -> None:
    revoked = changes.revoke(MEMBERS, name, 8)
    assert revoked.devices[name] == replace(MEMBERS.devices[name], revoked_at=8)
    assert revoked.devices.keys() == MEMBERS.devices.keys()
    assert revoked.channels == MEMBERS.channels


@pytest.mark.parametrize(("name", "reason"), [("hubb", "no device"), ("lost", "version 7")])
def test_only_somebody_who_is_there_can_be_revoked_and_only_once(name: str, reason: str) -> None:
    with pytest.raises(NotChangedError, match=reason):
        changes.revoke(MEMBERS, name, 8)


class TestSettingAChannel:
    """A channel as a whole."""

    def test_a_new_one_holds_its_messages_for_a_week(self) -> None:
        made = changes.set_channel(
            MEMBERS, "doors", readers=["phone", "hub", "hub"], senders=["hub"]
        )
        assert made.channels == {
            "air": AIR,
            "doors": ChannelEntry(readers=("hub", "phone"), senders=("hub",), lifetime=7 * DAY),
        }

    def test_a_known_one_keeps_its_lifetime_unless_it_is_given_another(self) -> None:
        for given, lifetime in ((None, DAY), (60, 60)):
            made = changes.set_channel(
                MEMBERS, "air", readers=["hub"], senders=["hub"], lifetime=given
            )
            assert made.channels["air"] == ChannelEntry(
                readers=("hub",), senders=("hub",), lifetime=lifetime
            )

    @pytest.mark.parametrize(
        ("name", "readers", "lifetime", "reason"),
        [
            ("direct", ["hub"], DAY, "direct"),
            ("Air", ["hub"], DAY, "a-z 0-9"),
            ("doors", [], DAY, "at least one reader"),
            ("air", ["hubb"], DAY, "no device named hubb"),
            ("air", ["gw-1"], DAY, "no device but a gateway"),
            ("air", ["lost"], DAY, "revoked"),
            ("air", ["hub"], 0, "seconds"),
            ("air", ["hub"], MAX_LIFETIME + 1, "30 days"),
        ],
    )
    def test_what_makes_no_sense_is_refused(
        self, name: str, readers: list[str], lifetime: int, reason: str
    ) -> None:
        with pytest.raises(NotChangedError, match=reason):
            changes.set_channel(
                MEMBERS, name, readers=readers, senders=["thermo-1"], lifetime=lifetime
            )

    def test_more_readers_than_a_message_can_have_are_refused(self) -> None:
        names = [f"device-{number}" for number in range(1001)]
        members = Members(devices=dict.fromkeys(names, ENTRY), channels={})
        changes.set_channel(members, "all", readers=names[:1000], senders=names[:1])
        with pytest.raises(NotChangedError, match="1000 readers at most, got 1001"):
            changes.set_channel(members, "all", readers=names, senders=names[:1])


def test_members_are_added_to_a_channel_that_is_there() -> None:
    more = changes.add_to_channel(MEMBERS, "air", readers=["thermo-1", "hub"], senders=["hub"])
    assert more.channels["air"] == ChannelEntry(
        readers=("hub", "phone", "thermo-1"), senders=("hub", "thermo-1"), lifetime=DAY
    )


@pytest.mark.parametrize(
    ("channel", "readers", "reason"),
    [
        ("doors", ["hub"], "no channel named doors"),
        ("air", ["hub"], "already"),
        ("air", ["lost"], "revoked"),
        ("air", ["hubb"], "no device named hubb"),
    ],
)
def test_an_addition_that_adds_nobody_is_refused(
    channel: str, readers: list[str], reason: str
) -> None:
    with pytest.raises(NotChangedError, match=reason):
        changes.add_to_channel(MEMBERS, channel, readers=readers, senders=[])


def test_a_revoked_reader_can_be_left_in_a_channel_or_taken_out() -> None:
    members = changes.revoke(MEMBERS, "phone", 8)
    more = changes.add_to_channel(members, "air", readers=["thermo-1"], senders=[])
    assert "phone" in more.channels["air"].readers
    fewer = changes.remove_from_channel(more, "air", readers=["phone"], senders=[])
    assert fewer.channels["air"].readers == ("hub", "thermo-1")


@pytest.mark.parametrize(
    ("channel", "readers", "senders", "reason"),
    [
        ("doors", ["hub"], [], "no channel named doors"),
        ("air", ["thermo-1"], [], "no reader of channel air"),
        ("air", ["hub", "phone"], [], "no reader left"),
        ("air", [], ["thermo-1"], "no sender left"),
    ],
)
def test_a_channel_keeps_somebody_to_read_and_to_send(
    channel: str, readers: list[str], senders: list[str], reason: str
) -> None:
    with pytest.raises(NotChangedError, match=reason):
        changes.remove_from_channel(MEMBERS, channel, readers=readers, senders=senders)


def test_a_channel_goes_as_a_whole() -> None:
    assert changes.remove_channel(MEMBERS, "air") == replace(MEMBERS, channels={})
    with pytest.raises(NotChangedError, match="no channel"):
        changes.remove_channel(MEMBERS, "doors")
