"""``sealgate fleet``: the owner's commands, for a machine that keeps the root key."""

import time
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from device_sdk.wire.limits import DAY, ROSTER_WARNING
from gateway.cli import fleet_change, fleet_channel, fleet_excuse, fleet_owner, invite, judge
from gateway.cli.fleet_common import (
    DryRun,
    FleetDirectory,
    NoPassphrase,
    PassphraseFile,
    ValidDays,
    show_preview,
)
from gateway.cli.terminal import AsJson, Terminal, date

if TYPE_CHECKING:
    pass

app = typer.Typer(rich_markup_mode=None)


@app.callback()
def fleet() -> None:
    """The owner: a root key, and who it vouches for."""


class Role(StrEnum):
    """What somebody is admitted as."""

    DEVICE = "device"
    GATEWAY = "gateway"


@app.command(epilog="Example: sealgate fleet init ./fleet --name home")
def init(
    ctx: typer.Context,
    directory: FleetDirectory,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="What you call the fleet: a-z 0-9 . _ -")
    ],
    passphrase_file: PassphraseFile = None,
    no_passphrase: NoPassphrase = False,
) -> None:
    """Make a fleet: a root key to keep, and a bundle to give away.

    The root key's passphrase is asked for, or read from a file. Keep a copy of FLEET/private, and
    the passphrase, elsewhere: without them nobody can admit, revoke or renew any more, and every
    device must be enrolled anew. A second owner can take over, too: see `fleet owner`.

    Keep FLEET/private offline. Give FLEET/public to your gateway, and the root.pub in it to your
    devices, by a way on which nobody changes it; or compare the root fingerprint.
    """
    from gateway.owner.fleet import Fleet

    terminal: Terminal = ctx.obj
    passphrase = terminal.owner_passphrase(
        passphrase_file, what="the fleet's root key", none_wanted=no_passphrase
    )
    made = Fleet.create(directory, name=name, passphrase=passphrase, now=int(time.time()))
    terminal.say(f"Made the fleet {name} in {directory}")
    terminal.say(f"Root fingerprint: {made.pin.fingerprint}")


@app.command(
    epilog="Example: sealgate fleet admit ./fleet ./gateway-data/join-request --role gateway"
)
def admit(
    ctx: typer.Context,
    directory: FleetDirectory,
    request: Annotated[
        Path,
        typer.Argument(
            metavar="REQUEST",
            help="The join request of a device or gateway; or what came through the broker: a "
            "gateway's directory DATA/requests, or a file of it.",
        ),
    ],
    role: Annotated[Role, typer.Option(help="What it is admitted as.")] = Role.DEVICE,
    fingerprint: Annotated[
        str,
        typer.Option(
            metavar="DIGITS",
            help="Refuse any other key: the 64 hex or 60 decimal digits printed over there.",
        ),
    ] = "",
    valid_days: ValidDays = 365,
    dry_run: DryRun = False,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Admit a device or gateway, and sign the roster anew.

    Compare the printed fingerprint, hex or digits, with the one that was printed where the request
    was made; --dry-run prints it before anything is signed.
    Admitting the same request again prolongs the roster and changes nothing else.
    """
    from gateway.owner.fleet import Fleet, root_key_file
    from gateway.owner.invites import are_offers

    terminal: Terminal = ctx.obj
    if are_offers(request):
        if dry_run or fingerprint or role is not Role.DEVICE:
            raise typer.BadParameter("tickets allow no --dry-run, --fingerprint or --role")
        invite.admit_offers(
            terminal,
            directory,
            request,
            valid_days=valid_days,
            passphrase_file=passphrase_file,
            as_json=as_json,
        )
        return
    data = request.read_bytes()
    if dry_run:
        _preview_admission(terminal, directory, data, role, fingerprint, as_json)
        return
    passphrase = terminal.passphrase(passphrase_file, key_file=root_key_file(directory))
    admitted = Fleet.open(directory, passphrase).admit(
        data,
        role=role,
        now=int(time.time()),
        validity=valid_days * DAY,
        fingerprint=fingerprint,
    )
    member, roster = admitted.member, admitted.roster
    if as_json:
        terminal.json(
            {
                "name": member.name,
                "role": member.role,
                "fingerprint": member.fingerprint,
                "digits": member.digits,
                "new": admitted.is_new,
                "roster_version": roster.version,
                "roster_expires": roster.expires,
            }
        )
        return
    done = "Admitted" if admitted.is_new else "Was admitted before:"
    terminal.say(f"{done} {member.role} {member.name}")
    terminal.fingerprint(member.identity_spki)
    terminal.say(f"Roster version {roster.version}, valid until {date(roster.expires)}")


def _preview_admission(
    terminal: Terminal, directory: Path, data: bytes, role: Role, fingerprint: str, as_json: bool
) -> None:
    from gateway.owner.admission import admission
    from gateway.owner.difference import difference
    from gateway.owner.join import examine
    from gateway.owner.register import Register
    from gateway.owner.signing import Members

    now, register = int(time.time()), Register(directory)
    member = examine(data, role=role, now=now, fingerprint=fingerprint)
    preview = register.preview(admission(register, member, now=now), now=now)
    if not as_json:
        terminal.fingerprint(member.identity_spki)
    changes = difference(Members.of(preview.before), preview.after)
    show_preview(terminal, changes, version=preview.version, as_json=as_json)


@app.command(epilog="Example: sealgate fleet show ./fleet")
def show(ctx: typer.Context, directory: FleetDirectory, as_json: AsJson = False) -> None:
    """Show who belongs to a fleet, and its channels. A copy of its public bundle is enough."""
    from gateway.owner.difference import duration
    from gateway.owner.overview import read_overview

    terminal: Terminal = ctx.obj
    now = int(time.time())
    overview = read_overview(directory, now=now)
    if as_json:
        terminal.json(asdict(overview))
        return
    if overview.name:
        terminal.say(f"Fleet {overview.name}")
    terminal.say(f"Root fingerprint: {overview.root_fingerprint}")
    if overview.present_root != overview.root_fingerprint:
        terminal.say(f"Replaced by:      {overview.present_root}")
    for owner in overview.owners:
        terminal.say(f"Owner besides:    {owner}")
    state = "valid until" if now < overview.roster_expires else "EXPIRED since"
    terminal.say(
        f"Roster version {overview.roster_version}, {state} {date(overview.roster_expires)}"
    )
    if now >= overview.roster_expires - ROSTER_WARNING:
        terminal.warn("renew the roster: without a valid one nothing is sealed or admitted")
    terminal.table(
        ["name", "role", "state", "reader key until", "fingerprint"],
        [
            [
                member.name,
                " ".join(member.roles),
                member.state,
                date(member.reader_key_until) if member.reader_key_until else "-",
                member.fingerprint[:16],
            ]
            for member in overview.members
        ],
    )
    if overview.channels:
        terminal.say("")
        terminal.table(
            ["channel", "readers", "senders", "held for", "readings", "totals", "anonymous"],
            [
                [
                    channel.name,
                    " ".join(channel.readers),
                    " ".join(channel.senders),
                    duration(channel.lifetime),
                    channel.readings or "-",
                    channel.totals or "-",
                    channel.anonymous or "-",
                ]
                for channel in overview.channels
            ],
        )


# In the order in which they are used, behind init, admit and show.
app.command("invite", epilog=invite.EXAMPLE)(invite.invite)
app.command("renew", epilog="Example: sealgate fleet renew ./fleet")(fleet_change.renew)
app.command("revoke", epilog="Example: sealgate fleet revoke ./fleet thermo-1")(fleet_change.revoke)
app.command("diff", epilog="Example: sealgate fleet diff ./fleet ./bundle")(fleet_change.diff)
app.command("excuse", epilog=f"Example: sealgate fleet excuse ./fleet thermo-1 {'0f' * 16} hub")(
    fleet_excuse.excuse
)
app.command("rotate", epilog="Example: sealgate fleet rotate ./fleet")(fleet_owner.rotate)
app.command("pull", epilog="Example: sealgate fleet pull ./ann ./bundle")(fleet_owner.pull)
app.command("judge", epilog=judge.EXAMPLE)(judge.judge)
app.add_typer(fleet_owner.app, name="owner", no_args_is_help=True)
app.add_typer(fleet_channel.app, name="channel", no_args_is_help=True)
