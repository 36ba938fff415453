"""The register: which readings can be added up, and by what commitments (PROTOCOL 18.2).

A reading enters it in the transaction that holds its message, and outlives that message: what was
read and cleared can still be totalled. Commitments tell nothing; who measured when is metadata.
"""

from device_sdk.trust import Roster
from device_sdk.wire.limits import CLOCK_SKEW, MAX_LIFETIME
from gateway.reading_rule import Finding
from gateway.receive import Accepted
from gateway.situation import Situation
from gateway.store.port import Reading, Transaction
from gateway.store.records import Registered


def enter(tx: Transaction, accepted: Accepted, finding: Finding, situation: Situation) -> None:
    """Enter a reading whose proof was verified, if its channel's owner allows totals."""
    header, roster = accepted.header, situation.roster
    if roster is None or header.reading is None or finding is not Finding.PROVED:
        return
    if not _has_totals(roster, header.channel) or not _is_timely(header.issued, situation.now):
        return
    if tx.registered_on(header.sender, situation.now) >= situation.limits.daily_readings:
        return
    tx.add_registered(
        Registered(
            key=accepted.key,
            channel=header.channel,
            sequence=header.sequence,
            issued=header.issued,
            policy=header.reading.policy,
            commitment=header.reading.commitment,
            held_at=situation.now,
        )
    )


def _is_timely(issued: int, now: int) -> bool:
    """Tell whether a reading may be of the epoch that its sender says.

    A message waits 30 days at the most, so an older date is not true; neither is one to come.
    """
    return now - MAX_LIFETIME - CLOCK_SKEW <= issued <= now + CLOCK_SKEW


def _has_totals(roster: Roster, channel: str) -> bool:
    entry = roster.channels.get(channel)
    return entry is not None and entry.totals is not None


def tidy(tx: Transaction, situation: Situation, limit: int) -> int:
    """Drop what is too old, and what the owner no longer allows to be added up; return how many.

    ``limit`` bounds one piece: call it until nothing is left.
    """
    count = tx.drop_registered(situation.now - situation.limits.totals_kept, limit)
    for channel in _forbidden(tx, situation.roster):
        count += tx.drop_registered_channel(channel, limit)
    return count


def _forbidden(tx: Reading, roster: Roster | None) -> list[str]:
    if roster is None:
        return []  # nobody can say yet
    return [channel for channel in tx.registered_channels() if not _has_totals(roster, channel)]
