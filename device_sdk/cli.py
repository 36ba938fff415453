"""``sealgate device``: thin commands over `device_sdk.Device`. Mounted by ``gateway.cli.main``."""

import hashlib
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

app = typer.Typer()


class Terminal(Protocol):
    """What ``gateway.cli`` hands over in Typer's context, as the SDK imports nothing of it."""

    def new_passphrase(self, file: Path | None, *, what: str) -> bytes | None:
        """Return the passphrase for new keys, None for unencrypted ones."""

    def passphrase(self, file: Path | None, *, key_file: Path) -> bytes | None:
        """Return the passphrase of existing keys, None if there is none."""

    def say(self, text: str) -> None:
        """Print a line of result."""

    def warn(self, text: str) -> None:
        """Print a warning on stderr."""

    def json(self, record: dict[str, Any]) -> None:
        """Print one JSON object on one line."""

    def table(self, columns: list[str], rows: list[list[str]]) -> None:
        """Print a table."""

    def busy(self, text: str) -> AbstractContextManager[None]:
        """Show a person that something takes a while."""


Directory = Annotated[Path, typer.Option("--dir", help="The device's own directory.")]
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="File with the passphrase of the device's keys."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]


@app.callback()
def device() -> None:
    """A device: its keys, and the messages that it sends and reads."""


@app.command(epilog="Example: sealgate device init thermo-1 --dir ./thermo-1")
def init(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its id: a-z 0-9 . _ -")],
    directory: Directory,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make a device's keys, which never leave its directory, and a join request for the owner."""
    from device_sdk.key_file import write_private_file
    from device_sdk.keystore import KeyStore

    terminal: Terminal = ctx.obj
    now = int(time.time())
    passphrase = terminal.new_passphrase(passphrase_file, what=f"{name}'s key")
    with terminal.busy("Making the device's keys ..."):
        store = KeyStore.create(directory, name, passphrase, now=now)
    with store:
        request = directory / "join-request"
        write_private_file(request, store.join_request(now=now))
        terminal.say(f"Made the device {name} in {directory}")
        terminal.say(f"Fingerprint: {hashlib.sha256(store.identity.spki).hexdigest()}")
    terminal.say(f"Next, the owner: sealgate fleet admit FLEET {request}")
