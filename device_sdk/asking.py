"""Asking the gateway while somebody waits for the answer. With the device's lock held."""

import time

from device_sdk.courier import Courier
from device_sdk.errors import BrokerUnavailableError, GatewaySilentError
from device_sdk.pace import Backoff, Pace

ASK_AGAIN = Backoff(first=1.0, most=5.0)
"""Between questions that bring no answer: a gateway that has just started does not listen yet."""
ASK_OWED = Backoff(first=0.1, most=2.0)
"""Between questions whether anything is still owed, while a clear may be on its way."""


def ask(courier: Courier, timeout: float, *, owed_only: bool) -> int:
    """Ask and wait for an answer; return how many copies this device owes a read ack for.

    Raises:
        BrokerUnavailableError: no connection within ``timeout`` seconds.
        GatewaySilentError: no answer within that time.
    """
    queries, pace = courier.parts.queries, Pace()
    until, number = time.monotonic() + timeout, 0
    while not number or queries.answered < number:
        courier.check_open()
        tick = time.monotonic()
        if tick >= until:
            kind = GatewaySilentError if courier.is_ready else BrokerUnavailableError
            raise kind(courier.why())
        if courier.is_ready and tick >= pace.due:
            asked = courier.ask(owed_only=owed_only)
            number = number or asked
            pace.tried(tick, ASK_AGAIN)
        alarm = min(until, pace.due) if courier.is_ready else until
        courier.changed.wait(max(alarm - time.monotonic(), 0.0))
    return queries.owed


class OwedQuestion:
    """Asks again and again whether anything is still owed, until nothing is."""

    def __init__(self, courier: Courier) -> None:
        self._courier = courier
        self._number = 0
        self._pace = Pace()

    @property
    def due(self) -> float:
        """The tick of the next question."""
        return self._pace.due

    def is_settled(self, unfinished: int) -> bool:
        """Tell whether no more copies are owed than the ``unfinished`` ones known here."""
        queries = self._courier.parts.queries
        if self._number and queries.answered >= self._number and queries.owed <= unfinished:
            return True
        tick = time.monotonic()
        if tick >= self._pace.due:
            number = self._courier.ask(owed_only=True)
            self._number = self._number or number
            self._pace.tried(tick, ASK_OWED)
        return False
