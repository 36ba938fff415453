"""The demo's processes: each is a command that a person could type."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Self

from gateway.cli.demo.facts import DemoError

_PATIENCE = 30.0
_STOP_PATIENCE = 5.0
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Running:
    """One command that was started: its output, and its end."""

    def __init__(
        self, arguments: tuple[str, ...], process: "subprocess.Popen[str]", log: Path
    ) -> None:
        self._command = f"`sealgate {' '.join(arguments)}`"
        self._process = process
        self._log = log
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, args=[process.stdout], daemon=True)
        self._reader.start()

    def _read(self, stdout: IO[str]) -> None:
        with stdout:
            for line in stdout:
                self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def line(self) -> str:
        """Return the next line that it prints. Raises DemoError if it ends or is silent instead."""
        try:
            line = self._lines.get(timeout=_PATIENCE)
        except queue.Empty:
            raise DemoError(f"{self._command} prints nothing") from None
        if line is None:
            self._process.wait()
            raise self._failure()
        return line

    def finish(self) -> list[str]:
        """Wait for its end and return the lines left. Raises DemoError unless it succeeded."""
        try:
            code = self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            raise DemoError(f"{self._command} does not end") from None
        if code:
            raise self._failure()
        self._reader.join()
        left = []
        while (line := self._lines.get()) is not None:
            left.append(line)
        return left

    def stop(self) -> None:
        """End it, in a friendly way first."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        self._reader.join()

    @property
    def log(self) -> str:
        """What it has written to stderr."""
        return self._log.read_text(errors="replace")

    def _failure(self) -> DemoError:
        said = self.log.strip().splitlines() or ["it said nothing"]
        return DemoError(f"{self._command} failed: {said[-1]}")


class Workshop:
    """A temporary directory and the processes that work in it. Both end with the ``with`` block,
    also when the demo is interrupted or told to end."""

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="sealgate-demo-")
        self.directory = Path(self._temporary.name)
        self._logs = Path(tempfile.mkdtemp(dir=self.directory, prefix=".logs-"))
        self._running: list[Running] = []
        self._former: dict[signal.Signals, object] = {}
        # Settings of a gateway that this person may run otherwise have no place in the demo.
        self._environment = {
            name: value for name, value in os.environ.items() if not name.startswith("SEALGATE_")
        }

    def start(self, *arguments: str, text: str = "") -> Running:
        """Start ``sealgate`` with these arguments and with ``text`` on its standard input."""
        log = self._logs / f"{len(self._running)}.log"
        with log.open("w") as stderr:
            process = subprocess.Popen(  # noqa: S603 - our own commands
                [sys.executable, "-m", "gateway.cli", *arguments],
                stdin=subprocess.PIPE if text else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                cwd=self.directory,
                env=self._environment,
                start_new_session=True,  # Ctrl-C ends the demo, and the demo ends them
            )
        running = Running(arguments, process, log)
        self._running.append(running)
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
                stdin.write(text)
        return running

    def run(self, *arguments: str, text: str = "") -> list[str]:
        """Run ``sealgate`` to its end and return the lines that it printed."""
        return self.start(*arguments, text=text).finish()

    def __enter__(self) -> Self:
        self._former = {number: signal.signal(number, _interrupt) for number in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # From here on, a second Ctrl-C would only leave something behind.
        former_interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
        for running in reversed(self._running):
            running.stop()
        self._temporary.cleanup()
        signal.signal(signal.SIGINT, former_interrupt)
        for number, handler in self._former.items():
            signal.signal(number, handler)  # type: ignore[arg-type]


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
