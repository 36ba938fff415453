"""A device that sends anonymously: how it comes by tokens, spends them, and what it never says."""

import os
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from device_sdk import Device, LifetimeError, NoTokenError, ReportKind, State
from device_sdk.wire import cose
from device_sdk.wire.epoch_key import TokenKeys
from device_sdk.wire.limits import ANONYMOUS_STEP
from device_sdk.wire.notice import EventKind
from device_sdk.wire.tree_head import leaf_of
from tests.support.desk import TOPICS
from tests.support.gateway_log import GatewayLog
from tests.support.hub_fleet import HubFleet, await_roster
from tests.support.token_desk import CHANNEL, RULE, TokenDesk


@pytest.fixture
def tokens(hub_fleet: HubFleet) -> TokenDesk:
    """A gateway that issues tokens for the channel box."""
    return TokenDesk(hub_fleet.desk)


def wait_until(device: Device, done: Callable[[], bool]) -> None:
    with device._courier.changed:
        assert device._courier.wait(done, time.monotonic() + 10)


def left(device: Device) -> int:
    with device._courier.changed:
        return device._parts.purse.left(CHANNEL, RULE, int(time.time()))


def send(hub_fleet: HubFleet, text: str) -> str:
    with hub_fleet.open("thermo-1") as device:
        sent = device.send(text, channel=CHANNEL)
        sent.wait_held(10)
        return sent.message_id


def test_what_is_sent_to_an_anonymous_channel_names_nobody(
    hub_fleet: HubFleet, tokens: TokenDesk
) -> None:
    message_id = bytes.fromhex(send(hub_fleet, "tea"))
    (carried,) = hub_fleet.hub.wait_for(TOPICS.send("anonymous", message_id))
    assert carried.client == "anonymous"
    assert b"thermo-1" not in carried.payload
    (envelope,) = tokens.envelopes
    assert tokens.is_genuine(envelope)
    header = envelope.body.header
    assert header.issued <= time.time() < header.issued + ANONYMOUS_STEP + 60
    with hub_fleet.open("hub") as hub:
        (message,) = hub.inbox(timeout=10, until_empty=True)
        assert (message.sender, message.text(), message.missed) == ("anonymous", "tea", ())


def test_tokens_are_asked_for_in_full_and_for_the_next_period_as_well(
    hub_fleet: HubFleet, tokens: TokenDesk
) -> None:
    with hub_fleet.open("thermo-1") as device:
        wait_until(device, lambda: left(device) == RULE.tokens)
        wait_until(device, lambda: len(tokens.requests) == 2)
    assert {request.key_id for request in tokens.requests} == {k.key_id for k in tokens.keys}
    assert {len(request.blinded) for request in tokens.requests} == {RULE.tokens}


def test_the_same_is_asked_for_again_after_a_restart(
    hub_fleet: HubFleet, tokens: TokenDesk
) -> None:
    tokens.is_silent = True
    for _ in range(2):
        with hub_fleet.open("thermo-1") as device:
            seen = len(tokens.requests)
            wait_until(device, lambda seen=seen: len(tokens.requests) >= seen + 2)  # type: ignore[misc]
    assert len({request.digest for request in tokens.requests}) == 2
    tokens.is_silent = False
    send(hub_fleet, "tea")


def test_a_token_is_gone_before_its_message_leaves(hub_fleet: HubFleet, tokens: TokenDesk) -> None:
    counts: list[int] = []
    with hub_fleet.open("thermo-1") as device:
        wait_until(device, lambda: left(device) == RULE.tokens)
        take = tokens.take

        def watching(carried: object) -> None:
            counts.append(device._parts.purse.left(CHANNEL, RULE, int(time.time())))
            take(carried)  # type: ignore[arg-type]

        hub_fleet.hub.on_publish = watching
        device.send("tea", channel=CHANNEL).wait_held(10)
    assert set(counts) == {RULE.tokens - 1}


def test_a_retry_is_the_same_bytes(hub_fleet: HubFleet, tokens: TokenDesk) -> None:
    with hub_fleet.open("thermo-1") as device:
        wait_until(device, lambda: left(device) == RULE.tokens)
        tokens.is_silent = True
        message_id = bytes.fromhex(device.send("tea", channel=CHANNEL).message_id)
        hub_fleet.hub.wait_for(TOPICS.send("anonymous", message_id))
    tokens.is_silent = False
    with hub_fleet.open("thermo-1") as device:
        device.find(message_id.hex()).wait_held(10)
    carried = hub_fleet.hub.wait_for(TOPICS.send("anonymous", message_id), 2)
    assert len({one.payload for one in carried}) == 1
    with hub_fleet.open("thermo-1") as device:
        assert left(device) == RULE.tokens - 1


def test_without_tokens_nothing_is_sealed(hub_fleet: HubFleet, tokens: TokenDesk) -> None:
    tokens.denial = "not-permitted"
    with hub_fleet.open("thermo-1") as device:
        with pytest.raises(NoTokenError, match=r"issues none \(not-permitted\)"):
            device.send("tea", channel=CHANNEL)
        assert device.sent() == []


def test_when_all_are_spent_the_application_is_told_until_when(
    hub_fleet: HubFleet, tokens: TokenDesk
) -> None:
    with hub_fleet.open("thermo-1") as device:
        for _ in range(RULE.tokens):
            device.send("tea", channel=CHANNEL).wait_held(10)
        with pytest.raises(NoTokenError, match="the next one begins at"):
            device.send("tea", channel=CHANNEL)
        device.send("by name", to=["hub"]).wait_held(10)


def test_an_answer_by_another_key_than_the_one_shown_is_not_used(
    hub_fleet: HubFleet, tokens: TokenDesk, caplog: pytest.LogCaptureFixture
) -> None:
    tokens.cheat_with = os.urandom(32)
    with hub_fleet.open("thermo-1") as device:
        with pytest.raises(NoTokenError):
            device.send("tea", channel=CHANNEL, timeout=1)
        assert left(device) == 0
    assert "not made with the key that the gateway shows" in caplog.text


def test_a_second_key_for_a_period_is_reported_and_not_used(
    hub_fleet: HubFleet, tokens: TokenDesk
) -> None:
    send(hub_fleet, "tea")
    first = hub_fleet.hub.retained[TOPICS.tokens("gw-1")]
    own = tokens.draw()
    second = tokens.show([own, tokens.keys[1]])
    with hub_fleet.open("thermo-1") as device:
        wait_until(device, lambda: bool(device.log_reports()))
        device.send("coffee", channel=CHANNEL).wait_held(10)
        (report,) = device.log_reports()
    assert (report.kind, report.gateway) == (ReportKind.SECOND_KEY, "gw-1")
    assert (report.first, report.second) == (first, second)
    assert "may not be anonymous" in str(report)
    assert {e.body.header.key_id for e in tokens.envelopes} == {tokens.keys[0].key_id}
    assert own.key_id not in {request.key_id for request in tokens.requests}


def test_a_reader_notices_a_key_that_only_the_sender_was_shown(
    hub_fleet: HubFleet, tokens: TokenDesk
) -> None:
    own = tokens.draw()
    tokens.show([own])
    send(hub_fleet, "tea")  # under a key of its own
    shown = tokens.show(tokens.keys)
    with hub_fleet.open("hub") as hub:
        assert len(list(hub.inbox(timeout=10, until_empty=True))) == 1  # it is read all the same
        (report,) = hub.log_reports()
    assert (report.kind, report.first, report.second) == (ReportKind.SECOND_KEY, shown, b"")


def test_a_list_that_is_not_the_gateways_is_not_believed(
    hub_fleet: HubFleet, tokens: TokenDesk, caplog: pytest.LogCaptureFixture
) -> None:
    desk = hub_fleet.desk
    record = TokenKeys(gateway="gw-2", time=1, keys=(tokens.draw(),))
    hub_fleet.hub.put(
        TOPICS.tokens("gw-1"), cose.sign(record, desk.gateway, desk.pin.aad), retain=True
    )
    with hub_fleet.open("thermo-1") as device, pytest.raises(NoTokenError):
        device.send("tea", channel=CHANNEL, timeout=1)
    assert "another gateway's than its topic's" in caplog.text


def test_the_key_in_use_is_looked_up_in_the_log(hub_fleet: HubFleet, tokens: TokenDesk) -> None:
    desk = hub_fleet.desk
    log = GatewayLog(desk.gateway, desk.pin.aad, time=int(time.time()))
    log.add(leaf_of(tokens.keys[0]))
    desk.publish_log(log)
    with hub_fleet.open("thermo-1") as device:
        device.send("tea", channel=CHANNEL).wait_held(10)
        entries = device._parts.log.entries
        wait_until(
            device, lambda: not any("tokens for box" in about for about in entries.wanted.values())
        )
        leaves = {leaf for leaf, about in entries._in_use.values() if "tokens for box" in about}
    assert leaves == {leaf_of(tokens.keys[0])}


def test_nothing_is_asked_or_said_in_the_devices_name_about_an_anonymous_message(
    hub_fleet: HubFleet, tokens: TokenDesk
) -> None:
    message_id = bytes.fromhex(send(hub_fleet, "tea"))
    hub_fleet.read()
    with hub_fleet.open("thermo-1") as device:
        device.refresh()
        assert not device._parts.outbox.has_open()
    assert tokens.asked == []  # at random times, see test_unnamed.py
    for query in hub_fleet.desk.asked:
        assert message_id not in {item.message_id for item in query.sent}
    assert hub_fleet.desk.seen == []
    named = [one for one in hub_fleet.hub.carried if one.client == "thermo-1"]
    assert not [one for one in named if message_id in one.payload]


def test_the_outcome_is_believed_as_ever_and_ends_the_message(
    hub_fleet: HubFleet, tokens: TokenDesk
) -> None:
    send(hub_fleet, "tea")
    (envelope,) = tokens.envelopes
    with hub_fleet.open("hub") as hub:
        for message in hub.inbox(timeout=10, until_empty=True):
            with message:
                pass
    topic = TOPICS.read("hub", "anonymous", envelope.body.header.message_id)
    (carried,) = hub_fleet.hub.wait_for(topic)
    with hub_fleet.open("thermo-1") as device:
        wait_until(device, lambda: device._courier.is_ready)
        tokens.tell(EventKind.READ, envelope, ack=carried.payload[:-1] + b"\0")
        device.refresh(1)
        (record,) = device.sent()
        assert record.state is State.HELD
        tokens.tell(EventKind.READ, envelope, ack=carried.payload)
        wait_until(device, lambda: device.sent()[0].state is State.SETTLED)
        assert list(device.sent()[0].outcome.read_by) == ["hub"]
        device.refresh(1)
    assert hub_fleet.desk.seen == []  # it would be signed


def test_what_is_told_about_others_messages_changes_nothing_here(
    hub_fleet: HubFleet, tokens: TokenDesk
) -> None:
    with hub_fleet.open("phone") as phone:
        phone.send("by phone", channel=CHANNEL).wait_held(10)
        (envelope,) = tokens.envelopes
    with hub_fleet.open("thermo-1") as device:
        wait_until(device, lambda: device._courier.is_ready)
        tokens.tell(EventKind.HELD, envelope)
        assert device.sent() == []


def test_a_message_lives_no_longer_than_the_channel_says(
    hub_fleet: HubFleet, tokens: TokenDesk
) -> None:
    with hub_fleet.open("thermo-1") as device:
        await_roster(device, hub_fleet.desk.version)
        with pytest.raises(LifetimeError, match="as long as their channel says"):
            device.send("tea", channel=CHANNEL, lifetime=timedelta(days=8))
        device.send("tea", channel=CHANNEL, lifetime=timedelta(seconds=1)).wait_held(10)
    (envelope,) = tokens.envelopes
    assert 0 < envelope.body.header.expires - time.time() <= ANONYMOUS_STEP + 1


def test_a_reader_that_only_reads_asks_for_no_tokens(
    hub_fleet: HubFleet, tokens: TokenDesk
) -> None:
    with hub_fleet.open("hub") as hub:
        hub.refresh()
        assert TOPICS.tokens("+") in hub._courier._filters
        assert TOPICS.notice("anonymous") not in hub._courier._filters
    assert tokens.requests == []
