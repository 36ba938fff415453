"""Asking the gateway, and knowing its answer by the nonce (PROTOCOL 10.2). No sockets.

An answer counts only for a query that this device made a short while ago: so an old notice, played
again by somebody else, can neither make a message look lost nor a mailbox look empty.

One query is under way at a time, as a gateway answers only the newest of each device; what is to be
asked meanwhile waits for the answer.
"""

import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from device_sdk.link.port import Publish
from device_sdk.outbox.outgoing import State
from device_sdk.pace import Backoff, Pace
from device_sdk.wire import cose
from device_sdk.wire.notice import NONCE_SIZE, Notice
from device_sdk.wire.query import MAX_QUERIED, Query, Sent, Wanted
from device_sdk.wire.suites import Signer
from device_sdk.wire.topics import Topics

PATIENCE = 5.0
"""Seconds after which a query that nobody answered may be followed by another."""
AGAIN = Backoff(first=PATIENCE, most=60.0)
"""Until a round that nobody answered is begun again: the gateway may have been on its way back to
the broker just then, and may not know that it missed something."""
_REMEMBERED = 64
"""Queries whose late answers still count."""

Tracked = Mapping[Sent, State]


@dataclass(frozen=True, slots=True)
class _Asked:
    number: int
    sent: Mapping[bytes, State]


class Queries:
    """What one device asks, and what was answered."""

    def __init__(self, *, name: str, signer: Signer, aad: bytes, topics: Topics) -> None:
        self._name, self._signer, self._aad = name, signer, aad
        self._topic = topics.query(name)
        self._asked: dict[bytes, _Asked] = {}
        self._number = 0
        self._is_wanted = False
        self._parts: deque[Tracked] = deque()
        self._wants_round = False
        self._rounds = 0
        self._round_end = 0
        self._again = Pace()
        self.patient_until = 0.0
        """The tick before which no other query is made, as one is under way."""
        self.answered = 0
        """Number of the latest query that was answered to its end."""
        self.answered_rounds = 0
        """How many times everything that is open has been asked about, and answered."""
        self.owed = 0
        """Copies that this device owes a read ack for, by the latest answer."""

    def want(self) -> int:
        """Ask how many copies are owed; return what `answered` will reach with the answer."""
        self._is_wanted = True
        return self._number + 1

    def want_round(self) -> int:
        """Ask about everything that is open; return what `answered_rounds` will reach."""
        self._is_wanted = self._wants_round = True
        return self._rounds + 1

    def start_over(self) -> None:
        """No answer will come to what was asked: there is a new connection, or a new gateway."""
        self.patient_until = 0.0
        self._again = Pace()
        if self._parts or self._is_round_open:
            self._begin_again()

    @property
    def _is_round_open(self) -> bool:
        return self.answered_rounds < self._rounds

    def _begin_again(self) -> None:
        self._rounds = self.answered_rounds
        self._parts.clear()
        self.want_round()

    def next_due(self) -> float | None:
        """Return the tick at which the next query may be made; None if there is nothing to ask."""
        if self._is_wanted or self._parts:
            return self.patient_until
        return self._again.due if self._is_round_open else None

    def make(
        self,
        tracked: Callable[[], Tracked],
        wanted: Callable[[], Sequence[Wanted]],
        now: int,
        tick: float,
    ) -> list[Publish]:
        """Return the query to publish now, if it is time for one."""
        due = self.next_due()
        if due is None or due > tick:
            return []
        if self._is_round_open and not self._is_wanted and not self._parts:
            self._begin_again()
        if self._wants_round and not self._parts:
            self._again.tried(tick, AGAIN)
            self._parts.extend(_parts_of(tracked()))
            self._wants_round = False
            self._rounds += 1
        part: Tracked = {}
        if self._parts:
            part = self._parts.popleft()
            self._round_end = 0 if self._parts else self._number + 1
        self._is_wanted = self._wants_round
        self.patient_until = tick + PATIENCE
        nonce = secrets.token_bytes(NONCE_SIZE)
        self._remember(nonce, part)
        query = Query(
            device=self._name, time=now, nonce=nonce, sent=tuple(part), wanted=tuple(wanted())
        )
        return [Publish(topic=self._topic, payload=cose.sign(query, self._signer, self._aad))]

    def _remember(self, nonce: bytes, part: Tracked) -> None:
        self._number += 1
        sent = {item.message_id: state for item, state in part.items()}
        self._asked[nonce] = _Asked(self._number, sent)
        for old in list(self._asked)[:-_REMEMBERED]:
            del self._asked[old]

    def take(self, notice: Notice) -> Mapping[bytes, State] | None:
        """Return how the messages stood when the query was made that a verified notice answers.

        None if it answers none of ours. One query may be answered by several notices, of which the
        last carries the number of owed copies.
        """
        asked = self._asked.get(notice.query_nonce) if notice.query_nonce else None
        if asked is None:
            return None
        if notice.owed is not None and asked.number > self.answered:
            self.answered, self.owed = asked.number, notice.owed
            if asked.number == self._number:
                self.patient_until = 0.0
            if asked.number == self._round_end:
                self.answered_rounds = self._rounds
                self._again = Pace()
        return asked.sent


def _parts_of(tracked: Tracked) -> list[Tracked]:
    items = list(tracked.items())
    starts = range(0, max(len(items), 1), MAX_QUERIED)
    return [dict(items[start : start + MAX_QUERIED]) for start in starts]
