"""Copies that came damaged and are asked for again, less and less often. In memory only: what is
still owed is replayed by the broker at the next connection anyhow."""

from device_sdk.inbox.store import Key
from device_sdk.pace import Backoff, Pace
from device_sdk.wire.query import Wanted

ASK_AGAIN = Backoff(first=2.0, most=600.0)
MOST_TRIES = 12
"""Two hours: what the gateway does not send by then it does not have, or somebody planted it."""
MOST_WANTED = 256


class WantedCopies:
    """What to put into the queries' list of wanted copies."""

    def __init__(self) -> None:
        self._paces: dict[Key, Pace] = {}

    def __len__(self) -> int:
        return len(self._paces)

    def add(self, key: Key) -> None:
        """Ask for a copy; one that is asked for already keeps its pace."""
        if key not in self._paces and len(self._paces) < MOST_WANTED:
            self._paces[key] = Pace()

    def arrived(self, key: Key) -> None:
        """The copy has come whole."""
        self._paces.pop(key, None)

    def due(self, tick: float) -> list[Wanted]:
        """Return what to ask for now, and count it as asked."""
        due = [key for key, pace in self._paces.items() if pace.due <= tick]
        for key in due:
            self._paces[key].tried(tick, ASK_AGAIN)
            if self._paces[key].tries > MOST_TRIES:
                del self._paces[key]
        return [Wanted(sender=sender, message_id=message_id) for sender, message_id in due]

    def next_due(self) -> float | None:
        """Return the tick at which `due` has something; None if nothing is wanted."""
        return min((pace.due for pace in self._paces.values()), default=None)

    def retry_now(self) -> None:
        """Ask for everything at once: there is a new connection."""
        for pace in self._paces.values():
            pace.due = 0.0
