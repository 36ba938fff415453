"""The high-water mark of wall time (PROTOCOL 13.7): time goes only forward, and not by leaps.

A clock that jumps a year ahead must not delete the mailbox, and one that goes back must not let
anything be replayed. `tick` is the rule, the other functions keep the mark in the ledger.
"""

from dataclasses import dataclass, replace

from device_sdk.wire.limits import DAY
from gateway.store.port import Transaction

MAX_LEAP = 7 * DAY
"""A gateway may be switched off for a week without asking its operator what day it is."""
STORE_EVERY = 60
"""Seconds between two stored marks. What is dropped by time stores its mark with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """What the gateway takes the time to be."""

    now: int
    """The high-water mark H in Unix seconds; as ``now`` for every decision."""
    monotonic: float
    """The monotonic clock, in seconds, when H was last moved or taken from the ledger."""
    paused: bool = False
    """Wall time is too far ahead to be believed: admission and expiry wait for the operator."""


def tick(clock: Clock, *, wall: int, monotonic: float, trusting: bool = False) -> Clock:
    """Return the clock after looking at both of the machine's clocks.

    Args:
        clock: the clock before.
        wall: Unix seconds.
        monotonic: seconds, from the same start as the clock's own.
        trusting: believe any wall time.
    """
    believable = clock.now + (monotonic - clock.monotonic) + MAX_LEAP
    if wall > believable and not trusting:
        return replace(clock, paused=True)
    if wall <= clock.now:
        return replace(clock, paused=False)
    return Clock(now=wall, monotonic=monotonic)


def start(tx: Transaction, *, wall: int, monotonic: float) -> Clock:
    """Take the mark from the ledger at start and do the first tick.

    A ledger without messages believes any time now, so that nobody is asked after a long winter.
    While the gateway runs it does not: the mark never comes back from one wrong moment.
    """
    clock = Clock(now=tx.high_water(), monotonic=monotonic)
    return _store(tx, tick(clock, wall=wall, monotonic=monotonic, trusting=tx.is_empty()))


def advance(tx: Transaction, clock: Clock, *, wall: int, monotonic: float) -> Clock:
    """Tick, and store the mark if it moved by a minute or more."""
    return _store(tx, tick(clock, wall=wall, monotonic=monotonic))


def _store(tx: Transaction, clock: Clock) -> Clock:
    if clock.now - tx.high_water() >= STORE_EVERY:
        tx.set_high_water(clock.now)
    return clock


def confirm(tx: Transaction, *, wall: int, monotonic: float) -> Clock:
    """Believe the wall clock, because the operator says so. The mark still never goes back."""
    mark = max(tx.high_water(), wall)
    tx.set_high_water(mark)
    return Clock(now=mark, monotonic=monotonic)
