"""Asking a gateway to prove something about its log: one question at a time (PROTOCOL 10.5).

Each thing that is to be proved is asked for a few times, later and later, while its gateway is
online; after that it counts as not shown. A try counts only if the gateway was heard some time
after it: one that hangs or has crashed meanwhile has denied nothing. Tries that count are kept: a
command that runs for a moment goes on where the one before it was. An answer is not signed: one
that shows nothing uses up its try, as nothing else will come to a device that runs for moments, and
the question stays open for one that does.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from device_sdk.link.port import Publish
from device_sdk.pace import Backoff
from device_sdk.transparency.store import MOST_HEADS, LogStore, Tries
from device_sdk.wire import cose
from device_sdk.wire.log_proof import LogProof, Prove
from device_sdk.wire.suites import Signer
from device_sdk.wire.topics import Topics

TRIES = 4
AGAIN = Backoff(first=10.0, most=80.0)
PATIENCE = 5.0
"""Seconds after which a question that was not answered may be followed by another."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What is asked for at once."""

    things: tuple[bytes, ...]
    """What it may prove, by leaf hash or by the name of a head: each is counted for itself."""
    gateway: str
    first: int
    second: int
    leaves: tuple[bytes, ...] = ()


@dataclass(slots=True)
class _Tried:
    """How often one thing was asked for in vain."""

    count: int = 0
    """Tries that count."""
    due: float = 0.0
    """The tick at which to ask again, or to give it up."""
    open_since: float | None = None
    """The tick of the latest try, until that counts."""
    at: int = 0
    """Unix seconds of the latest try."""


class Proving:
    """The question under way, and how often each thing was asked for."""

    def __init__(
        self, store: LogStore, *, name: str, signer: Signer, aad: bytes, topics: Topics
    ) -> None:
        self._store = store
        self._name, self._signer, self._aad = name, signer, aad
        self._topic = topics.prove(name)
        self._tried: dict[bytes, _Tried] = {}
        self._earlier = {tries.thing: tries for tries in store.tries()}
        """What earlier processes have tried, until there is a time to count it by."""
        self._asked: Question | None = None
        self._patient_until = 0.0

    def start_over(self) -> None:
        """No answer will come to what was asked: there is a new connection."""
        self._asked = None

    def catch_up(self, now: int, tick: float, heard_at: float) -> None:
        """Count the tries after which the gateway was heard, at ``heard_at``, and earlier ones."""
        for thing, tries in self._earlier.items():
            wait = _wait(tries.count - 1)
            left = min(max(tries.at + wait - now, 0.0), wait)  # the clock may have been set
            self._tried[thing] = _Tried(count=tries.count, due=tick + left, at=tries.at)
        self._earlier = {}
        self._count(
            thing
            for thing, tried in self._tried.items()
            if tried.open_since is not None and heard_at >= tried.open_since + PATIENCE
        )

    def is_due(self, thing: bytes, tick: float) -> bool:
        """Tell whether to ask for something now."""
        return self._due(thing) <= tick

    def is_given_up(self, thing: bytes, tick: float) -> bool:
        """Tell whether something was asked for often enough, and has not come."""
        tried = self._tried.get(thing)
        return tried is not None and tried.count >= TRIES and tried.due <= tick

    def is_busy(self, tick: float) -> bool:
        """Tell whether the answer to a question may still come."""
        if self._asked is not None and self._patient_until <= tick:
            self._asked = None
        return self._asked is not None

    def ask(self, question: Question, now: int, tick: float) -> Publish:
        """Return the question to publish; from now on its answer is awaited."""
        for thing in question.things:
            tried = self._tried.setdefault(thing, _Tried())
            tried.due, tried.open_since, tried.at = tick + _wait(tried.count), tick, now
        self._limit()
        self._asked, self._patient_until = question, tick + PATIENCE
        prove = Prove(
            device=self._name,
            gateway=question.gateway,
            first=question.first,
            second=question.second,
            leaves=question.leaves,
        )
        return Publish(topic=self._topic, payload=cose.sign(prove, self._signer, self._aad))

    def take(self, proof: LogProof) -> Question | None:
        """Return the question that an answer belongs to; None if it is nobody's.

        It stays under way until all that it may prove is `done`.
        """
        asked = self._asked
        if asked is None or (asked.first, asked.second) != (proof.first, proof.second):
            return None
        return asked

    def denied(self, thing: bytes) -> None:
        """An answer came that does not show it, from whomever: that try counts, and no other."""
        tried = self._tried.get(thing)
        if tried is not None and tried.open_since is not None:
            self._count([thing])

    def done(self, thing: bytes) -> None:
        """Something was shown, or is not asked for any more."""
        self._forget(thing)
        if self._asked is not None and thing in self._asked.things:
            left = tuple(one for one in self._asked.things if one != thing)
            self._asked = replace(self._asked, things=left) if left else None

    def next_due(self, things: Iterable[bytes]) -> float | None:
        """Return the tick at which to ask for any of these things, or to give it up."""
        due = min(map(self._due, things), default=None)
        if due is None or self._asked is None:
            return due
        return max(due, self._patient_until)

    def _due(self, thing: bytes) -> float:
        tried = self._tried.get(thing)
        return 0.0 if tried is None else tried.due

    def _count(self, things: Iterable[bytes]) -> None:
        counted = []
        for thing in things:
            tried = self._tried[thing]
            tried.count += 1
            tried.open_since = None
            counted.append(Tries(thing=thing, count=tried.count, at=tried.at))
        self._store.put_tries(counted)

    def _limit(self) -> None:
        # Those who ask have fewer open at a time: what goes is of gateways that are not online.
        for thing in list(self._tried)[:-MOST_HEADS]:
            self._forget(thing)

    def _forget(self, thing: bytes) -> None:
        tried = self._tried.pop(thing, None)
        if (tried is not None and tried.count) or self._earlier.pop(thing, None) is not None:
            self._store.forget_tries(thing)


def _wait(count: int) -> float:
    return min(AGAIN.first * 2.0**count, AGAIN.most)
