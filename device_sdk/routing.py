"""What the device does with each message from the broker, and what it says by itself. No sockets.

The router knows all parts of the device and lets each do its work; every method is called with the
device's lock held, and returns what is to be published.
"""

import logging
from collections import deque
from dataclasses import dataclass

from device_sdk.freshness import OWNER
from device_sdk.link.port import Publish
from device_sdk.listening import Listening
from device_sdk.outbox.evidence import Court
from device_sdk.pace import Backoff, Pace
from device_sdk.parts import Parts
from device_sdk.trust import Roster
from device_sdk.wire.errors import SealgateError
from device_sdk.wire.names import ANONYMOUS
from device_sdk.wire.topics import Kind, Topic

ASK = Backoff(first=60.0, most=600.0)
"""Between queries while something is open and nothing new comes."""
ACKS_AT_ONCE = 200
SPREAD = 5.0
"""Seconds within which anonymous messages follow when a connection is there again, each at a moment
of its own: next to what the device says in its name at that moment, they would be known for its."""
_MOST_EARLY = 16
"""Notices kept for a roster that has not come yet: 16 of 256 KiB at most."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """One point in time on both clocks."""

    now: int
    """Wall clock, Unix seconds."""
    tick: float
    """Monotonic clock, seconds."""


class Router:
    """Leads what comes to the part that knows it."""

    def __init__(self, parts: Parts, listening: Listening) -> None:
        self._parts = parts
        self._listening = listening
        self._name = parts.keystore.name
        self._ask = Pace()
        self._acted_on = 0
        self._was_connected = False
        self._early: deque[bytes] = deque(maxlen=_MOST_EARLY)
        if parts.rosters.roster is not None:
            self._go_by(parts.rosters.roster)

    # What the link reports.

    def connected(self) -> None:
        """There is a new connection: nothing is fresh any more."""
        self._listening.connected()
        self._parts.log.start_over()

    def subscribed(self, moment: Moment) -> list[Publish]:
        """The broker delivers now: say everything that may have been missed while offline."""
        parts = self._parts
        parts.inbox.wanted.retry_now()
        return self._say_everything(moment)

    def _say_everything(self, moment: Moment) -> list[Publish]:
        parts = self._parts
        # The first connection of a process may be there for one message only.
        parts.outbox.retry_now(moment.tick, SPREAD if self._was_connected else 0.0)
        self._was_connected = True
        parts.purse.retry_now()
        parts.queries.start_over()
        parts.queries.want_round()
        acks = list(parts.inbox.unconfirmed(ACKS_AT_ONCE))
        return [*parts.own_keys.announcements(moment.now), *acks, *self.due(moment)]

    def subscribed_inbox(self, moment: Moment) -> None:
        """The inbox is subscribed to (again)."""
        self._parts.inbox.replay.subscribed(moment.tick)

    def received(
        self, topic: Topic, data: bytes, *, retained: bool, moment: Moment
    ) -> list[Publish]:
        """Take in one message.

        Raises:
            SealgateError: it is not to be believed; nothing has changed.
        """
        if topic.kind is Kind.ROSTER:
            return self._take_roster(topic, data, moment)
        roster = self._parts.rosters.roster
        if roster is None:
            return []  # nothing can be verified; it is asked for again once there is a roster
        if topic.kind is Kind.INBOX:
            return self._parts.inbox.arrived(
                topic,
                data,
                retained=retained,
                roster=roster,
                now=self.believed(moment),
                trusted=self._parts.time.now,
            )
        if topic.kind is Kind.NOTICE:
            if topic.owner == ANONYMOUS:
                return self._take_anonymous_notice(data, roster, moment)
            return self._take_notice(data, moment)
        if topic.kind is Kind.ISSUE and topic.owner == self._name:
            self._parts.purse.take_issue(data)
            return []
        if topic.kind is Kind.PROOF and topic.owner == self._name:
            self._parts.log.take_proof(data, moment.now)
        elif topic.kind is Kind.STATE and data:
            return self._take_state(topic.owner, data, moment, retained=retained)
        elif data:
            self._take_standing(topic, data, roster, moment)
        return []

    def _take_standing(self, topic: Topic, data: bytes, roster: Roster, moment: Moment) -> None:
        """Take in what stands at the broker for all, or for this device."""
        if topic.kind is Kind.KEYS:
            self._parts.reader_keys.take_list(topic.owner, data, roster)
            self._use_keys(topic.owner, roster)
            self._listening.keys_came(topic.owner)
        elif topic.kind is Kind.LOG:
            self._parts.log.take_head(topic.owner, data, moment.now)
        elif topic.kind is Kind.TOKENS:
            self._parts.purse.keys.take(topic.owner, data, roster, moment.now)
        elif topic.kind is Kind.CERT and topic.owner == self._name:
            self._parts.certificate.take(data, roster, now=moment.now)

    def _go_by(self, roster: Roster) -> None:
        self._parts.gateways.use(roster)
        self._parts.log.entries.use(roster.head.head)

    def _use_keys(self, device: str, roster: Roster) -> None:
        """Whoever is written to gets mail for its latest key."""
        latest = self._parts.reader_keys.latest(device, roster)
        if latest is not None and device in self._listening.watched:
            self._parts.log.entries.use(latest)

    def _take_roster(self, topic: Topic, data: bytes, moment: Moment) -> list[Publish]:
        rosters = self._parts.rosters
        if not data:
            return []
        if topic.page_hash:
            is_new = rosters.take_page(topic.page_hash, data)
        else:
            is_new = rosters.take_head(data)
            self._listening.head_came()
        if not is_new or rosters.roster is None:
            return []
        self._go_by(rosters.roster)
        self._listening.roster_came()
        self.act_on_roster(moment)
        return self._take_early(moment)

    def _take_early(self, moment: Moment) -> list[Publish]:
        """Take in once more the notices that came before the roster by which they were made.

        A gateway speaks only once to a device that the owner has just revoked.
        """
        early, self._early = self._early, deque(maxlen=_MOST_EARLY)
        said: list[Publish] = []
        for data in early:
            try:
                said += self._take_notice(data, moment)
            except SealgateError as error:
                logger.info("a notice that came before its roster is ignored: %s", error)
        return said

    def act_on_roster(self, moment: Moment) -> None:
        """Act on the present roster's revocations, once for each roster and start."""
        roster = self._parts.rosters.roster
        if roster is not None and roster.version > self._acted_on:
            self._parts.outbox.excuse_revoked(roster, self.believed(moment))
            self._acted_on = roster.version

    def _take_notice(self, data: bytes, moment: Moment) -> list[Publish]:
        parts = self._parts
        notice, gateway = parts.gateways.verify_notice(data, self._name, moment.now)
        asked = parts.queries.take(notice)
        roster = parts.rosters.roster
        if roster is None:
            return []
        parts.watch.heard(gateway, notice.roster_version, roster.version, moment.now)
        if notice.roster_version > roster.version:
            self._early.append(data)
        court = Court(sender=self._name, roster=roster, aad=parts.pin.aad, now=moment.now)
        parts.outbox.take_events(notice.events, court, asked or {})
        if asked is not None and notice.owed is not None:
            parts.inbox.replay.compare(notice.owed, parts.inbox.accounted())
        return self.due(moment)

    def _take_anonymous_notice(self, data: bytes, roster: Roster, moment: Moment) -> list[Publish]:
        """Look for the own messages in what is told to everybody."""
        parts = self._parts
        notice, _ = parts.gateways.verify_notice(data, ANONYMOUS, moment.now)
        court = Court(sender=ANONYMOUS, roster=roster, aad=parts.pin.aad, now=moment.now)
        parts.outbox.take_events(notice.events, court, {})
        return self.due(moment)

    def _take_state(
        self, gateway: str, data: bytes, moment: Moment, *, retained: bool
    ) -> list[Publish]:
        parts = self._parts
        is_back = parts.gateways.take_state(gateway, data, moment.now, moment.tick)
        self.keep_time(moment)
        self.compare_rosters(moment)
        # A gateway that was away may have missed everything since. What a new connection replays
        # is no news: everything was said when it was made.
        if not is_back or retained:
            return []
        return self._say_everything(moment)

    def compare_rosters(self, moment: Moment) -> None:
        """Compare the own roster with those by which gateways go, here and at other devices."""
        parts, roster = self._parts, self._parts.rosters.roster
        if roster is None:
            return
        signed = [(state.gateway, state.roster_version) for state in parts.gateways.states()]
        for gateway, version in (*signed, *parts.log.rosters.items()):
            if parts.gateways.is_active(gateway, moment.now):
                parts.watch.heard(gateway, version, roster.version, moment.now)
        parts.watch.heard(OWNER, parts.rosters.next_version, roster.version, moment.now)
        parts.watch.go_by(roster, moment.now)
        online = parts.gateways.all_online(moment.now, moment.tick)
        parts.watch.compare(online, roster.version, moment.now)

    # What time it is.

    def keep_time(self, moment: Moment) -> None:
        """Let the trusted time follow the wall clock and the gateway's signed time."""
        heard = self._parts.gateways.latest()
        self._parts.time.advance(moment.now, moment.tick, heard.time if heard else None)

    def believed(self, moment: Moment) -> int:
        """Return Unix seconds to seal and to read by: a clock that was set back revives nothing."""
        return max(moment.now, self._parts.time.now)

    # What the device says by itself.

    def due(self, moment: Moment) -> list[Publish]:
        """Return what is to be said by now: envelopes, outcomes taken note of, and a query."""
        outbox = self._parts.outbox
        said = outbox.due(moment.tick) + outbox.seen(moment.now) + self._query(moment)
        said += self._parts.unnamed.due(outbox.held_anonymously(), moment.tick)
        return said + self._ask_gateway(moment)

    def _ask_gateway(self, moment: Moment) -> list[Publish]:
        """Ask the gateway that is online for proofs about its log, and for tokens."""
        gateways, log, roster = self._parts.gateways, self._parts.log, self._parts.rosters.roster
        online = gateways.online(moment.now, moment.tick)
        name = online.gateway if online is not None else ""
        said = log.ask(moment.now, moment.tick, name, gateways.heard_at(name))
        if roster is not None:
            said += self._parts.purse.due(name, roster, moment.now, moment.tick)
        return said

    def _query(self, moment: Moment) -> list[Publish]:
        outbox, inbox, queries = self._parts.outbox, self._parts.inbox, self._parts.queries
        if self._ask.due <= moment.tick and outbox.has_open():
            queries.want_round()
            self._ask.tried(moment.tick, ASK)
        wanted_at = inbox.wanted.next_due()
        if wanted_at is not None and wanted_at <= moment.tick:
            queries.want()
        if self._listening.is_reading and inbox.is_drained and inbox.replay.take_doubt():
            queries.want()
        return queries.make(
            outbox.tracked, lambda: inbox.wanted.due(moment.tick), moment.now, moment.tick
        )

    def sent(self, moment: Moment) -> None:
        """There is a new message: ask about it sooner than about the old ones."""
        self._ask = Pace(due=moment.tick + ASK.first)

    def wants_replay(self, moment: Moment) -> bool:
        """Tell whether to subscribe to the inbox once more."""
        inbox = self._parts.inbox
        return self._listening.is_reading and inbox.is_drained and inbox.replay.is_due(moment.tick)

    def next_due(self, tick: float) -> float | None:
        """Return the tick at which there will be something to say; None if nothing is open."""
        inbox, outbox = self._parts.inbox, self._parts.outbox
        parts = self._parts
        ticks = [outbox.next_due(tick), parts.queries.next_due(), parts.log.next_due()]
        ticks += [parts.purse.next_due(), parts.unnamed.next_due()]
        wanted_at = inbox.wanted.next_due()
        if wanted_at is not None:
            # What is wanted while a query is under way waits for its answer.
            ticks.append(max(wanted_at, self._parts.queries.patient_until))
        if self._listening.is_reading and inbox.is_drained:
            ticks.append(inbox.replay.next_due())
        if outbox.has_open():
            ticks.append(self._ask.due)
        return min((due for due in ticks if due is not None), default=None)
