"""``sealgate broker``: configuration for a broker of the fleet's own. The owner runs it."""

import time
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.terminal import Terminal

app = typer.Typer(rich_markup_mode=None)


@app.callback()
def broker() -> None:
    """A broker beside the gateway, set up for one fleet."""


@app.command(
    epilog="Example: sealgate broker config --fleet ./fleet --out ./broker --host broker.example"
)
def config(
    ctx: typer.Context,
    fleet: Annotated[Path, typer.Option(metavar="FLEET", help="The fleet's directory.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Directory to write; made if missing.")],
    host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Host name or IP address of the broker; may be given several times "
            "[localhost and 127.0.0.1].",
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="For MQTT.")] = 8883,
    websockets: Annotated[
        int, typer.Option(min=0, max=65_535, help="For MQTT over WebSockets; 0 for none.")
    ] = 8884,
    listen: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; 0.0.0.0 is everywhere.")
    ] = "127.0.0.1",
    path: Annotated[
        str,
        typer.Option(metavar="DIR", help="Where DIR will lie on the broker's machine [as here]."),
    ] = "",
    prefix: Annotated[
        str | None, typer.Option(metavar="TOPIC", help="Of all topics [sealgate/1].")
    ] = None,
    passphrase_file: Annotated[
        Path | None,
        typer.Option(
            "--passphrase-file", metavar="FILE", help="File with the passphrase of the root key."
        ),
    ] = None,
) -> None:
    """Write a configuration of Mosquitto 2 for the fleet: TLS, certificates, access rules.

    Only members of the fleet get in, and each reaches its own topics. Run it again, with the same
    options, after a revocation, and whenever the roster was renewed: the broker's key stays.
    """
    from device_sdk.wire.topics import DEFAULT_PREFIX
    from gateway.access import check_prefix
    from gateway.owner.errors import FleetError
    from gateway.owner.fleet import Fleet, root_key_file
    from gateway.owner.mosquitto_config import BrokerPlan, write_configuration

    terminal: Terminal = ctx.obj
    try:
        topics = check_prefix(prefix or DEFAULT_PREFIX)
    except ValueError as error:
        raise FleetError(str(error)) from None
    plan = BrokerPlan(
        hosts=host or ["localhost", "127.0.0.1"],
        listen=listen,
        port=port,
        websockets=websockets,
        path=path,
        prefix=topics,
    )
    passphrase = terminal.passphrase(passphrase_file, key_file=root_key_file(fleet))
    made = write_configuration(Fleet.open(fleet, passphrase), out, plan, now=int(time.time()))
    terminal.say(f"Wrote {made.parent}: it holds the broker's private key")
    terminal.say(f"Run: mosquitto -c {path or made.parent.absolute()}/{made.name}")
    terminal.say(
        "If it runs already: kill -HUP lets it read rules, revocations and its certificate again, "
        "and shuts out at once who was revoked; a change of ports or addresses needs a restart"
    )
