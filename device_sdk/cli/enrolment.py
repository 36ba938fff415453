"""``sealgate device init`` and ``trust``: a device comes to be, and to whom it belongs."""

import time
from pathlib import Path
from typing import Annotated

import typer

from device_sdk.cli.terminal import Ca, Directory, PassphraseFile, PasswordFile, Terminal


def init(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its id: a-z 0-9 . _ -")],
    directory: Directory,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make a device's keys, which never leave its directory, and a join request for the owner."""
    from device_sdk.enrol import create_device

    terminal: Terminal = ctx.obj
    passphrase = terminal.new_passphrase(passphrase_file, what=f"{name}'s key")
    with terminal.busy(f"Making {name}'s keys ..."):
        request = create_device(directory, name, passphrase, now=int(time.time()))
    terminal.say(f"Made the device {name} in {directory}")
    terminal.say(f"Fingerprint: {_fingerprint(request)}")
    terminal.say(f"Next, the owner: sealgate fleet admit FLEET {request}")


def _fingerprint(request: Path) -> str:
    """Of the identity key that a join request names, as the owner's commands print it."""
    from device_sdk.wire.join_request import verify_join_request
    from device_sdk.wire.suites import fingerprint

    return fingerprint(verify_join_request(request.read_bytes())[0].identity_spki)


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
    from device_sdk.enrol import trust_root

    terminal: Terminal = ctx.obj
    pin = trust_root(
        directory, root, broker=broker, password_file=password_file, ca=ca, prefix=prefix
    )
    terminal.say(f"Root fingerprint: {pin.fingerprint}")
