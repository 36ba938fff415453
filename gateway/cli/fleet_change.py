"""``sealgate fleet renew``, ``revoke`` and ``diff``: the roster as a whole, or with one less."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.fleet_common import (
    DryRun,
    FleetDirectory,
    PassphraseFile,
    ValidDays,
    change,
    show_changes,
)
from gateway.cli.terminal import AsJson, Terminal


def renew(
    ctx: typer.Context,
    directory: FleetDirectory,
    valid_days: ValidDays = 365,
    dry_run: DryRun = False,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Sign the roster again, before it expires: an expired one stops sealing and admission."""
    from gateway.owner import changes

    change(
        ctx.obj,
        directory,
        changes.renew,
        valid_days=valid_days,
        dry_run=dry_run,
        passphrase_file=passphrase_file,
        as_json=as_json,
    )


def revoke(
    ctx: typer.Context,
    directory: FleetDirectory,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The device or gateway.")],
    valid_days: ValidDays = 365,
    dry_run: DryRun = False,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a device or gateway for good, and sign the roster anew.

    Once devices and gateways have the new roster, nothing is sealed to it, nothing is taken from
    it, it is excused from what it still owed, and what it sent ends unread. Its name stays taken.
    """
    from gateway.owner import changes
    from gateway.owner.register import Register
    from gateway.owner.totals_rules import entrusted

    change(
        ctx.obj,
        directory,
        lambda members, version: changes.revoke(members, name, version),
        valid_days=valid_days,
        dry_run=dry_run,
        passphrase_file=passphrase_file,
        as_json=as_json,
        done=lambda: (
            f"{name} is excused from the copies that are held for it; what it sent ends unread",
            "Give the bundle to your gateway now: until then, nobody knows",
        ),
    )
    for channel in entrusted(Register(directory).roster().channels, name):
        ctx.obj.warn(f"no sums of {channel} until it has other trustees: {name} is one of them")


def diff(
    ctx: typer.Context,
    directory: FleetDirectory,
    other: Annotated[
        Path, typer.Argument(metavar="OTHER", help="A bundle, such as the one at your gateway.")
    ],
    as_json: AsJson = False,
) -> None:
    """Show what OTHER would become with the roster that you signed last.

    What a change would make of that roster is shown by the changing commands, with --dry-run.
    """
    from gateway.owner.comparison import compare

    terminal: Terminal = ctx.obj
    compared = compare(directory, other)
    theirs, mine = compared.theirs.version, compared.mine.version
    if as_json:
        listed = [asdict(one) for one in compared.changes]
        terminal.json({"other_version": theirs, "roster_version": mine, "changes": listed})
        return
    show_changes(terminal, compared.changes)
    newer = " (OTHER IS NEWER)" if theirs > mine else ""
    terminal.say(f"Roster version {theirs} there, {mine} here{newer}")
