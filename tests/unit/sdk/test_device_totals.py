"""A device on a channel with totals: on a broker in memory, with a gateway played by hand."""

import time
from pathlib import Path

import pytest

from device_sdk import Device
from device_sdk.identity import Identity
from device_sdk.proofs.sharing import total_of
from device_sdk.reading import InboxReading
from device_sdk.totals.secrets import held_part, steps_of
from device_sdk.totals.store import HeldShare, TotalsStore
from device_sdk.wire import cose
from device_sdk.wire.key_statement import KeyStatement
from device_sdk.wire.limits import DAY, TOTALS_KEPT
from device_sdk.wire.reading_policy import REQUIRE, ReadingPolicy, ReadingRule
from device_sdk.wire.roster_page import ChannelEntry
from device_sdk.wire.totals_rule import TotalsRule
from device_sdk.wire.totals_share import SHARE_TYPE
from tests.support.envelopes import made_up_key
from tests.support.hub_fleet import HubFleet, await_roster

POLICY = ReadingPolicy(version=1, unit="Wh", exponent=0, mantissa=1, low=-5, high=5000)
TRUSTEES = ("hub", "phone")
FOREVER = 2**62


def channel(*trustees: str, allowed: bool = True) -> ChannelEntry:
    return ChannelEntry(
        readers=("hub",),
        senders=("thermo-1",),
        lifetime=DAY,
        reading=ReadingRule(mode=REQUIRE, policy=POLICY),
        totals=TotalsRule(epoch=900, least=2, trustees=trustees) if allowed else None,
    )


@pytest.fixture
def metered(hub_fleet: HubFleet) -> HubFleet:
    hub_fleet.desk.channels |= {
        "power": channel(),
        "load": channel(*TRUSTEES),
        "late": channel("hub", "late"),
        "plain": channel(allowed=False),
    }
    return hub_fleet


def opened(metered: HubFleet, name: str = "thermo-1") -> Device:
    metered.desk.publish_roster()
    device = metered.open(name)
    await_roster(device, metered.desk.version)
    return device


def kept(device: Device, name: str) -> list[int]:
    """Return the readings that a device keeps for totals, as only it can read them."""
    parts = device._parts
    with device._courier.changed:
        own = [*parts.totals.own(name, 0, FOREVER).values(), *parts.totals.to_share(1000)]
    mac = parts.keystore.reading_mac
    return sorted(steps_of(mac, one) for one in own if one.channel == name)


def sent_to(device: Device, reader: str) -> int:
    """Return how many direct messages went to one reader."""
    return sum(
        one.channel == "direct" and set(one.outcome.waiting_for) == {reader}
        for one in device.sent()
    )


def test_a_reading_for_bills_is_kept_with_its_message_also_after_a_restart(
    metered: HubFleet,
) -> None:
    with opened(metered) as device:
        for value in (215, -5, 0):
            device.send_reading(value, channel="power").wait_held(10)
        assert kept(device, "power") == [-5, 0, 215]
    with opened(metered) as device:
        assert kept(device, "power") == [-5, 0, 215]
        assert sent_to(device, "hub") == 0


def test_the_state_file_does_not_tell_what_was_kept(metered: HubFleet) -> None:
    with opened(metered) as device:
        device.send_reading(215, channel="power")
        (own,) = device._parts.totals.own("power", 0, FOREVER).values()
        assert int.from_bytes(own.masked) != 215
        assert kept(device, "power") == [215]


def test_nothing_is_kept_where_the_owner_allows_no_totals(metered: HubFleet) -> None:
    with opened(metered) as device:
        device.send_reading(215, channel="plain")
        assert kept(device, "plain") == []


def test_each_trustee_is_sent_its_share_and_the_reading_is_kept_no_longer(
    metered: HubFleet,
) -> None:
    with opened(metered) as device:
        device.send_reading(215, channel="load").wait_held(10)
        assert device.totals.flush(10)
        assert kept(device, "load") == []
        message_id = bytes.fromhex(
            next(one.message_id for one in device.sent() if one.channel == "load")
        )
    parts = []
    for name in TRUSTEES:
        with opened(metered, name) as trustee:
            assert trustee.totals.collect(10) == 1
            share = trustee._parts.totals.share("thermo-1", message_id)
            assert share is not None
            parts.append(held_part(trustee._parts.keystore.reading_mac, share))
    assert total_of(parts) == 215


def test_a_trustee_leaves_other_messages_in_its_inbox(metered: HubFleet) -> None:
    with opened(metered) as device:
        device.send("hello", to=["phone"]).wait_held(10)
        device.send_reading(215, channel="load").wait_held(10)
        assert device.totals.flush(10)
    with opened(metered, "phone") as trustee:
        assert trustee.totals.collect(10) == 1
        assert trustee.totals.collect(10) == 0
    assert metered.read("phone") == [b"hello"]


def test_a_reading_goes_out_without_a_trustees_key_and_its_shares_follow(
    metered: HubFleet,
) -> None:
    identity = Identity.generate()
    metered.desk.admit("late", identity.spki)
    with opened(metered) as device:
        device.send_reading(215, channel="late", timeout=0.2).wait_held(10)
        assert kept(device, "late") == [215]
        # The first trustee has its share already: what follows a crash in between is the same.
        assert (sent_to(device, "hub"), sent_to(device, "late")) == (1, 0)
        now = int(time.time())
        statement = KeyStatement(
            device="late",
            spki=made_up_key(),
            not_before=now - DAY,
            not_after=now + 90 * DAY,
            serial=now,
        )
        metered.desk.statements["late"] = [cose.sign(statement, identity, cose.FLEETLESS_AAD)]
        metered.desk.publish_keys("late")
        assert device.totals.share(10) == 0
        assert kept(device, "late") == []
        assert sent_to(device, "late") == 1
        assert device.totals.flush(10)
    with opened(metered, "hub") as trustee:
        assert trustee.totals.collect(10) == 1
        message_id = next(bytes.fromhex(m.message_id) for m in trustee.inbox(10, until_empty=True))
        share = trustee._parts.totals.share("thermo-1", message_id)
        assert share is not None
        assert share.problem == ""


def test_shares_are_messages_of_their_own_kind(metered: HubFleet) -> None:
    with opened(metered) as device:
        device.send_reading(215, channel="load").wait_held(10)
        assert device.totals.flush(10)
    with opened(metered, "phone") as trustee:
        reading = InboxReading(trustee._courier, timeout=10, until_empty=True, shares=True)
        (message,) = reading.messages()
        assert (message.content_type, message.channel) == (SHARE_TYPE, "direct")


def test_what_nobody_can_ask_about_any_more_is_dropped(metered: HubFleet, tmp_path: Path) -> None:
    with opened(metered) as device:
        device.send_reading(215, channel="power")
        store: TotalsStore = device._parts.totals
        now = int(time.time())
        with device._courier.changed:
            store.put_share(
                HeldShare(
                    sender="hub",
                    message_id=bytes(16),
                    channel="load",
                    issued=now,
                    problem="",
                    split=b"",
                    masked=b"",
                )
            )
            store.forget(now + TOTALS_KEPT - 10)
        assert kept(device, "power") == [215]
        with device._courier.changed:
            store.forget(now + TOTALS_KEPT + 10)
        assert kept(device, "power") == []
        assert store.share("hub", bytes(16)) is None
