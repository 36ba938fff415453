"""``sealgate device totals``: answers to requests for totals, and what a trustee does for them."""

from pathlib import Path
from typing import Annotated

import typer

from device_sdk.cli.opening import open_device
from device_sdk.cli.terminal import (
    Broker,
    Ca,
    Directory,
    PassphraseFile,
    PasswordFile,
    Terminal,
    as_seconds,
)

app = typer.Typer(rich_markup_mode=None)


@app.callback()
def totals() -> None:
    """Totals of readings: this device's own bill, or sums across devices for which it is a trustee.

    Experimental until externally reviewed.
    """


Request = Annotated[
    Path, typer.Argument(metavar="REQUEST", help="From `sealgate totals`, signed by the gateway.")
]
Out = Annotated[Path, typer.Option(metavar="FILE", help="Where to write it.")]


@app.command(
    epilog="Example: sealgate device totals answer meter-7.bill --dir ./meter-7 --out meter-7.out"
)
def answer(
    ctx: typer.Context,
    request: Request,
    directory: Directory,
    out: Out,
    report: Annotated[
        list[Path] | None,
        typer.Option("--report", metavar="FILE", help="For a sum: what each trustee has reported."),
    ] = None,
    passphrase_file: PassphraseFile = None,
    broker: Broker = None,
    password_file: PasswordFile = None,
    ca: Ca = None,
) -> None:
    """Tell the total of this device's readings, or this trustee's part of a sum. Once.

    It is told only if the owner allows it and nothing that it covers was told before. The same
    request gets the same answer again.
    """
    asked, reports = request.read_bytes(), [path.read_bytes() for path in report or ()]
    with open_device(ctx, directory, passphrase_file, broker, password_file, ca) as opened:
        told = opened.totals
        data = told.answer_sum(asked, reports) if reports else told.answer_bill(asked)
    out.write_bytes(data)
    ctx.obj.say(f"Wrote {out}")


@app.command(epilog="Example: sealgate device totals report load.sum --dir ./ann --out ann.report")
def report(
    ctx: typer.Context,
    request: Request,
    directory: Directory,
    out: Out,
    passphrase_file: PassphraseFile = None,
    broker: Broker = None,
    password_file: PasswordFile = None,
    ca: Ca = None,
) -> None:
    """As a trustee, say which readings of a set could be added up here. It tells no value."""
    asked = request.read_bytes()
    with open_device(ctx, directory, passphrase_file, broker, password_file, ca) as opened:
        data = opened.totals.report(asked)
    out.write_bytes(data)
    ctx.obj.say(f"Wrote {out}")


Timeout = Annotated[
    float,
    typer.Option(
        metavar="SECONDS", min=0, callback=as_seconds, help="Give up after so many seconds."
    ),
]


@app.command(epilog="Example: sealgate device totals collect --dir ./ann")
def collect(
    ctx: typer.Context,
    directory: Directory,
    timeout: Timeout = 30.0,
    passphrase_file: PassphraseFile = None,
    broker: Broker = None,
    password_file: PasswordFile = None,
    ca: Ca = None,
) -> None:
    """As a trustee, take the shares that wait here. Other messages stay unread."""
    terminal: Terminal = ctx.obj
    with open_device(ctx, directory, passphrase_file, broker, password_file, ca) as opened:
        taken = opened.totals.collect(timeout)
        opened.flush(timeout)
    terminal.say(f"{taken} shares taken")


@app.command(epilog="Example: sealgate device totals share --dir ./meter-7")
def share(
    ctx: typer.Context,
    directory: Directory,
    timeout: Timeout = 30.0,
    passphrase_file: PassphraseFile = None,
    broker: Broker = None,
    password_file: PasswordFile = None,
    ca: Ca = None,
) -> None:
    """Send trustees their shares of readings that were sent without; sending does so itself."""
    terminal: Terminal = ctx.obj
    with open_device(ctx, directory, passphrase_file, broker, password_file, ca) as opened:
        sent = opened.totals.flush(timeout)
        waiting = opened.totals.share(0)
    if waiting:
        terminal.say(f"{waiting} readings still wait for a trustee's key")
    else:
        terminal.say("All sent" if sent else "All stored; the next command sends them")
