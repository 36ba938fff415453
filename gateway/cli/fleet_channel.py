"""``sealgate fleet channel``: named sets of readers and permitted senders."""

from typing import Annotated

import typer

from device_sdk.wire.errors import SealgateError
from gateway.cli.fleet_common import (
    DryRun,
    FleetDirectory,
    PassphraseFile,
    ValidDays,
    as_lifetime,
    change,
)
from gateway.cli.terminal import AsJson

app = typer.Typer(rich_markup_mode=None)


@app.callback()
def channel() -> None:
    """Channels: who reads, who may send, and for how long it is held."""


Name = Annotated[str, typer.Argument(metavar="NAME", help="The channel: a-z 0-9 . _ -")]
Readers = Annotated[
    list[str] | None, typer.Option("--reader", metavar="DEVICE", help="May be given many times.")
]
Senders = Annotated[
    list[str] | None, typer.Option("--sender", metavar="DEVICE", help="May be given many times.")
]


@app.command(
    "set", epilog="Example: sealgate fleet channel set ./fleet air --reader hub --sender thermo-1"
)
def set_(
    ctx: typer.Context,
    directory: FleetDirectory,
    name: Name,
    reader: Readers = None,
    sender: Senders = None,
    lifetime: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Its messages are held so long by default: 900, 12h, 7d [as it was, or 7d].",
        ),
    ] = None,
    valid_days: ValidDays = 365,
    dry_run: DryRun = False,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a channel, or give one other readers and senders than it had."""
    from gateway.owner import changes

    seconds = None if lifetime is None else as_lifetime(lifetime)
    change(
        ctx.obj,
        directory,
        lambda members, _version: changes.set_channel(
            members, name, readers=reader or (), senders=sender or (), lifetime=seconds
        ),
        valid_days=valid_days,
        dry_run=dry_run,
        passphrase_file=passphrase_file,
        as_json=as_json,
    )


@app.command(epilog="Example: sealgate fleet channel add ./fleet air --reader phone")
def add(
    ctx: typer.Context,
    directory: FleetDirectory,
    name: Name,
    reader: Readers = None,
    sender: Senders = None,
    valid_days: ValidDays = 365,
    dry_run: DryRun = False,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Add readers or senders to a channel that is there."""
    from gateway.owner import changes

    if not reader and not sender:
        raise NobodyNamedError("expected somebody to add: --reader DEVICE or --sender DEVICE")
    change(
        ctx.obj,
        directory,
        lambda members, _version: changes.add_to_channel(
            members, name, readers=reader or (), senders=sender or ()
        ),
        valid_days=valid_days,
        dry_run=dry_run,
        passphrase_file=passphrase_file,
        as_json=as_json,
    )


@app.command(epilog="Example: sealgate fleet channel remove ./fleet air --reader phone")
def remove(
    ctx: typer.Context,
    directory: FleetDirectory,
    name: Name,
    reader: Readers = None,
    sender: Senders = None,
    valid_days: ValidDays = 365,
    dry_run: DryRun = False,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Take readers or senders out of a channel; without naming any, remove the whole channel."""
    from gateway.owner import changes

    change(
        ctx.obj,
        directory,
        lambda members, _version: (
            changes.remove_from_channel(members, name, readers=reader or (), senders=sender or ())
            if reader or sender
            else changes.remove_channel(members, name)
        ),
        valid_days=valid_days,
        dry_run=dry_run,
        passphrase_file=passphrase_file,
        as_json=as_json,
    )


class NobodyNamedError(SealgateError):
    """A command that is about devices, and names none."""
