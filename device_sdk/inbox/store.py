"""The inbox's rows in the state file: nothing that decides.

A message has a row from the moment it is first shown: ``shown`` with its sealed copy until its
handler has succeeded, then ``handled`` with the read ack, until its time is over.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from device_sdk.series import Heard
from device_sdk.state.series_store import HeardSeries, SeriesKey
from device_sdk.state.sql_files import queries
from device_sdk.state.state_file import StateFile, storable

Key = tuple[str, bytes]
"""(sender, message id): a message's name everywhere."""

News = tuple[SeriesKey, Heard]
"""What has arrived of a series by now."""

SHOWN, HANDLED = "shown", "handled"
_SQL = queries("inbox")


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """A message that has been shown at least once."""

    state: str
    copy: bytes = b""
    """The sealed copy, while it is only shown."""
    ack: bytes = b""
    """The signed read ack, once it is handled: published again whenever the copy comes back."""


class InboxStore:
    """Reads and writes the inbox's rows."""

    def __init__(self, state: StateFile) -> None:
        self._state = state
        self.series = HeardSeries(state)

    def shown(self, key: Key, copy: bytes, expires: int, news: News | None) -> None:
        """Remember, before the application sees it, that a message is being handled.

        ``news`` is what its arrival says about its series, if anything.
        """
        with self._state.transaction():
            self._state.execute(_SQL["shown"], (*key, storable(expires), copy))
            self._take(news)

    def handled(self, key: Key, ack: bytes, expires: int, news: News | None) -> None:
        """Store the read ack; the sealed copy goes."""
        with self._state.transaction():
            self._state.execute(_SQL["handled"], (*key, storable(expires), ack))
            self._take(news)

    def _take(self, news: News | None) -> None:
        if news is not None:
            self.series.put(*news)

    def confirm(self, keys: Iterable[Key]) -> None:
        """Remember that the broker has PUBACKed these read acks."""
        with self._state.transaction():
            self._state.execute_many(_SQL["confirm"], keys)

    def drop(self, key: Key) -> None:
        """Forget a message that was shown, and is not to be shown again."""
        self._state.execute(_SQL["drop"], key)

    def get(self, key: Key) -> Known | None:
        """Return what is known of a message; None if it has never been shown."""
        row = self._state.row(_SQL["get"], key)
        return Known(state=row[0], copy=row[1] or b"", ack=row[2] or b"") if row else None

    def all_shown(self) -> list[Key]:
        """Return the messages whose handler has not succeeded, in the order they were shown."""
        return [(row[0], row[1]) for row in self._state.rows(_SQL["all_shown"])]

    def unconfirmed(self, most: int) -> Sequence[tuple[Key, bytes]]:
        """Return read acks that the broker has not PUBACKed, oldest first."""
        rows = self._state.rows(_SQL["unconfirmed"], (most,))
        return [((row[0], row[1]), row[2]) for row in rows]

    def count_unconfirmed(self) -> int:
        """Return how many read acks the broker has not PUBACKed."""
        row = self._state.row(_SQL["count_unconfirmed"])
        return int(row[0]) if row else 0

    def has_expired(self, trusted: int) -> bool:
        """Tell whether `forget` would drop anything."""
        return self._state.row(_SQL["has_expired"], (trusted,)) is not None

    def forget(self, trusted: int) -> None:
        """Drop what has expired: such copies are not accepted any more (PROTOCOL 13.7)."""
        self._state.execute(_SQL["forget"], (trusted,))
