"""``sealgate gateway``: a gateway's own identity."""

import time
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.terminal import Terminal

app = typer.Typer(rich_markup_mode=None)


@app.callback()
def gateway() -> None:
    """A gateway's own identity; `sealgate serve` runs it."""


@app.command(epilog="Example: sealgate gateway init gw-1 --data ./gateway-data")
def init(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called: a-z 0-9 . _ -")],
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="Directory for its key and ledger; made if missing.")
    ],
    passphrase_file: Annotated[
        Path | None,
        typer.Option(
            "--passphrase-file", metavar="FILE", help="File with a passphrase for its key."
        ),
    ] = None,
) -> None:
    """Make a gateway's identity, and a join request for the fleet's owner."""
    from gateway.enrolment import init_gateway, load_identity

    terminal: Terminal = ctx.obj
    passphrase = terminal.new_passphrase(passphrase_file, what="the gateway's key")
    request = init_gateway(data, name, passphrase, now=int(time.time()))
    terminal.say(f"Made the gateway {name} in {data}")
    terminal.fingerprint(load_identity(data, passphrase).spki)
    terminal.say(f"Next, the owner: sealgate fleet admit FLEET {request} --role gateway")
