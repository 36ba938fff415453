"""The outbox's rows in the state file: nothing that decides."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from device_sdk.outbox.outgoing import Noted, Outgoing, Slot, State, Verdict
from device_sdk.series import Place
from device_sdk.state.series_store import OwnSeries
from device_sdk.state.sql_files import queries
from device_sdk.state.state_file import StateFile, storable

Also = Callable[[], None]
"""What is stored together with a message, in the same transaction."""
_SQL = queries("outbox")


def nothing() -> None:
    """Store nothing else."""


class OutboxStore:
    """Reads and writes `Outgoing` records."""

    def __init__(self, state: StateFile) -> None:
        self._state = state
        self.series = OwnSeries(state)

    def add(
        self,
        message: Outgoing,
        envelope: bytes,
        readers: bytes,
        place: Place,
        also: Also = nothing,
    ) -> None:
        """Store a new message with its sealed bytes and its place in a series, and commit.

        An anonymous message has no place.
        """
        with self._state.transaction():
            if not message.anonymous:
                self.series.put(message.channel, readers, place)
            self._state.execute(
                _SQL["add"],
                (
                    message.message_id,
                    message.digest,
                    message.channel,
                    message.issued,
                    message.expires,
                    message.state,
                    message.detail,
                    message.held_at,
                    message.closed_at,
                    message.noted,
                    envelope,
                    message.records,
                    message.anonymous,
                ),
            )
            self._put_slots(message, message.slots)
            self._state.execute_many(
                _SQL["leave_out"],
                ((message.message_id, *item) for item in message.left_out.items()),
            )
            also()

    def update(self, changes: Iterable[tuple[Outgoing, Outgoing]]) -> None:
        """Store (before, after) in one transaction.

        The sealed bytes of a message go as soon as they need not be sent again.
        """
        with self._state.transaction():
            for before, after in changes:
                self._state.execute(
                    _SQL["update"],
                    (
                        after.state,
                        after.detail,
                        after.held_at,
                        after.closed_at,
                        after.noted,
                        after.message_id,
                    ),
                )
                pairs = zip(before.slots, after.slots, strict=True)
                self._put_slots(after, [new for old, new in pairs if new is not old])

    def _put_slots(self, message: Outgoing, slots: Iterable[Slot]) -> None:
        self._state.execute_many(
            _SQL["put_reader"],
            (
                (
                    message.message_id,
                    slot.reader,
                    slot.open_hash,
                    slot.verdict,
                    storable(slot.at),
                    slot.detail,
                    slot.evidence,
                )
                for slot in slots
            ),
        )

    def get(self, message_id: bytes) -> Outgoing | None:
        """Return one message."""
        row = self._state.row(_SQL["get"], (message_id,))
        return self._message(row) if row else None

    def envelope(self, message_id: bytes) -> bytes | None:
        """Return the sealed bytes while they may have to be sent."""
        row = self._state.row(_SQL["envelope"], (message_id,))
        return row[0] if row else None

    def with_id_prefix(self, prefix: str, most: int) -> list[Outgoing]:
        """Return up to ``most`` messages whose id begins with these hex digits."""
        whole_bytes = bytes.fromhex(prefix[: len(prefix) // 2 * 2])
        rows = self._state.rows(_SQL["with_id_prefix"], (whole_bytes, prefix + "%", most))
        return [self._message(row) for row in rows]

    def latest(self, most: int) -> list[Outgoing]:
        """Return the newest messages, newest first."""
        return [self._message(row) for row in self._state.rows(_SQL["latest"], (most,))]

    def waiting(self) -> dict[bytes, int]:
        """Return the messages that are not held yet, oldest first, by id: how long they are."""
        return dict(self._state.rows(_SQL["waiting"]))

    def waiting_anonymously(self) -> set[bytes]:
        """Return which of these are anonymous."""
        return {row[0] for row in self._state.rows(_SQL["waiting_anonymously"])}

    def held_anonymously(self) -> dict[bytes, bytes]:
        """Return the anonymous messages that are held, by id: their digests."""
        return dict(self._state.rows(_SQL["held_anonymously"]))

    def count_records(self) -> int:
        """Return how many readers there are in all records."""
        row = self._state.row(_SQL["count_records"])
        return int(row[0]) if row else 0

    def oldest_over(self, most: int) -> dict[bytes, int]:
        """Return messages that ended first, by id: how many readers their records have."""
        return dict(self._state.rows(_SQL["oldest_over"], (most,)))

    def count_open(self) -> Mapping[State, int]:
        """Return how many messages are waiting and held."""
        return {State(row[0]): row[1] for row in self._state.rows(_SQL["count_open"])}

    def has_open(self) -> bool:
        """Tell whether `tracked` returns anything."""
        return self._state.row(_SQL["has_open"]) is not None

    def tracked(self) -> list[tuple[bytes, bytes, State]]:
        """Return (id, digest, state) of all that the gateway may have news about, oldest first."""
        return [(row[0], row[1], State(row[2])) for row in self._state.rows(_SQL["tracked"])]

    def unnoted(self) -> list[tuple[bytes, bytes]]:
        """Return (id, digest) of the outcomes that the gateway may forget."""
        return [(row[0], row[1]) for row in self._state.rows(_SQL["unnoted"])]

    def overdue(self, trusted: int) -> list[Outgoing]:
        """Return the open messages whose time is over."""
        return [self._message(row) for row in self._state.rows(_SQL["overdue"], (trusted,))]

    def owing(self) -> list[str]:
        """Return everybody who still has to read an open message."""
        return [row[0] for row in self._state.rows(_SQL["owing"])]

    def owed_by(self, reader: str) -> list[Outgoing]:
        """Return the open messages that a reader still has to read."""
        return [self._message(row) for row in self._state.rows(_SQL["owed_by"], (reader,))]

    def long_over(self, before: int) -> dict[bytes, int]:
        """Return up to 1,000 messages that expired and ended before a time; as `oldest_over`."""
        return dict(self._state.rows(_SQL["long_over"], (before,)))

    def drop(self, message_ids: Iterable[bytes]) -> None:
        """Drop messages with all that is known of them."""
        doomed = [(message_id,) for message_id in message_ids]
        with self._state.transaction():
            self._state.execute_many(_SQL["drop_readers"], doomed)
            self._state.execute_many(_SQL["drop_left_out"], doomed)
            self._state.execute_many(_SQL["drop"], doomed)

    def _message(self, row: Sequence[Any]) -> Outgoing:
        return Outgoing(
            message_id=row[0],
            digest=row[1],
            channel=row[2],
            issued=row[3],
            expires=row[4],
            state=State(row[5]),
            detail=row[6],
            held_at=row[7],
            closed_at=row[8],
            noted=Noted(row[9]),
            anonymous=bool(row[10]),
            slots=tuple(
                Slot(
                    reader=reader,
                    open_hash=open_hash,
                    verdict=Verdict(verdict),
                    at=at,
                    detail=detail,
                    evidence=evidence,
                )
                for reader, open_hash, verdict, at, detail, evidence in self._state.rows(
                    _SQL["readers"], (row[0],)
                )
            ),
            left_out=dict(self._state.rows(_SQL["left_out"], (row[0],))),
        )
