"""A real device and the gateway's log: what its messages carry, what it asks, what it tells."""

import time
from collections.abc import Callable

import pytest

from device_sdk import Concern, Device, LogReport, ReportKind
from device_sdk.wire import cose
from device_sdk.wire.envelope import Envelope
from device_sdk.wire.header import Header
from device_sdk.wire.key_statement import KeyStatement
from device_sdk.wire.log_proof import Prove
from device_sdk.wire.roster_head import RosterHead
from device_sdk.wire.tree_head import leaf_of
from tests.support.desk import TOPICS
from tests.support.gateway_log import GatewayLog
from tests.support.hub_fleet import HubFleet, read


@pytest.fixture
def log(hub_fleet: HubFleet) -> GatewayLog:
    """An honest log, which every device is shown."""
    desk = hub_fleet.desk
    log = GatewayLog(desk.gateway, desk.pin.aad, time=int(time.time()))
    roster = cose.parse_signed(RosterHead, hub_fleet.hub.retained[TOPICS.roster()])
    log.add(leaf_of(roster.claims))
    for statements in desk.statements.values():
        log.add(*(leaf_of(cose.parse_signed(KeyStatement, one).claims) for one in statements))
    desk.publish_log(log)
    return log


def header(fleet: HubFleet, number: int = 0) -> Header:
    """Return the header of a message that came to the broker."""
    sent = fleet.hub.wait_for(f"{TOPICS.prefix}/send/thermo-1/+", number + 1)
    return Envelope.decode(sent[number].payload).body.header


def wait_until(device: Device, done: Callable[[], bool]) -> None:
    courier = device._courier
    with courier.changed:
        assert courier.wait(done, time.monotonic() + 20)


def believed(device: Device) -> int:
    status = device.status()
    return 0 if status.log is None else status.log.size


def reported(device: Device) -> list[LogReport]:
    """Wait for a finding."""
    wait_until(device, lambda: bool(device.log_reports()))
    return device.log_reports()


def test_a_message_carries_the_head_that_its_sender_believes_or_none(
    hub_fleet: HubFleet, log: GatewayLog
) -> None:
    del hub_fleet.hub.retained[TOPICS.log("gw-1")]
    hub_fleet.send("before")
    assert header(hub_fleet).tree_head == b""
    hub_fleet.desk.publish_log(log)
    with hub_fleet.open("thermo-1") as device:
        wait_until(device, lambda: believed(device) > 0)
        device.send("after", to=["hub"]).wait_held(10)
    assert header(hub_fleet, 1).tree_head == hub_fleet.hub.retained[TOPICS.log("gw-1")]
    assert hub_fleet.read() == [b"before", b"after"]


def test_a_log_that_grows_is_followed_and_what_is_used_is_looked_up_in_it(
    hub_fleet: HubFleet, log: GatewayLog
) -> None:
    with hub_fleet.open("thermo-1") as device:
        wait_until(device, lambda: believed(device) > 0)
        device.send("21.5", to=["hub", "phone"]).wait_held(10)
        entries = device._parts.log.entries
        wait_until(device, lambda: len(entries._in_use) == 3 and not entries.wanted)
        log.grow(3)
        hub_fleet.desk.publish_log(log)
        wait_until(device, lambda: believed(device) == len(log.leaves))
        assert believed(device) == len(log.leaves)
        assert device.log_reports() == []
    asked = [
        cose.parse_signed(Prove, one.payload).claims
        for one in hub_fleet.hub.wait_for(f"{TOPICS.prefix}/prove/thermo-1")
    ]
    assert sum(len(question.leaves) for question in asked) == 3
    assert [(one.first, one.second) for one in asked if one.first] == [
        (len(log.leaves) - 3, len(log.leaves))
    ]


def test_two_devices_that_are_shown_two_histories_notice_when_one_writes_to_the_other(
    hub_fleet: HubFleet, log: GatewayLog
) -> None:
    other = log.fork()
    log.grow()
    other.grow()
    hub_fleet.desk.publish_log(log)
    with hub_fleet.open("thermo-1") as device:
        wait_until(device, lambda: believed(device) > 0)
        device.send("21.5", to=["hub"]).wait_held(10)
    theirs = hub_fleet.hub.retained[TOPICS.log("gw-1")]
    hub_fleet.desk.publish_log(other)
    with hub_fleet.open("hub") as device:
        wait_until(device, lambda: believed(device) > 0)
        assert read(device) == [b"21.5"]  # it is read all the same
        (report,) = reported(device)
        assert (report.kind, report.about) == (ReportKind.SPLIT_VIEW, "thermo-1")
        assert (report.first, report.second) == (hub_fleet.hub.retained[TOPICS.log("gw-1")], theirs)
        assert device.status().log_reports == (report,)


def test_a_gateway_without_an_answer_keeps_nobody_from_sending_and_reading(
    hub_fleet: HubFleet, log: GatewayLog
) -> None:
    hub_fleet.send("first")
    hub_fleet.desk.logs.clear()
    log.grow()
    hub_fleet.hub.put(TOPICS.log("gw-1"), log.head(), retain=True)
    hub_fleet.send("second")
    assert hub_fleet.read() == [b"first", b"second"]


def test_what_nobody_vouches_for_under_the_logs_topic_changes_nothing(
    hub_fleet: HubFleet, log: GatewayLog
) -> None:
    stranger = hub_fleet.desk.root
    for data in (log.head(signer=stranger), b"?", log.head()[:-1]):
        hub_fleet.hub.put(TOPICS.log("gw-1"), data, retain=True)
    hub_fleet.hub.put(TOPICS.log("gw-2"), log.head(), retain=True)
    hub_fleet.send("21.5")
    assert header(hub_fleet).tree_head == b""
    assert hub_fleet.read() == [b"21.5"]


def test_a_message_tells_its_reader_of_a_roster_that_is_withheld_from_it(
    hub_fleet: HubFleet, log: GatewayLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device_sdk.freshness.PATIENCE", 0)
    shown = hub_fleet.hub.retained[TOPICS.log("gw-1")]
    log.roster_version = hub_fleet.desk.version + 1
    log.grow()
    hub_fleet.desk.publish_log(log)
    with hub_fleet.open("thermo-1") as device:
        wait_until(device, lambda: believed(device) > 0)
        device.send("21.5", to=["hub"]).wait_held(10)
    hub_fleet.hub.put(TOPICS.log("gw-1"), shown, retain=True)  # hub is to see nothing newer
    with hub_fleet.open("hub") as device:
        assert read(device) == [b"21.5"]
        with device._courier.changed:
            device._courier.tend()
        assert [one.concern for one in device.status().warnings] == [Concern.WITHHELD]
