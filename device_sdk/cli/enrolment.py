"""``sealgate device init``, ``trust``, ``join``: a device comes to be, and to whom it belongs."""

import sys
import time
from pathlib import Path
from typing import Annotated, TextIO

import typer

from device_sdk.cli.terminal import (
    Ca,
    Directory,
    PassphraseFile,
    PasswordFile,
    Terminal,
    as_seconds,
)

_MOST_TICKET = 64 * 1024
"""Characters read: many times a ticket's."""


def init(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its id: a-z 0-9 . _ -")],
    directory: Directory,
    passphrase_file: PassphraseFile = None,
    module: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A PKCS#11 library: its token makes the keys and keeps them."
        ),
    ] = None,
    token: Annotated[
        str, typer.Option(metavar="LABEL", help="That token; --passphrase-file has its PIN.")
    ] = "",
) -> None:
    """Make a device's keys, which never leave its directory, and a join request for the owner."""
    from device_sdk.enrolment.enrol import create_device

    terminal: Terminal = ctx.obj
    if (module is None) != (not token):
        raise typer.BadParameter("--module and --token go together")
    passphrase = terminal.new_passphrase(passphrase_file, what=f"{name}'s key")
    with terminal.busy(f"Making {name}'s keys ..."):
        request = create_device(
            directory, name, passphrase, now=int(time.time()), module=module, token=token
        )
    terminal.say(f"Made the device {name} in {directory}")
    terminal.fingerprint(_identity(request))
    terminal.say(f"Next, the owner: sealgate fleet admit FLEET {request}")


def _identity(request: Path) -> bytes:
    """Return the identity key that a join request names."""
    from device_sdk.wire.join_request import verify_join_request

    return verify_join_request(request.read_bytes())[0].identity_spki


def trust(
    ctx: typer.Context,
    root: Annotated[
        Path,
        typer.Argument(
            metavar="ROOT.PUB",
            help="The owner's public key; or the owner's public bundle, for TLS with certificates.",
        ),
    ],
    directory: Directory,
    broker: Annotated[
        str | None,
        typer.Option(metavar="URL", help="mqtt[s]://[user[:password]@]host[:port], to remember."),
    ] = None,
    password_file: PasswordFile = None,
    ca: Ca = None,
    prefix: Annotated[
        str | None, typer.Option(metavar="TOPIC", help="Of all topics [sealgate/1].")
    ] = None,
) -> None:
    """Trust an owner from now on, and remember the broker. Compare the fingerprint."""
    from device_sdk.enrolment.enrol import trust_root

    terminal: Terminal = ctx.obj
    pin = trust_root(
        directory, root, broker=broker, password_file=password_file, ca=ca, prefix=prefix
    )
    terminal.say(f"Root fingerprint: {pin.fingerprint}")


def join(
    ctx: typer.Context,
    ticket: Annotated[
        str,
        typer.Argument(metavar="TICKET", help="File with the owner's ticket; - is standard input."),
    ],
    directory: Directory,
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0,
            callback=as_seconds,
            help="Give up after so many seconds; without it, wait.",
        ),
    ] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Join a fleet over the network: make the device's keys, ask the owner, and wait.

    It may be interrupted and run again. Nobody has to compare a fingerprint: the ticket vouches for
    both sides.
    """
    from device_sdk.enrolment.joining import make_link, prepare, read_ticket, wait_for_admission
    from device_sdk.keys.keystore import holds_device

    terminal: Terminal = ctx.obj
    now = int(time.time())
    opened = read_ticket(_ticket_text(ticket), now=now)
    is_new = not holds_device(directory)
    passphrase = None
    if is_new:
        passphrase = terminal.new_passphrase(passphrase_file, what=f"{opened.device}'s key")
    with terminal.busy(f"Making {opened.device}'s keys ..."):
        request = prepare(directory, opened, passphrase, now=now)
    if is_new:
        terminal.say(f"Made the device {opened.device} in {directory}")
    terminal.fingerprint(_identity(request))
    joined = wait_for_admission(
        directory,
        opened,
        make_link(directory, opened),
        timeout=timeout,
        progress=lambda text: terminal.say(f"{text} ..."),
    )
    terminal.say(f"{joined.name} has joined: roster version {joined.roster_version}")


def _ticket_text(source: str) -> str:
    """Return the text of a ticket file, or of standard input. Raises SettingsError."""
    from device_sdk.errors import SettingsError

    if source == "-":
        stdin: TextIO | None = sys.stdin
        return "" if stdin is None else stdin.read(_MOST_TICKET)
    try:
        with Path(source).open() as file:
            return file.read(_MOST_TICKET)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the ticket {source[:200]}: {error}") from error
