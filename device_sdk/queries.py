"""Asking the gateway, and knowing its answer by the nonce (PROTOCOL 10.2). No sockets.

An answer counts only for a query that this device made a short while ago: so an old notice, played
again by somebody else, can neither make a message look lost nor a mailbox look empty.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from device_sdk.link import Publish
from device_sdk.outgoing import State
from device_sdk.wire import cose
from device_sdk.wire.notice import NONCE_SIZE, Notice
from device_sdk.wire.query import MAX_QUERIED, Query, Sent, Wanted
from device_sdk.wire.suites import Signer
from device_sdk.wire.topics import Topics

_REMEMBERED = 64
"""Queries that may still be answered; more than a device with 60,000 open messages makes."""


@dataclass(frozen=True, slots=True)
class _Asked:
    number: int
    """Counts up, so that somebody who waits for an answer knows whose."""
    sent: Mapping[bytes, State]
    """How the messages stood when the query was made, by id."""


class Queries:
    """The queries of one device that are not answered yet."""

    def __init__(self, *, name: str, signer: Signer, aad: bytes, topics: Topics) -> None:
        self._name, self._signer, self._aad = name, signer, aad
        self._topic = topics.query(name)
        self._asked: dict[bytes, _Asked] = {}
        self.number = 0
        """Of the latest query."""
        self.answered = 0
        """Of the latest query that an answer with a number of owed copies came for."""
        self.owed = 0
        """Copies that this device owes a read ack for, by that answer."""

    def ask(
        self, tracked: Mapping[Sent, State], wanted: Sequence[Wanted], now: int
    ) -> list[Publish]:
        """Return the queries to publish: at least one, more if they are about many messages."""
        items = list(tracked)
        starts = range(0, max(len(items), len(wanted), 1), MAX_QUERIED)
        return [
            self._ask_one(
                {item: tracked[item] for item in items[start : start + MAX_QUERIED]},
                wanted[start : start + MAX_QUERIED],
                now,
            )
            for start in starts
        ]

    def _ask_one(
        self, tracked: Mapping[Sent, State], wanted: Sequence[Wanted], now: int
    ) -> Publish:
        nonce = secrets.token_bytes(NONCE_SIZE)
        self.number += 1
        self._asked[nonce] = _Asked(
            number=self.number,
            sent={item.message_id: state for item, state in tracked.items()},
        )
        for old in list(self._asked)[:-_REMEMBERED]:
            del self._asked[old]
        query = Query(
            device=self._name, time=now, nonce=nonce, sent=tuple(tracked), wanted=tuple(wanted)
        )
        return Publish(topic=self._topic, payload=cose.sign(query, self._signer, self._aad))

    def take(self, notice: Notice) -> Mapping[bytes, State] | None:
        """Return how the messages stood when the query was made that a verified notice answers.

        None if it answers none of ours. One query may be answered by several notices.
        """
        asked = self._asked.get(notice.query_nonce) if notice.query_nonce else None
        if asked is None:
            return None
        if notice.owed is not None and asked.number >= self.answered:
            self.answered = asked.number
            self.owed = notice.owed
        return asked.sent
