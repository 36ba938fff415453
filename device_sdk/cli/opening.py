"""How every command that connects opens its device."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from device_sdk.cli.terminal import Terminal

if TYPE_CHECKING:
    from device_sdk.device import Device


def open_device(
    ctx: typer.Context,
    directory: Path,
    passphrase_file: Path | None,
    broker: str | None,
    password_file: Path | None,
    ca: Path | None,
) -> "Device":
    """Open the device in a directory, as the options of a command say. Raises as `Device.open`."""
    from device_sdk.device import Device
    from device_sdk.keys.file_vault import IDENTITY_FILE

    terminal: Terminal = ctx.obj
    passphrase = terminal.passphrase(passphrase_file, key_file=directory / IDENTITY_FILE)
    return Device.open(
        directory, broker=broker, passphrase=passphrase, password_file=password_file, ca=ca
    )
