"""``sealgate totals``: requests for totals, and whether what came back is right."""

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.terminal import AsJson, Terminal

if TYPE_CHECKING:
    from gateway.cli.totals_files import Desk

app = typer.Typer(rich_markup_mode=None)


@app.callback()
def totals() -> None:
    """Totals of readings that nobody can see: bills of one device, sums across devices.

    Experimental. A request goes to the device, or to all trustees, as a file; `sealgate device
    totals` answers it there. Whether a total is right can be checked by anybody with the bundle.
    """


Data = Annotated[
    Path, typer.Option(metavar="DIR", help="The gateway's directory; it may be running.")
]
Fleet = Annotated[
    Path, typer.Argument(metavar="FLEET", help="The fleet's directory, or its bundle.")
]
Request = Annotated[Path, typer.Argument(metavar="REQUEST", help="The request's file.")]
Out = Annotated[Path, typer.Option(metavar="FILE", help="Where to write it.")]
Channel = Annotated[str, typer.Option(metavar="NAME", help="The channel of the readings.")]
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="Passphrase of the gateway's key."),
]
Reports = Annotated[
    list[Path] | None, typer.Option("--report", metavar="FILE", help="One of each trustee.")
]
_TIME = "2026-11-30 or 2026-11-30T14:15, UTC."


def as_time(text: str) -> int:
    """Return Unix seconds of a date, or a date and time, in UTC. Raises BadParameter."""
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2})?)?", text):
            return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
    except ValueError:
        pass
    raise typer.BadParameter(f"expected a time such as {_TIME[:-1]}, got {text:.30}")


def _digits(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{8,32}", text):
        raise typer.BadParameter(f"an id is 8 or more hex digits, got {text:.40}")
    return text


def _desk(ctx: typer.Context, data: Path, passphrase_file: Path | None) -> "Desk":
    from gateway.cli.totals_files import Desk
    from gateway.enrolment import IDENTITY_FILE

    terminal: Terminal = ctx.obj
    passphrase = terminal.passphrase(passphrase_file, key_file=data / IDENTITY_FILE)
    return Desk(data, passphrase, now=int(time.time()))


@app.command(
    "bill-request",
    epilog="Example: sealgate totals bill-request --data ./gateway-data --channel power "
    "--device meter-7 --from 2026-11-01 --to 2026-12-01 --tariff tariff.toml --out meter-7.bill",
)
def bill_request(
    ctx: typer.Context,
    data: Data,
    channel: Channel,
    device: Annotated[str, typer.Option(metavar="NAME", help="Whose bill it is.")],
    start: Annotated[str, typer.Option("--from", metavar="TIME", help=f"Its begin: {_TIME}")],
    until: Annotated[str, typer.Option("--to", metavar="TIME", help="Its end, not in it.")],
    tariff: Annotated[Path, typer.Option(metavar="FILE", help="Prices, in TOML.")],
    out: Out,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="A reading that the device says it does not know."),
    ] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Ask a device for the total of its readings, each times its price.

    The device tells the total of all of them, once for each time. The tariff file has a `price`
    (what a weight counts), a `weight`, and any number of [[band]] with `from`, `until`, `weight`.
    """
    from gateway.tariff import Tariff

    prices = Tariff.read(tariff.read_text())
    desk = _desk(ctx, data, passphrase_file)
    request = desk.bill(
        channel=channel,
        device=device,
        start=as_time(start),
        until=as_time(until),
        tariff=prices,
        without=[_digits(one) for one in leave_out or ()],
    )
    desk.write(request, out)
    ctx.obj.say(f"{len(request.items)} readings of {device}: give {out} to it")


@app.command(
    "sum-request",
    epilog="Example: sealgate totals sum-request --data ./gateway-data --channel load "
    "--epoch 2026-11-30T14:15 --out load.sum",
)
def sum_request(
    ctx: typer.Context,
    data: Data,
    channel: Channel,
    epoch: Annotated[str, typer.Option(metavar="TIME", help=f"Its begin: {_TIME}")],
    out: Out,
    without: Annotated[
        Path | None,
        typer.Option(
            metavar="REQUEST",
            help="The request before: ask about what it asked, but for what its reports lack.",
        ),
    ] = None,
    report: Reports = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Ask the trustees for the sum of all devices' readings in one epoch.

    First they report what they have of it; where something is lacking, make another request
    --without it, which asks about nothing new. A sum is of 5,000 readings at the most: if there
    are more, the devices that have most are left out and named. Once every trustee has everything,
    each tells its part of the sum, once.
    """
    desk = _desk(ctx, data, passphrase_file)
    before, lacking = (None, set()) if without is None else desk.lacking(without, report or ())
    asked = desk.sum(channel=channel, start=as_time(epoch), before=before, without=lacking)
    request = asked.request
    desk.write(request, out)
    for item in sorted(lacking):
        ctx.obj.warn(f"a reading of {item.sender} is left out")
    for why in asked.left_out:
        ctx.obj.warn(f"left out: {why}")
    ctx.obj.say(
        f"{len(request.items)} readings of {len(request.senders)} devices: give {out} to "
        f"{' and '.join(request.rule.trustees)}"
    )


@app.command(
    epilog="Example: sealgate totals check ./fleet meter-7.bill meter-7.answer",
)
def check(
    ctx: typer.Context,
    fleet: Fleet,
    request: Request,
    answer: Annotated[Path, typer.Argument(metavar="ANSWER", help="What the device has written.")],
    as_json: AsJson = False,
) -> None:
    """Check a bill: is the total that of what the device has committed to?

    Needs neither a key nor a connection, and can be done by anybody.
    """
    from gateway.cli.totals_files import checked_bill

    bill, total = checked_bill(fleet, request, answer)
    value = bill.scale.value_of(total)
    if as_json:
        ctx.obj.json(
            {
                "device": bill.device,
                "channel": bill.channel,
                "from": bill.start,
                "to": bill.until,
                "readings": len(bill.items),
                "total": f"{value:f}",
                "unit": bill.scale.unit,
                "price": bill.price,
            }
        )
        return
    ctx.obj.say(
        f"{bill.device}, {_day(bill.start)} to {_day(bill.until)}: {value:f} {bill.scale.unit} x "
        f"{bill.price} for {len(bill.items)} readings, and it is right"
    )


@app.command(
    "sum",
    epilog="Example: sealgate totals sum ./fleet load.sum --report ann.report --report bob.report "
    "--answer ann.answer --answer bob.answer",
)
def sum_(
    ctx: typer.Context,
    fleet: Fleet,
    request: Request,
    report: Reports = None,
    answer: Annotated[
        list[Path] | None, typer.Option("--answer", metavar="FILE", help="One of each trustee.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put the parts of all trustees together, and check the sum.

    Whoever has told a wrong part is named. Needs neither a key nor a connection, and can be done
    by anybody.
    """
    from gateway.cli.totals_files import checked_sum

    asked, total = checked_sum(fleet, request, report or (), answer or ())
    value = asked.scale.value_of(total)
    if as_json:
        ctx.obj.json(
            {
                "channel": asked.channel,
                "from": asked.start,
                "to": asked.until,
                "readings": len(asked.items),
                "devices": len(asked.senders),
                "total": f"{value:f}",
                "unit": asked.scale.unit,
            }
        )
        return
    ctx.obj.say(
        f"{asked.channel}, {_day(asked.start)}: {value:f} {asked.scale.unit} of "
        f"{len(asked.senders)} devices in {len(asked.items)} readings, and it is right"
    )


def _day(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
