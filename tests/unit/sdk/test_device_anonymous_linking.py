"""What would tell the gateway who wrote, by order and time alone, or by a name said too early."""

import time
from dataclasses import replace

import pytest

from device_sdk import AnonymityError
from device_sdk.posting import Posting
from device_sdk.wire.topics import Kind
from tests.support.desk import TOPICS
from tests.support.hub_fleet import HubFleet
from tests.support.token_desk import CHANNEL, TokenDesk

OPEN = pytest.mark.xfail(strict=True, reason="not defended against yet")


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


@OPEN
def test_10_a_device_that_connects_to_send_does_not_say_its_name_to_the_gateway_just_before(
    hub_fleet: HubFleet, tokens: TokenDesk
) -> None:
    """As `sealgate device send` does each time. It has its tokens from an earlier run."""
    with hub_fleet.open("thermo-1") as device:
        device.send("one", channel=CHANNEL).wait_held(10)
    seen = watch(hub_fleet, tokens)
    with hub_fleet.open("thermo-1") as device:
        device.send("two", channel=CHANNEL).wait_held(10)
    began = seen[0][0]
    for at, topic in seen:
        print(f"{(at - began) * 1e3:7.1f} ms {topic}")
    sent = next(at for at, topic in seen if "/send/anonymous/" in topic)
    named = [t for at, t in seen if "thermo-1" in t and abs(at - sent) < 1]
    assert not named, named


@OPEN
def test_11_questions_about_several_messages_do_not_come_all_at_once(
    hub_fleet: HubFleet, tokens: TokenDesk
) -> None:
    with hub_fleet.open("thermo-1") as device:
        for text in ("one", "two", "three"):
            device.send(text, channel=CHANNEL).wait_held(10)
    seen = watch(hub_fleet, tokens)
    with hub_fleet.open("thermo-1") as device, device._courier.changed:
        device._courier.wait(lambda: len(tokens.asked) >= 3, time.monotonic() + 5)
    asked = [
        at for at, topic in seen if TOPICS.parse(topic).kind is Kind.QUERY and "anonymous" in topic
    ]
    print([f"{(at - asked[0]) * 1e3:.1f} ms" for at in asked])
    assert asked[-1] - asked[0] > 1, "one connection after the other, within milliseconds"


@OPEN
def test_12_connecting_again_does_not_tell_the_gateway_whose_the_held_messages_are(
    hub_fleet: HubFleet, tokens: TokenDesk
) -> None:
    """Nothing is sent: each new connection says the name, then asks for the own messages by id."""
    with hub_fleet.open("thermo-1") as device:
        device.send("one", channel=CHANNEL).wait_held(10)
        device.send("two", channel=CHANNEL).wait_held(10)
        seen = watch(hub_fleet, tokens)
        time.sleep(0.2)
        assert not seen
        device._courier.link.lose()  # type: ignore[attr-defined]
        device._courier.link.connect()  # type: ignore[attr-defined]
        with device._courier.changed:
            device._courier.wait(lambda: len(tokens.asked) >= 2, time.monotonic() + 5)
    for at, topic in seen:
        print(f"{(at - seen[0][0]) * 1e3:7.1f} ms {topic}")
    print("asked for:", [q.message_id.hex()[:8] for q in tokens.asked])
    named = [at for at, topic in seen if "thermo-1" in topic]
    anonymous = [at for at, topic in seen if topic.endswith("query/anonymous")]
    assert anonymous[0] - named[0] > 1


def test_16_a_message_begun_without_a_name_is_not_sent_with_one(
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
