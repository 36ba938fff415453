"""``sealgate fleet channel``: named sets of readers and permitted senders."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from gateway.owner.signing import Members

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


class Mode(StrEnum):
    """What becomes of messages that do not keep to a channel's rule for readings."""

    OFF = "off"
    OBSERVE = "observe"
    REQUIRE = "require"


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
    reading: Annotated[
        str | None,
        typer.Option(
            metavar="UNIT",
            help="Its messages are to be readings in this unit, proved to be in --range.",
        ),
    ] = None,
    scale: Annotated[
        str | None, typer.Option(metavar="STEP", help="Readings are whole steps of it [1].")
    ] = None,
    span: Annotated[
        str | None, typer.Option("--range", metavar="LOW..HIGH", help="Both ends are in it.")
    ] = None,
    mode: Annotated[
        Mode | None,
        typer.Option(
            help="What becomes of other messages: held and counted, or refused; off is no rule.",
            show_default="observe",
        ),
    ] = None,
    totals: Annotated[
        bool | None,
        typer.Option(
            "--totals/--no-totals",
            help="Its readings may be added up: bills of each device, or with --trustee sums.",
        ),
    ] = None,
    epoch: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="One total of each: 15m, 1h; or the period of tokens, 7d [1d]."
        ),
    ] = None,
    least: Annotated[
        int | None,
        typer.Option(metavar="N", help="Least readings of a bill, or devices of a sum [10]."),
    ] = None,
    trustee: Annotated[
        list[str] | None,
        typer.Option("--trustee", metavar="DEVICE", help="Adds up shares; two or more."),
    ] = None,
    anonymous: Annotated[
        bool | None,
        typer.Option(
            "--anonymous/--no-anonymous",
            help="Its messages do not say which of its senders they are from.",
        ),
    ] = None,
    tokens: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", help="Messages of one sender in a period [24]."),
    ] = None,
    valid_days: ValidDays = 365,
    dry_run: DryRun = False,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a channel, or change one: whatever is not named stays as it is.

    A rule for readings (experimental) is given by --reading, --scale, --range and --mode; another
    one refuses readings by the former that are still on their way. Totals (experimental) need
    readings in mode require; one is of 5,000 readings at most: devices times readings in an epoch.
    An anonymous channel (experimental) takes only messages that do not name their sender, so many
    in each period. Devices and gateways that are older than these rules refuse a roster with one:
    update all of them first.
    """
    from gateway.owner import changes
    from gateway.owner.anonymous_rules import AnonymityWish, set_anonymous_rule
    from gateway.owner.reading_rules import RuleWish, set_reading_rule
    from gateway.owner.totals_rules import TotalsWish, set_totals_rule

    seconds = None if lifetime is None else as_lifetime(lifetime)
    wish = RuleWish(unit=reading, scale=scale, span=span, mode=mode and mode.value)
    period = None if epoch is None else as_lifetime(epoch)

    def edit(members: "Members", version: int) -> "Members":
        changed = changes.set_channel(
            members, name, readers=reader or (), senders=sender or (), lifetime=seconds
        )
        if not wish.is_empty:
            changed = set_reading_rule(changed, name, wish, version)
        is_of_tokens = bool(anonymous or tokens or changed.channels[name].anonymous)
        anonymity = AnonymityWish(
            anonymous=anonymous, epoch=period if is_of_tokens else None, tokens=tokens
        )
        if not anonymity.is_empty:
            changed = set_anonymous_rule(changed, name, anonymity)
        totals_wish = TotalsWish(
            allowed=totals,
            epoch=None if is_of_tokens else period,
            least=least,
            trustees=trustee or (),
        )
        return set_totals_rule(changed, name, totals_wish)

    change(
        ctx.obj,
        directory,
        edit,
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
