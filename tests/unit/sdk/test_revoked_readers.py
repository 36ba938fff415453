"""No message waits for a device that the owner has revoked, and nothing more is sealed to it."""

import pytest

from device_sdk import NotAdmittedError, State, UnknownReaderError
from device_sdk.outbox.outgoing import Noted, Verdict
from tests.support.fleet import NOW
from tests.support.hub_fleet import HubFleet, await_roster
from tests.support.sender import HUB, PHONE, Sender


def revoke(sender: Sender, *names: str) -> None:
    for name in names:
        sender.fleet.revoke(name)
    sender.roster = sender.fleet.roster()
    sender.box.excuse_revoked(sender.roster, NOW)


def test_a_revoked_reader_is_excused_with_the_owners_roster_as_evidence(sender: Sender) -> None:
    waiting, held = sender.send(HUB, PHONE), sender.held(HUB, PHONE)
    revoke(sender, PHONE)
    for sealed, state in ((waiting, State.WAITING), (held, State.HELD)):
        message = sender.get(sealed)
        slot = message.slot(PHONE)
        assert (message.owing, message.state) == ([HUB], state)
        assert slot is not None
        assert (slot.verdict, slot.detail, slot.at) == (Verdict.EXCUSED, "revoked", NOW)
        assert slot.evidence == sender.roster.head.data
        sender.hear(sender.read(sealed, HUB))
        assert sender.get(sealed).state is State.SETTLED


def test_what_only_revoked_devices_could_read_is_not_sent_any_more(sender: Sender) -> None:
    gone, stays = sender.send(PHONE), sender.send(HUB, PHONE)
    revoke(sender, PHONE)
    assert sender.get(gone).state is State.SETTLED
    assert sender.envelopes() == [stays.envelope]
    assert sender.get(gone).noted is Noted.OWED  # a gateway that holds it may forget it


def test_a_readers_ack_that_crosses_its_revocation_still_counts(sender: Sender) -> None:
    sealed = sender.held(PHONE)
    revoke(sender, PHONE)
    sender.hear(sender.read(sealed, PHONE))
    assert sender.verdict(sealed, PHONE) is Verdict.READ


def test_what_was_read_or_is_over_stays_as_it_is(sender: Sender) -> None:
    read, over = sender.held(HUB, PHONE), sender.held(HUB, expires=NOW + 10)
    sender.hear(sender.read(read, HUB))
    sender.box.expire(NOW + 10)
    revoke(sender, HUB)
    assert sender.verdict(read, HUB) is Verdict.READ
    assert sender.get(over).state is State.EXPIRED
    assert sender.verdict(over, HUB) is Verdict.OWED


# ------------------------------ a device


def test_a_message_to_two_ends_when_one_has_read_and_the_other_is_revoked(
    hub_fleet: HubFleet,
) -> None:
    with hub_fleet.open("thermo-1") as device:
        sent = device.send("21.5", to=["hub", "phone"])
        sent.wait_held(10)
        assert hub_fleet.read("hub") == [b"21.5"]
        hub_fleet.desk.revoke("phone")
        hub_fleet.desk.publish_roster()
        outcome = sent.wait_read(10)
        assert (set(outcome.read_by), outcome.excused) == ({"hub"}, {"phone": "revoked"})
        assert outcome.evidence["phone"] == device._parts.rosters.roster.head.data  # type: ignore[union-attr]
        with pytest.raises(UnknownReaderError):
            device.send("22.0", to=["hub", "phone"], timeout=0)


def test_a_revocation_counts_also_if_the_process_ended_before_it_was_acted_on(
    hub_fleet: HubFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_fleet.desk.is_silent = True
    with hub_fleet.open("thermo-1") as device:
        sent = device.send("21.5", to=["phone"])
        monkeypatch.setattr("device_sdk.outbox.outbox.Outbox.excuse_revoked", lambda *_: None)
        hub_fleet.desk.revoke("phone")
        hub_fleet.desk.publish_roster()
        await_roster(device, hub_fleet.desk.version)
    monkeypatch.undo()
    link = hub_fleet.hub.link("thermo-1")
    link.is_absent = True
    with hub_fleet.open("thermo-1", link) as device:
        assert device.find(sent.message_id).wait_read(10).excused == {"phone": "revoked"}


def test_a_revoked_device_seals_nothing(hub_fleet: HubFleet) -> None:
    with hub_fleet.open("thermo-1") as device:
        device.send("1", to=["hub"]).wait_held(10)
        hub_fleet.desk.revoke("thermo-1")
        hub_fleet.desk.publish_roster()
        await_roster(device, hub_fleet.desk.version)
        with pytest.raises(NotAdmittedError, match="revoked"):
            device.send("2", to=["hub"], timeout=0)
        assert len(device.sent()) == 1
