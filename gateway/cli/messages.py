"""``sealgate messages``: what a gateway holds, without its content, which it cannot see."""

import typer

app = typer.Typer(help="What a gateway holds: metadata only.")


@app.callback()
def messages() -> None:
    """What a gateway holds: metadata only."""


@app.command("list", epilog="Example: sealgate messages list --data ./gateway-data")
def list_() -> None:
    """List."""
    raise NotImplementedError
