"""Asking a gateway to prove something about its log: one question at a time (PROTOCOL 10.5).

Each thing that is to be proved is asked for a few times, later and later, while its gateway is
online; after that it counts as not shown. A try counts only if the gateway was heard some time
after it: one that hangs or has crashed meanwhile has denied nothing.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from device_sdk.link import Publish
from device_sdk.pace import Backoff, Pace
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

    things: tuple[Hashable, ...]
    """What it may prove: each is counted for itself."""
    gateway: str
    first: int
    second: int
    leaves: tuple[bytes, ...] = ()


class Proving:
    """The question under way, and how often each thing was asked for."""

    def __init__(self, *, name: str, signer: Signer, aad: bytes, topics: Topics) -> None:
        self._name, self._signer, self._aad = name, signer, aad
        self._topic = topics.prove(name)
        self._paces: dict[Hashable, Pace] = {}
        self._tried_at: dict[Hashable, float] = {}
        self._heard_at = 0.0
        self._asked: Question | None = None
        self._patient_until = 0.0

    def start_over(self) -> None:
        """No answer will come to what was asked: there is a new connection."""
        self._asked = None

    def heard(self, tick: float) -> None:
        """The gateway has said something at this tick."""
        self._heard_at = tick

    def is_due(self, thing: Hashable, tick: float) -> bool:
        """Tell whether to ask for something now."""
        return self._pace(thing).due <= tick

    def is_given_up(self, thing: Hashable, tick: float) -> bool:
        """Tell whether something was asked for often enough, and has not come."""
        pace = self._pace(thing)
        return pace.tries >= TRIES and pace.due <= tick and self._has_outlived(thing)

    def is_busy(self, tick: float) -> bool:
        """Tell whether the answer to a question may still come."""
        if self._asked is not None and self._patient_until <= tick:
            self._asked = None
        return self._asked is not None

    def ask(self, question: Question, tick: float) -> Publish:
        """Return the question to publish; from now on its answer is awaited."""
        for thing in question.things:
            pace = self._pace(thing)
            if pace.tries and not self._has_outlived(thing):
                pace.tries -= 1
            pace.tried(tick, AGAIN)
            self._tried_at[thing] = tick
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
        """Return the question that an answer belongs to; None if it is nobody's."""
        asked = self._asked
        if asked is None or (asked.first, asked.second) != (proof.first, proof.second):
            return None
        self._asked = None
        return asked

    def done(self, thing: Hashable) -> None:
        """Something was shown, or is not asked for any more."""
        self._paces.pop(thing, None)
        self._tried_at.pop(thing, None)

    def next_due(self, things: Iterable[Hashable]) -> float | None:
        """Return the tick at which to ask for any of these things, or to give it up."""
        due = min((self._pace(thing).due for thing in things), default=None)
        if due is None or self._asked is None:
            return due
        return max(due, self._patient_until)

    def _has_outlived(self, thing: Hashable) -> bool:
        """Tell whether the gateway was heard when it had had the time to answer the last try."""
        return self._heard_at >= self._tried_at.get(thing, 0.0) + PATIENCE

    def _pace(self, thing: Hashable) -> Pace:
        return self._paces.setdefault(thing, Pace())
