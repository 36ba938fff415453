"""What the owner's commands share: their options, and how a change is shown or made."""

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from device_sdk.wire.limits import DAY
from gateway.cli.terminal import Terminal, date

if TYPE_CHECKING:
    from device_sdk.trust import Roster
    from gateway.owner.difference import Difference
    from gateway.owner.register import Edit

FleetDirectory = Annotated[Path, typer.Argument(metavar="FLEET", help="The fleet's directory.")]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", metavar="FILE", help="File with the passphrase of the owner's key."
    ),
]
NoPassphrase = Annotated[
    bool,
    typer.Option(
        "--no-passphrase",
        help="Store the key unencrypted: whoever copies the file owns the fleet.",
    ),
]
ValidDays = Annotated[
    int, typer.Option(metavar="N", min=1, max=3650, help="How long the new roster is valid.")
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Show what would change, and sign nothing; needs no key."),
]
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": DAY}


def as_lifetime(text: str) -> int:
    """Return seconds from ``90``, ``15m``, ``12h`` or ``7d``. Raises BadParameter."""
    match = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text)
    if match is None:
        raise typer.BadParameter(f"expected seconds, or a number with m, h or d, got {text:.20}")
    return int(match[1]) * _SECONDS[match[2]]


def change(
    terminal: Terminal,
    directory: Path,
    edit: "Edit",
    *,
    valid_days: int,
    dry_run: bool,
    passphrase_file: Path | None,
    as_json: bool,
    done: Callable[[], Iterable[str]] = lambda: (),
) -> None:
    """Show what a change of the roster would do, or make it and say so; ``done`` says more."""
    from gateway.owner.difference import difference
    from gateway.owner.fleet import Fleet, root_key_file
    from gateway.owner.register import Register
    from gateway.owner.signing import Members

    now = int(time.time())
    if dry_run:
        preview = Register(directory).preview(edit, now=now)
        changes = difference(Members.of(preview.before), preview.after)
        show_preview(terminal, changes, version=preview.version, as_json=as_json)
        return
    passphrase = terminal.passphrase(passphrase_file, key_file=root_key_file(directory))
    fleet = Fleet.open(directory, passphrase)
    changed = fleet.change(edit, now=now, validity=valid_days * DAY)
    changes = difference(Members.of(changed.before), Members.of(changed.roster))
    show_signed(terminal, changes, changed.roster, as_json=as_json, more=done())


def show_preview(
    terminal: Terminal, changes: "Iterable[Difference]", *, version: int, as_json: bool
) -> None:
    """Print what a roster would change."""
    if as_json:
        listed = [asdict(one) for one in changes]
        terminal.json({"signed": False, "roster_version": version, "changes": listed})
        return
    show_changes(terminal, changes)
    terminal.say(f"Roster version {version} would say so. Nothing was signed")


def show_signed(
    terminal: Terminal,
    changes: "Iterable[Difference]",
    roster: "Roster",
    *,
    as_json: bool,
    more: Iterable[str] = (),
) -> None:
    """Print what a roster that was signed has changed."""
    if as_json:
        terminal.json(
            {
                "signed": True,
                "roster_version": roster.version,
                "roster_expires": roster.expires,
                "changes": [asdict(one) for one in changes],
            }
        )
        return
    show_changes(terminal, changes)
    for line in more:
        terminal.say(line)
    terminal.say(f"Roster version {roster.version}, valid until {date(roster.expires)}")


def show_changes(terminal: Terminal, changes: "Iterable[Difference]") -> None:
    """Print differences, one a line."""
    listed = list(changes)
    for one in listed:
        terminal.say(str(one))
    if not listed:
        terminal.say("No member or channel changes")
