"""The port between a device and its broker: what a link is asked to do, and what it reports.

`device_sdk.link.mqtt` is the real one. A link reports through one callable, from its own thread and
in order; the callable only takes note and returns at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from device_sdk.errors import BrokerUnavailableError


@dataclass(frozen=True, kw_only=True, slots=True)
class Publish:
    """Something to publish with QoS 1 and without RETAIN."""

    topic: str
    payload: bytes
    confirms: tuple[str, bytes] | None = None
    """The (sender, message id) of a read ack, whose PUBACK somebody waits for."""
    apart: bool = False
    """On a connection of its own that does not name this device."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Connected:
    """The broker has let the device in. Nothing is subscribed yet."""

    connection: int
    """Counts the connections, so that what belongs to an older one is told apart."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Disconnected:
    """There is no connection, and why; the link goes on trying by itself."""

    problem: str
    kind: type[BrokerUnavailableError] = BrokerUnavailableError
    """What to raise about it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Subscribed:
    """The broker has answered a `Link.subscribe`."""

    connection: int
    ticket: int
    is_refused: bool
    """Whether it does not grant all of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """The broker has PUBACKed a `Link.publish`."""

    connection: int
    ticket: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Received:
    """A message has come."""

    topic: str
    payload: bytes
    retained: bool
    """Whether it was replayed upon a subscription, and not published just now."""


LinkEvent = Connected | Disconnected | Subscribed | Published | Received


class Link(Protocol):
    """A connection to a broker that restores itself, with fresh credentials each time."""

    def __str__(self) -> str:
        """Name the broker, without user and password."""

    def start(self, report: Callable[[LinkEvent], None]) -> None:
        """Begin to connect, in the background; an absent broker is no error."""

    def publish(self, topic: str, payload: bytes) -> int | None:
        """Publish with QoS 1; return the ticket that `Published` will carry, None if offline."""

    def publish_apart(self, topic: str, payload: bytes) -> None:
        """Publish with QoS 1 on a connection of its own that does not name the device.

        Where the broker knows the device by its certificate, that is the link's own connection.
        Nobody is told how it went.
        """

    def subscribe(self, filters: Sequence[str]) -> int | None:
        """Subscribe with QoS 1, which replays what is retained, also if it is done again.

        Returns the ticket that `Subscribed` will carry, None if offline.
        """

    def unsubscribe(self, filters: Sequence[str]) -> None:
        """Want no more of these."""

    def close(self) -> None:
        """Disconnect and end every thread. Not from within ``report``."""
