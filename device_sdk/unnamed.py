"""Asking what became of anonymous messages, which nobody may do in a device's name (PROTOCOL 19.5).

Each question is about one message and goes out on a connection of its own. The gateway answers to
the whole fleet, and says nothing of what it does not know: so a question is only asked again, later
and later, and with no answer nothing changes.
"""

from collections.abc import Iterable, Mapping

from device_sdk.link import Publish
from device_sdk.pace import Backoff, Pace
from device_sdk.wire.names import ANONYMOUS
from device_sdk.wire.query import AnonymousQuery
from device_sdk.wire.topics import Topics

ASK = Backoff(first=60.0, most=3600.0)
AT_ONCE = 8
"""Questions of one moment: each takes a connection."""


class Unnamed:
    """The questions about one device's anonymous messages that are held and not over."""

    def __init__(self, topics: Topics) -> None:
        self._topic = topics.query(ANONYMOUS)
        self._paces: dict[bytes, Pace] = {}
        self._unanswered: set[bytes] = set()
        self._is_new_connection = True

    def due(self, held: Mapping[bytes, bytes], tick: float) -> list[Publish]:
        """Return the questions to ask now. ``held`` is every such message's digest by its id.

        Of what is held since this connection was made the gateway has spoken a moment ago.
        """
        first = 0.0 if self._is_new_connection else tick + ASK.first
        self._is_new_connection = False
        self._paces = {key: self._paces.get(key, Pace(due=first)) for key in held}
        self._unanswered &= held.keys()
        due = [key for key, pace in self._paces.items() if pace.due <= tick][:AT_ONCE]
        for key in due:
            self._paces[key].tried(tick, ASK)
            self._unanswered.add(key)
        queries = (AnonymousQuery(message_id=key, digest=held[key]) for key in due)
        return [Publish(topic=self._topic, payload=query.encode(), apart=True) for query in queries]

    def heard(self, message_ids: Iterable[bytes]) -> None:
        """The gateway has said something about these messages."""
        self._unanswered.difference_update(message_ids)

    @property
    def is_answered(self) -> bool:
        """Whether nothing is left that was asked for and may still be answered."""
        return not self._unanswered

    def retry_now(self) -> None:
        """Ask about everything at once: there is a new connection."""
        self._paces.clear()
        self._unanswered.clear()
        self._is_new_connection = True

    def next_due(self) -> float | None:
        """Return the tick at which `due` has something; None if nothing is open."""
        return min((pace.due for pace in self._paces.values()), default=None)
