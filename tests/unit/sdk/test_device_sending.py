"""A device that sends: on a broker in memory, with a gateway that is played by hand."""

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from device_sdk import (
    ClosedError,
    DirectoryInUseError,
    NoReaderKeyError,
    NotAdmittedError,
    NotHeldYetError,
    NotReadYetError,
    PayloadError,
    ReadersError,
    RosterExpiredError,
    RosterUnknownError,
    State,
    UnknownMessageError,
    UnknownReaderError,
)
from device_sdk.wire.limits import DAY
from tests.support.hub_fleet import HubFleet

HUB = ["hub"]


# ------------------------------ the whole way


def test_a_message_is_held_read_and_its_outcome_noted(hub_fleet: HubFleet) -> None:
    with hub_fleet.open("thermo-1") as device:
        sent = device.send({"t": 21.5}, to=["hub", "phone", "hub"])
        sent.wait_held(10)
        with pytest.raises(NotReadYetError) as caught:
            sent.wait_read(0)
        assert caught.value.outcome.waiting_for == ("hub", "phone")
        assert hub_fleet.read("hub") == [b'{"t":21.5}']
        assert hub_fleet.read("phone") == [b'{"t":21.5}']
        outcome = sent.wait_read(10)
        assert set(outcome.read_by) == {"hub", "phone"}
        assert datetime.now(UTC) - outcome.read_by["hub"] < timedelta(minutes=5)
        assert outcome.waiting_for == ()
        device.refresh()
    assert [item.message_id.hex() for seen in hub_fleet.desk.seen for item in seen.messages] == [
        sent.message_id
    ]
    assert not hub_fleet.desk.owed("hub")


def test_what_became_of_a_message_is_known_to_later_processes(hub_fleet: HubFleet) -> None:
    with hub_fleet.open("thermo-1") as device:
        message_id = device.send("a", to=HUB).message_id
        device.find(message_id).wait_held(10)
    assert hub_fleet.read("hub") == [b"a"]
    with hub_fleet.open("thermo-1") as device:
        device.refresh()
        record = device.record(message_id[:8])
        assert (record.state, set(record.outcome.read_by)) == (State.SETTLED, {"hub"})
        assert [one.message_id for one in device.sent()] == [message_id]
        assert device.find(message_id).wait_read(0).message_id == message_id
        for wrong in ("0" * 32, "", "xyz", "%"):
            with pytest.raises(UnknownMessageError):
                device.record(wrong)


def test_a_message_sent_without_a_broker_goes_out_when_there_is_one(hub_fleet: HubFleet) -> None:
    hub_fleet.read("hub")
    with hub_fleet.open("thermo-1") as device:
        device.send("first", to=HUB).wait_held(10)  # and the keys are known from now on
    link = hub_fleet.hub.link("thermo-1")
    link.is_absent = True
    with hub_fleet.open("thermo-1", link) as device:
        sent = device.send("offline", to=HUB)
        with pytest.raises(NotHeldYetError, match="the hub is not there"):
            sent.wait_held(0)
    with hub_fleet.open("thermo-1") as device:
        device.find(sent.message_id).wait_held(10)
    assert hub_fleet.read("hub") == [b"first", b"offline"]


def test_a_lost_connection_loses_no_message(hub_fleet: HubFleet) -> None:
    link = hub_fleet.hub.link("thermo-1")
    with hub_fleet.open("thermo-1", link) as device:
        device.send("before", to=HUB).wait_held(10)
        link.lose()
        sent = device.send("meanwhile", to=HUB)
        link.connect()
        sent.wait_held(10)
    assert hub_fleet.read("hub") == [b"before", b"meanwhile"]


def test_a_gateway_that_comes_back_is_told_everything_again(hub_fleet: HubFleet) -> None:
    desk = hub_fleet.desk
    desk.is_silent = True
    with hub_fleet.open("thermo-1") as device:
        sent = device.send("a", to=HUB)
        hub_fleet.hub.wait_for("sealgate/1/send/thermo-1/+")
        desk.is_silent = False
        desk.publish_state(instance=b"\1" * 16)
        sent.wait_held(10)
    assert len(hub_fleet.hub.wait_for("sealgate/1/send/thermo-1/+", 2)) == 2


def test_a_message_is_sent_again_with_the_same_bytes(hub_fleet: HubFleet) -> None:
    link = hub_fleet.hub.link("thermo-1")
    hub_fleet.desk.is_silent = True
    with hub_fleet.open("thermo-1", link) as device:
        device.send("a", to=HUB)
        hub_fleet.hub.wait_for("sealgate/1/send/thermo-1/+")
        link.lose()
        link.connect()
        first, second = hub_fleet.hub.wait_for("sealgate/1/send/thermo-1/+", 2)
    assert first == second


def test_several_threads_may_send_and_wait(hub_fleet: HubFleet) -> None:
    held: list[str] = []

    def send(number: int) -> None:
        sent = device.send(str(number), to=HUB)
        sent.wait_held(20)
        held.append(sent.message_id)

    with hub_fleet.open("thermo-1") as device:
        threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(set(held)) == 8
    assert sorted(hub_fleet.read("hub")) == [b"%d" % number for number in range(8)]


# ------------------------------ what is refused before anything is stored


def test_nothing_is_stored_of_a_message_that_cannot_be_sealed(hub_fleet: HubFleet) -> None:
    hub_fleet.desk.statements["phone"] = []
    hub_fleet.desk.publish_keys("phone")
    with hub_fleet.open("thermo-1") as device:
        device.send("", to=HUB).wait_held(10)  # empty is allowed
        with pytest.raises(ReadersError):
            device.send("a", to=[])
        with pytest.raises(PayloadError):
            device.send(b"x" * (256 * 1024 + 1), to=HUB)
        with pytest.raises(UnknownReaderError, match="nobody"):
            device.send("a", to=["hub", "nobody"], timeout=0)
        with pytest.raises(NoReaderKeyError, match="phone"):
            device.send("a", to=["hub", "phone"], timeout=0)
        assert len(device.sent()) == 1


def test_a_first_start_without_a_broker_says_what_is_missing(hub_fleet: HubFleet) -> None:
    link = hub_fleet.hub.link("thermo-1")
    link.is_absent = True
    with (
        hub_fleet.open("thermo-1", link) as device,
        pytest.raises(RosterUnknownError, match="the hub is not there"),
    ):
        device.send("a", to=HUB, timeout=0.1)


def test_sending_waits_for_a_roster_and_keys_that_are_on_their_way(hub_fleet: HubFleet) -> None:
    retained, hub_fleet.hub.retained = hub_fleet.hub.retained, {}
    with hub_fleet.open("thermo-1") as device:

        def publish() -> None:
            for topic, data in retained.items():
                hub_fleet.hub.put(topic, data, retain=True)

        publisher = threading.Thread(target=publish)
        publisher.start()
        device.send("a", to=HUB).wait_held(10)
        publisher.join()


def test_an_expired_roster_seals_nothing_until_the_owner_renews_it(hub_fleet: HubFleet) -> None:
    hub_fleet.desk.publish_roster(expires_in=-1)
    with hub_fleet.open("thermo-1") as device:
        with pytest.raises(RosterExpiredError):
            device.send("a", to=HUB, timeout=0.2)
        hub_fleet.desk.publish_roster()
        device.send("a", to=HUB).wait_held(10)


def test_a_reader_admitted_a_moment_ago_can_be_written_to(hub_fleet: HubFleet) -> None:
    desk = hub_fleet.desk
    entry = desk.devices.pop("phone")
    desk.publish_roster()
    with hub_fleet.open("thermo-1") as device:
        with pytest.raises(UnknownReaderError):
            device.send("a", to=["phone"], timeout=0.1)
        desk.devices["phone"] = entry
        desk.publish_roster()
        device.send("a", to=["phone"]).wait_held(10)


def test_a_device_that_was_not_admitted_or_is_revoked_cannot_send(hub_fleet: HubFleet) -> None:
    desk = hub_fleet.desk
    spki = desk.devices["thermo-1"].identities[0]
    desk.admit("thermo-1", spki, revoked=desk.version + 1)
    desk.publish_roster()
    with hub_fleet.open("thermo-1") as device:
        device.waiting()
        with pytest.raises(NotAdmittedError, match="revoked"):
            device.send("a", to=HUB, timeout=0.1)
        assert not device.status().is_admitted


def test_an_older_roster_and_older_reader_keys_are_not_gone_back_to(hub_fleet: HubFleet) -> None:
    desk = hub_fleet.desk
    with hub_fleet.open("thermo-1") as device:
        device.send("a", to=HUB).wait_held(10)
        version = device.status().roster_version
        del desk.devices["hub"]
        desk.publish_roster(version=version - DAY)
        device.waiting()
        assert device.status().roster_version == version
        device.send("b", to=HUB).wait_held(10)


# ------------------------------ opening and closing


def test_a_directory_is_open_in_one_place_at_a_time(hub_fleet: HubFleet) -> None:
    with hub_fleet.open("thermo-1"), pytest.raises(DirectoryInUseError):
        hub_fleet.open("thermo-1")
    hub_fleet.open("thermo-1").close()


def test_closing_ends_waits_and_further_use_with_a_clear_error(hub_fleet: HubFleet) -> None:
    hub_fleet.desk.is_silent = True
    device = hub_fleet.open("thermo-1")
    sent = device.send("a", to=HUB)
    closer = threading.Timer(0.05, device.close)
    closer.start()
    with pytest.raises(ClosedError):
        sent.wait_held()
    closer.join()
    for use in (
        lambda: device.send("a", to=HUB),
        lambda: next(device.inbox()),
        device.sent,
        device.waiting,
        device.status,
        device.flush,
    ):
        with pytest.raises(ClosedError):
            use()
    device.close()


def test_everything_that_a_device_writes_is_private(hub_fleet: HubFleet) -> None:
    with hub_fleet.open("thermo-1") as device:
        device.send("a", to=HUB).wait_held(10)
        paths = list((hub_fleet.directory / "thermo-1").iterdir())
        assert {path.stat().st_mode & 0o077 for path in paths} == {0}


def test_neither_logs_nor_files_show_payloads_or_full_ids(
    hub_fleet: HubFleet, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "device_sdk")
    marker = f"marker-{time.monotonic_ns()}"
    with hub_fleet.open("thermo-1") as device:
        sent = device.send(marker, to=HUB)
        sent.wait_held(10)
        assert hub_fleet.read("hub") == [marker.encode()]
        sent.wait_read(10)
        assert sent.message_id[:8] in caplog.text
        assert marker not in caplog.text
        assert sent.message_id not in caplog.text
        assert not _holding(hub_fleet.directory, marker.encode())


def _holding(directory: Path, marker: bytes) -> list[Path]:
    files = [path for path in directory.rglob("*") if path.is_file()]
    return [path for path in files if marker in path.read_bytes()]


def test_a_clock_that_was_set_back_does_not_revive_an_expired_roster(
    hub_fleet: HubFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, ahead = time.time, [7200]
    hub_fleet.desk.publish_roster(expires_in=3600)
    monkeypatch.setattr(time, "time", lambda: real() + ahead[0])
    for seconds in (7200, 0):
        ahead[0] = seconds
        with hub_fleet.open("thermo-1") as device:
            device.waiting(10)  # the gateway has been heard
            with pytest.raises(RosterExpiredError):
                device.send("21.5", to=["hub"], timeout=0)
