"""What would tell the gateway who wrote, by order and time alone, or by a name said too early."""

import time
from dataclasses import replace

import pytest

from device_sdk import AnonymityError
from device_sdk.posting import Posting
from device_sdk.routing import SPREAD
from tests.support.hub_fleet import HubFleet
from tests.support.token_desk import CHANNEL, TokenDesk


@pytest.fixture
def tokens(hub_fleet: HubFleet) -> TokenDesk:
    return TokenDesk(hub_fleet.desk)


def watch(hub_fleet: HubFleet, tokens: TokenDesk) -> list[tuple[float, str]]:
    seen: list[tuple[float, str]] = []

    def take(carried: object) -> None:
        seen.append((time.monotonic(), carried.topic))  # type: ignore[attr-defined]
        tokens.take(carried)  # type: ignore[arg-type]

    hub_fleet.hub.on_publish = take
    return seen


def test_connecting_again_does_not_tell_the_gateway_whose_the_held_messages_are(
    hub_fleet: HubFleet, tokens: TokenDesk
) -> None:
    """Whatever is said in the device's name then, no question about them is beside it."""
    with hub_fleet.open("thermo-1") as device:
        for text in ("one", "two", "three"):
            device.send(text, channel=CHANNEL).wait_held(10)
        seen = watch(hub_fleet, tokens)
        device._courier.link.lose()  # type: ignore[attr-defined]
        device._courier.link.connect()  # type: ignore[attr-defined]
        device.send("by name", to=["hub"]).wait_held(10)
        device.refresh()
        with device._courier.changed:
            due = device._parts.unnamed.next_due()
            assert due is not None
            assert due - time.monotonic() > 30
    assert any("thermo-1" in topic for _, topic in seen)
    assert not [topic for _, topic in seen if "anonymous" in topic]


def test_a_message_that_waits_for_a_connection_follows_it_at_a_moment_of_its_own(
    hub_fleet: HubFleet, tokens: TokenDesk
) -> None:
    with hub_fleet.open("thermo-1") as device:
        device.send("one", channel=CHANNEL).wait_held(10)
        device._courier.link.lose()  # type: ignore[attr-defined]
        sent = device.send("two", channel=CHANNEL)
        seen = watch(hub_fleet, tokens)
        with device._courier.changed:
            outbox = device._parts.outbox
            outbox.retry_now(1000.0, SPREAD)
            due = outbox.next_due(0.0)
        assert due is not None
        assert 1000.0 < due <= 1000.0 + SPREAD
        device._courier.link.connect()  # type: ignore[attr-defined]
        sent.wait_held(SPREAD + 10)
    assert [topic for _, topic in seen if "/send/anonymous/" in topic]


def test_a_message_begun_without_a_name_is_not_sent_with_one(
    hub_fleet: HubFleet, tokens: TokenDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner takes the rule away while it is being sealed; `send` cannot be told not to."""
    desk, real = hub_fleet.desk, Posting.post_anonymous
    with hub_fleet.open("thermo-1") as device:
        device.send("one", channel=CHANNEL).wait_held(10)

        def while_sealing(self: Posting, *args: object) -> object:
            before = device._parts.rosters.roster
            desk.channels[CHANNEL] = replace(desk.channels[CHANNEL], anonymous=None)
            desk.publish_roster()
            with device._courier.changed:
                device._courier.wait(
                    lambda: device._parts.rosters.roster is not before, time.monotonic() + 5
                )
            return real(self, *args)  # type: ignore[arg-type]

        monkeypatch.setattr(Posting, "post_anonymous", while_sealing)
        seen = watch(hub_fleet, tokens)
        with pytest.raises(AnonymityError, match="nothing was sent"):
            device.send("the manager steals", channel=CHANNEL)
        assert len(device.sent()) == 1
    topics = [topic for _, topic in seen if "/send/" in topic]
    assert not any("thermo-1" in topic for topic in topics)


def test_a_message_that_must_be_anonymous_is_sent_to_no_channel_that_is_not(
    hub_fleet: HubFleet, tokens: TokenDesk
) -> None:
    entry = tokens.desk.channels[CHANNEL]
    tokens.desk.channels["by-name"] = replace(entry, anonymous=None)
    tokens.desk.publish_roster()
    with hub_fleet.open("thermo-1") as device:
        with pytest.raises(AnonymityError):
            device.send("tea", channel="by-name", anonymous=True)
        with pytest.raises(AnonymityError):
            device.send("tea", channel=CHANNEL, anonymous=False)
        assert device.sent() == []
        device.send("tea", channel="by-name").wait_held(10)
        device.send("tea", channel=CHANNEL, anonymous=True).wait_held(10)
