"""``sealgate device evidence``: what was found about the gateway's log, as files for the owner."""

from pathlib import Path
from typing import Annotated

import typer

from device_sdk.cli.terminal import AsJson, Directory, PassphraseFile, Terminal


def evidence(
    ctx: typer.Context,
    directory: Directory,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where to write the signed heads; it is made.")
    ] = Path("evidence"),
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Write the signed heads of the gateway's log that do not go together, two files a finding.

    Give them to the owner, who looks at them with `sealgate fleet judge`. It needs no connection.
    """
    from device_sdk.cli.output import local_time, report_as_json
    from device_sdk.device import Device
    from device_sdk.keys.file_vault import IDENTITY_FILE

    terminal: Terminal = ctx.obj
    passphrase = terminal.passphrase(passphrase_file, key_file=directory / IDENTITY_FILE)
    with Device.open(directory, passphrase=passphrase) as device:
        reports = device.log_reports()
    for number, report in enumerate(reports, start=1):
        files = []
        for which, data in (("first", report.first), ("second", report.second)):
            if data:
                files.append(out / f"{number:02}-{report.kind}-{which}")
                out.mkdir(parents=True, exist_ok=True)
                files[-1].write_bytes(data)
        if as_json:
            terminal.json({**report_as_json(report), "files": list(map(str, files))})
        else:
            terminal.say(f"{local_time(report.at)}  {report}")
            for file in files:
                terminal.say(f"  {file}")
    if not reports and not as_json:
        terminal.say("Nothing was found.")
