"""A whole fleet made by commands, as the README says, and a gateway that serves it."""

import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

from tests.support.commands import Shell

DEVICES = ("thermo-1", "hub", "phone")


def make_home(directory: Path) -> None:
    """Make the fleet, the gateway ``gw-1`` and the devices in a directory, and admit them."""
    shell = Shell(directory)
    shell.ok("fleet", "init", "./fleet", "--name", "home", "--no-passphrase")
    shell.ok("gateway", "init", "gw-1", "--data", "./gateway-data")
    shell.ok("fleet", "admit", "./fleet", "./gateway-data/join-request", "--role", "gateway")
    for name in DEVICES:
        shell.ok("device", "init", name, "--dir", f"./{name}")
        shell.ok("fleet", "admit", "./fleet", f"./{name}/join-request")


class Home(Shell):
    """A copy of what `make_home` made, and its gateway: on ``broker``, or on its own broker."""

    def __init__(self, made: Path, directory: Path, broker: str = "") -> None:
        super().__init__(shutil.copytree(made, directory))
        self._broker = broker
        self._serve: subprocess.Popen[str] | None = None
        self.url = broker

    def use_broker(self, url: str) -> None:
        """Let the gateway work beside a broker instead of its own."""
        self._broker = self.url = url

    def serve(self) -> None:
        """Start the gateway, at the same address as before, and wait until it serves."""
        if self._broker:
            where = ("--broker", self._broker)
        else:
            where = ("--listen", self.url.removeprefix("mqtt://") or "127.0.0.1:0")
        with (self.directory / "serve.log").open("a") as log:
            self._serve = self.start(
                *("serve", "--data", "./gateway-data", "--bundle", "./fleet/public", *where),
                stdin=subprocess.DEVNULL,
                stderr=log,
            )
        assert self._serve.stdout is not None
        ready = self._serve.stdout.readline()
        assert ready.startswith("ready "), (self.directory / "serve.log").read_text()
        self.url = ready.split()[1]

    def stop(self) -> int:
        """Stop the gateway as a service manager would; return its exit code."""
        if self._serve is None:
            return 0
        serve, self._serve = self._serve, None
        serve.send_signal(signal.SIGTERM)
        with serve:
            return serve.wait(30)

    def trust(self) -> None:
        """Let every device trust the owner and remember the broker."""
        for name in DEVICES:
            self.ok(
                *("device", "trust", "./fleet/public/root.pub", "--dir", f"./{name}"),
                *("--broker", self.url),
            )

    def send(self, text: str, *readers: str) -> str:
        """Send a message from thermo-1; return its id once it is held."""
        to = [word for reader in readers for word in ("--to", reader)]
        return self.ok("device", "send", "--dir", "./thermo-1", *to, text).out.strip()

    def read(self, reader: str) -> list[Any]:
        """Read all that waits for a reader, as JSON objects."""
        return self.ok("device", "read", "--dir", f"./{reader}", "--json").json_lines

    def sent(self, message_id: str) -> Any:
        """Return what thermo-1 knows about a message it sent."""
        return self.ok("device", "sent", "--dir", "./thermo-1", message_id, "--json").json

    def owing(self) -> list[list[str]]:
        """Return, for each message at the gateway, who still owes a read ack."""
        listed = self.ok("messages", "list", "--data", "./gateway-data", "--json")
        return [message["owing"] for message in listed.json_lines]
