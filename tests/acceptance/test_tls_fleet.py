"""From nothing to a fleet with TLS, as the README says: an owner, Mosquitto, a gateway, devices.

The commands are those of README, section "A fleet with TLS", in a shell, in a directory that has
nothing in it. Only the ports are other ones, and nobody is there to be asked for a passphrase.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers.mosquitto import free_port

PATIENCE = 90.0


class Console:
    """Terminals in one directory, in which ``sealgate`` and ``mosquitto`` are commands."""

    def __init__(self, directory: Path, mosquitto: str) -> None:
        self.directory = directory
        commands = directory / ".commands"
        commands.mkdir()
        _script(commands / "sealgate", f'exec {sys.executable} -m gateway.cli "$@"')
        # Mosquitto would become another user, who may not look into the test's directory.
        stay = 'sed "\\$a user root" "$2" > "$2.root"; ' if os.geteuid() == 0 else ""
        suffix = ".root" if stay else ""
        _script(commands / "mosquitto", f'{stay}exec {mosquitto} -c "$2{suffix}"')
        self._environment = {**os.environ, "PATH": f"{commands}:{os.environ['PATH']}"}
        self._running: list[subprocess.Popen[str]] = []

    def run(self, line: str) -> str:
        """Run a line to its end, which must be a good one; return what it printed."""
        done = subprocess.run(
            ["sh", "-ec", line],
            check=False,
            cwd=self.directory,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, line: str, log: str) -> None:
        """Run a line in a terminal of its own."""
        with (self.directory / log).open("w") as file:
            self._running.append(
                subprocess.Popen(
                    ["sh", "-ec", line],
                    cwd=self.directory,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    text=True,
                    start_new_session=True,
                )
            )

    def shows(self, log: str, text: str, times: int = 1) -> None:
        """Wait until a terminal has shown a text, as a person would."""
        until = time.monotonic() + PATIENCE
        while (shown := (self.directory / log).read_text()).count(text) < times:
            assert time.monotonic() < until, shown
            time.sleep(0.05)

    def close(self) -> None:
        """Close every terminal."""
        for process in reversed(self._running):
            os.killpg(process.pid, signal.SIGTERM)
        for process in self._running:
            process.wait(PATIENCE)


def _script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def console(tmp_path: Path, mosquitto: str) -> Iterator[Console]:
    console = Console(tmp_path, mosquitto)
    try:
        yield console
    finally:
        console.close()


def test_nine_commands_make_a_fleet_with_tls(console: Console) -> None:
    port = free_port()
    broker = f"mqtts://localhost:{port}"
    console.run("sealgate fleet init ./fleet --name home --no-passphrase")
    console.run("sealgate gateway init gw-1 --data ./gateway-data")
    console.run("sealgate fleet admit ./fleet ./gateway-data/join-request --role gateway")
    config = f"sealgate broker config --fleet ./fleet --out ./broker --port {port} --websockets 0"
    console.run(config)
    console.start("mosquitto -c ./broker/mosquitto.conf", "mosquitto.log")
    console.start(
        f"sealgate serve --data ./gateway-data --bundle ./fleet/public --broker {broker}",
        "serve.log",
    )
    console.shows("serve.log", "ready mqtts://")
    devices = "thermo-1 hub phone"
    console.run(f"sealgate fleet invite ./fleet {devices} --broker {broker} --out ./tickets")
    console.start(
        f"for name in {devices}; do "
        "sealgate device join ./tickets/$name.ticket --dir ./$name & done; wait",
        "join.log",
    )
    for name in devices.split():
        console.shows("join.log", f"waiting for the owner to admit {name} ...")
        console.shows("serve.log", f'"device": "{name}", "result": "new"')
    admitted = console.run("sealgate fleet admit ./fleet ./gateway-data/requests")
    assert admitted.count("by its ticket") == 3
    for name in devices.split():
        console.shows("join.log", f"{name} has joined")

    console.run("sealgate device send --dir ./thermo-1 --to hub --to phone '21.5'")
    for reader in ("hub", "phone"):
        assert console.run(f"sealgate device read --dir ./{reader}") == "21.5\n"
    assert console.run("sealgate device sent --dir ./thermo-1").count("hub, phone") == 1

    # Where certificates name devices, anonymous messages take the connection that there is.
    box = "--reader hub --sender thermo-1 --sender phone --anonymous"
    console.run(f"sealgate fleet channel set ./fleet box {box}")
    console.run("sealgate device send --dir ./thermo-1 --channel box tea")
    read = console.run("sealgate device read --dir ./hub --json")
    assert '"sender": "anonymous"' in read
    assert '"text": "tea"' in read
