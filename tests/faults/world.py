"""A small world to break: an owner, a gateway, a broker, senders and readers, each a process.

Everybody but the watcher reaches the broker through proxies. What they do is written down in
``history/``; `World.settle` waits until everything is over, and returns what remains.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from device_sdk import ReportKind, create_device, trust_root
from device_sdk.assembly import STATE_FILE
from device_sdk.wire.reading_policy import MAX_SPAN, REQUIRE
from gateway.enrolment import init_gateway
from gateway.fault_points import SWITCH
from gateway.login import OPERATOR, operator_password
from gateway.owner.changes import set_channel
from gateway.owner.fleet import Fleet
from gateway.owner.reading_rules import RuleWish, set_reading_rule
from gateway.owner.signing import Members
from gateway.store.sqlite import LEDGER_FILE, read_summaries
from tests.brokers.mosquitto import Mosquitto, free_port
from tests.faults.backup import Backup
from tests.faults.checker import Remains, Row
from tests.faults.disk import small_disk
from tests.faults.history import ROLLBACK, SUFFIX, Pen, What
from tests.faults.proxy import Proxy
from tests.faults.sender import CHANNEL
from tests.faults.watcher import Watcher, search
from tests.faults.wrong_clock import WrongClock

GATEWAY, ABSENT = "gw-1", "absent"
SENDERS, READERS = ("sender-1", "sender-2"), ("reader-1", "reader-2", "reader-3")
PATIENCE = 90.0
GONE = 30.0
"""Seconds within which everything must be gone once everybody knows how it ended."""
_LOOK = 0.1
_ACCUSING = (ReportKind.SPLIT_VIEW, ReportKind.UNPROVEN)
"""That its log was put back with a backup is true, and accuses nobody."""
T = TypeVar("T")


class StuckError(Exception):
    """Something that should happen by itself did not."""


def make_fleet(directory: Path) -> None:
    """Make a fleet with a gateway and all devices, admitted: once, as their keys take a while."""
    now = int(time.time())
    fleet = Fleet.create(directory / "fleet", name="faults", passphrase=None, now=now)
    request = init_gateway(directory / "data", GATEWAY, None, now)
    fleet.admit(request.read_bytes(), role="gateway", now=now)
    for name in (*SENDERS, *READERS, ABSENT):
        request = create_device(directory / name, name, None, now=now)
        fleet.admit(request.read_bytes(), now=now)
        trust_root(directory / name, directory / "fleet" / "public" / "root.pub")
    fleet.change(_with_readings, now=now)


def _with_readings(members: Members, version: int) -> Members:
    """Add a channel that takes nothing but readings: of 32 bits, so that no two are the same."""
    members = set_channel(members, CHANNEL, readers=READERS, senders=SENDERS)
    wish = RuleWish(unit="Wh", span=f"0..{MAX_SPAN}", mode=REQUIRE)
    return set_reading_rule(members, CHANNEL, wish, version)


class Program:
    """A process that can be killed and started again."""

    def __init__(self, directory: Path, name: str, arguments: Sequence[str]) -> None:
        self.name = name
        self._log = directory / f"{name}.log"
        self._arguments = arguments
        self._process: asyncio.subprocess.Process | None = None
        self._heard = asyncio.Condition()
        self._lines: list[str] = []
        self._listening: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether it has been started and not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def log(self) -> str:
        """What it has written to stderr in all its lives."""
        return self._log.read_text(errors="replace")

    async def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Start it, with these variables added to the environment."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", *self._arguments),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, **(environment or {})},
            )
        self._lines = []
        assert self._process.stdout is not None
        self._listening = asyncio.ensure_future(self._listen(self._process.stdout))

    async def _listen(self, stdout: asyncio.StreamReader) -> None:
        async for line in stdout:
            async with self._heard:
                self._lines.append(line.decode().strip())
                self._heard.notify_all()
        async with self._heard:
            self._heard.notify_all()

    async def says(self, word: str, patience: float = PATIENCE) -> None:
        """Wait until this life of it says a line that begins so. Raises StuckError."""

        def said() -> bool:
            return any(line.startswith(word) for line in self._lines) or not self._is_heard()

        try:
            async with asyncio.timeout(patience), self._heard:
                await self._heard.wait_for(said)
        except TimeoutError:
            raise StuckError(f"{self.name} does not say {word}:\n{self.log[-3000:]}") from None
        if not any(line.startswith(word) for line in self._lines):
            raise StuckError(f"{self.name} ended instead of saying {word}:\n{self.log[-3000:]}")

    def _is_heard(self) -> bool:
        return self._listening is not None and not self._listening.done() and self.runs

    def tell(self, line: str) -> None:
        """Give it a line."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal if it runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Kill it, or ask it to end, and wait; return its exit code."""
        self.send_signal(number)
        return await self.ended()

    async def ended(self, patience: float = PATIENCE) -> int:
        """Wait for its end; return its exit code. Raises StuckError."""
        assert self._process is not None
        try:
            async with asyncio.timeout(patience):
                code = await self._process.wait()
        except TimeoutError:
            raise StuckError(f"{self.name} does not end:\n{self.log[-3000:]}") from None
        if self._listening is not None:
            await self._listening
        return code


class World:
    """All of it. Use `world`."""

    def __init__(
        self,
        directory: Path,
        mosquitto: Mosquitto | None,
        *,
        pause: float,
        gateway: Sequence[str] = ("gateway.cli",),
        reader: Sequence[str] = ("tests.faults.reader",),
        absent: bool = False,
        own_clock: bool = False,
    ) -> None:
        self.directory, self.mosquitto = directory, mosquitto
        self.data = directory / "data"
        self.history = directory / "history"
        self.history.mkdir()
        self.pen = Pen(self.history / f"driver{SUFFIX}")
        self.port = mosquitto.port if mosquitto is not None else free_port()
        self.to_devices, self.to_gateway = Proxy(self.port), Proxy(self.port)
        self._gateway, self._how_to_read = gateway, reader
        self._pause, self._absent = pause, absent
        self.clock = WrongClock(directory / "clock")
        self.environment = self.clock.environment if own_clock else {}
        self.backup = Backup(self.data, directory / "backup")
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start everything, and return when the gateway serves."""
        await self.to_devices.start()
        await self.to_gateway.start()
        url = f"mqtt://127.0.0.1:{self.to_devices.port}"
        where = str(self.history)
        self.gateway = Program(self.directory, GATEWAY, [*self._gateway, *self._serve()])
        self.readers = [self._reader(name, url) for name in READERS]
        self.absent = self._reader(ABSENT, url)
        absent = ABSENT if self._absent else ""
        self.senders = [
            Program(
                self.directory,
                name,
                [
                    *("tests.faults.sender", str(self.directory / name), url, where),
                    *(str(self._pause), absent, *READERS),
                ],
            )
            for name in SENDERS
        ]
        password = operator_password(self.data) if self.mosquitto is None else "any"
        user = OPERATOR if self.mosquitto is None else "watcher"
        self.watcher = Watcher(self.port, user, password, Pen(self.history / f"watcher{SUFFIX}"))
        self.tasks.append(asyncio.ensure_future(self.watcher.run()))
        await self.serve()
        for device in (*self.readers, *self.senders):
            await device.start()

    def _reader(self, name: str, url: str) -> Program:
        arguments = [*self._how_to_read, str(self.directory / name), url, str(self.history)]
        return Program(self.directory, name, arguments)

    def _serve(self) -> list[str]:
        here = ["serve", "--data", str(self.data)]
        here += ["--bundle", str(self.directory / "fleet" / "public"), "--log-format", "json"]
        if self.mosquitto is None:
            return [*here, "--listen", f"127.0.0.1:{self.port}"]
        return [*here, "--broker", f"mqtt://127.0.0.1:{self.to_gateway.port}"]

    async def serve(self, die_at: str = "", *, ready: bool = True) -> None:
        """Start the gateway, and wait until it is reconciled unless told otherwise."""
        brisk = {"SEALGATE_TICK": "0.3", "SEALGATE_SWEEP": "5", "SEALGATE_STATE_INTERVAL": "2"}
        fatal = {SWITCH: die_at} if die_at else {}
        await self.gateway.start({**brisk, **self.environment, **fatal})
        if ready:
            await self.gateway.says("ready")

    def note_rollback(self, taken_at: int) -> None:
        """Write down that the ledger is an older one now."""
        self.pen.write(What.FAULT, detail=f"{ROLLBACK}{taken_at}")

    async def settle(self, patience: float = PATIENCE) -> Remains:
        """Let everything end, for so many seconds at most, and return what remains."""
        self.to_devices.mend()
        self.to_gateway.mend()
        everybody = [self.gateway, *self.readers, *self.senders]
        if self._absent:
            everybody.append(self.absent)
        for program in everybody:
            program.send_signal(signal.SIGCONT)
            if not program.runs:
                await (self.serve() if program is self.gateway else program.start())
        for sender in self.senders:
            sender.tell("stop")
        with contextlib.suppress(StuckError, TimeoutError):  # the history says what they wait for
            async with asyncio.timeout(patience):
                for sender in self.senders:
                    await sender.says("idle")
        rows = await _until_nothing(lambda: asyncio.to_thread(self._rows), patience)
        retained = await _until_nothing(self.watcher.standing, patience)
        for program in (*self.senders, *self.readers, self.absent):
            if program.runs:
                await program.end(signal.SIGKILL)
        residues = await _until_nothing(lambda: asyncio.to_thread(self.residues), patience)
        named = {f"{row.sender}'s {row.id_prefix}" for row in rows}  # which is said already
        residues = [one for one in residues if one.partition("id of ")[2] not in named]
        return Remains(
            retained=retained, residues=residues, rows=rows, accusations=self.accusations()
        )

    def accusations(self) -> list[str]:
        """Return what the devices, which are dead, hold against the gateway's log."""
        found = []
        for name in (*SENDERS, *READERS):
            with contextlib.closing(sqlite3.connect(self.directory / name / STATE_FILE)) as state:
                kinds = state.execute("SELECT DISTINCT kind FROM log_report").fetchall()
            found += [f"{name}: {kind}" for (kind,) in kinds if kind in _ACCUSING]
        return found

    def renew_roster(self) -> None:
        """Let the owner sign a newer roster, which the gateway enters in its log."""
        fleet = Fleet.open(self.directory / "fleet", None)
        request = (self.directory / ABSENT / "join-request").read_bytes()
        fleet.admit(request, now=int(time.time()))

    def _rows(self) -> list[Row]:
        held = read_summaries(self.data / LEDGER_FILE)
        return [Row(sender=one.sender, id_prefix=one.id_prefix, state=one.state) for one in held]

    def residues(self) -> list[str]:
        """Return every part of a message that stands in a file of the gateway's."""
        return [
            f"{path.name} holds the {piece}"
            for path in sorted(self.data.iterdir())
            if path.is_file()
            for piece in search(self.watcher.pieces, path.read_bytes())
        ]

    async def end(self) -> None:
        """End every process and task."""
        for program in (self.gateway, self.absent, *self.readers, *self.senders):
            program.send_signal(signal.SIGCONT)
            if program.runs:
                await program.end()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.to_devices.stop()
        await self.to_gateway.stop()


async def _until_nothing(look: Callable[[], Awaitable[list[T]]], patience: float) -> list[T]:
    """Look until nothing is found, or for long enough; return what is found last."""
    until = time.monotonic() + min(patience, GONE)
    while (found := await look()) and time.monotonic() < until:  # noqa: ASYNC110 - files tell nobody
        await asyncio.sleep(_LOOK)
    return found


@contextlib.asynccontextmanager
async def world(
    made: Path,
    directory: Path,
    mosquitto: Mosquitto | None,
    *,
    on_small_disk: bool = False,
    **options: object,
) -> AsyncIterator[World]:
    """Give a world around a copy of what `make_fleet` made, started, and end it afterwards."""
    shutil.copytree(made, directory)
    with contextlib.ExitStack() as last:
        if on_small_disk:
            last.enter_context(small_disk(directory / "data"))
        here = World(directory, mosquitto, **options)  # type: ignore[arg-type]
        try:
            await here.start()
            yield here
        finally:
            await here.end()
