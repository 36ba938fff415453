"""Durable sending: what leaves, what comes back about it, and when to try again. No sockets.

Bytes and times go in, things to publish come out. ``now`` is Unix seconds, ``tick`` the seconds of
a monotonic clock, by which everything is paced.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from secrets import SystemRandom
from types import MappingProxyType

from device_sdk.errors import OutboxFullError
from device_sdk.link.port import Publish
from device_sdk.outbox.evidence import Court, UnfoundedError, excuse_revoked, judge
from device_sdk.outbox.limits import OutboxLimits
from device_sdk.outbox.outgoing import Noted, Outgoing, State
from device_sdk.outbox.store import Also, OutboxStore, nothing
from device_sdk.pace import Backoff, Pace
from device_sdk.seal import Sealed
from device_sdk.series import Place, readers_hash
from device_sdk.trust import Roster
from device_sdk.wire import cose
from device_sdk.wire.limits import DAY
from device_sdk.wire.names import ANONYMOUS
from device_sdk.wire.notice import Event, EventKind
from device_sdk.wire.query import MAX_QUERIED, Seen, Sent
from device_sdk.wire.reasons import Reason
from device_sdk.wire.suites import Signer
from device_sdk.wire.topics import Topics

RESEND = Backoff(first=5.0, most=300.0)
WINDOW = 32
"""Messages on their way at once: a backlog must not fill the memory with envelopes."""
KEPT = 30 * DAY
"""How long the record of a message stays after it has ended and expired, if there is room."""
_DROPPED_AT_ONCE = 100
"""Records of old messages that make room together: one commit for each would be slow."""
DEFAULT_LIMITS = OutboxLimits()
_MOST_KEPT = 10
"""Answers by which the gateway still has an outcome that it should forget; then it must know by
itself."""

_MOST_NOTED_AGAIN = 10
"""How often a gateway that had forgotten an outcome may come back with it, while this process runs:
old notices that somebody plays again look the same."""

_NOBODY: Mapping[str, str] = MappingProxyType({})

_RANDOM = SystemRandom()
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Way:
    """How a waiting message fares; not worth storing."""

    size: int
    """Bytes of the envelope."""
    is_anonymous: bool = False
    pace: Pace = field(default_factory=Pace)
    is_answered: bool = False
    """Whether the gateway has answered the latest try: then it is not under way."""
    refusal: str = ""

    def is_under_way(self, tick: float) -> bool:
        """Tell whether the latest try may still be answered, and takes a place in the window."""
        return self.pace.due > tick and not self.is_answered


class Outbox:
    """The messages of one sender."""

    def __init__(
        self,
        store: OutboxStore,
        *,
        name: str,
        signer: Signer,
        aad: bytes,
        topics: Topics,
        limits: OutboxLimits = DEFAULT_LIMITS,
    ) -> None:
        self._store, self._limits = store, limits
        self._name, self._signer, self._aad, self._topics = name, signer, aad, topics
        anonymous = store.waiting_anonymously()
        self._waiting = {
            message_id: _Way(size, message_id in anonymous)
            for message_id, size in store.waiting().items()
        }
        self._records = store.count_records()
        self._to_note = dict(store.unnoted())
        self._kept: dict[bytes, int] = {}
        self._noted_again: dict[bytes, int] = {}

    def check_room(self, size: int, readers: int) -> None:
        """See that there is room for a message of ``size`` bytes at least, before it is sealed.

        Records of messages that are over go, the oldest first, where they are in the way.

        Raises:
            OutboxFullError: there is none.
        """
        used, limits = sum(way.size for way in self._waiting.values()), self._limits
        if len(self._waiting) >= limits.messages:
            raise OutboxFullError(
                "messages", most=limits.messages, used=len(self._waiting), needed=1
            )
        if used + size > limits.bytes:
            raise OutboxFullError("bytes", most=limits.bytes, used=used, needed=size)
        while self._records + readers > limits.records:
            over = self._store.oldest_over(_DROPPED_AT_ONCE)
            if not over:
                raise OutboxFullError(
                    "records", most=limits.records, used=self._records, needed=readers
                )
            self._drop(over)

    def next_place(self, channel: str, readers: Iterable[str]) -> Place:
        """Return a new message's place in the series of its readers; `add` takes it.

        Until then the same place is returned again: a message that was not stored leaves no gap.
        """
        last = self._store.series.last(channel, readers_hash(readers))
        return last.next() if last else Place.first()

    def add(
        self, sealed: Sealed, left_out: Mapping[str, str] = _NOBODY, also: Also = nothing
    ) -> None:
        """Store a sealed message; once this returns it survives a crash.

        ``left_out``: readers of its channel that it is not sealed to, and why. ``also`` stores what
        belongs to it, in the same transaction.

        Raises:
            OutboxFullError: nothing was stored.
            StateFileError: the same.
        """
        message, size = Outgoing.of(sealed, left_out), len(sealed.envelope)
        self.check_room(size, message.records)
        readers, place = readers_hash(sealed.open_hashes), Place.of(sealed.header.sequence)
        self._store.add(message, sealed.envelope, readers, place, also)
        self._waiting[message.message_id] = _Way(size, message.anonymous)
        self._records += message.records

    def get(self, message_id: bytes) -> Outgoing | None:
        """Return one message as it stands."""
        return self._store.get(message_id)

    def refusal(self, message_id: bytes) -> str:
        """Return the reason why the gateway did not take a waiting message last time, or ""."""
        way = self._waiting.get(message_id)
        return way.refusal if way else ""

    # What is to be sent.

    def due(self, tick: float) -> list[Publish]:
        """Return the envelopes to publish now, the same bytes at every try."""
        places = WINDOW - self._under_way(tick)
        # What was never tried comes first: what nobody answers must not hold it up.
        due = [(key, way) for key, way in self._waiting.items() if way.pace.due <= tick]
        due.sort(key=lambda item: item[1].pace.due)
        publishes = []
        for message_id, way in due[: max(places, 0)]:
            envelope = self._store.envelope(message_id)
            if envelope is not None:
                way.pace.tried(tick, RESEND)
                way.is_answered = False
                sender = ANONYMOUS if way.is_anonymous else self._name
                topic = self._topics.send(sender, message_id)
                publishes.append(Publish(topic=topic, payload=envelope, apart=way.is_anonymous))
        return publishes

    def _under_way(self, tick: float) -> int:
        return sum(1 for way in self._waiting.values() if way.is_under_way(tick))

    def next_due(self, tick: float) -> float | None:
        """Return the tick at which `due` has something; None if nothing waits."""
        is_full = self._under_way(tick) >= WINDOW
        ways = self._waiting.values()
        return min(
            (way.pace.due for way in ways if way.is_under_way(tick) or not is_full), default=None
        )

    def has_open(self) -> bool:
        """Tell whether the gateway may have news about anything."""
        return self._store.has_open()

    def count_open(self) -> Mapping[State, int]:
        """Return how many messages are waiting and held."""
        return self._store.count_open()

    def find(self, prefix: str, most: int) -> list[Outgoing]:
        """Return up to ``most`` messages whose id begins with these hex digits."""
        return self._store.with_id_prefix(prefix, most)

    def latest(self, most: int) -> list[Outgoing]:
        """Return the newest messages, newest first."""
        return self._store.latest(most)

    def retry_now(self, tick: float = 0.0, spread: float = 0.0) -> None:
        """Make everything due: there is a new connection, or a gateway is back.

        Anonymous messages are due at random moments in the ``spread`` seconds after ``tick``.
        """
        for way in self._waiting.values():
            is_now = not (way.is_anonymous and spread)
            way.pace = Pace(due=0.0 if is_now else tick + _RANDOM.uniform(0.0, spread))

    def seen(self, now: int) -> list[Publish]:
        """Return what tells the gateway that it may forget outcomes; each once until it asks."""
        items = [Sent(message_id=key, digest=digest) for key, digest in self._to_note.items()]
        self._to_note.clear()
        return [
            Publish(
                topic=self._topics.seen(self._name),
                payload=cose.sign(
                    Seen(device=self._name, time=now, messages=tuple(items[i : i + MAX_QUERIED])),
                    self._signer,
                    self._aad,
                ),
            )
            for i in range(0, len(items), MAX_QUERIED)
        ]

    def tracked(self) -> Mapping[Sent, State]:
        """Return what to ask the gateway about, and how it stands now."""
        return {
            Sent(message_id=message_id, digest=digest): state
            for message_id, digest, state in self._store.tracked()
            if state.is_open or self._kept.get(message_id, 0) < _MOST_KEPT
        }

    # What has come.

    def take_events(
        self, events: Iterable[Event], court: Court, asked: Mapping[bytes, State]
    ) -> None:
        """Take in the events of a verified notice, in one transaction.

        What proves nothing is logged and changes nothing. ``asked`` is how the messages stood when
        the query was made that this answers; empty if nobody asked.
        """
        before: dict[bytes, Outgoing] = {}
        after: dict[bytes, Outgoing] = {}
        for event in events:
            message = after.get(event.message_id) or self._store.get(event.message_id)
            if message is None or event.sender != self._sender_of(message):
                continue
            before.setdefault(message.message_id, message)
            own = replace(court, sender=event.sender)
            after[message.message_id] = self._take(message, event, own, asked)
        pairs = [(before[key], after[key]) for key in before]
        self._store.update((old, new) for old, new in pairs if new is not old)
        for old, new in pairs:
            self._moved(old, new)
            if new.noted is Noted.OWED and not asked.get(new.message_id, State.HELD).is_open:
                self._kept[new.message_id] = self._kept.get(new.message_id, 0) + 1

    def _sender_of(self, message: Outgoing) -> str:
        return ANONYMOUS if message.anonymous else self._name

    def held_anonymously(self) -> Mapping[bytes, bytes]:
        """Return the anonymous messages that are held, by id: their digests."""
        return self._store.held_anonymously()

    def _take(
        self, message: Outgoing, event: Event, court: Court, asked: Mapping[bytes, State]
    ) -> Outgoing:
        if event.kind is EventKind.REFUSED and not self._is_final(message, event):
            return message
        if event.kind is EventKind.UNKNOWN and message.message_id in asked:
            self._send_again(message)
        held = asked.get(message.message_id) is State.HELD
        try:
            after = judge(message, event, court, asked_when_held=held)
        except UnfoundedError as error:
            logger.warning("%s of %s ignored: %s", event.kind, _short(message), error)
            return message
        if message.noted is Noted.DONE and after.noted is Noted.OWED:
            return after if self._may_note_again(message) else replace(after, noted=Noted.DONE)
        return after

    def _may_note_again(self, message: Outgoing) -> bool:
        times = self._noted_again[message.message_id] = (
            self._noted_again.get(message.message_id, 0) + 1
        )
        return times <= _MOST_NOTED_AGAIN

    def _is_final(self, message: Outgoing, event: Event) -> bool:
        """Whether a refusal ends the message: not if it may succeed later, nor if the gateway
        refused other bytes, which somebody damaged on their way or sent under its topic."""
        if message.state is not State.WAITING:
            return False
        if Reason(event.word).final and event.digest == message.digest:
            return True
        way = self._waiting.get(message.message_id)
        if way is not None:
            way.refusal = event.word
            way.is_answered = True
        return False

    def _send_again(self, message: Outgoing) -> None:
        # Its pace stays: a gateway that keeps losing it must not be answered in a loop.
        way = self._waiting.get(message.message_id)
        if way is not None and way.pace.tries == 1:
            way.pace.due = 0.0

    def _moved(self, before: Outgoing, after: Outgoing) -> None:
        if after.noted is Noted.OWED:
            self._to_note[after.message_id] = after.digest
        else:
            self._kept.pop(after.message_id, None)
        if after.state is not State.WAITING:
            self._waiting.pop(after.message_id, None)
        if after.state is before.state:
            return
        if after.state is State.LOST:
            logger.error("%s was LOST by the gateway after it had been held", _short(after))
        elif after.state in (State.REFUSED, State.FORGOTTEN):
            logger.warning("%s ended as %s %s", _short(after), after.state, after.detail)
        else:
            logger.info("%s is %s", _short(after), after.state)

    # What a newer roster does.

    def excuse_revoked(self, roster: Roster, now: int) -> None:
        """Let no open message wait for a reader that the roster revokes."""
        revoked = [reader for reader in self._store.owing() if roster.is_revoked(reader)]
        messages = {one.message_id: one for name in revoked for one in self._store.owed_by(name)}
        pairs = [(one, excuse_revoked(one, roster, now)) for one in messages.values()]
        self._store.update(pairs)
        for old, new in pairs:
            self._moved(old, new)

    # What time does. ``trusted`` is the trusted time in Unix seconds.

    def expire(self, trusted: int) -> None:
        """Close what is overdue."""
        overdue = self._store.overdue(trusted)
        pairs = [(message, message.close(State.EXPIRED, trusted)) for message in overdue]
        self._store.update(pairs)
        for old, new in pairs:
            self._moved(old, new)

    def forget(self, trusted: int) -> None:
        """Drop records that nobody will ask for any more."""
        over = self._store.long_over(trusted - KEPT)
        if over:
            self._drop(over)
            logger.info("forgot %d messages of long ago", len(over))

    def _drop(self, over: Mapping[bytes, int]) -> None:
        self._store.drop(over)
        self._records -= sum(over.values())
        for message_id in over:
            self._to_note.pop(message_id, None)
            self._kept.pop(message_id, None)
            self._noted_again.pop(message_id, None)


def _short(message: Outgoing) -> str:
    return f"message {message.message_id.hex()[:8]}"
