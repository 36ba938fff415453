"""The rows of totals in the state file: nothing that decides (PROTOCOL 18)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from device_sdk.state.sql_files import queries
from device_sdk.state.state_file import StateFile, storable
from device_sdk.wire import cbor
from device_sdk.wire.limits import TOTALS_KEPT
from device_sdk.wire.reading_policy import ReadingPolicy

MOST_OWN = 100_000
"""Own readings that wait for a total: one a minute for 69 days."""
MOST_SHARES = 40_000
"""Shares of one sender's readings: one in three minutes for 83 days. Whoever sends more pushes out
its own oldest, but none that was reported: others rely on it."""
MOST_WRONG = 100
"""Wrong shares of one sender: they are kept to name it, and a hundred do that as well."""
_SQL = queries("totals")
_SEQUENCE_SIZE = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnReading:
    """A reading that this device has sent."""

    message_id: bytes
    channel: str
    sequence: int
    issued: int
    """The `iat` in its header, Unix seconds."""
    masked: bytes
    """The steps, as `device_sdk.totals.secrets` masks them: 8 bytes."""
    policy: ReadingPolicy
    trustees: tuple[str, ...] = ()
    """To whom it was shared out when the first share was sent; it stays so."""
    sent_to: tuple[str, ...] = ()
    """Which of them have been sent theirs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldShare:
    """This trustee's part of somebody's reading."""

    sender: str
    message_id: bytes
    channel: str
    issued: int
    problem: str
    """Why it cannot be added up, one of `device_sdk.wire.totals_sum.LACKS`; empty if it can."""
    split: bytes
    """The first Signed<Split> of the reading that came."""
    masked: bytes
    """This trustee's part, as `device_sdk.totals.secrets` masks it; empty if it is wrong."""
    second: bytes = b""
    """Another Signed<Split> of the reading: its device cheats."""
    is_reported: bool = False
    """Whether a report has said that the first one is here: then it counts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Totalled:
    """An answer that was given. Times are Unix seconds."""

    start: int
    until: int
    request_hash: bytes
    answer: bytes


class TotalsStore:
    """Reads and writes them. Whoever calls holds the device's lock."""

    def __init__(self, state: StateFile) -> None:
        self._state = state

    def add_own(self, reading: OwnReading, *, to_share: bool) -> None:
        """Keep an own reading; within the transaction that stores its message."""
        row = (
            reading.message_id,
            reading.channel,
            reading.sequence.to_bytes(_SEQUENCE_SIZE),
            storable(reading.issued),
            reading.masked,
            reading.policy.encode(),
            int(to_share),
        )
        self._state.execute(_SQL["add_own"], row)
        if self._count("count_own") > MOST_OWN:
            self._state.execute(_SQL["trim_own"], (MOST_OWN,))

    def own(self, channel: str, start: int, until: int) -> dict[bytes, OwnReading]:
        """Return the own readings of a time that a bill may be of, by message id.

        What is, or was, to be shared out is not among them: it may be in a sum.
        """
        rows = self._state.rows(_SQL["own"], (channel, storable(start), storable(until)))
        return {row[0]: _own(row) for row in rows}

    def to_share(self, most: int) -> list[OwnReading]:
        """Return own readings of which trustees lack parts: those that were tried least come first,
        and of these the oldest."""
        return [_own(row) for row in self._state.rows(_SQL["to_share"], (most,))]

    def count_to_share(self) -> int:
        """Return how many own readings wait for that."""
        return self._count("count_to_share")

    def sent(self, message_id: bytes, trustees: tuple[str, ...], trustee: str) -> None:
        """Note that a trustee is sent its part; within the transaction that stores the message.

        Once all of them are, the reading is forgotten.
        """
        row = self._state.row(_SQL["sent_to"], (message_id,))
        sent_to = {trustee, *(str(row[0]).split() if row else ())}
        if sent_to.issuperset(trustees):
            self.drop_own(message_id)
        else:
            values = (" ".join(trustees), " ".join(sorted(sent_to)), message_id)
            self._state.execute(_SQL["note_sent"], values)

    def tried(self, message_ids: Iterable[bytes]) -> None:
        """Note that some own readings could not be shared out yet: others go before them."""
        with self._state.transaction():
            self._state.execute_many(_SQL["note_tried"], ((one,) for one in message_ids))

    def drop_own(self, message_id: bytes) -> None:
        """Forget an own reading."""
        self._state.execute(_SQL["drop_own"], (message_id,))

    def put_share(self, share: HeldShare) -> None:
        """Keep the first share of a reading."""
        row = (
            share.sender,
            share.message_id,
            share.channel,
            storable(share.issued),
            share.problem,
            share.split,
            share.masked,
        )
        is_wrong, most = int(bool(share.problem)), MOST_WRONG if share.problem else MOST_SHARES
        with self._state.transaction():
            self._state.execute(_SQL["put_share"], row)
            if self._count("count_shares", share.sender, is_wrong) > most:
                self._state.execute(_SQL["trim_shares"], (share.sender, is_wrong, most))

    def put_second(self, sender: str, message_id: bytes, split: bytes) -> None:
        """Keep another split of a reading beside the first one."""
        self._state.execute(_SQL["put_second"], (split, sender, message_id))

    def note_reported(self, shares: Iterable[tuple[str, bytes]]) -> None:
        """Note of which readings, by sender and message id, others rely on the shares here."""
        with self._state.transaction():
            self._state.execute_many(_SQL["note_reported"], shares)

    def share(self, sender: str, message_id: bytes) -> HeldShare | None:
        """Return this trustee's part of a reading."""
        row = self._state.row(_SQL["share"], (sender, message_id))
        if row is None:
            return None
        sender, message_id, channel, issued, problem, split, masked, second, reported = row
        return HeldShare(
            sender=sender,
            message_id=message_id,
            channel=channel,
            issued=issued,
            problem=problem,
            split=split,
            masked=masked,
            second=second,
            is_reported=bool(reported),
        )

    def totalled(self, channel: str, start: int, until: int) -> list[Totalled]:
        """Return the answers that were given about any part of a time."""
        values = (channel, storable(until), storable(start))
        return [
            Totalled(start=row[0], until=row[1], request_hash=row[2], answer=row[3])
            for row in self._state.rows(_SQL["totalled"], values)
        ]

    def answered(self, channel: str, one: Totalled) -> None:
        """Keep an answer before it is given; the readings and shares of its time go for good.

        So that a second total of them is impossible, whatever becomes of the rest.
        """
        times = (channel, one.start, one.until)
        with self._state.transaction():
            self._state.execute(_SQL["add_totalled"], (*times, one.request_hash, one.answer))
            self._state.execute(_SQL["drop_own_of"], times)
            self._state.execute(_SQL["drop_shares"], times)

    def forget(self, now: int) -> None:
        """Drop what nobody can ask about any more."""
        with self._state.transaction():
            for name in ("forget_own", "forget_shares", "forget_totalled"):
                self._state.execute(_SQL[name], (now - TOTALS_KEPT,))

    def _count(self, name: str, *values: str | int) -> int:
        row = self._state.row(_SQL[name], values)
        return int(row[0]) if row else 0


def _own(row: tuple[Any, ...]) -> OwnReading:
    message_id, channel, sequence, issued, masked, policy, trustees, sent_to = row
    return OwnReading(
        message_id=message_id,
        channel=channel,
        sequence=int.from_bytes(sequence),
        issued=issued,
        masked=masked,
        policy=ReadingPolicy.parse(cbor.decode(policy, "own policy", limit=len(policy))),
        trustees=tuple(trustees.split()),
        sent_to=tuple(sent_to.split()),
    )
