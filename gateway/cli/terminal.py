"""The terminal as all commands use it: passphrases, tables, warnings, one JSON object a line.

The device's commands get it through Typer's context, since the SDK imports nothing of the gateway.
"""

import getpass
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from device_sdk.wire.errors import SealgateError

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]


def date(seconds: int) -> str:
    """Return Unix seconds as local time, for people."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


class PassphraseFileError(SealgateError):
    """A passphrase that was not given as it should be."""


class NotInstalledError(SealgateError):
    """A part of the project that a command needs and that was not installed."""


class Terminal:
    """Whoever is at the other end of stdin, stdout and stderr: a person or a script."""

    @property
    def has_person(self) -> bool:
        """Whether somebody is there who can be asked."""
        stdin: TextIO | None = sys.stdin  # None if it is closed
        return stdin is not None and stdin.isatty() and sys.stderr.isatty()

    def new_passphrase(self, file: Path | None, *, what: str) -> bytes | None:
        """Return the passphrase for new keys, None for unencrypted ones, which is warned of.

        Raises:
            PassphraseFileError: the file cannot be read or is empty, or the two answers differ.
        """
        if file is not None:
            return _read_passphrase(file)
        passphrase = ""
        if self.has_person:
            passphrase = getpass.getpass(f"Passphrase for {what} (just Enter for none): ")
            if passphrase and getpass.getpass("The same again: ") != passphrase:
                raise PassphraseFileError("the two passphrases differ")
        if not passphrase:
            self.warn(f"without a passphrase {what} is stored unencrypted (see --passphrase-file)")
        return passphrase.encode() or None

    def owner_passphrase(
        self, file: Path | None, *, what: str, none_wanted: bool = False
    ) -> bytes | None:
        """Return the passphrase for an owner's new key, None only if that was asked for.

        Raises:
            PassphraseFileError: there is none and nobody who can be asked for one, both are given,
                or see `new_passphrase`.
        """
        if none_wanted:
            if file is not None:
                raise PassphraseFileError("expected --passphrase-file or --no-passphrase, got both")
            self.warn(
                f"{what} is stored unencrypted: whoever copies that file owns the fleet, and can "
                "admit and revoke whom they like"
            )
            return None
        if file is not None:
            return _read_passphrase(file)
        passphrase = ""
        if self.has_person:
            passphrase = getpass.getpass(f"Passphrase for {what}: ")
            if passphrase and getpass.getpass("The same again: ") != passphrase:
                raise PassphraseFileError("the two passphrases differ")
        if not passphrase:
            raise PassphraseFileError(
                f"{what} needs a passphrase: give --passphrase-file FILE, or --no-passphrase to "
                "leave it open to whoever copies the file"
            )
        return passphrase.encode()

    def passphrase(self, file: Path | None, *, key_file: Path) -> bytes | None:
        """Return the passphrase of an existing key, None if it has none or nobody can be asked.

        Raises:
            PassphraseFileError: the file cannot be read or is empty.
        """
        if file is not None:
            return _read_passphrase(file)
        if self.has_person and _is_encrypted(key_file):
            return getpass.getpass(f"Passphrase for {key_file}: ").encode() or None
        return None

    def say(self, text: str) -> None:
        """Print a line of result."""
        print(text, flush=True)

    def fingerprint(self, spki: bytes) -> None:
        """Print a public key's fingerprint, in hex and in digits, as people compare it."""
        from device_sdk.wire.suites import fingerprint, fingerprint_digits

        self.say(f"Fingerprint: {fingerprint(spki)}")
        self.say(f"In digits:   {fingerprint_digits(spki)}")

    def warn(self, text: str) -> None:
        """Print a warning where it does not mix with results."""
        print("sealgate: warning:", printable(text), file=sys.stderr, flush=True)

    def json(self, record: Mapping[str, Any]) -> None:
        """Print one JSON object on one line."""
        print(json.dumps(record), flush=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table; in a pipe its lines are as long as they need to be."""
        from rich import box
        from rich.console import Console
        from rich.table import Table

        table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for row in rows:
            table.add_row(*row)
        console = Console(highlight=False, markup=False)
        if not console.is_terminal:
            console.width = 1000
        console.print(table)

    @contextmanager
    def busy(self, text: str) -> Iterator[None]:
        """Show a person that something is going on that takes a while."""
        if not sys.stderr.isatty():
            yield
            return
        from rich.console import Console

        with Console(stderr=True).status(text):
            yield


def printable(text: str) -> str:
    """Return a text that takes no control of the terminal: somebody else may have named a file."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _read_passphrase(file: Path) -> bytes:
    try:
        passphrase = file.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise PassphraseFileError(
            f"cannot read the passphrase file {file}: {error.strerror}"
        ) from error
    if not passphrase:
        raise PassphraseFileError(f"the passphrase file {file} is empty")
    return passphrase


def _is_encrypted(key_file: Path) -> bool:
    try:
        with key_file.open("rb") as file:
            return b"ENCRYPTED" in file.readline(100)
    except OSError:
        return False
