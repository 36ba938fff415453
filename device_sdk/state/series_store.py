"""The rows of numbered series in the state file: nothing that decides.

What writes is called within a transaction, along with what it belongs to.
"""

from typing import NamedTuple

from device_sdk.series import Gap, Heard, Place
from device_sdk.state.sql_files import queries
from device_sdk.state.state_file import StateFile, storable

MOST_OWN = 10_000
"""Sets of readers whose numbers go on; one that was used longest ago begins a new series then."""
MOST_HEARD = 64
"""Series of one sender that are remembered: a sender who makes up series forgets its own only."""
_SQL = queries("series")


class OwnSeries:
    """Where this device is in its own series, by channel and `readers_hash`."""

    def __init__(self, state: StateFile) -> None:
        self._state = state

    def last(self, channel: str, readers: bytes) -> Place | None:
        """Return the latest message's place; None before the first message."""
        row = self._state.row(_SQL["own"], (channel, readers))
        return Place(*row) if row else None

    def put(self, channel: str, readers: bytes, place: Place) -> None:
        """Remember the latest message's place."""
        self._state.execute(_SQL["put_own"], (channel, readers, place.series, place.number))
        if place.number == 1:
            self._state.execute(_SQL["trim_own"], (MOST_OWN,))


class SeriesKey(NamedTuple):
    """Which series of which sender."""

    sender: str
    channel: str
    series: int


class HeardSeries:
    """What this device has heard of the series of others."""

    def __init__(self, state: StateFile) -> None:
        self._state = state

    def get(self, key: SeriesKey) -> Heard | None:
        """Return what has arrived of a series; None if nothing has, or it was long ago."""
        row = self._state.row(_SQL["heard"], key)
        if row is None:
            return None
        gaps = (
            Gap(first=first, last=last, until=until)
            for first, last, until in self._state.rows(_SQL["gaps"], key)
        )
        return Heard(highest=row[0], gaps=tuple(gaps))

    def put(self, key: SeriesKey, heard: Heard) -> None:
        """Remember what has arrived of a series."""
        self._state.execute(_SQL["put_heard"], (*key, heard.highest))
        self._state.execute(_SQL["drop_gaps"], key)
        self._state.execute_many(
            _SQL["put_gap"],
            ((*key, gap.first, gap.last, storable(gap.until)) for gap in heard.gaps),
        )
        doomed = self._state.rows(_SQL["heard_long_ago"], (key.sender, MOST_HEARD))
        self._state.execute_many(_SQL["drop_gaps"], doomed)
        self._state.execute_many(_SQL["drop_heard"], doomed)
