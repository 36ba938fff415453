"""stdin, stdout and stderr, where one of them is closed or its disk is full.

Python has None for a stream that is closed, and prints nothing into it without a word: a message
would be acknowledged that nobody has seen.
"""

import io
import os
import sys
from pathlib import Path

from device_sdk.wire.errors import SealgateError


class OutputClosedError(SealgateError):
    """There is nowhere to print to."""


def prepare() -> None:
    """Make the streams fit for use. Raises OutputClosedError if standard output is closed."""
    _fill_gaps()
    streams: list[io.TextIOBase | None] = [sys.stdout, sys.stderr]  # type: ignore[list-item]
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):  # what cannot be shown here is shown as \u2713
            stream.reconfigure(errors="backslashreplace")
    if streams[1] is None:
        # Otherwise Python would print warnings among the results.
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    if streams[0] is None:
        raise OutputClosedError("standard output is closed: for no output, give /dev/null")


def drop_unwritten() -> None:
    """Forget what could not be printed, as Python would try and complain again when it ends."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fill_gaps() -> None:
    """Let no file that is opened later get the number of a closed stream."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
