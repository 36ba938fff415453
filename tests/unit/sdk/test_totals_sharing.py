"""Readings get to trustees, whatever becomes of other trustees and of the owner's rule."""

import time

import pytest

from device_sdk import Device
from device_sdk.courier import Courier
from device_sdk.identity import Identity
from device_sdk.recipients import Addressed, Wish, find_targets
from tests.support.hub_fleet import HubFleet, await_roster
from tests.unit.sdk.test_device_totals import (  # noqa: F401
    channel,
    kept,
    metered,
    opened,
    sent_to,
)


def next_second() -> None:
    time.sleep(1.01 - time.time() % 1)


def blocked_behind(device: Device, name: str) -> list[int]:
    device.send_reading(1, channel=name, timeout=0.2).wait_held(10)
    next_second()  # older than what follows
    for value in (2, 3):
        device.send_reading(value, channel="load", timeout=0.2).wait_held(10)
    return kept(device, "load")


def test_a_trustee_without_a_key_does_not_hold_up_other_channels(
    metered: HubFleet,  # noqa: F811
) -> None:
    metered.desk.admit("late", Identity.generate().spki)
    with opened(metered) as device:
        assert blocked_behind(device, "late") == []  # both trustees of "load" have keys


def test_a_trustee_that_was_revoked_does_not_hold_up_other_channels(
    metered: HubFleet,  # noqa: F811
) -> None:
    metered.desk.channels["gone"] = channel("gone", "hub")
    with opened(metered) as device:
        assert blocked_behind(device, "gone") == []


def test_a_device_that_is_a_trustee_itself_can_share_out(
    metered: HubFleet,  # noqa: F811
) -> None:
    metered.desk.channels["mine"] = channel("hub", "thermo-1")
    with opened(metered) as device:
        device.send_reading(1, channel="mine", timeout=0.2).wait_held(10)
        assert kept(device, "mine") == []


def test_a_share_is_not_sent_anew_for_each_later_reading(
    metered: HubFleet,  # noqa: F811
) -> None:
    metered.desk.admit("late", Identity.generate().spki)
    with opened(metered) as device:
        device.send_reading(0, channel="late", timeout=0.2).wait_held(10)
        next_second()
        for value in range(4):
            device.send_reading(value, channel="late", timeout=0.2).wait_held(10)
        assert sent_to(device, "hub") == 5
        assert device.totals.share(0) == 5  # for want of the other trustee's key
    with opened(metered, "hub") as trustee:
        trustee.totals.collect(10)
        rows = trustee._parts.totals._state.rows("SELECT count(*) FROM held_share", ())
        assert rows == [(5,)]


def test_a_trustee_without_a_key_does_not_stop_a_sensor(
    metered: HubFleet,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited: list[float] = []

    def find(courier: Courier, wish: Wish, patience: float) -> Addressed:
        waited.append(patience)
        return find_targets(courier, wish, patience)

    monkeypatch.setattr("device_sdk.totals.sharing.find_targets", find)
    metered.desk.admit("late", Identity.generate().spki)
    with opened(metered) as device:
        for value in range(3):
            device.send_reading(value, channel="late").wait_held(10)
    assert set(waited) == {0.0}


def test_an_application_that_reads_its_mail_does_not_eat_shares(
    metered: HubFleet,  # noqa: F811
) -> None:
    with opened(metered) as device:
        device.send_reading(215, channel="load").wait_held(10)
        assert device.totals.flush(10)
    assert metered.read("phone") == []
    assert metered.read("phone") == []  # nor when it has been left alone once
    with opened(metered, "phone") as trustee:
        assert trustee.totals.collect(10) == 1


def test_naming_another_trustee_does_not_make_honest_devices_cheats(
    metered: HubFleet,  # noqa: F811
) -> None:
    """The owner does what the error says, and names another trustee for the one that is gone."""
    metered.desk.channels["load"] = channel("hub", "late")
    metered.desk.admit("late", Identity.generate().spki)
    with opened(metered) as device:
        device.send_reading(1, channel="load", timeout=0.2).wait_held(10)  # hub has its share
        metered.desk.channels["load"] = channel("hub", "phone")
        metered.desk.publish_roster()
        await_roster(device, metered.desk.version)
        assert device.totals.share(5) == 0
        assert sent_to(device, "phone") == 0  # it would be another split than the one at hub
        assert device.totals.flush(10)
    with opened(metered, "hub") as trustee:
        trustee.totals.collect(10)
        rows = trustee._parts.totals._state.rows("SELECT problem, second FROM held_share", ())
        assert rows == [("", b"")]
