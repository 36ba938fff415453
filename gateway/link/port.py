"""The broker, as the gateway's verbs see it.

A `Link` keeps trying until it has a `Connection`; a connection works until it is lost, and is then
replaced by a new one. Nothing outlives its connection: no token, no unfinished publication. What a
lost connection leaves undone is found again from the ledger (PROTOCOL 13.6).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.errors import GatewayError


class LinkError(GatewayError):
    """Something went wrong between the gateway and the broker."""


class LinkLostError(LinkError):
    """The connection has ended; whatever was asked of it may or may not have been done."""


class BrokerRefusedError(LinkError):
    """The broker does not let the gateway publish or subscribe: look at its access rules."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """One PUBLISH from the broker."""

    topic: str
    payload: bytes
    retained: bool
    """Replayed because of a SUBSCRIBE, in contrast to published just now."""
    token: int = 0
    """For the PUBACK; 0 if the broker expects none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """User name and password of one connection attempt."""

    user: str
    password: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Will:
    """What the broker publishes, retained, if the connection ends without a goodbye."""

    topic: str
    payload: bytes


class Connection(Protocol):
    """A live connection. Every method raises LinkLostError once the connection is lost."""

    @property
    def mqtt5(self) -> bool:
        """Whether MQTT 5 is spoken; otherwise 3.1.1, without message expiry."""

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Subscribe with QoS 1 and wait for the SUBACK; also asks for a replay of what is retained.

        Raises BrokerRefusedError if a filter is refused.
        """

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """Unsubscribe and wait for the UNSUBACK."""

    async def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, expiry: int | None = None
    ) -> None:
        """Publish with QoS 1 and wait for the PUBACK; waits for a place in the window before.

        ``expiry`` is in seconds from now, and ignored where MQTT 5 is not spoken.
        Raises BrokerRefusedError if the broker says no (MQTT 5 only: 3.1.1 cannot say it).
        """

    async def batch(self, most: int = 256) -> list[Arrival]:
        """Wait for arrivals and return one to ``most`` of them, in order."""

    def ack(self, arrivals: Sequence[Arrival]) -> None:
        """PUBACK arrivals, in this order: only after what they ask for has been committed."""

    async def close(self) -> None:
        """Say goodbye, so that the will is not published. Never raises."""


class Link(Protocol):
    """Makes connections to one broker."""

    async def connect(self) -> Connection:
        """Return a connection, however long that takes; tries again with growing pauses."""
