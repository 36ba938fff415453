"""Sealed readings end to end: the gateway refuses what is out of range, and learns no value."""

import os
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from device_sdk import (
    Device,
    NoReadingRuleError,
    NotHeldYetError,
    OutOfRangeError,
    ReadingRequiredError,
    RefusedError,
    readings,
)
from device_sdk.proofs import sealed_reading
from device_sdk.wire.envelope import Envelope
from gateway.cli.demo.facts import becomes_true, found_in, found_in_files
from tests.brokers.mosquitto import Mosquitto
from tests.support.home import Home
from tests.support.hub_fleet import await_roster
from tests.support.onlooker import inboxes, onlooker

PATIENCE = 60.0
MARKER = Decimal("81236.4")
"""A value whose digits do not stand anywhere by chance."""


@pytest.fixture(params=["embedded", "mosquitto"])
def cellar(request: pytest.FixtureRequest, made_home: Path, tmp_path: Path) -> Iterator[Home]:
    """The channel cellar, made by the owner's commands: readings of -40 to 99999.9 celsius."""
    broker = Mosquitto(tmp_path, program=request.getfixturevalue("mosquitto"))
    home = Home(made_home, tmp_path / "home")
    home.environment |= {
        "SEALGATE_METRICS_FILE": str(home.directory / "metrics.prom"),
        "SEALGATE_TICK": "0.2",
    }
    if request.param == "mosquitto":
        broker.__enter__()
        home.use_broker(broker.url)
    try:
        home.serve()
        home.trust()
        channel(home, "--reader", "hub", "--sender", "thermo-1")
        rule("require", home)
        yield home
    finally:
        home.stop()
        if request.param == "mosquitto":
            broker.__exit__(None, None, None)


def channel(home: Home, *options: str) -> None:
    home.ok("fleet", "channel", "set", "./fleet", "cellar", *options)


def rule(mode: str, home: Home, span: str = "-40..99999.9") -> None:
    """Change the rule, and wait until the gateway goes by it."""
    said = ("--reading", "celsius", "--scale", "0.1", f"--range={span}", "--mode", mode)
    channel(home, *said)
    version = home.ok("fleet", "show", "./fleet", "--json").json["roster_version"]
    with Device.open(home.directory / "phone") as device:
        await_roster(device, version)


def count(home: Home, finding: str) -> int:
    """Return what the gateway's figures say about the channel."""
    text = (home.directory / "metrics.prom").read_text()
    line = rf'sealgate_readings_total{{channel="cellar",finding="{finding}"}} ([0-9.]+)'
    found = re.search(line, text)
    return int(float(found[1])) if found else 0


def test_a_reading_in_range_is_held_and_read_and_nobody_between_learns_its_value(
    cellar: Home,
) -> None:
    with onlooker(cellar) as snooper:
        sent = cellar.ok(
            *("device", "send", "--dir", "./thermo-1", "--channel", "cellar"),
            *("--reading", str(MARKER), "--json"),
        ).json
        assert len(inboxes(snooper.standing())) == 1
        data = cellar.directory / "gateway-data"
        steps = int(MARKER * 10)
        secrets = {
            "text": str(MARKER).encode(),
            "as CBOR": steps.to_bytes(4),
            "little-endian": steps.to_bytes(4, "little"),
        }
        assert found_in_files(data, secrets) == set()
        topic = f"/send/thermo-1/{sent['message_id']}"
        (packet,) = snooper.wait_for(lambda packet: packet.topic.endswith(topic))
        (message,) = cellar.read("hub")
        assert message["text"] == str(MARKER)
        assert message["reading"] == {
            "value": str(MARKER),
            "unit": "celsius",
            "low": "-40.0",
            "high": "99999.9",
            "step": "0.1",
            "policy_version": message["reading"]["policy_version"],
            "is_current": True,
            "is_required": True,
        }
        assert becomes_true(lambda: inboxes(snooper.standing()) == [], PATIENCE)
        seen = b"".join(packet.topic.encode() + packet.payload for packet in snooper.packets)
        copies = [packet for packet in snooper.packets if "/inbox/hub/" in packet.topic]
    assert found_in(seen, secrets) == set()
    proof = Envelope.decode(packet.payload).proof
    assert len(proof) == 128 * 20 + 64  # a million steps are 20 bits
    assert copies
    assert not any(proof[:32] in packet.payload for packet in copies)
    assert becomes_true(lambda: found_in_files(data, {"proof": proof[:32]}) == set(), PATIENCE)
    assert becomes_true(lambda: count(cellar, "proved") == 1, PATIENCE)


def test_what_is_out_of_range_is_refused_on_the_device_and_nothing_is_stored(cellar: Home) -> None:
    with Device.open(cellar.directory / "thermo-1") as device:
        for value in (-40.1, 100000, Decimal("1e30"), -1e300):
            with pytest.raises(OutOfRangeError, match=r"from -40\.0 to 99999\.9 celsius"):
                device.send_reading(value, channel="cellar")
        with pytest.raises(ReadingRequiredError):
            device.send("warm", channel="cellar")
        assert device.sent() == []
        # Both ends are in, and what lies between two steps goes to the nearer one.
        for value in (-40, 99999.9, 21.26, 21.25):
            device.send_reading(value, channel="cellar").wait_held(PATIENCE)
    shown = [one["reading"]["value"] for one in cellar.read("hub")]
    assert sorted(shown) == ["-40.0", "21.2", "21.3", "99999.9"]
    error = cellar.fails(
        *("device", "send", "--dir", "./thermo-1", "--channel", "cellar", "--reading=-41")
    )
    assert error == (
        "sealgate: the channel cellar allows readings from -40.0 to 99999.9 celsius: "
        "send what is outside as another kind of message, on another channel"
    )


def test_a_device_that_lies_about_its_range_is_refused_by_the_gateway(
    cellar: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = sealed_reading.prove
    with Device.open(cellar.directory / "thermo-1") as device:
        device.send_reading(20, channel="cellar").wait_held(PATIENCE)
        # It commits to a number that is out of range, and proves another one.
        monkeypatch.setattr(readings, "steps_of", lambda *_: 2_000_000)
        monkeypatch.setattr(
            sealed_reading,
            "prove",
            lambda *given, steps, blinding: honest(*given, steps=200, blinding=blinding),
        )
        sent = device.send_reading(20, channel="cellar")
        with pytest.raises(NotHeldYetError, match="proof-invalid"):
            sent.wait_held(5)
        # It sends no proof at all.
        monkeypatch.setattr(sealed_reading, "prove", lambda *_, **__: b"")
        sent = device.send_reading(20, channel="cellar")
        with pytest.raises(NotHeldYetError, match="proof-invalid"):
            sent.wait_held(5)
        # It calls it no reading.
        monkeypatch.setattr(readings, "check_is_no_reading", lambda *_: None)
        sent = device.send("20", channel="cellar")
        with pytest.raises(RefusedError) as caught:
            sent.wait_held(PATIENCE)
        assert caught.value.reason == "reading-required"
    assert [one["reading"]["value"] for one in cellar.read("hub")] == ["20.0"]
    assert becomes_true(lambda: count(cellar, "not-proved") >= 2, PATIENCE)
    assert becomes_true(lambda: count(cellar, "absent") == 1, PATIENCE)


def test_a_channel_that_observes_holds_everything_and_counts(
    cellar: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule("observe", cellar)
    with Device.open(cellar.directory / "thermo-1") as device:
        device.send("warm", channel="cellar").wait_held(PATIENCE)
        device.send_reading(20, channel="cellar").wait_held(PATIENCE)
        monkeypatch.setattr(sealed_reading, "prove", lambda *_, **__: os.urandom(128 * 20 + 64))
        device.send_reading(21, channel="cellar").wait_held(PATIENCE)
    assert [one["text"] for one in cellar.read("hub")] == ["warm", "20.0", "21.0"]
    findings = ("absent", "proved", "not-proved")
    assert becomes_true(lambda: [count(cellar, one) for one in findings] == [1, 1, 1], PATIENCE)


def test_a_reader_shows_nothing_that_is_not_what_was_committed_to(
    cellar: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = readings.encode
    with Device.open(cellar.directory / "thermo-1") as device:
        monkeypatch.setattr(readings, "encode", lambda v, r: honest(v + 1, r))
        sent = device.send_reading(20, channel="cellar")
        sent.wait_held(PATIENCE)
        monkeypatch.undo()
        assert cellar.read("hub") == []
        outcome = sent.wait_read(PATIENCE)
        assert outcome.unreadable == {"hub": "commitment-mismatch"}


def test_another_range_refuses_what_was_sealed_by_the_former_one_and_says_so(cellar: Home) -> None:
    mine = cellar.directory / "thermo-1"
    with Device.open(mine) as device:
        device.send_reading(19, channel="cellar").wait_held(PATIENCE)
    with Device.open(mine, broker="mqtt://127.0.0.1:1") as device:
        # It has no connection, and goes by the roster that it knows.
        sent = device.send_reading(20, channel="cellar", timeout=0)
    rule("require", cellar, span="0..50")
    with Device.open(mine) as device:
        again = device.find(sent.message_id)
        with pytest.raises(RefusedError) as caught:
            again.wait_held(PATIENCE)
        assert caught.value.reason == "policy-changed"
        device.send_reading(21, channel="cellar").wait_held(PATIENCE)
    # What was held before stays readable, by the policy of its time.
    read = [one["reading"] for one in cellar.read("hub")]
    assert [(one["value"], one["is_current"]) for one in read] == [("19.0", False), ("21.0", True)]


def test_a_channel_without_a_rule_and_direct_messages_take_no_readings(cellar: Home) -> None:
    cellar.ok("fleet", "channel", "set", "./fleet", "cellar", "--mode", "off")
    error = cellar.fails(
        *("device", "send", "--dir", "./thermo-1", "--reading", "20", "--to", "hub")
    )
    assert "a reading goes to a --channel" in error
    version = cellar.ok("fleet", "show", "./fleet", "--json").json["roster_version"]
    with Device.open(cellar.directory / "thermo-1") as device:
        await_roster(device, version)
        with pytest.raises(NoReadingRuleError):
            device.send_reading(20, channel="cellar", timeout=0)
        device.send("20", channel="cellar").wait_held(PATIENCE)
