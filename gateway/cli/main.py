"""All commands under one name, and what every command does the same way when something fails.

Modules of commands import what they need when they are called, so that ``sealgate --help`` is quick
and no command loads another's half of the project.
"""

import os
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from device_sdk.wire.errors import SealgateError
from gateway.cli import (
    audit,
    broker,
    demo,
    doctor,
    fleet,
    gateway_cmd,
    messages,
    serve,
    streams,
    totals,
)
from gateway.cli.terminal import Terminal, printable

FAILED, MISUSED, INTERRUPTED = 1, 2, 130
"""Exit codes. 130 is the shell's own for Ctrl-C."""

_CLICK_ERROR = typer.BadParameter.__mro__[2]
"""ClickException, of the package click or of the copy that newer releases of Typer bring along."""


class _DeviceCommands(TyperGroup):
    """The device's commands, loaded when one of them is asked for: `serve` never has them."""

    def _load(self) -> None:
        from device_sdk.cli import app

        group: Any = typer.main.get_command(app)
        self.commands = group.commands

    def list_commands(self, ctx: Any) -> list[str]:
        """Return their names in the order in which they are used."""
        self._load()
        return list(self.commands)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return one of them."""
        self._load()
        return super().get_command(ctx, cmd_name)


def _check_device(
    terminal: Terminal, directory: Path, passphrase_file: Path | None
) -> Sequence[doctor.AnyCheck]:
    from device_sdk.cli import examine

    return examine(terminal, directory, passphrase_file=passphrase_file)


app = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    epilog="Example: sealgate demo",
)
app.command("demo", epilog=demo.EXAMPLE)(demo.demo)
app.add_typer(fleet.app, name="fleet", no_args_is_help=True)
app.add_typer(gateway_cmd.app, name="gateway", no_args_is_help=True)
app.command("serve", epilog=serve.EXAMPLE)(serve.serve)
app.command("audit", epilog=audit.EXAMPLE)(audit.audit)
app.add_typer(broker.app, name="broker", no_args_is_help=True)
app.command("doctor", epilog=doctor.EXAMPLE)(doctor.command(_check_device))
app.add_typer(messages.app, name="messages", no_args_is_help=True)
app.add_typer(totals.app, name="totals", no_args_is_help=True)
app.add_typer(
    typer.Typer(cls=_DeviceCommands, rich_markup_mode=None),
    name="device",
    help="A device: its keys, and the messages that it sends and reads.",
    epilog="Example: sealgate device init thermo-1 --dir ./thermo-1",
    no_args_is_help=True,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sealgate {metadata.version('sealgate')}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and end."
        ),
    ] = False,
) -> None:
    """Sealed mailboxes on the MQTT broker you already have.

    Only the readers that a message names can open it; it is held until each of them has read it,
    and then gone.
    """
    ctx.obj = Terminal()


def main() -> None:
    """Run one command. An error is one line on stderr; SEALGATE_DEBUG=1 shows its origin."""
    try:
        streams.prepare()
        command = typer.main.get_command(app)
        sys.exit(command.main(prog_name="sealgate", standalone_mode=False))
    except Exception as error:
        if os.environ.get("SEALGATE_DEBUG") == "1":
            raise
        code, text = _explain(error)
        if text:
            print("sealgate:", printable(" ".join(text.split())), file=sys.stderr)
        streams.drop_unwritten()
        sys.exit(code)


def _explain(error: Exception) -> tuple[int, str]:
    """Return the exit code and the one line."""
    if isinstance(error, SealgateError):
        return FAILED, str(error)
    if isinstance(error, _CLICK_ERROR):
        return MISUSED, _explain_usage(error)
    if isinstance(error, typer.Abort):
        return FAILED, "nothing was done"
    if isinstance(error, OSError) and error.strerror:
        return FAILED, ": ".join(filter(None, [str(error.filename or ""), error.strerror]))
    # Whatever it says may be made of anything, so only its kind is shown.
    return FAILED, f"internal error ({type(error).__name__}); SEALGATE_DEBUG=1 shows where"


def _explain_usage(error: Any) -> str:
    if type(error).__name__ == "NoArgsIsHelpError":  # a group alone, which is no mistake
        typer.echo(error.ctx.get_help())
        return ""
    text = str(error.format_message())
    return text if error.ctx is None else f"{text} (see {error.ctx.command_path} --help)"
