"""``sealgate fleet``: the owner's commands, for a machine that keeps the root key."""

import time
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from device_sdk.wire.limits import DAY
from gateway.cli.terminal import AsJson, Terminal, date

app = typer.Typer(rich_markup_mode=None)


@app.callback()
def fleet() -> None:
    """The owner: a root key, and who it vouches for."""


class Role(StrEnum):
    """What somebody is admitted as."""

    DEVICE = "device"
    GATEWAY = "gateway"


FleetDirectory = Annotated[
    Path,
    typer.Argument(
        metavar="FLEET",
        help="The fleet's directory.",
    ),
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", metavar="FILE", help="File with the passphrase of the root key."
    ),
]


@app.command(epilog="Example: sealgate fleet init ./fleet --name home")
def init(
    ctx: typer.Context,
    directory: FleetDirectory,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="What you call the fleet: a-z 0-9 . _ -")
    ],
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make a fleet: a root key to keep, and a bundle to give away.

    Keep FLEET/private offline. Give FLEET/public to your gateway, and the root.pub in it to your
    devices, by a way on which nobody changes it; or compare the root fingerprint.
    """
    from gateway.owner.fleet import Fleet

    terminal: Terminal = ctx.obj
    passphrase = terminal.new_passphrase(passphrase_file, what="the fleet's root key")
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
            metavar="HEX", help="Refuse any other key: 64 hex digits, as printed over there."
        ),
    ] = "",
    valid_days: Annotated[
        int, typer.Option(metavar="N", min=1, max=3650, help="How long the new roster is valid.")
    ] = 365,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Admit a device or gateway, and sign the roster anew.

    Compare the printed fingerprint with the one that was printed where the request was made.
    Admitting the same request again prolongs the roster and changes nothing else.
    """
    from gateway.cli.invite import admit_offers
    from gateway.owner.fleet import Fleet, root_key_file
    from gateway.owner.invites import are_offers

    terminal: Terminal = ctx.obj
    if are_offers(request):
        admit_offers(
            terminal,
            directory,
            request,
            valid_days=valid_days,
            passphrase_file=passphrase_file,
            as_json=as_json,
        )
        return
    data = request.read_bytes()
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
                "new": admitted.is_new,
                "roster_version": roster.version,
                "roster_expires": roster.expires,
            }
        )
        return
    done = "Admitted" if admitted.is_new else "Was admitted before:"
    terminal.say(f"{done} {member.role} {member.name}")
    terminal.say(f"Fingerprint: {member.fingerprint}")
    terminal.say(f"Roster version {roster.version}, valid until {date(roster.expires)}")


@app.command(epilog="Example: sealgate fleet show ./fleet")
def show(ctx: typer.Context, directory: FleetDirectory, as_json: AsJson = False) -> None:
    """Show who belongs to a fleet. A copy of its public bundle is enough."""
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
    state = "valid until" if now < overview.roster_expires else "EXPIRED since"
    terminal.say(
        f"Roster version {overview.roster_version}, {state} {date(overview.roster_expires)}"
    )
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
