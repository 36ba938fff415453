"""``sealgate fleet invite``, and how ``fleet admit`` takes what came back through a broker."""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from device_sdk.wire.limits import DAY
from gateway.cli.terminal import Terminal, date

EXAMPLE = (
    "Example: sealgate fleet invite ./fleet hub --broker mqtts://broker.example --out ./tickets"
)


def invite(
    ctx: typer.Context,
    directory: Annotated[Path, typer.Argument(metavar="FLEET", help="The fleet's directory.")],
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="The new devices.")],
    broker: Annotated[
        str, typer.Option(metavar="URL", help="Where they join: mqtt[s]://host[:port].")
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Directory for NAME.ticket; made if missing.")
    ],
    valid_days: Annotated[
        int, typer.Option(metavar="N", min=1, max=365, help="How long the tickets are good.")
    ] = 7,
    prefix: Annotated[
        str | None, typer.Option(metavar="TOPIC", help="Of all topics [sealgate/1].")
    ] = None,
    passphrase_file: Annotated[
        Path | None,
        typer.Option(
            "--passphrase-file", metavar="FILE", help="File with the passphrase of the root key."
        ),
    ] = None,
) -> None:
    """Make a ticket for each new device, with which it joins over the network.

    Whoever has a ticket can join in its device's name, once: hand it over as you would a password.
    """
    from device_sdk.wire.topics import DEFAULT_PREFIX
    from gateway.files import write_whole
    from gateway.owner.fleet import Fleet, root_key_file
    from gateway.owner.invites import invite as make_invite

    terminal: Terminal = ctx.obj
    passphrase = terminal.passphrase(passphrase_file, key_file=root_key_file(directory))
    fleet, now = Fleet.open(directory, passphrase), int(time.time())
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in names:
        ticket = make_invite(
            fleet,
            name,
            broker=broker,
            prefix=prefix or DEFAULT_PREFIX,
            now=now,
            validity=valid_days * DAY,
        )
        path = out / f"{name}.ticket"
        write_whole(path, f"{ticket}\n".encode(), mode=0o600)
        terminal.say(f"Made {path}, good until {date(now + valid_days * DAY)}")
    where = os.path.join(out, f"{names[0]}.ticket")  # noqa: PTH118 - as it was given
    terminal.say(f"Next, on the device: sealgate device join {where} --dir ./{names[0]}")


def admit_offers(
    terminal: Terminal,
    directory: Path,
    path: Path,
    *,
    valid_days: int,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Admit every request that came with the code of its ticket. Raises NotAdmittedError."""
    from gateway.owner.errors import NotAdmittedError
    from gateway.owner.fleet import Fleet, root_key_file
    from gateway.owner.invites import admit_offers as admit_all

    passphrase = terminal.passphrase(passphrase_file, key_file=root_key_file(directory))
    fleet, now = Fleet.open(directory, passphrase), int(time.time())
    admitted = refused = 0
    for outcome in admit_all(fleet, path, now=now, validity=valid_days * DAY):
        if outcome.admitted is None:
            refused += 1
            terminal.warn(f"passed over {outcome.path}: {outcome.problem}")
            continue
        admitted += 1
        member, is_new = outcome.admitted.member, outcome.admitted.is_new
        if as_json:
            terminal.json(
                {
                    "name": member.name,
                    "role": member.role,
                    "fingerprint": member.fingerprint,
                    "new": is_new,
                    "roster_version": outcome.admitted.roster.version,
                    "roster_expires": outcome.admitted.roster.expires,
                }
            )
        else:
            done = "Admitted" if is_new else "Was admitted before:"
            terminal.say(f"{done} {member.role} {member.name}, by its ticket")
    if refused and not admitted:
        raise NotAdmittedError(f"none of {refused} requests was made with its ticket's code")
    if not admitted:
        raise NotAdmittedError(f"there are no join requests in {path}")
