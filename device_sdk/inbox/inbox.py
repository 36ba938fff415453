"""Reading: which copy is shown next, what is signed about it, what is asked for again.

Bytes and times go in, things to publish come out; no sockets. ``now`` is Unix seconds as far as
anything here knows, ``trusted`` what a gateway has agreed to (`device_sdk.state.trusted_time`),
``tick`` the seconds of a monotonic clock. Opening a copy is `device_sdk.unseal`'s work.
"""

import logging
from collections.abc import Sequence
from typing import Protocol

from device_sdk.inbox.hands import Hands
from device_sdk.inbox.missing import missed_before, news_of
from device_sdk.inbox.replay import Replay
from device_sdk.inbox.store import HANDLED, SHOWN, InboxStore, Key, News
from device_sdk.inbox.waiting import Parcel, WaitingCopies
from device_sdk.inbox.wanted import WantedCopies
from device_sdk.link.port import Publish
from device_sdk.pace import Allowance
from device_sdk.trust import Roster
from device_sdk.unseal import (
    CheckedCopy,
    CopyDamagedError,
    CopyDroppedError,
    CopyExpiredError,
    Opened,
    check_copy,
)
from device_sdk.wire import cose
from device_sdk.wire.anonymous import AnyHeader
from device_sdk.wire.anonymous_header import AnonymousHeader
from device_sdk.wire.names import ANONYMOUS
from device_sdk.wire.read_ack import READ, UNREADABLE, ReadAck
from device_sdk.wire.suites import Signer
from device_sdk.wire.topics import Kind, Topic, Topics

UNREADABLE_BURST, UNREADABLE_EVERY = 10, 6.0
"""Copies of one sender that may fail to open, at once and one per so many seconds: whoever probes
our private key with made-up copies gets no more answers than that."""

logger = logging.getLogger(__name__)


class Heads(Protocol):
    """Where the heads of the gateway's log go: `device_sdk.transparency.watch.LogWatch`."""

    def hear(self, data: bytes, sender: str) -> None:
        """Take note of what a message's header has; it may be anything, or empty."""


class ShownKeys(Protocol):
    """What a gateway's keys for tokens are compared with: `device_sdk.anonymous.keys.TokenKeys`."""

    def compare(self, header: AnonymousHeader, roster: Roster, now: int) -> None:
        """Take note of the key that an anonymous message was made with."""


class Inbox:
    """The copies of one reader."""

    def __init__(
        self,
        store: InboxStore,
        *,
        name: str,
        signer: Signer,
        aad: bytes,
        topics: Topics,
        heads: Heads | None = None,
        shown_keys: ShownKeys | None = None,
    ) -> None:
        self._store, self._heads, self._shown_keys = store, heads, shown_keys
        self._name, self._signer, self._aad, self._topics = name, signer, aad, topics
        self._waiting = WaitingCopies()
        self._opening: dict[Key, AnyHeader] = {}
        """What was taken out and not shown yet."""
        self._held_up: set[str] = set()
        """Senders whose copies the latest `take` had to pass over."""
        self._aside: set[Key] = set()
        self.hands = Hands()
        self._allowances: dict[str, Allowance] = {}
        self.wanted = WantedCopies()
        self.replay = Replay()

    # What comes from the broker.

    def arrived(
        self,
        topic: Topic,
        data: bytes,
        *,
        retained: bool,
        roster: Roster,
        now: int,
        trusted: int,
    ) -> list[Publish]:
        """Take in what came under an inbox topic: a copy, or nothing once it is cleared."""
        key = (topic.sender, topic.message_id)
        if topic.owner != self._name:
            return []
        if not data:
            self._aside.discard(key)
            self.replay.cleared(key)
            self.wanted.arrived(key)
            return []
        if key in self._waiting or key in self.hands or key in self._aside:
            return []
        known = self._store.get(key)
        if known is None:
            checked = self._check(key, topic, data, roster=roster, now=now, trusted=trusted)
            if checked is not None:
                self.wanted.arrived(key)
                if self._heads is not None:
                    self._heads.hear(checked.header.tree_head, key[0])
                if self._shown_keys is not None and isinstance(checked.header, AnonymousHeader):
                    self._shown_keys.compare(checked.header, roster, now)
                self._keep(Parcel(key=key, checked=checked, data=data), retained=retained)
        elif known.state == HANDLED:
            # Shown and answered before: the answer is given again, the message is not.
            self.replay.answered(key)
            return [self._publish(key, known.ack)]
        return []

    def _check(
        self, key: Key, topic: Topic, data: bytes, *, roster: Roster, now: int, trusted: int
    ) -> CheckedCopy | None:
        try:
            return check_copy(
                data, topic=topic, reader=self._name, roster=roster, aad=self._aad, now=now
            )
        except CopyDamagedError as error:
            logger.warning("copy %s: %s; it is asked for again", _short(key), error)
            self.wanted.add(key)
        except CopyExpiredError as error:
            self._expired(key, error.expires, trusted)
        except CopyDroppedError as error:
            logger.info("copy %s dropped: %s", _short(key), error)
        return None

    def _expired(self, key: Key, expires: int, trusted: int) -> None:
        """A copy's time is over, perhaps only by a clock that is ahead: then it comes again."""
        if expires > trusted:
            self.wanted.add(key)
        logger.info("copy %s dropped: the message has expired", _short(key))

    def _keep(self, parcel: Parcel, *, retained: bool) -> None:
        is_held_up = parcel.key[0] in self._held_up
        if not self._waiting.has_room(parcel.key[0], len(parcel.data)):
            # What could not be opened now would only be replayed for nothing, again and again.
            if not is_held_up:
                self.replay.cut_short()
            return
        self._waiting.add(parcel)
        if not is_held_up:
            self.replay.arrived(retained=retained)

    # What goes to the application.

    def unfinished(self) -> list[Key]:
        """Return the messages whose handler failed, or was cut off by a crash: they come first."""
        return [
            key
            for key in self._store.all_shown()
            if key not in self.hands and key not in self._aside
        ]

    def take_unfinished(self, key: Key, *, roster: Roster, now: int, trusted: int) -> Parcel | None:
        """Take one of them out again; None if it is not to be shown any more, or not now."""
        known = self._store.get(key)
        if known is None or known.state != SHOWN or key in self.hands or key in self._aside:
            return None
        topic = Topic(kind=Kind.INBOX, owner=self._name, sender=key[0], message_id=key[1])
        try:
            checked = check_copy(
                known.copy, topic=topic, reader=self._name, roster=roster, aad=self._aad, now=now
            )
        except CopyDroppedError as error:
            logger.info("copy %s is not shown: %s", _short(key), error)
            # A clock that is ahead destroys nothing (PROTOCOL 14).
            if not isinstance(error, CopyExpiredError) or error.expires <= trusted:
                self._store.drop(key)
            return None
        except CopyDamagedError as error:
            # The file may be damaged, the copy at the broker need not be.
            logger.warning("stored copy %s: %s; it is asked for again", _short(key), error)
            self._store.drop(key)
            self.wanted.add(key)
            return None
        self.hands.take(key)
        return Parcel(key=key, checked=checked, data=known.copy, is_unfinished=True)

    def take(self, *, roster: Roster, now: int, trusted: int, tick: float) -> Parcel | None:
        """Take out the next copy that has never been shown; None if there is none now."""
        self._held_up.clear()
        for parcel in self._waiting:
            key, header = parcel.key, parcel.checked.header
            allowance = self._allowances.get(key[0])
            if allowance is not None and allowance.available_at(tick) > tick:
                self._held_up.add(key[0])
                continue
            self._waiting.remove(parcel)
            if header.expires <= now:
                self._expired(key, header.expires, trusted)
            elif header.sender == ANONYMOUS or not roster.is_revoked(header.sender):
                self.hands.take(key)
                self._opening[key] = header
                return parcel
        return None

    def held_up_until(self, tick: float) -> float | None:
        """Return the tick at which `take` has something that it holds back now."""
        return min(
            (
                self._allowances[parcel.key[0]].available_at(tick)
                for parcel in self._waiting
                if parcel.key[0] in self._allowances
            ),
            default=None,
        )

    def show(self, parcel: Parcel, trusted: int) -> tuple[range, ...]:
        """Remember durably that the application sees a message, before it does.

        Returns the numbers before it that its sender has given to messages to the same readers, and
        that have not arrived.
        """
        header = parcel.checked.header
        news = news_of(self._store, header, trusted)
        self._store.shown(parcel.key, parcel.data, header.expires, news)
        self._opening.pop(parcel.key, None)
        waiting = (other.checked.header for other in self._waiting)
        arrived = (*waiting, *self._opening.values())
        return missed_before(self._store, header, arrived, trusted)

    def leave(self, parcel: Parcel, trusted: int) -> None:
        """Keep a copy for another iteration over the inbox: this one is not about its kind."""
        if not parcel.is_unfinished:
            self.show(parcel, trusted)
        self.hands.let_go(parcel.key)

    def put_back(self, parcel: Parcel) -> None:
        """Nothing could be tried with the copy, for a local reason: it waits again."""
        self.hands.let_go(parcel.key)
        self._opening.pop(parcel.key, None)
        if not parcel.is_unfinished:
            self._waiting.add(parcel)

    def set_aside(self, parcel: Parcel, why: str) -> None:
        """This installation cannot say what the copy holds: it stays owed, and nothing waits for
        it. The next process looks at it again."""
        logger.warning("copy %s is set aside: %s", _short(parcel.key), why)
        self.hands.let_go(parcel.key)
        self._opening.pop(parcel.key, None)
        self._aside.add(parcel.key)

    @property
    def count_aside(self) -> int:
        """How many copies are set aside."""
        return len(self._aside)

    def is_handled(self, key: Key) -> bool:
        """Tell whether a message has been answered."""
        known = self._store.get(key)
        return known is not None and known.state == HANDLED

    def handled(self, parcel: Parcel, opened: Opened, now: int) -> Publish:
        """The application is done with a message: sign, store and return its read ack."""
        ack = self._ack(parcel, READ, now, token=opened.open_token)
        return self._answer(parcel, ack, None)

    def unreadable(
        self, parcel: Parcel, reason: str, *, now: int, trusted: int, tick: float
    ) -> Publish:
        """A copy does not open: sign, store and return the ack that tells its sender."""
        logger.warning("copy %s cannot be opened: %s", _short(parcel.key), reason)
        sender = parcel.key[0]
        allowance = self._allowances.setdefault(
            sender, Allowance(UNREADABLE_BURST, UNREADABLE_EVERY)
        )
        allowance.spend(tick)
        news = news_of(self._store, parcel.checked.header, trusted)  # it has arrived, at least
        return self._answer(parcel, self._ack(parcel, UNREADABLE, now, reason=reason), news)

    def _ack(
        self, parcel: Parcel, verdict: str, now: int, *, token: bytes = b"", reason: str = ""
    ) -> bytes:
        sender, message_id = parcel.key
        ack = ReadAck(
            verdict=verdict,
            sender=sender,
            message_id=message_id,
            digest=parcel.checked.digest,
            reader=self._name,
            time=now,
            open_token=token,
            reason=reason,
        )
        return cose.sign(ack, self._signer, self._aad)

    def _answer(self, parcel: Parcel, ack: bytes, news: News | None) -> Publish:
        self._store.handled(parcel.key, ack, parcel.checked.header.expires, news)
        self.hands.let_go(parcel.key)
        self._opening.pop(parcel.key, None)
        self.replay.answered(parcel.key)
        return self._publish(parcel.key, ack)

    # Read acks on their way.

    def unconfirmed(self, most: int) -> Sequence[Publish]:
        """Return stored read acks that the broker has not PUBACKed, to be published again."""
        return [self._publish(key, ack) for key, ack in self._store.unconfirmed(most)]

    def count_unconfirmed(self) -> int:
        """Return how many there are."""
        return self._store.count_unconfirmed()

    def confirm(self, keys: Sequence[Key]) -> None:
        """The broker has PUBACKed these read acks."""
        self._store.confirm(keys)

    def _publish(self, key: Key, ack: bytes) -> Publish:
        topic = self._topics.read(self._name, *key)
        return Publish(topic=topic, payload=ack, confirms=key)

    # How complete the picture is.

    @property
    def is_drained(self) -> bool:
        """Whether no copy waits in memory, but for those that may not be opened yet."""
        return all(parcel.key[0] in self._held_up for parcel in self._waiting)

    def accounted(self) -> int:
        """Return how many copies this device still owes a read ack for, as far as it knows."""
        unfinished = len({*self._store.all_shown(), *self.hands, *self._aside})
        return len(self._waiting) + unfinished + len(self.wanted) + self.replay.uncleared

    def has_expired(self, trusted: int) -> bool:
        """Tell whether `forget` would drop anything."""
        return self._store.has_expired(trusted)

    def forget(self, trusted: int) -> None:
        """Drop what has expired by the trusted time."""
        self._store.forget(trusted)


def _short(key: Key) -> str:
    return key[1].hex()[:8]
