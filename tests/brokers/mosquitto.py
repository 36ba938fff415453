"""A real Mosquitto 2.0 on a free loopback port, for one test or many."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

PATIENCE = 20.0  # seconds until a start or a stop has failed
_ATTEMPTS = 5


class MosquittoError(Exception):
    """Mosquitto is not there, or did not start or stop."""


class Mosquitto:
    """A broker process with a configuration of its own below ``directory``.

    Its limits are set generously, since its defaults drop messages silently. With ``persistent``
    retained messages survive `stop` and, if saved in time, `kill`. ``snooper`` is the password of
    an account of that name that may read everything and write nothing; everybody else then needs
    no password, and may do anything. ``extra`` is appended to the configuration. With
    ``configuration`` it runs with that file alone; then ``port`` is to be set to what it says.
    """

    def __init__(
        self,
        directory: Path,
        *,
        persistent: bool = False,
        snooper: str | None = None,
        extra: str = "",
        program: str | None = None,
        configuration: Path | None = None,
    ) -> None:
        self.directory = directory / "mosquitto"
        self.directory.mkdir(parents=True)
        # Debian keeps brokers in /usr/sbin, which is not on everybody's PATH.
        path = os.environ.get("PATH", "") + os.pathsep + "/usr/sbin"
        found = program or shutil.which("mosquitto", path=path)
        if found is None:
            raise MosquittoError("mosquitto is not installed; `make test` installs it")
        self._program = found
        self._given = configuration
        self._settings = _settings(self.directory, persistent=persistent, extra=extra)
        if snooper is not None:
            self._settings += self._snooper_account(snooper)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens, or will listen again after a restart."""
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What it has written so far, over all its starts."""
        path = self.directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Start and wait until it accepts connections. The port stays the same ever after."""
        if self.port:
            return self._start_on(self.port)
        for attempt in range(_ATTEMPTS):  # another program may take the free port first
            try:
                self._start_on(free_port())
            except MosquittoError:
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                return None
        raise AssertionError("not reached")

    def stop(self) -> None:
        """Ask it to end, which saves what is persistent, and wait."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        self._end(signal.SIGKILL)

    def save(self) -> None:
        """Let it write what is persistent into its file, soon."""
        self.send_signal(signal.SIGUSR1)

    def forget(self) -> None:
        """Lose what is persistent, while it does not run."""
        (self.directory / "mosquitto.db").unlink(missing_ok=True)

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal if it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def reload(self) -> None:
        """Let it read its configuration again, soon: one that was given as a file is copied."""
        if self._given is not None:
            self._write(self.port)
        self.send_signal(signal.SIGHUP)

    def restart(self, *, kill: bool = False) -> None:
        """Stop or kill it and start it again on the same port."""
        self._end(signal.SIGKILL if kill else signal.SIGTERM)
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _write(self, port: int) -> Path:
        configuration = self.directory / "mosquitto.conf"
        settings = f"listener {port} 127.0.0.1\n{self._settings}"
        if self._given is not None:
            settings = self._given.read_text() + ("user root\n" if os.geteuid() == 0 else "")
        configuration.write_text(settings)
        return configuration

    def _start_on(self, port: int) -> None:
        configuration = self._write(port)
        with (self.directory / "log").open("ab") as log:
            process = subprocess.Popen(
                [self._program, "-c", str(configuration)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + PATIENCE
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                process.wait()
                raise MosquittoError(f"mosquitto did not start:\n{self.log[-2000:]}")
            time.sleep(0.01)
        self._process, self.port = process, port

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise MosquittoError("mosquitto did not end when asked to") from None
        finally:
            self._process = None

    def _snooper_account(self, password: str) -> str:
        passwords, rules = self.directory / "passwords", self.directory / "acl"
        passwords.write_text(f"snooper:{password}\n")
        passwords.chmod(0o600)
        hasher = Path(self._program).with_name("mosquitto_passwd")
        command = shutil.which("mosquitto_passwd") or str(hasher)
        subprocess.run([command, "-U", str(passwords)], check=True, capture_output=True)
        rules.write_text("topic readwrite #\n\nuser snooper\ntopic read #\ntopic read $SYS/#\n")
        rules.chmod(0o600)
        return f"password_file {passwords}\nacl_file {rules}\n"


def _settings(directory: Path, *, persistent: bool, extra: str) -> str:
    lines = [
        "allow_anonymous true",
        "max_queued_messages 0",  # its default of 1,000 drops QoS 1 messages of slow readers
        "max_queued_bytes 0",
        "max_inflight_messages 1000",
        "log_dest stdout",
        "log_type error",
        "log_type warning",
        f"persistence {'true' if persistent else 'false'}",
        f"persistence_location {directory}/",
    ]
    if os.geteuid() == 0:
        lines.append("user root")  # or it could not read what a test has made
    return "\n".join(lines) + "\n" + extra + "\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
