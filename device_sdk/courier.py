"""The thread between the link and the router: takes in what comes, sends what is due, keeps time.

One lock guards everything that the device knows. The link only puts its reports into a queue, so
that neither ever waits for the other; whoever waits for news waits on the lock's condition.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable

from device_sdk.errors import BrokerUnavailableError, ClosedError, StateFileError
from device_sdk.inbox.store import Key
from device_sdk.link.port import (
    Connected,
    Disconnected,
    Link,
    LinkEvent,
    Publish,
    Published,
    Received,
    Subscribed,
)
from device_sdk.listening import Listening
from device_sdk.parts import Parts
from device_sdk.routing import ACKS_AT_ONCE, Moment, Router
from device_sdk.state.state_file import StateFile
from device_sdk.times import as_datetime
from device_sdk.wire.errors import SealgateError
from device_sdk.wire.limits import DAY
from device_sdk.wire.state import PAUSED
from device_sdk.wire.topics import Kind

TEND_EVERY = 10.0
"""Seconds between looks at what time does: expiry, old records, reader keys."""
SWEEP_EVERY = 60.0
"""Seconds until bytes that were deleted are gone from the write-ahead log as well."""
_FILTERS_AT_ONCE = 200

logger = logging.getLogger(__name__)


class Courier:
    """Runs one device between `start` and `stop`."""

    def __init__(self, parts: Parts, state: StateFile, link: Link) -> None:
        self.parts = parts
        self.listening = Listening(parts)
        self.router = Router(parts, self.listening)
        self.changed = threading.Condition(threading.RLock())
        """The device's lock; notified after everything that happens."""
        self.problem = ""
        """Why there is no connection to the broker; empty while there is one."""
        self.unavailable = BrokerUnavailableError
        """The kind of that problem."""
        self.is_ready = False
        """Whether the gateway's answers can reach the device now."""
        self.has_failed = False
        """Whether the latest try to connect has failed: a wait for it may be long."""
        self._state, self.link = state, link
        self._events: queue.SimpleQueue[LinkEvent | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sealgate-device", daemon=True)
        self._connection = 0
        self._filters: set[str] = set()
        self._notice_ticket: int | None = None
        self._acks: dict[int, Key] = {}
        self._tend_at = self._sweep_at = 0.0
        self._is_closed = False
        self._complaint = ""

    # From the application's threads.

    def start(self) -> None:
        """Begin; the broker need not be there."""
        self._forget_former()
        self._thread.start()
        self.link.start(self._events.put)

    def stop(self) -> None:
        """End the thread and the connection. What was not sent stays stored."""
        with self.changed:
            self._is_closed = True
            self.changed.notify_all()
        self._events.put(None)
        self._thread.join()
        self.link.close()

    def check_open(self) -> None:
        """Raise ClosedError after `stop`."""
        if self._is_closed:
            raise ClosedError("the device has been closed")

    def moment(self) -> Moment:
        """Return the present moment."""
        return Moment(now=int(time.time()), tick=time.monotonic())

    def publish(self, publishes: Iterable[Publish]) -> None:
        """Publish now if there is a connection. With the lock held."""
        if not self.is_ready:
            return
        for item in publishes:
            if item.apart:
                self.link.publish_apart(item.topic, item.payload)
                continue
            ticket = self.link.publish(item.topic, item.payload)
            if ticket is not None and item.confirms is not None:
                self._acks[ticket] = item.confirms

    def pump(self) -> None:
        """Send what is due now, and wake the thread for what comes later. With the lock held."""
        self._send_due()
        self._events.put(None)

    def tend(self) -> None:
        """Look now at what time does. With the lock held."""
        self._tend(self.moment())

    def why(self) -> str:
        """Say why nothing comes. With the lock held."""
        if self.problem:
            return self.problem
        if not self.is_ready:
            return f"still connecting to the broker {self.link}"
        if self.parts.rosters.roster is None:
            return f"the broker {self.link} has no roster: does a gateway serve this fleet there?"
        moment, gateways = self.moment(), self.parts.gateways
        if gateways.online(moment.now, moment.tick) is None:
            latest = gateways.latest()
            if latest is not None and latest.status == PAUSED:
                return "the gateway is paused: its operator must see to its clock or its disk"
            if latest is not None and abs(moment.now - latest.time) > DAY:
                return (
                    f"no gateway is online, or a clock is wrong: the latest word of one is of "
                    f"{as_datetime(latest.time):%Y-%m-%d}, and here it is "
                    f"{as_datetime(moment.now):%Y-%m-%d}"
                )
            return "no gateway is online"
        return "the gateway has not answered"

    def wait(self, done: Callable[[], bool], until: float | None) -> bool:
        """Wait until ``done`` is true or the tick ``until``; tell which. With the lock held.

        Raises:
            ClosedError: the device was closed meanwhile.
        """
        while not done():
            self.check_open()
            remaining = None if until is None else until - time.monotonic()
            if remaining is not None and remaining <= 0:
                return False
            self.pause(remaining)
        return True

    def pause(self, seconds: float | None) -> None:
        """Wait for news, so many seconds at most; None is no limit. With the lock held."""
        most = threading.TIMEOUT_MAX
        self.changed.wait(None if seconds is None else min(max(seconds, 0.0), most))

    # The thread.

    def _run(self) -> None:
        while not self._is_closed:
            events = self._next_events()
            with self.changed:
                try:
                    self._handle(events)
                    moment = self.moment()
                    if moment.tick >= self._tend_at:
                        self._tend(moment)
                        self._complaint = ""
                    self._send_due()
                except StateFileError as error:
                    self._complain(error)
                    self._tend_at = time.monotonic() + TEND_EVERY
                except Exception:  # whatever it is must not end the thread that all wait for
                    logger.exception("the device could not go on; it tries again")
                    self._tend_at = time.monotonic() + TEND_EVERY
                self.changed.notify_all()

    def _complain(self, error: StateFileError) -> None:
        """Say once what holds the state file up, such as a full disk or another program's lock."""
        if str(error) != self._complaint:
            logger.error("%s; it is tried again", error)
        self._complaint = str(error)

    def _next_events(self) -> list[LinkEvent]:
        with self.changed:
            due = self.router.next_due(time.monotonic()) if self.is_ready else None
        until = min(self._tend_at, due if due is not None else self._tend_at)
        found: list[LinkEvent | None] = []
        try:
            found.append(self._events.get(timeout=max(0.0, until - time.monotonic())))
            while len(found) < ACKS_AT_ONCE:
                found.append(self._events.get_nowait())
        except queue.Empty:
            pass
        return [event for event in found if event is not None]

    def _handle(self, events: list[LinkEvent]) -> None:
        confirmed: list[Key] = []
        for event in events:
            try:
                self._handle_one(event, confirmed)
            except StateFileError as error:
                self._complain(error)
            except Exception:  # whatever it is must not lose what came behind it
                logger.exception("something from the link could not be handled; it goes on")
        if confirmed:
            self.parts.inbox.confirm(confirmed)
            if not self._acks:
                self.publish(self.parts.inbox.unconfirmed(ACKS_AT_ONCE))

    def _handle_one(self, event: LinkEvent, confirmed: list[Key]) -> None:
        match event:
            case Received():
                self._receive(event)
            case Published(connection=connection, ticket=ticket):
                if connection == self._connection and ticket in self._acks:
                    confirmed.append(self._acks.pop(ticket))
            case Subscribed():
                self._subscribed(event)
            case Connected(connection=connection):
                self._connected(connection)
            case Disconnected(problem=problem, kind=kind):
                self._disconnected(problem)
                self.unavailable = kind

    def _connected(self, connection: int) -> None:
        self._disconnected("")
        self.has_failed = False
        self._connection = connection
        self.router.connected()
        self._subscribe(self.listening.filters())

    def _disconnected(self, problem: str) -> None:
        self.problem, self.has_failed = problem, True
        self.is_ready = False
        self._connection = 0
        self._filters.clear()
        self._acks.clear()
        self._notice_ticket = None
        self._forget_former()

    def _forget_former(self) -> None:
        """Before each connection: what the device believes about the broker may have run out."""
        roster = self.parts.rosters.roster
        if roster is not None:
            try:
                self.parts.certificate.forget_former(roster.head, now=self.moment().now)
            except StateFileError as error:
                self._complain(error)

    def _subscribed(self, event: Subscribed) -> None:
        if event.connection != self._connection:
            return
        if event.is_refused:
            self.problem = "the broker lets this device in, but does not let it hear its topics"
            logger.error("%s: mend its access rules", self.problem)
        if event.ticket == self._notice_ticket:
            self.is_ready = True
            self.publish(self.router.subscribed(self.moment()))

    def _receive(self, event: Received) -> None:
        try:
            topic = self.parts.topics.parse(event.topic)
            publishes = self.router.received(
                topic, event.payload, retained=event.retained, moment=self.moment()
            )
        except StateFileError as error:
            self._complain(error)
        except SealgateError as error:
            logger.warning("a message from the broker was not believed: %s", error)
        else:
            self.publish(publishes)
            if topic.kind is Kind.KEYS and topic.owner == self.parts.keystore.name:
                self._tend_at = 0.0  # they may show that our own keys are those of an old backup

    def _send_due(self) -> None:
        if not self._connection:
            return
        needed = self.listening.filters()
        gone = self._filters.difference(needed)
        if gone:
            self._filters -= gone
            self.link.unsubscribe(sorted(gone))
        stale = self.listening.take_stale()
        if self.router.wants_replay(self.moment()):
            stale.append(self.listening.inbox_filter)
        new = [name for name in needed if name not in self._filters]
        self._subscribe(list(dict.fromkeys([*new, *stale])))
        if self.is_ready:
            moment = self.moment()
            self.publish(self.router.due(moment))

    def _subscribe(self, filters: list[str]) -> None:
        for start in range(0, len(filters), _FILTERS_AT_ONCE):
            chunk = filters[start : start + _FILTERS_AT_ONCE]
            ticket = self.link.subscribe(chunk)
            if ticket is None:
                return
            self._filters.update(chunk)
            if self.listening.notice_filter in chunk and not self.is_ready:
                self._notice_ticket = ticket
            if self.listening.inbox_filter in chunk:
                self.router.subscribed_inbox(self.moment())

    def _tend(self, moment: Moment) -> None:
        parts = self.parts
        self._tend_at = moment.tick + TEND_EVERY
        self.router.keep_time(moment)
        self.router.act_on_roster(moment)
        self.router.compare_rosters(moment)
        parts.watch.say(parts.rosters.roster, moment.now)
        trusted = parts.time.now
        parts.outbox.expire(trusted)
        parts.outbox.forget(trusted)
        parts.totals.forget(trusted)
        parts.purse.forget(trusted)
        if parts.inbox.has_expired(parts.time.sure):
            # What is forgotten is refused from now on, also after a restart (PROTOCOL 13.7).
            parts.time.save()
            parts.inbox.forget(parts.time.sure)
        if moment.tick >= self._sweep_at:
            self._state.sweep()
            self._sweep_at = moment.tick + SWEEP_EVERY
        if not trusted:
            return  # nobody has said yet what time it is: no key is made or erased by a guess
        roster = parts.rosters.roster
        known = parts.reader_keys.highest_serial(parts.keystore.name, roster) if roster else 0
        parts.own_keys.tend(trusted, known, self._key_made, sure=parts.time.sure)

    def _key_made(self) -> None:
        with self.changed:
            self.publish(self.parts.own_keys.announcements(int(time.time())))
