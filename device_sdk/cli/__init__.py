"""``sealgate device``: thin commands over `device_sdk.Device`. Mounted by ``gateway.cli.main``."""

import typer

from device_sdk.cli import doctor, enrolment, evidence, mail, totals
from device_sdk.cli.doctor import examine

app = typer.Typer(rich_markup_mode=None)


@app.callback()
def device() -> None:
    """A device: its keys, and the messages that it sends and reads."""


app.command(epilog="Example: sealgate device init thermo-1 --dir ./thermo-1")(enrolment.init)
app.command(
    epilog="Example: sealgate device trust ./fleet/public/root.pub --dir ./thermo-1 "
    "--broker mqtt://127.0.0.1:1883"
)(enrolment.trust)
app.command(epilog="Example: sealgate device join ./thermo-1.ticket --dir ./thermo-1")(
    enrolment.join
)
app.command(epilog="Example: sealgate device send --dir ./thermo-1 --to hub --to phone '21.5'")(
    mail.send
)
app.command(epilog="Example: sealgate device read --dir ./hub --follow")(mail.read)
app.command(epilog="Example: sealgate device sent --dir ./thermo-1")(mail.sent)
app.command(epilog="Example: sealgate device status --dir ./thermo-1")(mail.status)
app.command(epilog="Example: sealgate device evidence --dir ./thermo-1 --out ./evidence")(
    evidence.evidence
)
app.add_typer(totals.app, name="totals", no_args_is_help=True)
app.command(epilog="Example: sealgate device doctor --dir ./thermo-1")(doctor.doctor)

__all__ = ["app", "examine"]
