"""A roster that expires soon, that somebody withholds, or that a gateway has not got yet."""

import logging
import time
from dataclasses import replace
from pathlib import Path

import pytest

from device_sdk import Concern
from device_sdk.freshness import PATIENCE, SAID_EVERY, RosterWatch
from device_sdk.state.state_file import StateFile
from device_sdk.trust import Roster
from device_sdk.wire.limits import DAY, ROSTER_WARNING
from device_sdk.wire.state import ONLINE, State
from tests.support.fleet import NOW, Fleet
from tests.support.hub_fleet import HubFleet, await_roster


@pytest.fixture
def state_file(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path / "watch.sqlite")


@pytest.fixture
def watch(state_file: StateFile) -> RosterWatch:
    return RosterWatch(state_file)


@pytest.fixture
def device_fleet(device_fleet: Fleet) -> Fleet:
    """With two gateways: only what a gateway of the present roster says counts."""
    for name in ("gw-1", "gw-2"):
        device_fleet.admit(name, "gateway")
    return device_fleet


@pytest.fixture
def roster(device_fleet: Fleet) -> Roster:
    return device_fleet.roster()


def concerns(watch: RosterWatch, roster: Roster | None, now: int = NOW) -> list[Concern]:
    return [warning.concern for warning in watch.warnings(roster, now)]


def online(version: int, gateway: str = "gw-1") -> State:
    return State(
        gateway=gateway,
        ledger_id=bytes(16),
        instance=bytes(16),
        status=ONLINE,
        time=NOW,
        roster_version=version,
        software="test",
        max_payload=1,
        max_readers=1,
        max_lifetime=1,
    )


# ------------------------------ expiry


def test_a_roster_is_of_concern_from_fourteen_days_before_its_end(
    watch: RosterWatch, roster: Roster
) -> None:
    end = roster.expires
    assert concerns(watch, None) == []
    assert concerns(watch, roster, end - ROSTER_WARNING - 1) == []
    assert concerns(watch, roster, end - ROSTER_WARNING) == [Concern.EXPIRES_SOON]
    assert concerns(watch, roster, end - 1) == [Concern.EXPIRES_SOON]
    assert concerns(watch, roster, end) == [Concern.EXPIRED]
    assert ROSTER_WARNING == 14 * DAY


def test_a_concern_is_logged_once_a_day_also_across_restarts(
    state_file: StateFile, roster: Roster, caplog: pytest.LogCaptureFixture
) -> None:
    soon = roster.expires - ROSTER_WARNING

    def said(now: int) -> int:
        caplog.clear()
        with caplog.at_level(logging.WARNING, "device_sdk.freshness"):
            RosterWatch(state_file).say(roster, now)
        return len(caplog.records)

    assert [said(soon), said(soon), said(soon + SAID_EVERY - 1)] == [1, 0, 0]
    assert said(soon + SAID_EVERY) == 1
    assert "the owner must renew it" in caplog.text
    assert said(roster.expires) == 1  # another concern
    assert said(soon) == 1  # a clock that was set back hides nothing


# ------------------------------ withheld


def test_a_newer_roster_that_does_not_come_is_of_concern_after_five_minutes(
    watch: RosterWatch, roster: Roster
) -> None:
    watch.heard("gw-1", roster.version + 1, roster.version, NOW)
    assert concerns(watch, roster, NOW + PATIENCE - 1) == []
    (warning,) = watch.warnings(roster, NOW + PATIENCE)
    assert warning.concern is Concern.WITHHELD
    assert (warning.gateway, warning.gateway_version) == ("gw-1", roster.version + 1)
    assert (warning.version, warning.expires) == (roster.version, roster.expires)


def test_a_device_that_gets_the_newer_roster_has_no_concern(
    watch: RosterWatch, device_fleet: Fleet
) -> None:
    old, new = device_fleet.roster(), device_fleet.roster()
    watch.heard("gw-1", new.version, old.version, NOW)
    assert concerns(watch, new, NOW + PATIENCE) == []
    # And the next newer one has its own five minutes.
    watch.heard("gw-1", new.version + 1, new.version, NOW + DAY)
    assert concerns(watch, new, NOW + DAY + PATIENCE - 1) == []
    assert concerns(watch, new, NOW + DAY + PATIENCE) == [Concern.WITHHELD]


def test_ever_newer_versions_do_not_put_the_warning_off(watch: RosterWatch, roster: Roster) -> None:
    for minute in range(6):
        watch.heard("gw-1", roster.version + 1 + minute, roster.version, NOW + 60 * minute)
    assert concerns(watch, roster, NOW + PATIENCE) == [Concern.WITHHELD]


def test_what_a_process_heard_the_next_one_knows(
    state_file: StateFile, watch: RosterWatch, roster: Roster
) -> None:
    watch.heard("gw-1", roster.version + 1, roster.version, NOW)
    later = RosterWatch(state_file)
    later.heard("gw-1", roster.version + 1, roster.version, NOW + PATIENCE)
    assert concerns(later, roster, NOW + PATIENCE) == [Concern.WITHHELD]


@pytest.mark.parametrize("is_pruned", [False, True])
def test_what_was_heard_of_a_gateway_ends_with_its_revocation(
    state_file: StateFile, watch: RosterWatch, device_fleet: Fleet, is_pruned: bool
) -> None:
    old = device_fleet.roster()
    watch.heard("gw-1", 2**64 - 1, old.version, NOW)
    assert concerns(RosterWatch(state_file), old, NOW + DAY) == [Concern.WITHHELD]
    device_fleet.revoke("gw-1")
    new = device_fleet.roster()
    if is_pruned:
        watch.go_by(new, NOW)
        assert concerns(watch, old, NOW + DAY) == []  # it is forgotten, not only passed over
    assert concerns(watch, new, NOW + DAY) == []
    # What others say is not hidden by what it had said.
    watch.heard("gw-2", new.version + 1, new.version, NOW)
    later = RosterWatch(state_file)
    (warning,) = later.warnings(new, NOW + DAY)
    assert (warning.gateway, warning.gateway_version) == ("gw-2", new.version + 1)


def test_of_several_newer_versions_the_newest_that_is_overdue_is_told(
    watch: RosterWatch, roster: Roster
) -> None:
    watch.heard("gw-1", roster.version + 1, roster.version, NOW)
    watch.heard("gw-2", roster.version + 2, roster.version, NOW + 60)
    for passed, told in ((PATIENCE, 1), (PATIENCE + 60, 2)):
        (warning,) = watch.warnings(roster, NOW + passed)
        assert warning.gateway_version == roster.version + told


def test_versions_that_have_come_and_damaged_ones_are_forgotten(
    state_file: StateFile, watch: RosterWatch, roster: Roster
) -> None:
    watch.heard("gw-1", roster.version, roster.version - 1, NOW)
    kept = state_file.fact("rosters-heard")
    watch.go_by(roster, NOW)
    assert state_file.fact("rosters-heard") != kept
    state_file.put_fact("rosters-heard", b"?")
    assert concerns(RosterWatch(state_file), roster, NOW + DAY) == []


# ------------------------------ behind


def test_a_gateway_with_an_older_roster_is_of_concern_after_five_minutes(
    watch: RosterWatch, roster: Roster
) -> None:
    watch.compare([online(roster.version - 1)], roster.version, NOW)
    watch.compare([online(roster.version - 1)], roster.version, NOW + PATIENCE)
    assert concerns(watch, roster, NOW + PATIENCE - 1) == []
    (warning,) = watch.warnings(roster, NOW + PATIENCE)
    assert warning.concern is Concern.GATEWAY_BEHIND
    assert (warning.gateway, warning.gateway_version) == ("gw-1", roster.version - 1)


def test_a_gateway_that_catches_up_or_goes_offline_is_of_no_concern(
    watch: RosterWatch, roster: Roster
) -> None:
    for states in ([online(roster.version)], []):
        watch.compare([online(roster.version - 1)], roster.version, NOW)
        watch.compare(states, roster.version, NOW + 60)
        assert concerns(watch, roster, NOW + DAY) == []


def test_an_old_word_of_a_gateway_does_not_show_that_it_is_behind(
    watch: RosterWatch, roster: Roster
) -> None:
    watch.heard("gw-1", roster.version - 1, roster.version, NOW)
    assert concerns(watch, roster, NOW + DAY) == []


# ------------------------------ a device


def test_a_device_tells_of_a_roster_that_is_withheld_from_it(
    hub_fleet: HubFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device_sdk.freshness.PATIENCE", 0)
    desk = hub_fleet.desk
    with hub_fleet.open("thermo-1") as device:
        await_roster(device, desk.version)
        assert device.status().warnings == ()
        desk.version += 1  # the gateway goes by it, and does not publish it
        desk.publish_state()
        (warning,) = device.status().warnings
        assert (warning.concern, warning.gateway) == (Concern.WITHHELD, "gw-1")
        desk.publish_roster()
        await_roster(device, desk.version)
        desk.publish_state()
        assert device.status().warnings == ()


def test_the_owners_newer_head_shows_that_its_pages_are_withheld(
    hub_fleet: HubFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, retained = hub_fleet.desk, hub_fleet.hub.retained
    known = desk.version
    with hub_fleet.open("thermo-1") as device:
        await_roster(device, known)
    before = set(retained)
    desk.revoke("phone")
    desk.publish_roster()
    ((topic, page),) = [(topic, retained.pop(topic)) for topic in set(retained) - before]
    newer, desk.version = desk.version, known  # no gateway says anything of it
    with hub_fleet.open("thermo-1") as device:
        rosters = device._parts.rosters
        with device._courier.changed:
            assert device._courier.wait(lambda: rosters.next_version > 0, time.monotonic() + 10)
        assert device.status().warnings == ()
        monkeypatch.setattr("device_sdk.freshness.PATIENCE", 0)
        (warning,) = device.status().warnings
        assert (warning.concern, warning.gateway) == (Concern.WITHHELD, "")
        assert f"the owner has signed roster version {newer}" in warning.text
        hub_fleet.hub.put(topic, page, retain=True)
        await_roster(device, newer)
        assert Concern.WITHHELD not in [one.concern for one in device.status().warnings]


def test_a_device_forgets_what_a_gateway_had_made_up_once_that_is_revoked(
    hub_fleet: HubFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device_sdk.freshness.PATIENCE", 0)
    desk = hub_fleet.desk
    with hub_fleet.open("thermo-1") as device:
        await_roster(device, desk.version)
        real, desk.version = desk.version, 2**63
        desk.publish_state()
        assert [one.concern for one in device.status().warnings] == [Concern.WITHHELD]
        desk.version = real
        desk.revoke("gw-1")
        desk.publish_roster()
        await_roster(device, desk.version)
        assert device.status().warnings == ()


def test_a_notice_shows_a_withheld_roster_where_the_states_are_held_back(
    hub_fleet: HubFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device_sdk.freshness.PATIENCE", 0)
    desk = hub_fleet.desk
    with hub_fleet.open("thermo-1") as device:
        await_roster(device, desk.version)
        desk.version += 1
        device.send("21.5", to=["hub"]).wait_held(10)
        assert [one.concern for one in device.status().warnings] == [Concern.WITHHELD]


def test_a_device_tells_of_a_gateway_that_is_behind(
    hub_fleet: HubFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device_sdk.freshness.PATIENCE", 0)
    desk = hub_fleet.desk
    with hub_fleet.open("thermo-1") as device:
        desk.publish_roster()
        await_roster(device, desk.version)
        desk.version -= 1
        desk.publish_state()
        assert [one.concern for one in device.status().warnings] == [Concern.GATEWAY_BEHIND]


def test_a_roster_that_ends_soon_is_told_by_the_device_itself(hub_fleet: HubFleet) -> None:
    hub_fleet.desk.publish_roster(expires_in=13 * DAY)
    with hub_fleet.open("thermo-1") as device:
        await_roster(device, hub_fleet.desk.version)
        status = device.status()
    assert [one.concern for one in status.warnings] == [Concern.EXPIRES_SOON]
    assert replace(status, warnings=()).is_roster_valid
