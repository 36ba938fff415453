"""The command ``sealgate`` as people and scripts run it: in processes of its own."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PATIENCE = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object that it printed."""
        (record,) = self.json_lines
        return record

    @property
    def json_lines(self) -> list[Any]:
        """The JSON objects that it printed, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Shell:
    """Runs commands in one directory, without a terminal."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        # Neither somebody's own settings, nor help with flushing that a user would not have.
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("SEALGATE_") and name != "PYTHONUNBUFFERED"
        }

    def start(self, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
        """Start ``sealgate`` with pipes on all three streams."""
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", *arguments],
            cwd=self.directory,
            env=self.environment,
            text=True,
            **{**pipes, **options},
        )

    def run(self, *arguments: str, text: str = "") -> Done:
        """Run ``sealgate`` to its end, whatever that is."""
        process = self.start(*arguments)
        try:
            out, err = process.communicate(text, timeout=_PATIENCE)
        finally:
            process.kill()
        return Done(code=process.returncode, out=out, err=err)

    def through_sh(self, line: str) -> Done:
        """Run ``sealgate`` by a line of the shell, which may redirect or close its streams."""
        done = subprocess.run(
            ["sh", "-c", f"exec {shlex.quote(sys.executable)} -m gateway.cli {line}"],
            check=False,
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
        )
        return Done(code=done.returncode, out=done.stdout, err=done.stderr)

    def talk(self, *arguments: str, answers: Sequence[str]) -> tuple[int, str]:
        """Run ``sealgate`` at a terminal of its own, and give an answer to each question.

        Returns the exit code and all that the terminal showed.
        """
        at_a_terminal = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
        command = [sys.executable, "-m", "gateway.cli", *arguments]
        with subprocess.Popen(
            [sys.executable, "-c", at_a_terminal, *command],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            shown = b""
            for answer in answers:
                # An answer given before its question would be thrown away.
                while not shown.endswith(b": "):
                    shown += process.stdout.read(1) or b"(ended) : "
                process.stdin.write(answer.encode() + b"\n")
                shown += process.stdout.read(1)
            shown += process.stdout.read()
        return process.returncode, shown.decode()

    def ok(self, *arguments: str, text: str = "") -> Done:
        """Run ``sealgate``, which must succeed."""
        done = self.run(*arguments, text=text)
        assert done.code == 0, done.err
        return done

    def fails(self, *arguments: str, text: str = "") -> str:
        """Run ``sealgate``, which must fail with one line on stderr; return that line."""
        done = self.run(*arguments, text=text)
        assert done.code not in (0, -9), done
        lines = [line for line in done.err.splitlines() if ": warning: " not in line]
        assert len(lines) == 1, done.err
        assert lines[0].startswith("sealgate: ")
        return lines[0]
