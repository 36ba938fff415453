"""Asking the gateway while somebody waits for the answer. With the device's lock held."""

import time
from collections.abc import Callable

from device_sdk.courier import Courier
from device_sdk.errors import GatewaySilentError
from device_sdk.pace import Backoff, Pace

ASK_AGAIN = Backoff(first=1.0, most=5.0)
"""Between questions that bring no answer: a gateway that has just started does not listen yet."""
ASK_OWED = Backoff(first=0.1, most=2.0)
"""Between questions whether anything is still owed, while a clear may be on its way."""


def ask_owed(courier: Courier, timeout: float) -> int:
    """Ask and wait for the answer how many copies this device owes a read ack for.

    Raises:
        BrokerUnavailableError: no connection within ``timeout`` seconds.
        GatewaySilentError: no answer within that time.
    """
    queries = courier.parts.queries
    number = queries.want()
    _wait_for(courier, timeout, lambda: queries.answered >= number, queries.want)
    return queries.owed


def ask_everything(courier: Courier, timeout: float) -> None:
    """Ask and wait for the answer what became of the open messages. Raises as `ask_owed`.

    Not of anonymous ones: see `device_sdk.anonymous.unnamed`.
    """
    queries = courier.parts.queries
    number = queries.want_round()
    _wait_for(courier, timeout, lambda: queries.answered_rounds >= number, queries.want_round)


def _wait_for(
    courier: Courier, timeout: float, answered: Callable[[], bool], again: Callable[[], int]
) -> None:
    until, pace = time.monotonic() + timeout, Pace()
    while not answered():
        courier.check_open()
        tick = time.monotonic()
        if tick >= until:
            kind = GatewaySilentError if courier.is_ready else courier.unavailable
            raise kind(courier.why())
        if tick >= pace.due:
            again()
            courier.pump()
            pace.tried(tick, ASK_AGAIN)
        courier.pause(min(until, pace.due) - time.monotonic())


class OwedQuestion:
    """Asks again and again whether anything is still owed, until nothing is."""

    def __init__(self, courier: Courier) -> None:
        self._courier = courier
        self._number = courier.parts.queries.want()
        self._pace = Pace()

    @property
    def due(self) -> float:
        """The tick of the next question."""
        return self._pace.due

    def is_settled(self, unfinished: int) -> bool:
        """Tell whether no more copies are owed than the ``unfinished`` ones known here."""
        queries = self._courier.parts.queries
        if queries.answered >= self._number and queries.owed <= unfinished:
            return True
        tick = time.monotonic()
        if tick >= self._pace.due:
            queries.want()
            self._courier.pump()
            self._pace.tried(tick, ASK_OWED)
        return False
