"""What the device's commands share: their options, and the terminal that they are handed."""

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer


class Terminal(Protocol):
    """What ``gateway.cli`` hands over in Typer's context, as the SDK imports nothing of it."""

    def new_passphrase(self, file: Path | None, *, what: str) -> bytes | None:
        """Return the passphrase for new keys, None for unencrypted ones."""

    def passphrase(self, file: Path | None, *, key_file: Path) -> bytes | None:
        """Return the passphrase of existing keys, None if there is none."""

    def say(self, text: str) -> None:
        """Print a line of result, and flush it."""

    def fingerprint(self, spki: bytes) -> None:
        """Print a public key's fingerprint, in hex and in digits, as people compare it."""

    def warn(self, text: str) -> None:
        """Print a warning on stderr."""

    def json(self, record: Mapping[str, Any]) -> None:
        """Print one JSON object on one line, and flush it."""

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table."""

    def busy(self, text: str) -> AbstractContextManager[None]:
        """Show a person that something takes a while."""


def as_seconds(value: float | None) -> float | None:
    """Return an option's seconds, which may be inf. Raises BadParameter for nan."""
    if value is not None and math.isnan(value):
        raise typer.BadParameter("expected a number of seconds, got nan")
    return value


Directory = Annotated[
    Path, typer.Option("--dir", metavar="DIR", help="The device's own directory.")
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", metavar="FILE", help="File with the passphrase of the device's keys."
    ),
]
Broker = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="mqtt[s]://[user@]host[:port], instead of the remembered one."
    ),
]
PasswordFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="File with the password of the broker's user.")
]
Ca = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Authorities in PEM that vouch for the broker.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
