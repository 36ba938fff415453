"""Are there rows that should be gone by the ledger's own rules?"""

import sqlite3
from collections.abc import Iterator

from gateway import clock
from gateway.audit import Finding
from gateway.logs import short_id
from gateway.situation import Limits
from gateway.store.queries import queries

SLACK = 120
"""Seconds that a running gateway may take until it acts on what time has brought."""
_SERVE = "let the gateway serve until it has swept, within a minute"
_REPORT = "a defect: report this line (SECURITY.md says how), and do not edit the ledger"
_RULES = (
    ("bodies_not_owed", "a body that no reader is owed", _REPORT),
    ("wraps_not_owed", "a wrapped key that no reader is owed", _REPORT),
    ("evidence_of_nothing", "evidence of no message", _REPORT),
    ("past_their_expiry", "a message that has expired", _SERVE),
    ("past_their_grace", "an outcome past its expiry and the grace after it", _SERVE),
    ("seen_and_cleared", "an outcome that its sender has seen", _REPORT),
    ("tombstones_past_their_expiry", "a tombstone that has expired", _SERVE),
    ("registered_past_their_time", "a reading that is kept for totals for too long", _SERVE),
    ("token_keys_past_their_time", "a key for tokens whose time is over", _SERVE),
    ("tokens_of_nothing", "a token of nothing", _REPORT),
)


def present(high_water: int, wall: int) -> int:
    """Return what the gateway would take the time to be if it started now (PROTOCOL 13.7).

    All in Unix seconds.
    """
    mark = clock.Clock(now=high_water, monotonic=0.0)
    return clock.tick(mark, wall=wall, monotonic=0.0).now


def overdue_rows(connection: sqlite3.Connection, now: int) -> Iterator[Finding]:
    """Yield the rows that should be gone. ``now`` is the gateway's time, see `present`."""
    limits, past = Limits(), now - SLACK
    times = {
        "expired": past,
        "given_up": past - limits.outcome_grace,
        "registered": past - limits.totals_kept,
    }
    asked = queries("audit")
    for name, what, todo in _RULES:
        for sender, message_id, reader, size in connection.execute(asked[name], times).fetchall():
            ids = [sender, short_id(message_id) if message_id else "", reader]
            yield Finding(
                what=what,
                where="/".join(filter(None, ids)) or "the ledger",
                size=size,
                todo=todo,
                mark=hash((name, message_id)),
            )


def count_held(connection: sqlite3.Connection) -> int:
    """Return how many messages are held."""
    return int(connection.execute(queries("audit")["held"]).fetchone()[0])
