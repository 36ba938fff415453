"""A device whose clock was never set, or is far ahead: what it sends, and what it reads."""

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from device_sdk import ClockError, Device, GatewaySilentError, State
from device_sdk.wire.limits import DAY
from tests.support.hub import HubLink
from tests.support.hub_fleet import HubFleet, read

HUB = ["hub"]
HOUR = 3600


class WallClock:
    """Stands for the module ``time`` in a device: a wall clock that can be set."""

    def __init__(self) -> None:
        self.offset = 0.0
        self.monotonic = time.monotonic

    def time(self) -> float:
        """Return Unix seconds."""
        return time.time() + self.offset

    def unset(self) -> None:
        """Begin at 1970, as a device without a battery does when it boots."""
        self.offset = -time.time()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[WallClock]:
    """The wall clock of the devices, not of the gateway."""
    clock = WallClock()
    monkeypatch.setattr("device_sdk.courier.time", clock)
    monkeypatch.setattr("device_sdk.tracking.time", clock)
    yield clock
    clock.offset = 0.0


def agree(fleet: HubFleet, name: str) -> None:
    """Let a device learn roster and keys, and a gateway confirm what time it is."""
    with fleet.open(name) as device:
        device.waiting()
        if name != "hub":
            device.send("so that the keys are known", to=HUB).wait_held(10)


def absent(fleet: HubFleet, name: str) -> HubLink:
    link = fleet.hub.link(name)
    link.is_absent = True
    return link


# ------------------------------ sending


def test_a_device_that_boots_without_a_clock_seals_by_the_time_it_last_knew(
    hub_fleet: HubFleet, clock: WallClock
) -> None:
    agree(hub_fleet, "thermo-1")
    clock.unset()
    with hub_fleet.open("thermo-1", absent(hub_fleet, "thermo-1")) as device:
        record = device.send("21.5", to=HUB).record
    assert abs(record.sent_at.timestamp() - time.time()) < 60
    assert (record.expires_at - record.sent_at).days == 7
    with hub_fleet.open("thermo-1") as device:
        device.find(record.message_id).wait_held(10)


def test_a_device_that_never_knew_the_time_seals_nothing_that_would_be_born_expired(
    hub_fleet: HubFleet, clock: WallClock
) -> None:
    clock.unset()
    with hub_fleet.open("thermo-1") as device:
        with pytest.raises(ClockError, match="here it is 1970-01-01"):
            device.send("21.5", to=HUB)
        assert device.sent() == []
        clock.offset = 0
        device.send("21.5", to=HUB).wait_held(10)


def test_the_owners_word_is_enough_to_know_that_a_clock_was_never_set(
    hub_fleet: HubFleet, clock: WallClock
) -> None:
    clock.unset()
    for topic in [topic for topic in hub_fleet.hub.retained if "/state/" in topic]:
        del hub_fleet.hub.retained[topic]
    with hub_fleet.open("thermo-1") as device, pytest.raises(ClockError):
        device.send("21.5", to=HUB)


def test_a_device_that_was_off_for_longer_than_a_message_lives_hears_so_from_the_gateway(
    hub_fleet: HubFleet, clock: WallClock
) -> None:
    agree(hub_fleet, "thermo-1")
    clock.offset = -HOUR  # what fake-hwclock restores: the clock as it was when the power went
    with hub_fleet.open("thermo-1") as device:
        device.waiting()
        short = timedelta(seconds=10)
        hub_fleet.desk.publish_state(time_ahead=2 * HOUR)
        device.waiting()  # the state came before the answer
        with pytest.raises(ClockError):
            device.send("21.5", to=HUB, lifetime=short)
        assert device.send("21.5", to=HUB).record.state in (State.WAITING, State.HELD)


def test_two_clocks_that_differ_a_little_keep_nothing_from_being_sent(
    hub_fleet: HubFleet, clock: WallClock
) -> None:
    agree(hub_fleet, "thermo-1")
    with hub_fleet.open("thermo-1") as device:
        device.waiting()
        hub_fleet.desk.publish_state(time_ahead=240)
        device.waiting()
        device.send("21.5", to=HUB, lifetime=timedelta(seconds=1))


def test_a_clock_that_is_far_off_is_named_when_nothing_comes(
    hub_fleet: HubFleet, clock: WallClock
) -> None:
    agree(hub_fleet, "hub")
    hub_fleet.desk.is_silent = True
    clock.offset = 300 * DAY
    with (
        hub_fleet.open("hub") as device,
        pytest.raises(GatewaySilentError, match="a clock is wrong"),
    ):
        device.waiting(timeout=0.3)


# ------------------------------ reading


def test_a_device_that_boots_without_a_clock_reads_and_shows_nothing_twice(
    hub_fleet: HubFleet, clock: WallClock
) -> None:
    hub_fleet.send("1")
    clock.unset()
    assert hub_fleet.read() == [b"1"]
    assert hub_fleet.read() == []


def test_what_was_handled_and_has_expired_is_not_shown_again_when_the_clock_is_unset(
    hub_fleet: HubFleet, clock: WallClock
) -> None:
    hub_fleet.send("1")
    (topic,) = hub_fleet.desk.owed("hub")
    copy = hub_fleet.hub.retained[topic]
    assert hub_fleet.read() == [b"1"]
    clock.offset = 8 * DAY
    hub_fleet.desk.publish_state(time_ahead=8 * DAY)
    agree(hub_fleet, "hub")  # and forgets what has expired
    with hub_fleet.open("hub") as device:
        assert device._parts.time.now > time.time() + 7 * DAY
        assert device._state.row("SELECT count(*) FROM incoming") == (0,)
    clock.unset()
    hub_fleet.hub.put(topic, copy, retain=True)  # a broker that plays it again
    with hub_fleet.open("hub") as device:
        assert list(device.inbox(timeout=0.3)) == []


def test_a_clock_that_is_a_year_ahead_loses_no_message(
    hub_fleet: HubFleet, clock: WallClock
) -> None:
    hub_fleet.send("1", "2")
    with hub_fleet.open("hub") as device:
        device.waiting()
        next(device.inbox(timeout=10))  # shown, and not handled
    clock.offset = 300 * DAY
    with hub_fleet.open("hub") as device:
        assert list(device.inbox(timeout=0.3)) == []
        clock.offset = 0
        assert sorted(read_all(device, 2)) == [b"1", b"2"]
    assert hub_fleet.read() == []


def read_all(device: Device, count: int) -> list[bytes]:
    """Read so many messages."""
    payloads: list[bytes] = []
    for message in device.inbox(timeout=30):
        with message:
            payloads.append(message.payload)
        if len(payloads) == count:
            break
    return payloads


def test_an_unfinished_message_that_expired_for_sure_is_dropped(
    hub_fleet: HubFleet, clock: WallClock
) -> None:
    hub_fleet.send("1")
    with hub_fleet.open("hub") as device:
        next(device.inbox(timeout=10))
        clock.offset = 8 * DAY
        hub_fleet.desk.publish_state(time_ahead=8 * DAY)
        device.waiting()
        hub_fleet.hub.retained = {
            topic: data for topic, data in hub_fleet.hub.retained.items() if "/inbox/" not in topic
        }
        assert read(device) == []
        assert device._state.row("SELECT count(*) FROM incoming") == (0,)


def test_a_clock_that_leaps_by_six_days_for_a_moment_shows_nothing_twice(
    hub_fleet: HubFleet, clock: WallClock
) -> None:
    agree(hub_fleet, "thermo-1")
    agree(hub_fleet, "hub")
    with hub_fleet.open("thermo-1") as device:
        device.send(b"open", to=HUB, lifetime=timedelta(days=3)).wait_held(10)
    hub_fleet.desk.is_silent = True  # the gateway is away: the read ack waits at the broker
    assert b"open" in handled(hub_fleet)
    clock.offset = 6 * DAY
    assert handled(hub_fleet) == []
    clock.offset = 0.0
    hub_fleet.desk.publish_state()
    assert handled(hub_fleet) == []


def handled(hub_fleet: HubFleet) -> list[bytes]:
    """Handle what comes to hub within a second."""
    payloads = []
    with hub_fleet.open("hub") as device:
        for message in device.inbox(timeout=1):
            with message:
                payloads.append(message.payload)
    return payloads
