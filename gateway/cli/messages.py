"""``sealgate messages``: what a gateway holds, without the content, which it cannot see."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.terminal import AsJson, Terminal, date

if TYPE_CHECKING:
    from gateway.store.records import Summary

_MINUTE, _HOUR, _DAY = 60, 3600, 24 * 3600
_MOST_NAMES = 4

app = typer.Typer(rich_markup_mode=None)


@app.callback()
def messages() -> None:
    """What a gateway holds: metadata only, as it knows nothing else."""


@app.command("list", epilog="Example: sealgate messages list --data ./gateway-data")
def list_(
    ctx: typer.Context,
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="The gateway's directory; it may be running.")
    ],
    as_json: AsJson = False,
) -> None:
    """List the messages of a gateway, and who still owes a read ack for them."""
    from gateway.store.sqlite import LEDGER_FILE, read_summaries

    terminal: Terminal = ctx.obj
    held, now = read_summaries(data / LEDGER_FILE), int(time.time())
    if as_json:
        for summary in held:
            terminal.json(_record(summary))
        return
    rows = [_row(summary, now) for summary in held]
    if rows:
        terminal.table(["id", "sender", "state", "owing", "age", "expires", "bytes"], rows)
    else:
        terminal.say("No messages.")


def _record(summary: "Summary") -> dict[str, object]:
    return {
        "id_prefix": summary.id_prefix,
        "sender": summary.sender,
        "channel": summary.channel,
        "state": summary.state,
        "reader_count": summary.reader_count,
        "owing": list(summary.owing),
        "size": summary.size,
        "held_at": summary.held_at,
        "expires": summary.expires,
    }


def _row(summary: "Summary", now: int) -> list[str]:
    names = list(summary.owing[:_MOST_NAMES])
    if len(summary.owing) > _MOST_NAMES:
        names.append(f"and {len(summary.owing) - _MOST_NAMES} more")
    return [
        summary.id_prefix,
        summary.sender,
        summary.state,
        " ".join(names) or "nobody",
        _age(now - summary.held_at),
        date(summary.expires),
        f"{summary.size:,}",
    ]


def _age(seconds: int) -> str:
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds // unit} {name}"
    return f"{max(seconds, 0)} s"
