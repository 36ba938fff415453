"""A message as its reader gets it."""

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from device_sdk.errors import ContentError
from device_sdk.readings import Reading

Missed = tuple[range, ...]


@dataclass(kw_only=True, eq=False, slots=True, weakref_slot=True)
class Message:
    """An opened message.

    Use it as a context manager: leaving the block without an exception sends the read ack. Without
    the block, or after an exception in it, nothing is sent, the message stays owed, and it comes
    first in the next `Device.inbox`, also after a restart. Nobody else is shown it meanwhile.
    """

    message_id: str
    """32 hex digits. Together with the sender it names the message."""
    sender: str
    sent_at: datetime
    """By the sender's clock, UTC."""
    expires_at: datetime
    channel: str
    """A channel's name, or "direct"."""
    content_type: str
    """Media type that the sender gave."""
    sequence: int
    """Counts this sender's messages to the same readers (and the same channel)."""
    missed: Missed
    """Numbers below ``sequence`` that were sealed to this device too and have not arrived so far.

    Empty if none is known to be missing. Each is a message that expired unread, was withheld by the
    gateway, or is still on its way: just after connecting, copies can come in another order. A
    number is named with every later message until it arrives, or until it must have expired, 30
    days after it was found missing. What went before the first message that this device has ever
    got of a sender and a set of readers is not known, nor what is missing at the end.
    """
    reading: Reading | None = field(default=None, repr=False)
    """The number that was sent on a channel for readings, checked; None if it is no reading."""
    payload: bytes = field(repr=False)
    """Of a reading: its value in decimal notation."""
    _block: AbstractContextManager[None] = field(repr=False)

    def text(self) -> str:
        """Return the payload as text. Raises ContentError if it is not UTF-8."""
        try:
            return self.payload.decode()
        except UnicodeDecodeError:
            raise ContentError(self.message_id, "its payload is not UTF-8 text") from None

    def json(self) -> Any:
        """Return what the payload says in JSON. Raises ContentError if it is no JSON."""
        try:
            return json.loads(self.payload)
        except (ValueError, RecursionError):
            raise ContentError(self.message_id, "its payload is not JSON") from None

    def __enter__(self) -> Self:
        self._block.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._block.__exit__(kind, error, trace)
