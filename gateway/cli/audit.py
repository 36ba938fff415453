"""``sealgate audit``: is anything left that should be gone?"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.terminal import AsJson, NotInstalledError, Terminal

if TYPE_CHECKING:
    from gateway.audit import Finding, Look

EXAMPLE = "Example: sealgate audit --data ./gateway-data --broker mqtt://127.0.0.1:1883"


def audit(
    ctx: typer.Context,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The gateway's directory; it may be running."),
    ] = None,
    broker: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="mqtt[s]://[user@]host[:port] of the broker to look at, also of the gateway's "
            "own; the user must be allowed to read everything, and not be the gateway's.",
        ),
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File with the password of the broker's user."),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Authorities in PEM that vouch for the broker."),
    ] = None,
    prefix: Annotated[
        str | None, typer.Option(metavar="TOPIC", help="Of all topics [sealgate/1].")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look for what should be gone: in the gateway's files, and with --broker at the broker.

    Whatever no row of the ledger explains, and every row that its own rules would have dropped, is
    reported, one a line; then the exit code is 1. It changes nothing. Beside a running gateway
    what is only under way is looked at again, for some seconds.
    """
    try:
        from gateway import logs
        from gateway.audit import PAUSES, look_again
        from gateway.cli.audit_look import look_at
        from gateway.settings import load_settings
        from gateway.store.lock import may_be_in_use
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(("gateway", "device_sdk")):
            raise
        raise NotInstalledError("audit needs: pip install 'sealgate[gateway]'") from error

    logs.configure("error")
    settings = load_settings(
        data=data, broker=broker, password_file=password_file, ca=ca, prefix=prefix
    )
    terminal: Terminal = ctx.obj
    with terminal.busy("Looking ..."):
        pauses = PAUSES if may_be_in_use(settings.data) else ()
        look = asyncio.run(look_again(lambda: look_at(settings), pauses))
    _report(terminal, look, as_json=as_json)
    if any(one.leftover for one in look.findings):
        raise typer.Exit(1)


def _report(terminal: Terminal, look: "Look", *, as_json: bool) -> None:
    left = [one for one in look.findings if one.leftover]
    if as_json:
        for one in look.findings:
            terminal.json(_record(one))
        terminal.json(
            {
                "leftovers": len(left),
                "messages": look.messages,
                "files": look.files,
                "topics": look.topics,
                "notes": list(look.notes),
            }
        )
        return
    for one in left:
        terminal.say(str(one))
    for text in (*(str(one) for one in look.findings if not one.leftover), *look.notes):
        terminal.warn(text)
    topics = "no broker" if look.topics is None else f"{look.topics:,} topics"
    if not left:
        terminal.say(
            f"nothing left: {look.messages:,} messages held, {look.files:,} files, {topics} "
            "looked at"
        )


def _record(finding: "Finding") -> dict[str, object]:
    return {
        "what": finding.what,
        "where": finding.where,
        "count": finding.count,
        "size": finding.size,
        "todo": finding.todo,
        "leftover": finding.leftover,
    }
