"""Which history of rosters and keys a gateway shows this device, and others (PROTOCOL 8.6).

Heads of a gateway's log come from the gateway itself and in the headers of other devices' messages.
What contradicts, or is not shown to belong together, is reported; nothing is ever refused for it.
No sockets: ``now`` is Unix seconds, ``tick`` seconds of a monotonic clock.
"""

import logging
from dataclasses import replace

from device_sdk.gateways import Gateways
from device_sdk.link.port import Publish
from device_sdk.transparency.entries import LogEntries
from device_sdk.transparency.heard import HeardHeads
from device_sdk.transparency.proving import Proving, Question
from device_sdk.transparency.report import LogReport, ReportKind
from device_sdk.transparency.store import HeadState, LogStore, Shown
from device_sdk.trust import TrustError
from device_sdk.wire.errors import ConsistencyError, SignatureError, WireError
from device_sdk.wire.limits import CLOCK_SKEW
from device_sdk.wire.log_proof import LogProof
from device_sdk.wire.log_tree import check_consistency

_MOST_MAIL = 64
"""Heads from messages that wait to be looked at; the others come again with the next message."""
_AT_ONCE = 64
"""Heads from messages that are asked about at the same time; the others wait for their turn."""

logger = logging.getLogger(__name__)


class LogWatch:
    """The heads that one device knows, and what it has to ask about them."""

    def __init__(self, store: LogStore, gateways: Gateways, proving: Proving) -> None:
        self._store, self._gateways, self._proving = store, gateways, proving
        self._believed = {one.gateway: one for one in store.heads(HeadState.BELIEVED)}
        self._offered = {one.gateway: one for one in store.heads(HeadState.OFFERED)}
        self._heard = HeardHeads(store, proving)
        self.rosters: dict[str, int] = {}
        """Gateway to the newest roster version by which it goes, as heads in messages tell."""
        self._mail: dict[bytes, str] = {}
        self._read: dict[bytes, None] = {}
        self._online = ""
        self.entries = LogEntries(store, proving)

    # What others need to know.

    def newest(self, now: int) -> bytes:
        """Return the signed head for the next message's header, or b"" if there is none."""
        shown = self.believed(now)
        return b"" if shown is None else shown.signed

    def believed(self, now: int) -> Shown | None:
        """Return the believed head by which this device goes: that of the gateway which is online,
        or else the newest one of those that are active.

        No gateway's clock puts another one's head aside: a time to come counts for nothing. Such a
        head is still better than none, with which a gateway could keep devices from comparing.
        """
        active = [
            shown for name, shown in self._believed.items() if self._gateways.is_active(name, now)
        ]
        return max(active, key=lambda shown: self._rank(shown, now), default=None)

    def _rank(self, shown: Shown, now: int) -> tuple[bool, int]:
        time = shown.head.time
        return shown.gateway == self._online, time if time <= now + CLOCK_SKEW else 0

    def reports(self) -> list[LogReport]:
        """Return all that was found, oldest first."""
        return self._store.reports()

    # What comes.

    def take_head(self, gateway: str, data: bytes, now: int) -> None:
        """Take in what stands under ``log/{gateway}``.

        Raises:
            WireError, UnknownDeviceError: it is not the head of that gateway's log.
        """
        shown = self._verified(data, now)
        if shown.gateway != gateway:
            raise SignatureError("the head of a log is another gateway's than its topic says")
        known = self._believed.get(gateway)
        if known is None:
            self._believe(shown)
        elif self._contradicts(shown, now):
            return
        elif shown.tree == known.tree:
            self._renew(known, shown)
        elif not self._is_old(known, shown):
            self._offered[gateway] = shown
            self._store.put(shown)

    def hear(self, data: bytes, sender: str) -> None:
        """Take note of a head that came in a message; it is looked at with the next `ask`."""
        if data and data not in self._read and len(self._mail) < _MOST_MAIL:
            self._mail.setdefault(data, sender)

    def take_proof(self, data: bytes, now: int) -> None:
        """Take in an answer to the question under way. Raises WireError if it is none.

        Nobody has signed it. What proves nothing is no answer: others may have sent it.
        """
        proof = LogProof.decode(data)
        asked = self._proving.take(proof)
        known = None if asked is None else self._believed.get(asked.gateway)
        if asked is None or known is None:
            return
        if not asked.first:
            self.entries.take(asked, proof, known)
            return
        for subject in self._open(asked.gateway):
            if subject.key in asked.things:
                self._take_growth(asked, known, subject, proof, now)

    def _take_growth(
        self, asked: Question, known: Shown, subject: Shown, proof: LogProof, now: int
    ) -> None:
        small, large = _in_order(known, subject)
        if (small.head.size, large.head.size) != (asked.first, asked.second):
            return  # what is believed has changed meanwhile
        if _has_grown(small, large, proof):
            self._settle(known, subject, now, ok=True)
        else:
            self._proving.denied(subject.key)

    # What is asked.

    def start_over(self) -> None:
        """There is a new connection."""
        self._proving.start_over()

    def ask(self, now: int, tick: float, online: str, heard_at: float) -> list[Publish]:
        """Return the next question, if it is time for one.

        ``online`` is the name of the gateway that is, or empty; ``heard_at`` the tick of its latest
        state.
        """
        self._read_mail(now)
        self._proving.catch_up(now, tick, heard_at)
        self._online = online if online in self._believed else ""
        if not self._online or self._proving.is_busy(tick):
            return []
        question = self._about_growth(self._believed[self._online], now, tick)
        if question is None:  # what that has settled may have changed what is believed
            question = self.entries.question(self._believed[self._online], now, tick)
        return [] if question is None else [self._proving.ask(question, now, tick)]

    def next_due(self) -> float | None:
        """Return the tick at which `ask` has something to do; None if nothing is open."""
        if not self._online:
            return None
        things = [subject.key for subject in self._open(self._online)]
        return self._proving.next_due([*things, *self.entries.open])

    def _about_growth(self, known: Shown, now: int, tick: float) -> Question | None:
        for subject in self._open(known.gateway):
            small, large = _in_order(known, subject)
            thing = subject.key
            if small.head.size == large.head.size or self._proving.is_given_up(thing, tick):
                self._settle(known, subject, now, ok=small.tree == large.tree)
                return None  # the rest with the next look: what is believed may have changed
            if self._proving.is_due(thing, tick):
                return Question(
                    things=(thing,),
                    gateway=known.gateway,
                    first=small.head.size,
                    second=large.head.size,
                )
        return None

    def _open(self, gateway: str) -> list[Shown]:
        """Return what is to be shown to belong to the believed history, the first thing first."""
        offered = self._offered.get(gateway)
        if offered is not None:
            return [offered]  # others' heads are compared with the newest that is believed
        return self._heard.of(gateway)[:_AT_ONCE]

    def _read_mail(self, now: int) -> None:
        mail, self._mail = self._mail, {}
        for data, sender in mail.items():
            self._read[data] = None
            try:
                self._compare(replace(self._verified(data, now), shown_to=sender), now)
            except (WireError, TrustError) as error:
                # Anybody can put anything there: only what a gateway has signed says something.
                logger.debug("the head of a log in a message of %s: %s", sender, error)
        for old in list(self._read)[: -4 * _MOST_MAIL]:
            del self._read[old]

    def _compare(self, shown: Shown, now: int) -> None:
        known = self._believed.get(shown.gateway)
        if self._contradicts(shown, now) or self._store.find(shown) is not None:
            return
        if known is not None and known.tree == shown.tree:
            self._store.put(replace(shown, state=HeadState.SETTLED))
        elif not self._heard.add(shown):
            del self._read[shown.signed]  # it comes again with the next message

    def _verified(self, data: bytes, now: int) -> Shown:
        gateway, head = self._gateways.verify_log_head(data, now)
        known = self.rosters.get(gateway, 0)
        self.rosters[gateway] = max(known, head.roster_version)
        return Shown(gateway=gateway, head=head, signed=data, state=HeadState.OFFERED)

    # What is made of it.

    def _contradicts(self, shown: Shown, now: int) -> bool:
        """Report a split view if another head of this log and size has another root."""
        known = self._store.find(shown)
        if known is None or not known.head.contradicts(shown.head):
            return False
        about = shown.shown_to or known.shown_to
        self._report(ReportKind.SPLIT_VIEW, known, shown, about, now)
        return True

    def _is_old(self, known: Shown, shown: Shown) -> bool:
        """Tell whether a gateway's head is one from before, which a broker may have kept."""
        if self._store.is_given_up(shown.head.log_id):
            return True  # no process comes back
        before = self._store.find(shown)
        if before is not None and before.state in (HeadState.SETTLED, HeadState.DOUBTED):
            return True
        return shown.head.log_id == known.head.log_id and shown.head.size < known.head.size

    def _settle(self, known: Shown, subject: Shown, now: int, *, ok: bool) -> None:
        self._proving.done(subject.key)
        if self._heard.remove(subject):
            self._settle_heard(known, subject, now, ok=ok)
        elif self._offered.pop(subject.gateway, None) is not None:
            self._settle_offered(known, subject, now, ok=ok)

    def _settle_offered(self, known: Shown, offered: Shown, now: int, *, ok: bool) -> None:
        if ok and offered.head.size < known.head.size:
            self._store.put(replace(offered, state=HeadState.SETTLED))
        elif ok:
            self._believe(offered)
        elif offered.head.log_id == known.head.log_id:
            self._store.put(replace(offered, state=HeadState.DOUBTED))
            self._report(ReportKind.UNPROVEN, known, offered, "", now)
        else:
            self._store.begin_anew(offered)
            self._believed[offered.gateway] = offered
            self.entries.begin_anew()
            self._report(ReportKind.NEW_LOG, known, offered, "", now)

    def _settle_heard(self, known: Shown, heard: Shown, now: int, *, ok: bool) -> None:
        state = HeadState.SETTLED if ok else HeadState.DOUBTED
        self._store.put(replace(heard, state=state))
        if ok:
            return
        if self._store.is_given_up(heard.head.log_id):
            logger.info("a head from %s is of a log that was given up", heard.shown_to)
        else:
            self._report(ReportKind.UNPROVEN, known, heard, heard.shown_to, now)

    def _renew(self, known: Shown, shown: Shown) -> None:
        """Take the same tree, signed anew; a new log-id is stored, another time is not worth it."""
        if shown.head.log_id != known.head.log_id:
            self._offered.pop(shown.gateway, None)
            self._believe(shown)
        elif shown.head.time > known.head.time:
            self._believed[shown.gateway] = shown

    def _believe(self, shown: Shown) -> None:
        self._store.believe(shown)
        self._believed[shown.gateway] = shown

    def _report(self, kind: ReportKind, first: Shown, second: Shown, about: str, now: int) -> None:
        if self._store.report(kind, first.gateway, about, first.signed, second.signed, now):
            level = logging.ERROR if kind is ReportKind.SPLIT_VIEW else logging.WARNING
            logger.log(level, "%s", self._store.reports()[-1])


def _in_order(one: Shown, other: Shown) -> tuple[Shown, Shown]:
    return (one, other) if one.head.size <= other.head.size else (other, one)


def _has_grown(small: Shown, large: Shown, proof: LogProof) -> bool:
    try:
        check_consistency(*small.tree, *large.tree, proof.consistency or ())
    except ConsistencyError:
        return False
    return True
