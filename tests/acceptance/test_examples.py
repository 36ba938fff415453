"""Each example does what its first line says."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.home import Home

EXAMPLES = Path(__file__).parents[2] / "examples"


def start(home: Home, name: str, *arguments: str) -> "subprocess.Popen[str]":
    """Start an example in the fleet's directory."""
    options: dict[str, Any] = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(
        [sys.executable, str(EXAMPLES / name), *arguments],
        cwd=home.directory,
        text=True,
        **options,
    )


def run(home: Home, name: str, *arguments: str) -> str:
    """Run an example to its end, which must be a good one."""
    with start(home, name, *arguments) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


def test_every_example_is_tested() -> None:
    tested = {
        "json_order.py",
        "metering.py",
        "proved_reading.py",
        "read_forever.py",
        "send_load.py",
    }
    assert {path.name for path in EXAMPLES.glob("*.py")} == tested


def test_a_reading_is_sent_to_every_reader_named(home: Home) -> None:
    assert run(home, "send_load.py", "./thermo-1", "hub", "phone").startswith("held: ")
    for reader in ("hub", "phone"):
        (message,) = home.read(reader)
        assert float(message["text"]) >= 0


def test_a_proved_reading_is_sent_and_what_is_out_of_range_is_an_alarm(home: Home) -> None:
    channel = ("fleet", "channel", "set", "./fleet", "cellar")
    home.ok(*channel, "--reader", "hub", "--sender", "thermo-1")
    home.ok(*channel, "--reading", "celsius", "--scale", "0.1", "--range", "-40..125")
    home.ok(*channel, "--mode", "require")
    for measured in ("21.5", "500"):
        run(home, "proved_reading.py", "./thermo-1", "cellar", "hub", measured)
    reading, alarm = home.read("hub")
    assert (reading["text"], reading["reading"]["unit"]) == ("21.5", "celsius")
    assert "reading" not in alarm
    assert alarm["text"] == '{"alarm":"cellar","allowed":["-40.0","125.0"]}'


def test_reading_forever_prints_every_message_and_acknowledges_it(home: Home) -> None:
    with start(home, "read_forever.py", "./hub") as reading:
        assert reading.stdout is not None
        for text in ("one", "two"):
            home.send(text, "hub")
            line = reading.stdout.readline()
            assert line.startswith("thermo-1 ")
            assert line.endswith(f" {text}\n")
        reading.send_signal(signal.SIGINT)
        reading.communicate(timeout=60)
    assert home.read("hub") == []


def test_an_order_waits_for_whoever_is_away_and_reports_who_has_read(home: Home) -> None:
    with start(home, "json_order.py", "./hub", "phone") as ordering:
        while home.owing() != [["phone"]]:
            assert ordering.poll() is None
        (order,) = home.read("phone")
        out, _ = ordering.communicate(timeout=60)
    assert '"doors":["front","garage"]' in order["text"]
    assert out.startswith("read by phone at ")
