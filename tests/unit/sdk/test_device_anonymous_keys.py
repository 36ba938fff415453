"""Ways past the comparison of token keys (PROTOCOL 19.2): each open one is an expected failure."""

import os
import time
from dataclasses import replace

import pytest

from device_sdk.seal import WrapTarget
from device_sdk.seal_anonymous import seal_anonymous
from device_sdk.token_store import Token
from device_sdk.wire.anonymous import AnonymousEnvelope
from device_sdk.wire.epoch_key import EpochKey
from device_sdk.wire.limits import DAY
from device_sdk.wire.names import ANONYMOUS
from gateway import oprf
from tests.support.desk import TOPICS
from tests.support.hub_fleet import HubFleet
from tests.support.token_desk import CHANNEL, RULE, TokenDesk

OPEN = pytest.mark.xfail(strict=True, reason="not defended against yet")


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


@OPEN
def test_1a_keys_of_periods_that_the_rule_does_not_have_mark_each_sender_unnoticed(
    hub_fleet: HubFleet, tokens: TokenDesk
) -> None:
    """thermo-1 is shown one key, phone another, the reader both: nobody reports anything."""
    assert RULE.epoch == 30 * DAY
    of = {"thermo-1": draw(tokens, 29 * DAY), "phone": draw(tokens, 28 * DAY)}
    for sender, own in of.items():
        tokens.show([own])
        send(hub_fleet, sender, f"I am {sender}")
    tokens.show([*tokens.keys, *of.values()])
    told, reports = {}, []
    with hub_fleet.open("hub") as hub:
        for message in hub.inbox(timeout=10, until_empty=True):
            with message:
                told[message.text()] = 1
        reports = list(hub.log_reports())
    marked = [e.body.header.key_id for e in tokens.envelopes]
    identified = {k: s for s, key in of.items() for k in [key.key_id]}
    print("gateway knows:", [identified.get(k) for k in marked], "reader:", told, reports)
    assert reports, "the gateway knows who wrote each message, and no reader reports it"


@OPEN
def test_1b_a_reader_that_is_shown_no_keys_at_all_reports_nothing(
    hub_fleet: HubFleet, tokens: TokenDesk
) -> None:
    own = tokens.draw()
    tokens.show([own])
    send(hub_fleet, "thermo-1", "tea")
    hub_fleet.hub.put(TOPICS.tokens("gw-1"), b"", retain=True)
    with hub_fleet.open("hub") as hub:
        assert len(list(hub.inbox(timeout=10, until_empty=True))) == 1
        assert hub.log_reports() or None, "read with a key that this reader was never shown"


@OPEN
def test_1c_a_key_shown_after_the_message_is_never_compared(
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
        assert hub.log_reports(), "its sender used another key than everybody else is shown"


@OPEN
def test_2_whoever_writes_to_an_inbox_needs_no_key_of_the_gateway_to_forge_a_message(
    hub_fleet: HubFleet, tokens: TokenDesk
) -> None:
    """Not only 'a dishonest gateway': whoever may write there, with public data alone."""
    desk = hub_fleet.desk
    with hub_fleet.open("hub"):
        pass  # has announced its key, which keys/hub shows to all
    tokens.is_silent = True
    with hub_fleet.open("thermo-1") as device, device._courier.changed:
        roster = device._parts.rosters.roster
        assert roster is not None
        device._courier.router.watch_keys(["hub"])
        device._courier.pump()
        device._courier.wait(
            lambda: device._parts.reader_keys.latest("hub", roster) is not None,
            time.monotonic() + 10,
        )
        statement = device._parts.reader_keys.latest("hub", roster)
    assert statement is not None
    now = int(time.time())
    forged = Token(key=tokens.keys[0], token=os.urandom(32), output=os.urandom(64))
    sealed = seal_anonymous(
        b"evacuate the building",
        recipients=[WrapTarget(reader="hub", key=statement.wrap_key)],
        token=forged,
        aad=desk.pin.aad,
        content_type="text/plain; charset=utf-8",
        issued=now,
        expires=now // DAY * DAY + 2 * DAY,
    )
    (copy,) = AnonymousEnvelope.decode(sealed.envelope).copies()
    hub_fleet.hub.put(TOPICS.inbox("hub", ANONYMOUS, sealed.message_id), copy.encode(), retain=True)
    with hub_fleet.open("hub") as hub:
        shown = [bytes(m.payload) for m in hub.inbox(timeout=5, until_empty=True)]
        reports = hub.log_reports()
    print("shown:", shown, "reports:", reports)
    assert not shown, "SECURITY: plant retained messages -> 'nothing is shown'"


@OPEN
def test_1d_a_device_neither_keeps_nor_asks_under_keys_of_periods_that_the_rule_does_not_have(
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
        device._courier.wait(lambda: len(tokens.requests) >= 152, time.monotonic() + 5)
        purse = device._parts.purse
        purse.forget(int(time.time()) + 300 * 365 * DAY)
        kept = len(purse._store.keys_of(CHANNEL))
    print("requests:", len(tokens.requests), "keys kept after 300 years:", kept)
    assert len(tokens.requests) == 2
    assert kept <= 2


def test_15_what_is_held_when_the_rule_goes_stays_readable(
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
