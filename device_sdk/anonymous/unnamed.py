"""Asking what became of anonymous messages, which nobody may do in a device's name (PROTOCOL 19.5).

Each question is about one message and goes out on a connection of its own, at a time that has to do
with nothing else: asked at each new connection, or all at once, they would tell the gateway which
messages are one device's, and by what it says in its name at that moment, whose. The gateway
answers to the whole fleet, and says nothing of what it does not know: so a question is only asked
again, and with no answer nothing changes.
"""

from collections.abc import Callable, Mapping
from secrets import SystemRandom

from device_sdk.link.port import Publish
from device_sdk.wire.names import ANONYMOUS
from device_sdk.wire.query import AnonymousQuery
from device_sdk.wire.topics import Topics

SOONEST, LATEST = 60.0, 3600.0
"""Seconds until a message is asked about, or asked about again: drawn for each."""
_RANDOM = SystemRandom()


class Unnamed:
    """The questions about one device's anonymous messages that are held and not over."""

    def __init__(
        self, topics: Topics, draw: Callable[[float, float], float] = _RANDOM.uniform
    ) -> None:
        """``draw`` returns a random number between two others."""
        self._topic = topics.query(ANONYMOUS)
        self._draw = draw
        self._due: dict[bytes, float] = {}

    def due(self, held: Mapping[bytes, bytes], tick: float) -> list[Publish]:
        """Return the question to ask now, if any. ``held`` is each such message's digest by its id.

        One at a time: what else is due, as after a computer's sleep, gets another time.
        """
        known, self._due = self._due, {}
        due = sorted((at, key) for key, at in known.items() if key in held and at <= tick)
        for key in held:
            at = known.get(key)
            self._due[key] = self._draw_after(tick) if at is None or at <= tick else at
        queries = (AnonymousQuery(message_id=key, digest=held[key]) for _, key in due[:1])
        return [Publish(topic=self._topic, payload=query.encode(), apart=True) for query in queries]

    def _draw_after(self, tick: float) -> float:
        return tick + self._draw(SOONEST, LATEST)

    def next_due(self) -> float | None:
        """Return the tick at which `due` has something; None if nothing is open."""
        return min(self._due.values(), default=None)
