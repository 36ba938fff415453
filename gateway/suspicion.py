"""Who sent proofs that did not verify, and is not listened to for a while. No clock of its own.

A message that was found to be wrong comes again, as its sender may put it down to damage on the
way. It is known then: it is answered as before, and is no second wrong one.
"""

import hashlib
from collections import OrderedDict, deque

from gateway.reading_rule import Question

STRIKES, WITHIN, SUSPENSION = 3, 60.0, 60.0
"""So many wrong proofs within so many seconds, and for how long nothing is heard afterwards."""
_MOST_SPOILT = 4096
"""Wrong envelopes that are remembered, 32 bytes each; the oldest are forgotten first."""


class Suspicion:
    """Strikes, suspensions, and the wrong envelopes themselves. Ticks are seconds, monotonic."""

    def __init__(self) -> None:
        self._strikes: dict[str, deque[float]] = {}
        self._until: dict[str, float] = {}
        self._spoilt: OrderedDict[bytes, None] = OrderedDict()

    @property
    def suspended(self) -> frozenset[str]:
        """Who is not listened to."""
        return frozenset(self._until)

    def is_spoilt(self, question: Question) -> bool:
        """Tell whether these very bytes were found to be wrong before."""
        return _mark(question) in self._spoilt

    def note_wrong(self, question: Question, tick: float) -> bool:
        """Take note of a wrong proof; tell whether its sender is suspended now."""
        self._spoilt[_mark(question)] = None
        while len(self._spoilt) > _MOST_SPOILT:
            self._spoilt.popitem(last=False)
        sender = question.key.sender
        strikes = self._strikes.setdefault(sender, deque(maxlen=STRIKES))
        strikes.append(tick)
        if len(strikes) < STRIKES or strikes[0] < tick - WITHIN:
            return False
        del self._strikes[sender]
        self._until[sender] = tick + SUSPENSION
        return True

    def pardon(self, tick: float) -> bool:
        """End the suspensions whose time is over; tell whether there were any."""
        over = [sender for sender, until in self._until.items() if until <= tick]
        for sender in over:
            del self._until[sender]
        for sender, strikes in list(self._strikes.items()):
            if strikes[-1] < tick - WITHIN:
                del self._strikes[sender]
        return bool(over)


def _mark(question: Question) -> bytes:
    key = question.key
    parts = (key.sender.encode(), key.message_id, question.digest, question.proof)
    return hashlib.sha256(b"\0".join(parts)).digest()
