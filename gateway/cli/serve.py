"""``sealgate serve``: runs a gateway."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.terminal import NotInstalledError

EXAMPLE = "Example: sealgate serve --data ./gateway-data --bundle ./fleet/public"


def serve(
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The gateway's directory, from `sealgate gateway init`."),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The owner's public bundle; it is watched for changes."),
    ] = None,
    broker: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="mqtt[s]://[user@]host[:port]; without it a broker runs in here."
        ),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="HOST:PORT of the broker in here [127.0.0.1:1883]."),
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
    passphrase_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File with the passphrase of the gateway's key."),
    ] = None,
    confirm_clock: Annotated[
        bool,
        typer.Option(
            "--confirm-clock",
            help="Believe this machine's clock, however far it is ahead of the ledger.",
        ),
    ] = False,
    metrics_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Figures for Prometheus' textfile collector go there."),
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="debug, info, warning or error.")
    ] = None,
    log_format: Annotated[
        str | None, typer.Option(metavar="FORMAT", help="auto, console or json.")
    ] = None,
) -> None:
    """Run a gateway, beside your broker or with one of its own.

    It prints "ready URL" once it serves, and logs to stderr, without any content, until Ctrl-C or
    SIGTERM ends it. Every option can also be set by SEALGATE_DATA and so on, or in gateway.toml in
    the gateway's directory.
    """
    try:
        from gateway.service import run
        from gateway.settings import load_settings
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(("gateway", "device_sdk")):
            raise
        raise NotInstalledError("serve needs: pip install 'sealgate[gateway]'") from error

    settings = load_settings(
        data=data,
        bundle=bundle,
        broker=broker,
        listen=listen,
        password_file=password_file,
        ca=ca,
        prefix=prefix,
        passphrase_file=passphrase_file,
        confirm_clock=confirm_clock or None,
        log_level=log_level,
        log_format=log_format,
        metrics_file=metrics_file,
    )
    run(settings)
