"""Verifies the proofs of sealed readings beside everything else (PROTOCOL 13.1, 17.3).

A proof takes milliseconds, so that whoever sends many of them, or wrong ones, would slow down the
others. Here few proofs are verified at a time, by threads of their own (libsodium lets go of the
interpreter); senders take turns; what is too much is answered *quota*; and who sends wrong ones is
not listened to for a while. An envelope that waits here was PUBACKed and is in memory only: if it
is lost, its sender sends it again, as it has heard no *held*.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import structlog

from device_sdk.proofs import sealed_reading
from device_sdk.proofs.errors import ProofError
from device_sdk.wire.reasons import Reason
from device_sdk.wire.topics import Topics
from gateway import events
from gateway.decide import Decision, decide_examined
from gateway.deliver import Errand
from gateway.effects import Effects, Tell
from gateway.fault_points import reached
from gateway.keeper import Keeper
from gateway.link.port import Arrival
from gateway.logs import short_id
from gateway.metrics import Metrics
from gateway.reading_rule import Question
from gateway.store.records import MessageKey

WORKERS = 1
"""Threads: a second one would take the core on which everything else is done."""
MOST_OF_ONE, MOST = 64, 1024
"""Envelopes that wait, of one sender and of all."""
MOST_BYTES = 64 * 1024 * 1024
STRIKES, WITHIN, SUSPENSION = 3, 60.0, 60.0
"""So many wrong proofs within so many seconds, and for how long nothing is heard afterwards."""

Verify = Callable[[Question, bytes], bool]


def is_proved(question: Question, fleet_id: bytes) -> bool:
    """Verify a proof; whatever is wrong with it is a refusal."""
    try:
        sealed_reading.verify(question.header, question.digest, fleet_id, question.proof)
    except ProofError:
        return False
    except Exception:  # noqa: BLE001 - see below
        # A verifier raises nothing else. If it does, somebody's bytes must not stop the gateway.
        structlog.get_logger("gateway.examiner").exception("verifier_failed")
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Waiting:
    arrival: Arrival
    question: Question


class Examiner:
    """The proofs that wait, and who sent wrong ones. One for the life of the service."""

    def __init__(
        self,
        keeper: Keeper,
        topics: Topics,
        carry_out: Callable[[Effects], Errand],
        metrics: Metrics,
        *,
        verify: Verify = is_proved,
    ) -> None:
        self._keeper, self._topics, self._carry_out = keeper, topics, carry_out
        self._metrics, self._verify = metrics, verify
        self._queues: dict[str, deque[_Waiting]] = {}
        """By sender; whose turn is next stands first."""
        self._known: dict[MessageKey, bytes] = {}
        """Digests of what waits or is being verified."""
        self._bytes = 0
        self._strikes: dict[str, deque[float]] = {}
        self._wake = asyncio.Event()
        self._log = structlog.get_logger("gateway.examiner")

    def ask(self, arrival: Arrival, question: Question) -> None:
        """Take a question; it is answered by what the message leads to."""
        sender, size = question.key.sender, len(arrival.payload)
        if self._known.get(question.key) == question.digest:
            return  # sent again meanwhile
        queue = self._queues.get(sender, ())
        if (
            len(queue) >= MOST_OF_ONE
            or len(self._known) >= MOST
            or self._bytes + size > MOST_BYTES
            or question.key in self._known
        ):
            self._refuse([question])
            return
        self._known[question.key] = question.digest
        self._bytes += size
        self._queues.setdefault(sender, deque()).append(_Waiting(arrival, question))
        self._wake.set()

    async def run(self) -> None:
        """Verify until cancelled."""
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="sealgate-proof") as pool:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(WORKERS):
                    tasks.create_task(self._work(pool))

    async def _work(self, pool: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._queues:
                self._wake.clear()
                await self._wake.wait()
            waiting = self._next()
            question, fleet_id = waiting.question, self._keeper.pin.fleet_id
            reached("proof-waiting")
            try:
                proved = await loop.run_in_executor(pool, self._verify, question, fleet_id)
                await self._decide(waiting, proved=proved)
            finally:
                self._forget(waiting)

    def _next(self) -> _Waiting:
        """Take the next question of the sender whose turn it is, who then stands last."""
        sender = next(iter(self._queues))
        queue = self._queues.pop(sender)
        waiting = queue.popleft()
        if queue:
            self._queues[sender] = queue
        return waiting

    def _forget(self, waiting: _Waiting) -> None:
        self._known.pop(waiting.question.key, None)
        self._bytes -= len(waiting.arrival.payload)

    async def _decide(self, waiting: _Waiting, *, proved: bool) -> None:
        decision = await self._keeper.write(
            lambda tx: decide_examined(
                tx, waiting.arrival, self._topics, self._keeper.situation, proved=proved
            )
        )
        if decision.done:
            reached(f"{decision.done}-committed")
        self._carry_out_decision(decision)
        if not proved:
            self._strike(waiting.question.key.sender)

    def _carry_out_decision(self, decision: Decision) -> None:
        if decision.log:
            self._log.info(**decision.log)
        self._metrics.note(decision)
        self._carry_out(decision.effects)

    # Who sends wrong proofs.

    def _strike(self, sender: str) -> None:
        now = asyncio.get_running_loop().time()
        strikes = self._strikes.setdefault(sender, deque(maxlen=STRIKES))
        strikes.append(now)
        if len(strikes) < STRIKES or strikes[0] < now - WITHIN:
            return
        self._log.warning("proofs_suspended", device=sender, seconds=int(SUSPENSION))
        del self._strikes[sender]
        self._keeper.suspend(self._keeper.situation.suspended | {sender})
        asyncio.get_running_loop().call_later(SUSPENSION, partial(self._pardon, sender))
        waiting = self._queues.pop(sender, ())
        for one in waiting:
            self._forget(one)
        self._refuse([one.question for one in waiting])

    def _pardon(self, sender: str) -> None:
        self._keeper.suspend(self._keeper.situation.suspended - {sender})

    def _refuse(self, questions: list[Question]) -> None:
        for question in questions:
            self._log.debug("proof_not_looked_at", message=short_id(question.key.message_id))
        tells = tuple(
            Tell(
                device=question.key.sender,
                event=events.refused(question.key, question.digest, Reason.QUOTA),
            )
            for question in questions
        )
        if tells:
            self._metrics.refused(Reason.QUOTA, len(tells))
            self._carry_out(Effects(tell=tells))
