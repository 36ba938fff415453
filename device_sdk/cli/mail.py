"""``sealgate device send``, ``read``, ``sent`` and ``status``: thin commands over `Device`."""

import re
import sys
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from device_sdk.cli.opening import open_device
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
from device_sdk.wire.limits import MAX_PAYLOAD

if TYPE_CHECKING:
    from device_sdk.device import Device
    from device_sdk.message import Message

_UNITS = {
    "": timedelta(seconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


def send(
    ctx: typer.Context,
    directory: Directory,
    payload: Annotated[
        str | None,
        typer.Argument(
            metavar="[TEXT]", help="What to send; - is standard input.", show_default=False
        ),
    ] = None,
    reading: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER",
            help="Instead of TEXT: a number that is proved to be in the channel's range.",
        ),
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A reader; may be given several times."),
    ] = None,
    channel: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Instead: all readers that the owner gave a channel."),
    ] = None,
    lifetime: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="How long it may wait to be read, such as 90s, 15m, 12h or 7d [7d, or the "
            "channel's].",
        ),
    ] = None,
    anonymous: Annotated[
        bool,
        typer.Option(
            "--anonymous", help="Send nothing unless the channel is known to be anonymous."
        ),
    ] = False,
    timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0,
            callback=as_seconds,
            help="Seconds to wait until the gateway holds it.",
        ),
    ] = 30.0,
    wait_read: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0,
            callback=as_seconds,
            help="Wait so many seconds until everybody has read it.",
        ),
    ] = None,
    passphrase_file: PassphraseFile = None,
    broker: Broker = None,
    password_file: PasswordFile = None,
    ca: Ca = None,
    as_json: AsJson = False,
) -> None:
    """Seal a message to readers or a channel, wait until the gateway holds it, and print its id.

    If nobody confirms it in time, the command fails, but the message is stored: the next command
    that connects this device sends it.
    """
    from device_sdk.cli.output import outcome_as_lines, sent_as_json

    terminal: Terminal = ctx.obj
    _check_what(to, channel, payload, reading, anonymous=anonymous)
    life = None if lifetime is None else _lifetime(lifetime)
    number = None if reading is None else _number(reading)
    content = "" if payload is None else _payload(payload)
    with open_device(ctx, directory, passphrase_file, broker, password_file, ca) as opened:
        if number is not None and channel is not None:
            sent = opened.send_reading(number, channel=channel, lifetime=life, timeout=timeout)
        else:
            sent = opened.send(
                content,
                to or None,
                channel=channel,
                lifetime=life,
                anonymous=True if anonymous else None,
                timeout=timeout,
            )
        for reader, why in sent.left_out.items():
            terminal.warn(f"{reader} is left out ({why})")
        sent.wait_held(timeout)
        if as_json:
            terminal.json(sent_as_json(sent.record))
        else:
            terminal.say(sent.message_id)
        if wait_read is None:
            return
        outcome = sent.wait_read(wait_read)
        if as_json:
            terminal.json(sent_as_json(sent.record))
        else:
            for line in outcome_as_lines(outcome):
                terminal.say(line)


def _check_what(
    to: list[str] | None,
    channel: str | None,
    payload: str | None,
    reading: str | None,
    *,
    anonymous: bool,
) -> None:
    if bool(to) == (channel is not None):
        raise typer.BadParameter("expected either --to or --channel")
    if (payload is None) == (reading is None):
        raise typer.BadParameter("expected either a text or --reading")
    if anonymous and (channel is None or reading is not None):
        raise typer.BadParameter("only a text to a --channel can be anonymous")
    if reading is not None and channel is None:
        raise typer.BadParameter("a reading goes to a --channel")


def read(
    ctx: typer.Context,
    directory: Directory,
    count: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="End after so many messages, and wait for them."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C.")] = False,
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0,
            callback=as_seconds,
            help="Give up after so many seconds without a message or an answer.",
        ),
    ] = None,
    passphrase_file: PassphraseFile = None,
    broker: Broker = None,
    password_file: PasswordFile = None,
    ca: Ca = None,
    as_json: AsJson = False,
) -> None:
    """Print the messages to this device, and acknowledge each once it is printed.

    Ends when the gateway says that nothing waits, unless there is --count or --follow. What is no
    UTF-8 text is printed as base64. A message that could not be written is not acknowledged.
    """
    from device_sdk.cli.reading import drain, follow_inbox, silence, take

    terminal: Terminal = ctx.obj
    show = _json_printer(terminal) if as_json else _text_printer(terminal)
    with open_device(ctx, directory, passphrase_file, broker, password_file, ca) as opened:
        if (count is not None or follow) and (why := silence(opened)):
            terminal.warn(f"{why}; waiting all the same")
        if count is not None:
            take(opened, show, count=count, timeout=timeout)
        elif follow:
            follow_inbox(opened, show, timeout=timeout)
        else:
            drain(opened, show, timeout=timeout)


def sent(
    ctx: typer.Context,
    directory: Directory,
    message_id: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="One message, by its id or the id's first digits."),
    ] = None,
    limit: Annotated[
        int,
        typer.Option(metavar="N", min=1, max=1_000_000, help="How many of the latest to list."),
    ] = 20,
    timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0,
            callback=as_seconds,
            help="Seconds to wait for the gateway; 0 does not ask it.",
        ),
    ] = 10.0,
    passphrase_file: PassphraseFile = None,
    broker: Broker = None,
    password_file: PasswordFile = None,
    ca: Ca = None,
    as_json: AsJson = False,
) -> None:
    """Show what became of sent messages, also of those that another process sent."""
    from device_sdk.cli.output import SENT_COLUMNS, outcome_as_lines, sent_as_json, sent_as_row

    terminal: Terminal = ctx.obj
    with open_device(ctx, directory, passphrase_file, broker, password_file, ca) as opened:
        _refresh(terminal, opened, timeout)
        records = opened.sent(limit) if message_id is None else [opened.record(message_id)]
    if as_json:
        for record in records:
            terminal.json(sent_as_json(record))
    elif not records:
        terminal.say("No messages.")
    else:
        terminal.table(SENT_COLUMNS, [sent_as_row(record) for record in records])
    if message_id is not None and not as_json:
        for line in outcome_as_lines(records[0].outcome):
            terminal.say(line)


def status(
    ctx: typer.Context,
    directory: Directory,
    timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0,
            callback=as_seconds,
            help="Seconds to wait for the gateway's answer.",
        ),
    ] = 5.0,
    passphrase_file: PassphraseFile = None,
    broker: Broker = None,
    password_file: PasswordFile = None,
    ca: Ca = None,
    as_json: AsJson = False,
) -> None:
    """Show the device's roster, keys and connection, and what waits."""
    from device_sdk.cli.output import status_as_json, status_as_lines

    terminal: Terminal = ctx.obj
    with open_device(ctx, directory, passphrase_file, broker, password_file, ca) as opened:
        now = opened.status(timeout)
    if as_json:
        terminal.json(status_as_json(now))
        return
    for line in status_as_lines(now):
        terminal.say(line)


def _lifetime(text: str) -> timedelta:
    """Return 90s, 15m, 12h or 7d as a duration; a bare number is seconds."""
    match = re.fullmatch(r"([0-9]{1,8})([smhd]?)", text)
    if match is None:
        raise typer.BadParameter(f"--lifetime is a number with s, m, h or d, got {text!r}")
    return int(match[1]) * _UNITS[match[2]]


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        # It may be half a reading: it is not quoted.
        raise typer.BadParameter("--reading is a number such as 21.5") from None


def _payload(text: str) -> str | bytes:
    """Return the argument, or standard input; what is no text stays bytes."""
    if text != "-":
        return text
    stdin: TextIO | None = sys.stdin
    if stdin is None:
        raise typer.BadParameter("- is standard input, which is closed")
    data = stdin.buffer.read(MAX_PAYLOAD + 1)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _refresh(terminal: Terminal, opened: "Device", timeout: float) -> None:
    """Ask the gateway for news; without it, what is known here is still worth showing."""
    from device_sdk.errors import BrokerUnavailableError, GatewaySilentError

    if timeout:
        try:
            opened.refresh(timeout)
        except (BrokerUnavailableError, GatewaySilentError) as error:
            terminal.warn(f"this may be outdated: {error}")


def _json_printer(terminal: Terminal) -> "Callable[[Message], None]":
    from device_sdk.cli.output import message_as_json

    return lambda message: terminal.json(message_as_json(message))


def _text_printer(terminal: Terminal) -> "Callable[[Message], None]":
    from device_sdk.cli.output import as_base64, as_text, harmless

    def show(message: "Message") -> None:
        text = as_text(message.payload)
        if text is None:
            terminal.warn(f"message {message.message_id[:8]} is no UTF-8 text: shown as base64")
            text = as_base64(message.payload)
        if message.reading is not None:
            text = f"{text} {message.reading.unit}"
        terminal.say(harmless(text) if sys.stdout.isatty() else text)

    return show
