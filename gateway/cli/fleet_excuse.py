"""``sealgate fleet excuse``: readers of one message who need not read it any more."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from device_sdk.wire.errors import SealgateError
from device_sdk.wire.names import is_hex_id
from gateway.cli.fleet_common import DryRun, FleetDirectory, PassphraseFile
from gateway.cli.terminal import AsJson, Terminal

if TYPE_CHECKING:
    from device_sdk.wire.excuse import Excuse


class NoMessageIdError(SealgateError):
    """Something else where a message id is expected."""


def excuse(
    ctx: typer.Context,
    directory: FleetDirectory,
    sender: Annotated[str, typer.Argument(metavar="SENDER", help="Who sent the message.")],
    message_id: Annotated[
        str, typer.Argument(metavar="ID", help="Of the message, as `device send` printed it.")
    ],
    readers: Annotated[
        list[str], typer.Argument(metavar="READER...", help="Who need not read it any more.")
    ],
    dry_run: DryRun = False,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Excuse readers from one message, so that it need not wait for them. Signs no roster.

    Give the bundle to your gateway: it lets go of their copies. The sender verifies your signature
    and sees them as excused.
    """
    from gateway.owner.fleet import Fleet, root_key_file
    from gateway.owner.register import Register

    terminal: Terminal = ctx.obj
    if not is_hex_id(message_id.lower()):
        raise NoMessageIdError("expected a message id of 32 hex digits, got something else")
    about, now = bytes.fromhex(message_id), int(time.time())
    if dry_run:
        planned = Register(directory).excuses().plan(sender, about, readers, now=now)
        _show(terminal, planned, signed=False, as_json=as_json)
        return
    passphrase = terminal.passphrase(passphrase_file, key_file=root_key_file(directory))
    made = Fleet.open(directory, passphrase).excuse(sender, about, readers, now=now)
    _show(terminal, made, signed=True, as_json=as_json)


def _show(terminal: Terminal, excuse: "Excuse", *, signed: bool, as_json: bool) -> None:
    readers, message_id = list(excuse.readers), excuse.message_id.hex()
    if as_json:
        terminal.json(
            {
                "signed": signed,
                "sender": excuse.sender,
                "message_id": message_id,
                "readers": readers,
            }
        )
        return
    verb = "Excused" if signed else "Would be excused"
    terminal.say(f"{verb} from {message_id} of {excuse.sender}: {' '.join(readers)}")
    if signed:
        terminal.say("Give the bundle to your gateway now: until then, nobody knows")
    else:
        terminal.say("Nothing was signed")
