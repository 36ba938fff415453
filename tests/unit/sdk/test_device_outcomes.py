"""What a sending device is told about its messages, and what it makes of it."""

from datetime import timedelta

import pytest

from device_sdk import (
    Device,
    ExpiredError,
    LostError,
    NotHeldYetError,
    OutcomeForgottenError,
    RefusedError,
    State,
)
from device_sdk.identity import Identity
from device_sdk.wire.notice import FINISHED, SENDER_REVOKED, Event, EventKind
from device_sdk.wire.reasons import Reason
from tests.support.hub_fleet import HubFleet

HUB = ["hub"]


# ------------------------------ lies


def test_held_by_anybody_but_the_gateway_confirms_nothing(hub_fleet: HubFleet) -> None:
    desk = hub_fleet.desk
    with hub_fleet.open("thermo-1") as device:
        genuine = device.send("a", to=HUB)
        genuine.wait_held(10)
        held = desk.event(EventKind.HELD, bytes.fromhex(genuine.message_id))
        desk.is_silent = True
        sent = device.send("b", to=HUB)
        message_id = bytes.fromhex(sent.message_id)
        hub_fleet.hub.wait_for(f"sealgate/1/send/thermo-1/{sent.message_id}")
        desk.is_silent = False
        digest = device._parts.outbox.get(message_id).digest  # type: ignore[union-attr]
        forged = Event(kind=EventKind.HELD, sender="thermo-1", message_id=message_id, digest=digest)
        stranger = Identity.generate()
        desk.notice("thermo-1", forged, signer=stranger)
        desk.notice("hub", forged, topic="sealgate/1/notice/thermo-1")
        desk.notice("thermo-1", held)  # crossed: it is about another message
        device.waiting()
        assert sent.record.state is State.WAITING
        desk.notice("thermo-1", forged)  # the gateway itself
        sent.wait_held(10)


def test_an_old_unknown_played_again_does_not_make_a_message_look_lost(
    hub_fleet: HubFleet,
) -> None:
    desk = hub_fleet.desk
    link = hub_fleet.hub.link("thermo-1")
    with hub_fleet.open("thermo-1", link) as device:
        device.send("a", to=HUB).wait_held(10)
        sent = device.send("b", to=HUB)
        sent.wait_held(10)
        unknown = Event(
            kind=EventKind.UNKNOWN,
            sender="thermo-1",
            message_id=bytes.fromhex(sent.message_id),
        )
        old_query = desk.asked[0]  # made before the message was
        replayed = desk.notice("thermo-1", unknown)
        hub_fleet.hub.put("sealgate/1/notice/thermo-1", replayed)
        desk.notice("thermo-1", unknown, nonce=old_query.nonce, owed=0)
        device.waiting()
        assert sent.record.state is State.HELD


def test_a_held_message_that_the_gateway_has_forgotten_is_reported_as_lost(
    hub_fleet: HubFleet,
) -> None:
    with hub_fleet.open("thermo-1") as device:
        sent = device.send("a", to=HUB)
        sent.wait_held(10)
        hub_fleet.desk.events.clear()
        device.refresh()
        with pytest.raises(LostError) as caught:
            sent.wait_read(10)
        assert caught.value.outcome.waiting_for == ("hub",)


# ------------------------------ how a message may end


def refuse(hub_fleet: HubFleet, device: Device, reason: Reason) -> str:
    """Let the gateway refuse the next message; return its id."""
    desk = hub_fleet.desk
    device.refresh()
    desk.is_silent = True
    sent = device.send("a", to=HUB)
    message_id = bytes.fromhex(sent.message_id)
    hub_fleet.hub.wait_for(f"sealgate/1/send/thermo-1/{sent.message_id}")
    digest = device._parts.outbox.get(message_id).digest  # type: ignore[union-attr]
    desk.is_silent = False
    event = Event(
        kind=EventKind.REFUSED,
        sender="thermo-1",
        message_id=message_id,
        digest=digest,
        word=reason,
    )
    desk.events[message_id.hex()] = [event]
    desk.notice("thermo-1", event)
    return sent.message_id


def test_a_final_refusal_is_raised_with_its_reason(hub_fleet: HubFleet) -> None:
    with hub_fleet.open("thermo-1") as device:
        sent = device.find(refuse(hub_fleet, device, Reason.SENDER_INACTIVE))
        for wait in (sent.wait_held, sent.wait_read):
            with pytest.raises(RefusedError) as caught:
                wait(10)
            assert caught.value.reason == "sender-inactive"


def test_a_refusal_for_now_is_named_when_the_wait_ends(hub_fleet: HubFleet) -> None:
    with hub_fleet.open("thermo-1") as device:
        sent = device.find(refuse(hub_fleet, device, Reason.QUOTA))
        device.refresh()
        with pytest.raises(NotHeldYetError, match="quota"):
            sent.wait_held(0)


def test_a_message_expires_by_the_devices_own_clock(hub_fleet: HubFleet) -> None:
    with hub_fleet.open("thermo-1") as device:
        sent = device.send("a", to=HUB, lifetime=timedelta(seconds=1))
        with pytest.raises(ExpiredError) as caught:
            sent.wait_read(20)
        assert caught.value.outcome.waiting_for == ("hub",)


def test_an_outcome_that_came_too_late_is_called_forgotten(hub_fleet: HubFleet) -> None:
    with hub_fleet.open("thermo-1") as device:
        sent = device.send("a", to=HUB)
        sent.wait_held(10)
        event = hub_fleet.desk.event(EventKind.HELD, bytes.fromhex(sent.message_id), word=FINISHED)
        hub_fleet.desk.notice("thermo-1", event)
        with pytest.raises(OutcomeForgottenError):
            sent.wait_read(10)
        sent.wait_held(0)


# ------------------------------ a notice that is ahead of the roster


def test_the_only_word_to_a_revoked_sender_counts_although_it_came_before_the_roster(
    hub_fleet: HubFleet,
) -> None:
    desk = hub_fleet.desk
    with hub_fleet.open("thermo-1") as device:
        sent = device.send("a", to=HUB)
        sent.wait_held(10)
        message_id = bytes.fromhex(sent.message_id)
        desk.revoke("thermo-1")
        desk.version += 1
        desk.notice("thermo-1", desk.event(EventKind.EXPIRED, message_id, word=SENDER_REVOKED))
        device.waiting()
        assert sent.record.state is State.HELD  # the roster known here does not say so
        desk.is_silent = True  # a gateway does not answer a revoked device
        desk.publish_roster(version=desk.version)
        with pytest.raises(ExpiredError, match=SENDER_REVOKED):
            sent.wait_read(10)
