"""A message as its reader gets it."""

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from device_sdk.errors import ContentError


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
    """Counts the sender's messages to this channel: a gap hints at one that is missing."""
    payload: bytes = field(repr=False)
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
