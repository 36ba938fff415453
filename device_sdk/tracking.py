"""What became of sent messages, and waiting for it: what stands behind a `Sent`."""

import time
from collections.abc import Callable
from typing import TypeVar

from device_sdk.courier import Courier
from device_sdk.errors import UnknownMessageError
from device_sdk.outbox.outgoing import Outgoing, State
from device_sdk.sent import SentRecord

T = TypeVar("T")

_WHOLE = 32
_DIGITS = frozenset("0123456789abcdef")


class Tracking:
    """A device's view of its outbox; a `device_sdk.sent.Watcher`."""

    def __init__(self, courier: Courier) -> None:
        self._courier = courier
        self._outbox = courier.parts.outbox

    def latest(self, limit: int) -> list[SentRecord]:
        """Return the latest messages, newest first."""
        with self._courier.changed:
            self._courier.check_open()
            return [SentRecord.of(message) for message in self._outbox.latest(limit)]

    def record(self, message_id: str) -> SentRecord:
        """Return one message, by its id in hex or enough first digits of it.

        Raises:
            UnknownMessageError: none, or more than one.
        """
        return SentRecord.of(self.find(message_id))

    def find(self, message_id: str) -> Outgoing:
        """Return one message as it is stored. Raises UnknownMessageError."""
        digits = message_id.lower()
        if not digits or set(digits) - _DIGITS:
            raise UnknownMessageError(message_id)
        with self._courier.changed:
            self._courier.check_open()
            if len(digits) == _WHOLE and (whole := self._outbox.get(bytes.fromhex(digits))):
                return whole
            found = self._outbox.find(digits, 2)
        if len(found) != 1:
            raise UnknownMessageError(message_id)
        return found[0]

    def wait(
        self, message_id: bytes, done: Callable[[Outgoing], T | None], timeout: float | None
    ) -> tuple[T | None, Outgoing, str]:
        """Wait until ``done`` returns something of a message, up to ``timeout`` seconds.

        Returns what it returned, the message as it then stands, and why nothing came.
        """
        until = None if timeout is None else time.monotonic() + timeout
        with self._courier.changed:
            while True:
                self._courier.check_open()
                message = self._outbox.get(message_id)
                if message is None:
                    raise UnknownMessageError(message_id.hex())
                result = done(message)
                if result is not None:
                    return result, message, ""
                remaining = None if until is None else until - time.monotonic()
                if remaining is not None and remaining <= 0:
                    return None, message, self._why(message)
                self._wait_for_news(message, remaining)

    def _wait_for_news(self, message: Outgoing, remaining: float | None) -> None:
        patience = None
        if message.state.is_open:
            left = message.expires - time.time()
            if left <= 0:
                self._courier.tend()  # its time is over: what that means is seen at once
            patience = max(left, 1.0)
        waits = [wait for wait in (remaining, patience) if wait is not None]
        self._courier.changed.wait(min(waits, default=None))

    def _why(self, message: Outgoing) -> str:
        if self._courier.is_ready:
            refusal = self._outbox.refusal(message.message_id)
            if refusal:
                return f"the gateway does not take it for now ({refusal})"
            if message.state is State.HELD:
                return "held by the gateway"
        return self._courier.why()
