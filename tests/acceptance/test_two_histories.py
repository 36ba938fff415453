"""An operator with root on gateways and brokers shows two devices two histories, and is noticed.

Two real gateways serve behind one identity: one with the owner's newest roster, the other with an
older one and a copy of the ledger. The operator passes a message on from one broker to the other.
"""

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from device_sdk import Device, LogReport
from device_sdk.pace import Backoff
from device_sdk.transparency import proving
from device_sdk.transparency.watch import LogWatch
from gateway.enrolment import load_identity
from gateway.owner.overview import find_bundle
from tests.brokers.mosquitto import Mosquitto
from tests.support.gateway_log import GatewayLog
from tests.support.home import Home

_TRIES = 15
"""Commands until something that takes a moment is there: each connects anew."""


@pytest.fixture
def brokers(tmp_path: Path, mosquitto: str) -> Iterator[tuple[Mosquitto, Mosquitto]]:
    with (
        Mosquitto(tmp_path / "one", program=mosquitto) as one,
        Mosquitto(tmp_path / "two", program=mosquitto) as two,
    ):
        yield one, two


@contextmanager
def second_gateway(home: Home, url: str) -> Iterator[None]:
    """The same gateway, on another broker with another ledger and bundle."""
    with (home.directory / "second.log").open("a") as log:
        process = home.start(
            *("serve", "--data", "./second-data", "--bundle", "./second-bundle", "--broker", url),
            stdin=subprocess.DEVNULL,
            stderr=log,
        )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("ready ")
            yield
        finally:
            process.terminate()


def pass_on(one: Mosquitto, two: Mosquitto, topic_filter: str) -> None:
    """Retain at the second broker what the first one retains."""
    found: list[tuple[str, bytes]] = []
    came = threading.Event()

    def on_message(_client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        found.append((message.topic, bytes(message.payload)))
        came.set()

    reading = mqtt.Client(CallbackAPIVersion.VERSION2)
    reading.on_message = on_message
    reading.connect("127.0.0.1", one.port)
    reading.loop_start()
    reading.subscribe(topic_filter, qos=1)
    assert came.wait(20)
    reading.disconnect()
    reading.loop_stop()
    writing = mqtt.Client(CallbackAPIVersion.VERSION2)
    writing.connect("127.0.0.1", two.port)
    writing.loop_start()
    for topic, payload in found:
        writing.publish(topic, payload, qos=1, retain=True).wait_for_publish(20)
    writing.disconnect()
    writing.loop_stop()


def status(home: Home, name: str, broker: Mosquitto) -> Any:
    where = ("--dir", f"./{name}", "--broker", broker.url)
    return home.ok("device", "status", *where, "--json").json


def size(home: Home, name: str, broker: Mosquitto, least: int) -> int:
    """Wait until a device believes so many entries; return how many it does."""
    log = None
    for _ in range(_TRIES):
        log = status(home, name, broker)["log"]
        if log is not None and log["size"] >= least:
            return int(log["size"])
    raise AssertionError(f"{name} believes only {log}")


def test_a_device_from_which_a_roster_is_withheld_notices_when_another_one_writes_to_it(
    made_home: Path,
    tmp_path: Path,
    brokers: tuple[Mosquitto, Mosquitto],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, two = brokers
    home = Home(made_home, tmp_path / "home", broker=one.url)
    try:
        home.serve()
        home.trust()
        home.send("before", "hub")
        assert [message["text"] for message in home.read("hub")] == ["before"]
        known = size(home, "hub", one, 1)
        assert size(home, "thermo-1", one, known) == known
        assert home.stop() == 0
        for old, new in (("gateway-data", "second-data"), ("fleet/public", "second-bundle")):
            shutil.copytree(home.directory / old, home.directory / new)
        home.ok("device", "init", "newcomer", "--dir", "./newcomer")
        home.ok("fleet", "admit", "./fleet", "./newcomer/join-request")
        home.serve()
        assert size(home, "thermo-1", one, known + 1) > known
        home.send("after", "hub")
        with second_gateway(home, two.url):
            assert size(home, "hub", two, known) == known
            pass_on(one, two, "sealgate/1/inbox/hub/#")
            where = ("--dir", "./hub", "--broker", two.url)
            read = home.ok("device", "read", *where, "--count", "1", "--json")
            assert read.json["text"] == "after"
            # A device asks four times in 150 seconds (PROTOCOL 8.6); here it is less patient.
            monkeypatch.setattr(proving, "AGAIN", Backoff(first=1.0, most=2.0))
            reports = wait_for_reports(home, two)
        assert [(report.kind, report.about) for report in reports] == [("unproven", "thermo-1")]
        judge_what_was_found(home)
    finally:
        home.stop()


def wait_for_reports(home: Home, broker: Mosquitto) -> list[LogReport]:
    """Run the device for moments, until its tries have run out."""
    for _ in range(_TRIES):
        with Device.open(home.directory / "hub", broker=broker.url) as device:
            log, until = device._parts.log, time.monotonic() + 3
            with device._courier.changed:
                if device._courier.wait(partial(_is_reported, log), until):
                    return log.reports()
    raise AssertionError("nothing was found")


def _is_reported(log: LogWatch) -> bool:
    return bool(log.reports())


def judge_what_was_found(home: Home) -> None:
    """Two processes signed: that is evidence to look at, and no proof."""
    where = ("--broker", "mqtt://127.0.0.1:1")
    home.ok("device", "trust", "./fleet/public/root.pub", "--dir", "./phone", *where)
    nothing = home.ok("device", "evidence", "--dir", "./phone", "--out", "./none")
    assert nothing.out == "Nothing was found.\n"
    assert not (home.directory / "none").exists()
    written = home.ok("device", "evidence", "--dir", "./hub", "--out", "./evidence")
    files = sorted(path.name for path in (home.directory / "evidence").iterdir())
    assert files == ["01-unproven-first", "01-unproven-second"]
    assert "thermo-1" in written.out
    paths = [f"./evidence/{name}" for name in files]
    judged = home.run("fleet", "judge", "./fleet", *paths)
    assert (judged.code, "backup" in judged.out) == (1, True)


def test_the_owner_can_prove_that_a_gateway_signed_two_histories(
    made_home: Path, tmp_path: Path
) -> None:
    home = Home(made_home, tmp_path / "home")
    identity = load_identity(home.directory / "gateway-data", None)
    aad = find_bundle(home.directory / "fleet").pin().aad
    log = GatewayLog(identity, aad, time=int(time.time()))
    other = log.fork()
    log.grow()
    other.grow()
    (home.directory / "a").write_bytes(log.head())
    (home.directory / "b").write_bytes(other.head())
    judged = home.ok("fleet", "judge", "./fleet", "a", "b")
    assert "PROOF: gw-1" in judged.out
    as_json = home.ok("fleet", "judge", "./fleet/public", "a", "b", "--json").json
    assert as_json["proof"] is True
    assert [head["size"] for head in as_json["heads"]] == [4, 4]
    refused = home.run("fleet", "judge", "./fleet", "a", "./thermo-1/join-request")
    assert refused.code == 1
    assert len(refused.err.splitlines()) == 1
