"""A home whose gateway, or one of whose devices, lives in another time than everybody else."""

import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from device_sdk.wire import cose
from device_sdk.wire.notice import Event, Notice
from device_sdk.wire.state import State
from device_sdk.wire.topics import Kind, Topics
from gateway.cli.demo.snooper import Packet, Snooper
from gateway.store.sqlite import LEDGER_FILE, read_summaries
from tests.faults.wrong_clock import WrongClock
from tests.support.home import Home

PATIENCE = 60.0
TOPICS = Topics()
_LOOK = 0.02


class ClockHome(Home):
    """A home; ``clock`` is its gateway's."""

    def __init__(self, made: Path, directory: Path, broker: str = "") -> None:
        super().__init__(made, directory, broker)
        self.clock = WrongClock(directory / "clock")
        self._served = 0

    def start(self, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
        """Start a command; the gateway goes by its own clock, and looks at it often."""
        everybody = self.environment
        if arguments[0] == "serve":
            often = {"SEALGATE_TICK": "0.02", "SEALGATE_STATE_INTERVAL": "0.5"}
            self.environment = {**everybody, **often, **self.clock.environment}
        try:
            return super().start(*arguments, **options)
        finally:
            self.environment = everybody

    def serve_again(self, skew: int, *, confirm: bool = False) -> None:
        """Restart the gateway at another time, and wait until it serves."""
        self.stop()
        self.clock.set(skew)
        self._served = len(self.log)
        if confirm:
            self.environment["SEALGATE_CONFIRM_CLOCK"] = "true"
        self.serve()
        self.environment.pop("SEALGATE_CONFIRM_CLOCK", None)

    @property
    def log(self) -> str:
        """What the gateway has logged in all its lives."""
        return (self.directory / "serve.log").read_text()

    def await_log(self, word: str) -> None:
        """Wait until the gateway has logged this since its latest start."""
        until(lambda: word in self.log[self._served :])

    def await_sweeps(self, onlooker: Snooper) -> None:
        """Wait until the gateway has looked more than once at what time ends.

        It does so every 0.2 s, and signs its state every 0.5 s.
        """
        seen = len(states(onlooker))
        until(lambda: len(states(onlooker)) >= seen + 3)

    def owing_now(self) -> list[tuple[str, ...]]:
        """Return, for each message in the ledger, who still owes a read ack."""
        ledger = self.directory / "gateway-data" / LEDGER_FILE
        return [summary.owing for summary in read_summaries(ledger)]

    def run_device(self, skew: int, script: str) -> str:
        """Run a script in a process whose clock is wrong; return what it printed."""
        clock = WrongClock(self.directory / "device-clock")
        clock.set(skew)
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)],
            cwd=self.directory,
            env={**self.environment, **clock.environment},
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def until(done: Callable[[], bool]) -> None:
    """Wait for something that tells nobody when it happens."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(_LOOK)


def states(onlooker: Snooper) -> list[State]:
    """Return every state that the gateway has published since the onlooker came."""
    return [
        cose.parse_signed(State, packet.payload).claims
        for packet in onlooker.packets
        if packet.topic == TOPICS.state("gw-1") and not packet.retained
    ]


def await_state(onlooker: Snooper, status: str) -> State:
    """Wait until the gateway's newest state has this status, and return it."""
    until(lambda: bool(found := states(onlooker)) and found[-1].status == status)
    return states(onlooker)[-1]


def told(onlooker: Snooper, device: str, message_id: str) -> list[tuple[str, str]]:
    """Return (event, detail word) of all that a device was told about one of its messages."""
    notices = [p for p in onlooker.packets if p.topic == TOPICS.notice(device) and p.payload]
    events: list[Event] = []
    for packet in notices:
        events += cose.parse_signed(Notice, packet.payload).claims.events
    return [(str(one.kind), one.word) for one in events if one.message_id.hex() == message_id]


def envelope_of(onlooker: Snooper, sender: str, message_id: str) -> Packet:
    """Return an envelope as it passed the broker."""
    topic = TOPICS.send(sender, bytes.fromhex(message_id))
    return onlooker.wait_for(lambda packet: packet.topic == topic)[0]


def copies_of(packets: tuple[Packet, ...], message_id: str) -> list[Packet]:
    """Return the copies of a message among what was published."""
    inbox = TOPICS.all_of(Kind.INBOX).removesuffix("#")
    return [
        packet
        for packet in packets
        if packet.topic.startswith(inbox) and packet.topic.endswith(message_id) and packet.payload
    ]
