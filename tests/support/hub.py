"""A broker in memory, as devices see one: it implements the port `device_sdk.link.port.Link`.

It keeps what is retained, replays it upon every subscription, and can be cut off. Whatever it
carries can be looked at, changed or held back by a test.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from device_sdk.link.port import Connected, Disconnected, LinkEvent, Published, Received, Subscribed


def matches(pattern: str, topic: str) -> bool:
    """Tell whether an MQTT filter matches a topic (``+`` only, which is all that devices use)."""
    wanted, levels = pattern.split("/"), topic.split("/")
    return len(wanted) == len(levels) and all(
        want in ("+", level) for want, level in zip(wanted, levels, strict=True)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Carried:
    """Something that a device published."""

    client: str
    topic: str
    payload: bytes


@dataclass
class Hub:
    """The broker."""

    retained: dict[str, bytes] = field(default_factory=dict)
    links: list["HubLink"] = field(default_factory=list)
    carried: list[Carried] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    on_publish: Callable[[Carried], None] | None = None
    """Called with whatever a device publishes, outside every lock: the gateway's ear."""
    replay_most: int | None = None
    """How many retained messages one subscription brings at most, the same ones every time."""

    def link(self, name: str) -> "HubLink":
        """Return a device's link to this broker."""
        link = HubLink(self, name)
        self.links.append(link)
        return link

    def put(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish something: as the gateway, or as anybody who got at the broker."""
        with self.changed:
            if retain and payload:
                self.retained[topic] = payload
            elif retain:
                self.retained.pop(topic, None)
        for link in self.links:
            link.deliver(topic, payload, retained=False)

    def take(self, carried: Carried) -> None:
        """Take in what a device publishes."""
        with self.changed:
            self.carried.append(carried)
            self.changed.notify_all()
        if self.on_publish is not None:
            self.on_publish(carried)

    def wait_for(self, pattern: str, count: int = 1, timeout: float = 10.0) -> list[Carried]:
        """Wait until so many messages were published on topics that match; return them."""

        def found() -> list[Carried]:
            return [one for one in self.carried if matches(pattern, one.topic)]

        with self.changed:
            assert self.changed.wait_for(lambda: len(found()) >= count, timeout), (
                f"expected {count} on {pattern}, got {[one.topic for one in self.carried]}"
            )
            return found()


class HubLink:
    """One device's connection; `device_sdk.link.port.Link`."""

    def __init__(self, hub: Hub, name: str) -> None:
        self._hub, self._name = hub, name
        self._report: Callable[[LinkEvent], None] = lambda event: None
        self._filters: list[str] = []
        self._connection = 0
        self._tickets = 0
        self.is_connected = False
        self.is_absent = False
        """Set before the device is opened: the broker is not there."""

    def __str__(self) -> str:
        return "hub://memory"

    def start(self, report: Callable[[LinkEvent], None]) -> None:
        self._report = report
        if self.is_absent:
            self.lose("the hub is not there")
        else:
            self.connect()

    def connect(self) -> None:
        """The connection is made, or made again."""
        self.is_connected = True
        self._connection += 1
        self._filters = []
        self._report(Connected(connection=self._connection))

    def lose(self, problem: str = "the hub went away") -> None:
        """The connection is lost."""
        self.is_connected = False
        self._report(Disconnected(problem=problem))

    def publish(self, topic: str, payload: bytes) -> int | None:
        if not self.is_connected:
            return None
        self._tickets += 1
        ticket = self._tickets
        self._hub.take(Carried(client=self._name, topic=topic, payload=payload))
        self._report(Published(connection=self._connection, ticket=ticket))
        return ticket

    def publish_apart(self, topic: str, payload: bytes) -> None:
        if self.is_connected:
            self._hub.take(Carried(client="anonymous", topic=topic, payload=payload))

    def subscribe(self, filters: Sequence[str]) -> int | None:
        if not self.is_connected:
            return None
        self._tickets += 1
        self._filters += [name for name in filters if name not in self._filters]
        self._report(
            Subscribed(connection=self._connection, ticket=self._tickets, is_refused=False)
        )
        for pattern in filters:
            with self._hub.changed:
                found = [item for item in self._hub.retained.items() if matches(pattern, item[0])]
            for topic, payload in found[: self._hub.replay_most]:
                self._report(Received(topic=topic, payload=payload, retained=True))
        return self._tickets

    def unsubscribe(self, filters: Sequence[str]) -> None:
        self._filters = [name for name in self._filters if name not in filters]

    def deliver(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """Deliver what somebody published."""
        if self.is_connected and any(matches(pattern, topic) for pattern in self._filters):
            self._report(Received(topic=topic, payload=payload, retained=retained))

    def close(self) -> None:
        self.is_connected = False
