"""Answer what devices ask and take note of what they have seen (PROTOCOL 10.1, 10.2)."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from device_sdk.wire.notice import Event
from device_sdk.wire.query import Query, Seen
from device_sdk.wire.topics import Topic
from gateway.effects import Effects
from gateway.situation import Situation
from gateway.store.port import Reading, Transaction


class Distrust(StrEnum):
    """Why a signed word of a device is not listened to. It is PUBACKed and counted."""

    MALFORMED = "malformed"
    CROSSED = "crossed"
    """Topic and content name different devices."""
    UNKNOWN_DEVICE = "unknown-device"
    INACTIVE = "inactive"
    BAD_SIGNATURE = "bad-signature"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The answer to a query, or to a piece of one."""

    events: tuple[Event, ...]
    owed: int
    """Copies that the device still owes a read ack for."""
    effects: Effects
    """Copies wanted again, and clears of those no longer owed."""


def open_query(topic: Topic, payload: bytes, situation: Situation) -> Query | Distrust:
    """Return a query that its topic's device signed. Revoked and expired devices get no answer."""
    raise NotImplementedError


def open_seen(topic: Topic, payload: bytes, situation: Situation) -> Seen | Distrust:
    """Return a *seen* that its topic's device signed; a revoked device's word counts here."""
    raise NotImplementedError


def pieces(query: Query, size: int = 32) -> list[Query]:
    """Split a query, so that no answer has to hold a thousand messages of a thousand readers.

    Each piece has the query's nonce; answer and send one after the other.
    """
    raise NotImplementedError


def answer(tx: Reading, query: Query, situation: Situation) -> Answer:
    """Answer a verified query."""
    raise NotImplementedError


def note_seen(tx: Transaction, seen: Seen, situation: Situation) -> Effects:
    """Forget finished messages whose outcome their sender has taken note of."""
    raise NotImplementedError


def split_events(events: Iterable[Event]) -> list[tuple[Event, ...]]:
    """Group events so that each group fits into one notice, by bytes and by count."""
    raise NotImplementedError
