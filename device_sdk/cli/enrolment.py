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
    from device_sdk.enrol import create_device

    terminal: Terminal = ctx.obj
    if (module is None) != (not token):
        raise typer.BadParameter("--module and --token go together")
    passphrase = terminal.new_passphrase(passphrase_file, what=f"{name}'s key")
    with terminal.busy(f"Making {name}'s keys ..."):
        request = create_device(
            directory, name, passphrase, now=int(time.time()), module=module, token=token
        )
    terminal.say(f"Made the device {name} in {directory}")
    for line in _fingerprint(request):
        terminal.say(line)
    terminal.say(f"Next, the owner: sealgate fleet admit FLEET {request}")


def _fingerprint(request: Path) -> tuple[str, str]:
    """Of the identity key that a join request names, as the owner's commands print it."""
    from device_sdk.wire.join_request import verify_join_request
    from device_sdk.wire.suites import fingerprint, fingerprint_digits

    spki = verify_join_request(request.read_bytes())[0].identity_spki
    return f"Fingerprint: {fingerprint(spki)}", f"In digits:   {fingerprint_digits(spki)}"


def trust(
    ctx: typer.Context,
    root: Annotated[Path, typer.Argument(metavar="ROOT.PUB", help="The owner's public key.")],
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
