"""``sealgate fleet judge``: the owner looks at what a device reported about a gateway's log."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.terminal import AsJson, Terminal

if TYPE_CHECKING:
    from device_sdk.wire.tree_head import TreeHead

EXAMPLE = (
    "Example: sealgate fleet judge ./fleet evidence/01-split-view-first "
    "evidence/01-split-view-second"
)
_Head = Annotated[Path, typer.Argument(metavar="HEAD", help="A file of `device evidence`.")]


def judge(
    ctx: typer.Context,
    directory: Annotated[
        Path, typer.Argument(metavar="FLEET", help="The fleet's directory, or its bundle.")
    ],
    first: _Head,
    second: _Head,
    as_json: AsJson = False,
) -> None:
    """Tell whether two heads of a gateway's log prove that it showed two histories.

    Ends with exit code 1 if they do not. Needs neither a key nor a connection.
    """
    from gateway.owner import judge as owner

    terminal: Terminal = ctx.obj
    judged = owner.judge(directory, first.read_bytes(), second.read_bytes())
    if as_json:
        terminal.json(
            {
                "proof": judged.is_proof,
                "why_not": judged.why_not,
                "heads": [
                    _as_json(gateway, head)
                    for gateway, head in zip(judged.gateways, judged.heads, strict=True)
                ],
            }
        )
    else:
        for gateway, head in zip(judged.gateways, judged.heads, strict=True):
            terminal.say(_as_line(gateway, head))
        terminal.say(
            f"PROOF: {judged.gateways[0]} has signed two different histories"
            if judged.is_proof
            else f"No proof: {judged.why_not}"
        )
    if not judged.is_proof:
        raise typer.Exit(1)


def _as_json(gateway: str, head: "TreeHead") -> dict[str, object]:
    return {
        "gateway": gateway,
        "log_id": head.log_id.hex(),
        "size": head.size,
        "root": head.root.hex(),
        "time": head.time,
        "roster_version": head.roster_version,
    }


def _as_line(gateway: str, head: "TreeHead") -> str:
    at = datetime.fromtimestamp(head.time, UTC)
    log_id, root = head.log_id.hex()[:8], head.root.hex()[:16]
    return (
        f"{gateway}, log {log_id}: {head.size} entries, root {root}, "
        f"roster version {head.roster_version}, {at:%Y-%m-%d %H:%M:%S} UTC"
    )
