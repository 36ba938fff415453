"""Verifies the proofs of sealed readings beside everything else (PROTOCOL 13.1, 17.3).

A proof takes milliseconds, so that whoever sends many of them, or wrong ones, would slow down the
others. Here few proofs are verified at a time, by threads of their own (libsodium lets go of the
interpreter); senders take turns; and who sends wrong ones is not listened to for a while. What is
not examined for such a reason is refused as *quota*, or held where its channel only observes. An
envelope that waits here was PUBACKed and is in memory only: if it is lost, its sender sends it
again, as it has heard no *held*.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog

from device_sdk.wire.topics import Topics
from gateway.decide import Decision, decide_examined
from gateway.deliver import Errand
from gateway.effects import Effects
from gateway.fault_points import reached
from gateway.keeper import Keeper
from gateway.link.port import Arrival
from gateway.metrics import Metrics
from gateway.proof_queue import ProofQueue, Waiting
from gateway.reading_rule import Examined, Question
from gateway.store.records import MessageKey
from gateway.suspicion import SUSPENSION, Suspicion

WORKERS = 1
"""Threads: a second one would take the core on which everything else is done."""
_BATCH = 256
"""Decisions that share a transaction."""

Verify = Callable[[Question, bytes], Examined]


def examine(question: Question, fleet_id: bytes) -> Examined:
    """Verify a proof. Whatever is wrong with it makes it a wrong one."""
    from device_sdk.proofs.errors import ProofError, ProofsNotInstalledError

    log = structlog.get_logger("gateway.examiner")
    try:
        # Only fleets that have rules for readings need what this loads.
        from device_sdk.proofs import sealed_reading

        sealed_reading.verify(question.header, question.digest, fleet_id, question.proof)
    except ProofError:
        return Examined.WRONG
    except ProofsNotInstalledError as error:
        log.error("proofs_not_verified", reason=str(error))
        return Examined.SKIPPED
    except Exception:
        # A verifier raises nothing else. If it does, somebody's bytes must not stop the gateway.
        log.exception("verifier_failed")
        return Examined.WRONG
    return Examined.RIGHT


class Examiner:
    """The proofs that wait, and what follows from them. One for the life of the service."""

    def __init__(
        self,
        keeper: Keeper,
        topics: Topics,
        carry_out: Callable[[Effects], Errand],
        metrics: Metrics,
        *,
        verify: Verify = examine,
    ) -> None:
        self._keeper, self._topics, self._carry_out = keeper, topics, carry_out
        self._metrics, self._verify = metrics, verify
        self._queue, self._suspicion = ProofQueue(), Suspicion()
        self._known: dict[MessageKey, bytes] = {}
        """Digests of what waits, is being verified, or is being decided."""
        self._examined: list[tuple[Waiting, Examined]] = []
        self._has_work, self._has_results = asyncio.Event(), asyncio.Event()
        self._log = structlog.get_logger("gateway.examiner")

    def ask(self, arrival: Arrival, question: Question) -> None:
        """Take a question; it is answered by what the message leads to."""
        if self._known.get(question.key) == question.digest:
            return  # sent again meanwhile
        waiting = Waiting(arrival, question)
        if question.key in self._known or question.key.sender in self._suspicion.suspended:
            self._conclude(waiting, Examined.SKIPPED)
        elif self._suspicion.is_spoilt(question):
            self._conclude(waiting, Examined.WRONG)
        else:
            self._known[question.key] = question.digest
            for other in self._queue.add(waiting):
                self._conclude(other, Examined.SKIPPED)
            self._has_work.set()

    async def run(self) -> None:
        """Verify and decide until cancelled."""
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="sealgate-proof") as pool:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._decide())
                for _ in range(WORKERS):
                    tasks.create_task(self._work(pool))

    async def _work(self, pool: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._queue:
                self._has_work.clear()
                await self._has_work.wait()
            waiting, fleet_id = self._queue.next(), self._keeper.pin.fleet_id
            reached("proof-waiting")
            examined = await loop.run_in_executor(pool, self._verify, waiting.question, fleet_id)
            self._conclude(waiting, examined)
            if examined is Examined.WRONG:
                self._note_wrong(waiting.question)

    def _conclude(self, waiting: Waiting, examined: Examined) -> None:
        self._examined.append((waiting, examined))
        self._has_results.set()

    # While one batch is written to the disk, the next proofs are verified.

    async def _decide(self) -> None:
        while True:
            while not self._examined:
                self._has_results.clear()
                await self._has_results.wait()
            batch, self._examined = self._examined[:_BATCH], self._examined[_BATCH:]
            for decision in await self._write(batch):
                self._follow(decision)
            for waiting, _ in batch:
                key, digest = waiting.question.key, waiting.question.digest
                if self._known.get(key) == digest:
                    del self._known[key]

    async def _write(self, batch: list[tuple[Waiting, Examined]]) -> list[Decision]:
        return await self._keeper.write(
            lambda tx: [
                decide_examined(tx, waiting.arrival, self._topics, self._keeper.situation, examined)
                for waiting, examined in batch
            ]
        )

    def _follow(self, decision: Decision) -> None:
        if decision.done:
            reached(f"{decision.done}-committed")
        if decision.log:
            self._log.info(**decision.log)
        self._metrics.note(decision)
        self._carry_out(decision.effects)

    # Who sends wrong proofs.

    def _note_wrong(self, question: Question) -> None:
        loop = asyncio.get_running_loop()
        if not self._suspicion.note_wrong(question, loop.time()):
            return
        sender = question.key.sender
        self._log.warning("proofs_suspended", device=sender, seconds=int(SUSPENSION))
        self._keeper.suspend(self._suspicion.suspended)
        loop.call_later(SUSPENSION + 0.01, self._pardon)
        for waiting in self._queue.drop(sender):
            self._conclude(waiting, Examined.SKIPPED)

    def _pardon(self) -> None:
        if self._suspicion.pardon(asyncio.get_running_loop().time()):
            self._keeper.suspend(self._suspicion.suspended)
