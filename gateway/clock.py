"""The high-water mark of wall time (PROTOCOL 13.7): time goes only forward, and not by leaps.

A clock that jumps a year ahead must not delete the mailbox, and one that goes back must not let
anything be replayed. `tick` is the rule, `start`, `advance` and `confirm` keep the mark in the
ledger.
"""

import time
from dataclasses import dataclass, replace

from device_sdk.wire.limits import DAY
from gateway.store.port import Transaction

MAX_LEAP = 7 * DAY
"""Seconds: a gateway may be switched off for a week without asking its operator what day it is."""
STORE_EVERY = 60
"""Seconds between two stored marks. What is dropped by time stores its mark with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """What the gateway takes the time to be."""

    now: int
    """The high-water mark H in Unix seconds; as ``now`` for every decision."""
    monotonic: float
    """The monotonic clock, in seconds, when H was last moved or taken from the ledger."""
    leap: float = MAX_LEAP
    """How far, in seconds, the wall clock could leap ahead at that moment and be believed."""
    paused: bool = False
    """Wall time is too far ahead to be believed: admission and expiry wait for the operator."""


def uptime() -> float:
    """Return the monotonic clock in seconds, which goes on while the machine sleeps.

    Where the system has none that does, sleep looks like a leap of the wall clock.
    """
    clock_id: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock_id is None else time.clock_gettime(clock_id)


def tick(clock: Clock, *, wall: int, monotonic: float, trusting: bool = False) -> Clock:
    """Return the clock after looking at both of the machine's clocks.

    A leap uses up what may be believed, and only time that really passes brings it back: else a
    clock that leaps by six days again and again would come to next year in some minutes.

    Args:
        clock: the clock before.
        wall: Unix seconds.
        monotonic: seconds, from the same start as the clock's own.
        trusting: believe any wall time.
    """
    passed = monotonic - clock.monotonic
    leap = min(clock.leap + passed, MAX_LEAP)
    ahead = wall - (clock.now + passed)
    if ahead > leap and not trusting:
        return replace(clock, paused=True)
    if wall <= clock.now:
        return replace(clock, paused=False)
    return Clock(now=wall, monotonic=monotonic, leap=MAX_LEAP if trusting else leap - max(ahead, 0))


def stated(clock: Clock, *, wall: int, monotonic: float) -> int:
    """Return the Unix seconds to sign and to judge logins by.

    That is the wall clock, also if it is behind H, unless it has leapt: then it is what time it
    should be. A device must not have a wrong year confirmed by a gateway that does not believe it.
    """
    leapt = tick(clock, wall=wall, monotonic=monotonic).paused
    return int(clock.now + monotonic - clock.monotonic) if leapt else wall


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
    """Believe the wall clock, because the operator says so.

    The mark goes back only in a ledger that holds neither message nor tombstone, whose clock was
    ahead when it began: nothing there has ended by it.
    """
    mark = wall if tx.is_empty() else max(tx.high_water(), wall)
    tx.set_high_water(mark)
    return Clock(now=mark, monotonic=monotonic)
