"""``sealgate fleet owner``, ``pull`` and ``rotate``: several owners, and a new root."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from device_sdk.wire.limits import DAY
from gateway.cli.fleet_common import (
    DryRun,
    FleetDirectory,
    NoPassphrase,
    PassphraseFile,
    ValidDays,
    show_changes,
    show_signed,
)
from gateway.cli.terminal import AsJson, Terminal

if TYPE_CHECKING:
    from gateway.owner.second import Pulled

app = typer.Typer(rich_markup_mode=None)


@app.callback()
def owner() -> None:
    """Other owners: either's key signs, so that one lost laptop does not end a fleet."""


OwnDirectory = Annotated[Path, typer.Argument(metavar="DIR", help="That owner's directory.")]
Bundle = Annotated[Path, typer.Argument(metavar="PUBLIC", help="The fleet's public bundle.")]


@app.command(epilog="Example: sealgate fleet owner init ./ann --name ann")
def init(
    ctx: typer.Context,
    directory: OwnDirectory,
    name: Annotated[str, typer.Option(metavar="NAME", help="Who it is: a-z 0-9 . _ -")],
    passphrase_file: PassphraseFile = None,
    no_passphrase: NoPassphrase = False,
) -> None:
    """Make a second owner's key on a machine of its own, and a request for the first owner."""
    from gateway.owner.second import REQUEST_FILE, make_owner

    terminal: Terminal = ctx.obj
    passphrase = terminal.owner_passphrase(
        passphrase_file, what=f"{name}'s owner key", none_wanted=no_passphrase
    )
    request = make_owner(directory, name, passphrase, now=int(time.time()))
    terminal.say(f"Made the owner {name} in {directory}")
    terminal.fingerprint(request.owner_spki)
    terminal.say(
        f"Next, the first owner: sealgate fleet owner add FLEET {directory / REQUEST_FILE}"
    )


@app.command(epilog="Example: sealgate fleet owner add ./fleet ./ann/owner-request")
def add(
    ctx: typer.Context,
    directory: FleetDirectory,
    request: Annotated[Path, typer.Argument(metavar="REQUEST", help="The owner request.")],
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
    """Let another owner's key sign rosters, excuses and the next root, and sign the roster anew.

    Compare the printed fingerprint first. There is no way back but `fleet rotate`, after which no
    other owner is left.
    """
    from gateway.owner.fleet import Fleet, root_key_file
    from gateway.owner.owners import check_new_owner, examine_request
    from gateway.owner.register import Register

    terminal: Terminal = ctx.obj
    asked = examine_request(request.read_bytes(), fingerprint)
    if not as_json:
        terminal.fingerprint(asked.owner_spki)
    if dry_run:
        register = Register(directory)
        check_new_owner(asked, register.roster(), register.pin)
        _show_plan(terminal, f"+ owner {asked.name}", as_json=as_json)
        return
    passphrase = terminal.passphrase(passphrase_file, key_file=root_key_file(directory))
    changed = Fleet.open(directory, passphrase).add_owner(
        asked, now=int(time.time()), validity=valid_days * DAY
    )
    more = (f"+ owner {asked.name}", "Next, there: sealgate fleet owner open DIR PUBLIC")
    show_signed(terminal, (), changed.roster, as_json=as_json, more=more)


@app.command("open", epilog="Example: sealgate fleet owner open ./ann ./bundle")
def open_(ctx: typer.Context, directory: OwnDirectory, bundle: Bundle) -> None:
    """Take the fleet's bundle into a second owner's directory, and pin its root.

    Compare the printed root fingerprint with the first owner's. Afterwards every command of `fleet`
    works there; `fleet pull` takes in what other owners have signed since, before you change
    anything.
    """
    from gateway.owner.second import open_fleet, signs_for

    terminal: Terminal = ctx.obj
    opened = open_fleet(directory, bundle, now=int(time.time()))
    terminal.say(f"Root fingerprint: {opened.pin.fingerprint}")
    terminal.say(f"Roster version {opened.roster.version}")
    if not signs_for(directory, opened.roster):
        terminal.warn("this roster does not let your key sign yet: pull a newer one")


def pull(
    ctx: typer.Context, directory: FleetDirectory, bundle: Bundle, as_json: AsJson = False
) -> None:
    """Take in what another owner has signed, before you change anything. Needs no key."""
    from gateway.owner.second import pull as pull_bundle

    terminal: Terminal = ctx.obj
    pulled = pull_bundle(directory, bundle, now=int(time.time()))
    for name in pulled.taken_back:
        terminal.warn(f"{name} was revoked here and is not any more: revoke it again")
    if as_json or pulled.is_new:
        show_signed(terminal, pulled.changes, pulled.roster, as_json=as_json)
        return
    _show_unchanged(terminal, pulled)


def _show_unchanged(terminal: Terminal, pulled: "Pulled") -> None:
    show_changes(terminal, ())
    terminal.say(f"Roster version {pulled.roster.version} was here already")


def rotate(
    ctx: typer.Context,
    directory: FleetDirectory,
    valid_days: ValidDays = 365,
    new_passphrase_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="For the new key, instead of the old one's passphrase."),
    ] = None,
    stolen: Annotated[
        bool,
        typer.Option(
            "--stolen", help="Let brokers believe no certificate by the old key any more, at once."
        ),
    ] = False,
    dry_run: DryRun = False,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Replace the fleet's root by a new key, made here, when the old one may be in wrong hands.

    Devices with the old root pinned accept it once they see the new roster; from then on the old
    root signs nothing for them. All other owners and all excuses end with it: add the owners again.

    With a broker from `sealgate broker config`, write its configuration again before the gateway
    gets the bundle: devices come with certificates by the new root. With --stolen devices must be
    given theirs by hand (device trust PUBLIC), as the broker refuses the old ones.
    """
    from gateway.owner.fleet import Fleet, root_key_file
    from gateway.owner.owners import Lineage, check_rotation
    from gateway.owner.register import Register

    terminal: Terminal = ctx.obj
    if dry_run:
        check_rotation(Lineage.of(Register(directory).roster()))
        _show_plan(terminal, "~ root replaced, every other owner ended", as_json=as_json)
        return
    passphrase = terminal.passphrase(passphrase_file, key_file=root_key_file(directory))
    new = passphrase
    if new_passphrase_file is not None:
        new = terminal.owner_passphrase(new_passphrase_file, what="the new root key")
    changed = Fleet.open(directory, passphrase).rotate(
        new, now=int(time.time()), validity=valid_days * DAY, stolen=stolen
    )
    if not as_json:
        terminal.fingerprint(changed.roster.head.root.spki)
    more = (
        "~ root replaced, every other owner ended",
        "Next: sealgate broker config, if you use it, and let Mosquitto read it",
        "Then give the bundle to your gateway: until devices have it, they believe the old root",
    )
    show_signed(terminal, (), changed.roster, as_json=as_json, more=more)


def _show_plan(terminal: Terminal, change: str, *, as_json: bool) -> None:
    if as_json:
        terminal.json({"signed": False, "changes": [change]})
        return
    terminal.say(change)
    terminal.say("Nothing was signed")
