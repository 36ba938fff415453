"""Which keys for tokens a device believes, and what it reports about others (PROTOCOL 19.2)."""

import os
import time
from dataclasses import replace

import pytest

from device_sdk import NoTokenError, ReportKind
from device_sdk.wire.epoch_key import EpochKey
from device_sdk.wire.limits import DAY
from gateway import oprf
from tests.support.desk import TOPICS
from tests.support.hub_fleet import HubFleet
from tests.support.token_desk import CHANNEL, RULE, TokenDesk


@pytest.fixture
def tokens(hub_fleet: HubFleet) -> TokenDesk:
    return TokenDesk(hub_fleet.desk)


def draw(tokens: TokenDesk, length: int) -> EpochKey:
    """A key for the present period as a length that the owner never set would cut it."""
    seed, now = os.urandom(32), int(time.time())
    begins = now // length * length
    key = EpochKey(
        channel=CHANNEL, begins=begins, ends=begins + length, public=oprf.public_of(seed)
    )
    tokens.seeds[key.key_id] = seed
    return key


def send(hub_fleet: HubFleet, sender: str, text: str) -> None:
    with hub_fleet.open(sender) as device:
        device.send(text, channel=CHANNEL).wait_held(10)


def test_keys_of_periods_that_the_rule_does_not_have_mark_nobody(
    hub_fleet: HubFleet, tokens: TokenDesk
) -> None:
    """A reader would have nothing to compare them with: they are for no period of its own keys."""
    assert RULE.epoch == 30 * DAY
    for length in (29 * DAY, 28 * DAY):
        tokens.show([draw(tokens, length)])
        with hub_fleet.open("thermo-1") as device, pytest.raises(NoTokenError):
            device.send("I am thermo-1", channel=CHANNEL, timeout=1)
    assert tokens.requests == []


def test_a_reader_that_is_shown_no_keys_at_all_reports_it(
    hub_fleet: HubFleet, tokens: TokenDesk
) -> None:
    own = tokens.draw()
    tokens.show([own])
    send(hub_fleet, "thermo-1", "tea")
    hub_fleet.hub.put(TOPICS.tokens("gw-1"), b"", retain=True)
    with hub_fleet.open("hub") as hub:
        assert len(list(hub.inbox(timeout=10, until_empty=True))) == 1
        (report,) = hub.log_reports()
        assert report.kind is ReportKind.UNSHOWN_KEY
        assert "this device was never shown" in str(report)


def test_a_key_shown_after_the_message_does_not_make_good_that_it_was_not_shown(
    hub_fleet: HubFleet, tokens: TokenDesk
) -> None:
    own = tokens.draw()
    tokens.show([own])
    send(hub_fleet, "thermo-1", "tea")
    hub_fleet.hub.put(TOPICS.tokens("gw-1"), b"", retain=True)
    with hub_fleet.open("hub") as hub:
        assert len(list(hub.inbox(timeout=10, until_empty=True))) == 1
    tokens.show(tokens.keys)
    with hub_fleet.open("hub") as hub:
        with hub._courier.changed:
            hub._courier.wait(
                lambda: bool(hub._parts.purse.keys._store.keys_of(CHANNEL)), time.monotonic() + 10
            )
            assert hub._parts.purse.keys._store.keys_of(CHANNEL)
        assert hub.log_reports()  # as its sender used another key than everybody else is shown


def test_a_device_neither_keeps_nor_asks_under_keys_of_periods_that_the_rule_does_not_have(
    hub_fleet: HubFleet, tokens: TokenDesk
) -> None:
    """Each costs a blinding of all tokens, and rows for ever: `ends` may be in any century."""
    far = []
    for number in range(150):
        length = RULE.epoch
        begins = (10**6 + number) * length
        seed = os.urandom(32)
        key = EpochKey(
            channel=CHANNEL, begins=begins, ends=begins + length, public=oprf.public_of(seed)
        )
        tokens.seeds[key.key_id] = seed
        far.append(key)
    tokens.show([*tokens.keys, *far])
    with hub_fleet.open("thermo-1") as device, device._courier.changed:
        device._courier.wait(lambda: len(tokens.requests) >= 2, time.monotonic() + 10)
        purse = device._parts.purse
        purse.forget(int(time.time()) + 300 * 365 * DAY)
        kept = len(purse._store.keys_of(CHANNEL))
    assert len(tokens.requests) == 2
    assert kept <= 2


def test_what_is_held_when_the_rule_goes_stays_readable(
    hub_fleet: HubFleet, tokens: TokenDesk
) -> None:
    """PROTOCOL 19.1 says so."""
    desk = hub_fleet.desk
    send(hub_fleet, "thermo-1", "tea")
    desk.channels[CHANNEL] = replace(desk.channels[CHANNEL], anonymous=None)
    desk.publish_roster()
    with hub_fleet.open("hub") as hub:
        shown = [m.text() for m in hub.inbox(timeout=5, until_empty=True)]
    assert shown == ["tea"]
