"""The gateway's order of things (PROTOCOL 13), one name for each point at which it may be cut off.

Tests walk through them: with ``SEALGATE_DIE_AT=send-committed`` in its environment, a gateway kills
itself as ``kill -9`` would when it comes to that point, and with ``send-committed:3`` when it comes
there for the third time. Without that variable, `reached` does nothing.

A point is a work and how far it is. What arrives is *written* within a transaction, *committed*,
and *pubacked*. While a proof is *waiting*, its message was PUBACKed and stands in no ledger. What
is published is *sent*, *confirmed* by the broker, *recorded* in the ledger.
"""

import os
import signal
from collections.abc import Callable

SWITCH = "SEALGATE_DIE_AT"

ARRIVING = ("send", "read", "seen", "announce", "blind", "adoption")
"""What comes from devices, or is found at the broker."""
PUBLISHING = ("copy", "clear")
"""What stands at the broker, or no longer."""

ARRIVAL_STEPS = ("written", "committed", "pubacked")

POINTS = (
    *(f"{work}-{step}" for work in ARRIVING for step in ARRIVAL_STEPS),
    *(
        f"{work}-{how_far}"
        for work in PUBLISHING
        for how_far in ("sent", "confirmed", "written", "recorded")
    ),
    "proof-waiting",
    "notice-due",
    "notice-sent",
    "expiry-written",
    "expiry-committed",
    "erasure-due",
    "erasure-rebuilt",
    "erasure-done",
    "connected",
    "state-sent",
    "subscribed",
    "replayed",
    "missing-committed",
    "reconciled",
)
"""All of them."""


def _nothing(point: str) -> None:
    """Nobody wants to be cut off."""


def _die_at(wanted: str) -> Callable[[str], None]:
    name, _, count = wanted.partition(":")
    if name not in POINTS or not (count or "1").isdigit():
        raise ValueError(
            f"{SWITCH}: expected POINT or POINT:COUNT, got {wanted}; points: {', '.join(POINTS)}"
        )
    left = int(count or 1)

    def reached(point: str) -> None:
        nonlocal left
        if point == name:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return reached


_wanted = os.environ.get(SWITCH)
reached: Callable[[str], None] = _die_at(_wanted) if _wanted else _nothing
"""Tell that a point of `POINTS` is reached."""
