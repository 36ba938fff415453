"""Bills and sums end to end: devices, trustees and operator by the commands, on both brokers."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from device_sdk import Device
from tests.support.home import Home

EPOCH = 4
"""Seconds. Long enough for all readings, short enough to wait for."""
TARIFF = 'price = "cent"\nweight = 30\n'
READINGS = ("1.5", "0.25", "40", "0")
TRUSTEES = ("hub", "phone")


@pytest.fixture
def metered(home_on_each_broker: Home) -> Home:
    """Two channels of readings that may be totalled: thermo-1's bill, and a sum with hub's."""
    home = home_on_each_broker
    rule = ("--reading", "kWh", "--scale", "0.001", "--range=0..60", "--mode", "require")
    set_ = ("fleet", "channel", "set", "./fleet")
    readers = ("--reader", "phone", "--sender", "thermo-1")
    home.ok(*set_, "bills", *readers, *rule, *("--totals", "--epoch", "1", "--least", "3"))
    trustees = [word for name in TRUSTEES for word in ("--trustee", name)]
    home.ok(
        *(*set_, "load", *readers, "--sender", "hub", *rule),
        *("--totals", "--epoch", str(EPOCH), "--least", "2", *trustees),
    )
    return home


def send(home: Home, channel: str, readings: Mapping[str, str]) -> None:
    """Let devices send readings, and wait until the gateway holds them and all shares."""
    for name, value in readings.items():
        with Device.open(home.directory / name) as device:
            device.send_reading(float(value), channel=channel).wait_held(20)
            assert device.totals.flush(20)


def report_all(home: Home) -> None:
    """Let every trustee report what it has."""
    for name in TRUSTEES:
        where = ("--dir", f"./{name}", "--out", f"{name}.report")
        home.ok("device", "totals", "report", "sum", *where)


def moment(seconds: int) -> str:
    """Return a time as the commands take it."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def pass_until(seconds: int) -> None:
    """Let the time come."""
    while time.time() < seconds:
        time.sleep(0.05)


def test_a_bill_is_asked_for_answered_once_and_right(metered: Home) -> None:
    start = int(time.time()) - 5
    for value in READINGS:
        send(metered, "bills", {"thermo-1": value})
    until = int(time.time()) + 1
    pass_until(until)
    (metered.directory / "tariff.toml").write_text(TARIFF)
    asking = (
        *("totals", "bill-request", "--data", "./gateway-data", "--channel", "bills"),
        *("--device", "thermo-1", "--from", moment(start), "--tariff", "tariff.toml"),
    )
    metered.ok(*asking, "--to", moment(until), "--out", "bill")
    answering = ("device", "totals", "answer", "--dir", "./thermo-1")
    metered.ok(*answering, "bill", "--out", "answer")
    checked = metered.ok("totals", "check", "./fleet/public", "bill", "answer", "--json").json
    assert checked["readings"] == len(READINGS)
    assert checked["total"] == f"{30 * sum(map(float, READINGS)):.3f}"

    # Another request that has readings in common with it is not answered.
    metered.ok(*asking, "--to", moment(until + 1), "--out", "overlapping")
    refused = metered.fails(*answering, "overlapping", "--out", "never")
    assert "expected one total of each epoch" in refused
    assert not (metered.directory / "never").exists()


def test_a_sum_is_told_by_trustees_and_right(metered: Home) -> None:
    start = (int(time.time()) // EPOCH + 1) * EPOCH
    pass_until(start)
    send(metered, "load", {"thermo-1": "1.5", "hub": "40"})
    pass_until(start + EPOCH)
    asking = ("totals", "sum-request", "--data", "./gateway-data", "--channel", "load")
    metered.ok(*asking, "--epoch", moment(start), "--out", "sum")
    reports = [word for name in TRUSTEES for word in ("--report", f"{name}.report")]

    # Before they have taken their shares they lack them, and tell nothing.
    report_all(metered)
    where = ("--dir", "./hub", "--out", "hub.answer")
    refused = metered.fails("device", "totals", "answer", "sum", *reports, *where)
    assert "thermo-1 (missing)" in refused
    without = ("--without", "sum", *reports, "--out", "sum")
    refused = metered.fails(*asking, "--epoch", moment(start), *without)
    assert "needs readings of 2 devices" in refused

    for name in TRUSTEES:
        taken = metered.ok("device", "totals", "collect", "--dir", f"./{name}")
        assert taken.out == "2 shares taken\n"
    report_all(metered)
    for name in TRUSTEES:
        where = ("--dir", f"./{name}", "--out", f"{name}.answer")
        metered.ok("device", "totals", "answer", "sum", *reports, *where)
    answers = [word for name in TRUSTEES for word in ("--answer", f"{name}.answer")]
    checked = metered.ok("totals", "sum", "./fleet/public", "sum", *reports, *answers, "--json")
    assert (checked.json["total"], checked.json["devices"]) == ("41.500", 2)
