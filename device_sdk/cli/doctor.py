"""``sealgate device doctor``: is this device well?"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from device_sdk.cli.terminal import (
    AsJson,
    Broker,
    Ca,
    Directory,
    PassphraseFile,
    PasswordFile,
    Terminal,
    as_seconds,
)

if TYPE_CHECKING:
    from device_sdk.checks import Check


def doctor(
    ctx: typer.Context,
    directory: Directory,
    timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=0, callback=as_seconds, help="To wait for broker and gateway."
        ),
    ] = 5.0,
    passphrase_file: PassphraseFile = None,
    broker: Broker = None,
    password_file: PasswordFile = None,
    ca: Ca = None,
    as_json: AsJson = False,
) -> None:
    """Check a device's files, keys, roster, clock and connection. Exit code 1 if one is wrong."""
    terminal: Terminal = ctx.obj
    checks = examine(
        terminal,
        directory,
        timeout=timeout,
        passphrase_file=passphrase_file,
        broker=broker,
        password_file=password_file,
        ca=ca,
    )
    for check in checks:
        if as_json:
            terminal.json(_record(check))
        else:
            todo = f"; {check.todo}" if check.todo else ""
            terminal.say(f"{check.verdict:<9}{check.what}: {check.found}{todo}")
    if any(check.verdict == "problem" for check in checks):
        raise typer.Exit(1)


def _record(check: "Check") -> dict[str, str]:
    return {
        "what": check.what,
        "verdict": str(check.verdict),
        "found": check.found,
        "todo": check.todo,
    }


def examine(
    terminal: Terminal,
    directory: Path,
    *,
    timeout: float = 5.0,
    passphrase_file: Path | None = None,
    broker: str | None = None,
    password_file: Path | None = None,
    ca: Path | None = None,
) -> "Sequence[Check]":
    """Return everything that was found. Raises NoDeviceError, LoosePermissionsError."""
    from device_sdk.checks import problem, warning
    from device_sdk.device import Device
    from device_sdk.doctor import check_files, check_status
    from device_sdk.keys.file_vault import IDENTITY_FILE
    from device_sdk.keys.keystore import DirectoryInUseError, NoDeviceError, holds_device
    from device_sdk.wire.errors import SealgateError

    if not holds_device(directory):
        raise NoDeviceError(f"{directory} holds no device: sealgate device init makes one")
    checks = check_files(directory, int(time.time()))
    passphrase = terminal.passphrase(passphrase_file, key_file=directory / IDENTITY_FILE)
    try:
        with Device.open(
            directory, broker=broker, passphrase=passphrase, password_file=password_file, ca=ca
        ) as device:
            checks += check_status(device.status(timeout), int(time.time()))
    except DirectoryInUseError as error:
        todo = "stop it to have roster, keys and connection checked, too"
        checks.append(warning("device", f"in use by process {error.pid}", todo))
    except SealgateError as error:
        checks.append(problem("device", f"cannot be opened: {error}", "mend that first"))
    return checks
