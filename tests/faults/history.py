"""What happened, as everybody who took part wrote it down: one record a line, nothing decided.

Each process appends to a file of its own, a record at a time in one write, so that a process that
is killed leaves whole records. Times are nanoseconds of the machine's monotonic clock, which all
processes share and no test changes.
"""

import json
import os
import time
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

SUFFIX = ".history"
BRIEF = "brief"
"""Detail of a message that is to expire unread."""


ROLLBACK = "rollback "
"""Detail of the fault that put an older ledger back; the time of that ledger follows."""


class What(StrEnum):
    """What a record says."""

    SENDING = "sending"
    """A sender's application is about to hand a payload to the SDK."""
    SENT = "sent"
    """`send` has returned."""
    HELD = "held"
    """The sender was told that the gateway holds the message."""
    READ = "read"
    """The sender was told that a reader has read it."""
    OVER = "over"
    """The sender knows how the message ended: ``detail`` is the state."""
    SHOWN = "shown"
    """A reader's application has been given a message."""
    HANDLED = "handled"
    """It is done with the message, and about to leave its block: the read ack comes after this."""
    DONE = "done"
    """The block was left: the read ack is stored."""
    FAILED = "failed"
    """The block was left by an exception."""
    COPY = "copy"
    """A copy was seen at the broker."""
    CLEARED = "cleared"
    """A copy was seen to be cleared at the broker."""
    FAULT = "fault"
    """Something was broken on purpose: ``detail`` says what."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One line of a history. What does not apply is empty."""

    at: int
    what: What
    sender: str = ""
    message: str = ""
    """The message id in hex."""
    reader: str = ""
    token: str = ""
    """The payload, which names what was sent before it has a message id."""
    readers: tuple[str, ...] = ()
    detail: str = ""

    @classmethod
    def from_json(cls, line: str) -> Self:
        """Return the record of a line."""
        fields = json.loads(line)
        return cls(**{**fields, "what": What(fields["what"]), "readers": tuple(fields["readers"])})


class Pen:
    """Appends to one file of a history."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, what: What, **fields: object) -> None:
        """Write a record of this moment down."""
        record = Record(at=time.monotonic_ns(), what=what, **fields)  # type: ignore[arg-type]
        os.write(self._file, json.dumps(asdict(record)).encode() + b"\n")

    def close(self) -> None:
        """Write no more."""
        os.close(self._file)


def read(path: Path) -> list[Record]:
    """Return the records of one file; none if nobody has written it yet."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [Record.from_json(line) for line in lines]


def load(directory: Path) -> list[Record]:
    """Return all records below a directory in the order in which they happened."""
    records = (record for path in directory.glob(f"*{SUFFIX}") for record in read(path))
    return sorted(records, key=lambda record: record.at)
