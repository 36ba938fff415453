"""``sealgate doctor``: one page of checks of a device, a gateway and a fleet."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from gateway.cli.terminal import AsJson, Terminal

if TYPE_CHECKING:
    from device_sdk.trust import Pin, Roster
    from device_sdk.wire.errors import SealgateError

EXAMPLE = "Example: sealgate doctor --dir ./thermo-1 --data ./gateway-data --bundle ./fleet/public"


class AnyCheck(Protocol):
    """A check of the gateway's, or of the device's, which has one of its own."""

    @property
    def what(self) -> str: ...
    @property
    def verdict(self) -> str: ...
    @property
    def found(self) -> str: ...
    @property
    def todo(self) -> str: ...


DeviceChecks = Callable[[Terminal, Path, Path | None], Sequence[AnyCheck]]


def command(check_device: DeviceChecks) -> Callable[..., None]:
    """Return the command; the device's checks are handed in, as `gateway` imports none of them."""

    def doctor(
        ctx: typer.Context,
        directory: Annotated[
            Path | None, typer.Option("--dir", metavar="DIR", help="A device's own directory.")
        ] = None,
        data: Annotated[
            Path | None,
            typer.Option(metavar="DIR", help="A gateway's directory; it may be running."),
        ] = None,
        bundle: Annotated[
            Path | None,
            typer.Option(metavar="DIR", help="The owner's public bundle that it serves."),
        ] = None,
        fleet: Annotated[
            Path | None, typer.Option(metavar="FLEET", help="An owner's fleet, or its bundle.")
        ] = None,
        passphrase_file: Annotated[
            Path | None,
            typer.Option(metavar="FILE", help="File with the passphrase of the device's keys."),
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Check a device, a gateway or a fleet, and say what to do. Exit code 1 on a problem."""
        terminal: Terminal = ctx.obj
        if not (directory or data or fleet):
            raise typer.BadParameter("expected --dir, --data or --fleet: what is to be checked?")
        if bundle and not data:
            raise typer.BadParameter("--bundle is compared with a gateway's ledger: name --data")
        parts: list[tuple[str, Iterable[AnyCheck]]] = []
        if directory:
            parts.append(("device", check_device(terminal, directory, passphrase_file)))
        if data:
            parts.append(("gateway", list(_check_gateway(data, bundle))))
        if fleet:
            parts.append(("fleet", list(_check_fleet(fleet))))
        _report(terminal, parts, as_json=as_json)

    return doctor


def _report(
    terminal: Terminal, parts: Sequence[tuple[str, Iterable[AnyCheck]]], *, as_json: bool
) -> None:
    has_problem = False
    for part, checks in parts:
        for one in checks:
            has_problem |= one.verdict == "problem"
            record = {"what": one.what, "verdict": str(one.verdict), "found": one.found}
            if as_json:
                terminal.json({"part": part, **record, "todo": one.todo})
            else:
                todo = f"; {one.todo}" if one.todo else ""
                terminal.say(f"{one.verdict:<9}{part} {one.what}: {one.found}{todo}")
    if has_problem:
        raise typer.Exit(1)


def _check_gateway(data: Path, bundle: Path | None) -> Iterator[AnyCheck]:
    from device_sdk.wire.errors import SealgateError
    from gateway import doctor
    from gateway.bundle import ROOT_FILE, read_root
    from gateway.enrolment import IDENTITY_FILE, JOIN_REQUEST_FILE
    from gateway.store.sqlite import LEDGER_FILE

    now, ledger = int(time.time()), data / LEDGER_FILE
    yield doctor.check_modes(doctor.private_files(data, LEDGER_FILE))
    yield doctor.check_passphrase(data / IDENTITY_FILE)
    if not data.is_dir():
        return
    yield doctor.check_disk(data, ledger.stat().st_size if ledger.exists() else 0)
    if not (data / ROOT_FILE).exists():
        found, todo = "it has never run", "run sealgate serve with the owner's bundle"
        yield doctor.check("ledger", doctor.Verdict.WARNING, found, todo)
        return
    try:
        pin = read_root(data / ROOT_FILE)
        damage, roster = _look_into(ledger, pin)
    except SealgateError as error:
        found, todo = str(error), "move it away: copies at the broker are adopted by a new one"
        yield doctor.check("ledger", doctor.Verdict.PROBLEM, found, todo)
        return
    if damage:
        todo = "stop the gateway, and restore the ledger or begin with a new one"
        yield doctor.check("ledger", doctor.Verdict.PROBLEM, f"damaged: {damage}", todo)
    else:
        yield doctor.check("ledger", doctor.Verdict.OK, "intact")
    yield doctor.check_roster(roster, now)
    yield doctor.check_admission(data / JOIN_REQUEST_FILE, roster, now)
    if bundle is not None:
        yield doctor.check_bundle(roster, _bundle_roster(bundle), pin)


def _look_into(ledger: Path, pin: "Pin") -> "tuple[str, Roster | None]":
    from gateway.admit import stored_roster
    from gateway.store.sqlite import look_into, quick_check
    from gateway.store.sqlite_reading import SqliteReading

    with look_into(ledger) as connection:
        return quick_check(connection), stored_roster(SqliteReading(connection), pin)


def _bundle_roster(bundle: Path) -> "Roster | SealgateError":
    from device_sdk.wire.errors import SealgateError
    from gateway.owner.bundle import PublicBundle

    try:
        return PublicBundle(bundle).roster()
    except SealgateError as error:
        return error


def _check_fleet(directory: Path) -> Iterator[AnyCheck]:
    from gateway import doctor
    from gateway.owner.fleet import root_key_file
    from gateway.owner.overview import read_overview

    now = int(time.time())
    private = directory / "private"
    if private.is_dir():
        yield doctor.check_modes([private, root_key_file(directory)])
        yield doctor.check_passphrase(root_key_file(directory))
    overview = read_overview(directory, now=now)
    yield doctor.check_expiry("roster", overview.roster_version, overview.roster_expires, now)
    for member in overview.members:
        if member.state == "ended":
            todo = "admit it again, or revoke it"
            yield doctor.check(member.name, doctor.Verdict.WARNING, "its membership ended", todo)
