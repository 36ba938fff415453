"""What is behind the broker, with an examiner whose proofs a test says are right or wrong."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from device_sdk.wire.limits import DAY
from device_sdk.wire.reading_policy import REQUIRE
from device_sdk.wire.roster_page import ChannelEntry
from gateway import admit
from gateway.decide import Decision, decide
from gateway.deliver import Errand
from gateway.effects import Effects
from gateway.examiner import Examiner
from gateway.link.port import Arrival
from gateway.metrics import Metrics
from gateway.parts import Parts
from gateway.reading_rule import Examined, Question
from gateway.store.records import Message
from tests.support.envelopes import NOW, TOPICS, Fleet, SealedMessage
from tests.support.mailroom import key_of
from tests.support.readings import CELLAR, PROOF_SIZE, committed, rule
from tests.unit.gateway.edges import open_parts

RIGHT, WRONG = b"\1" * PROOF_SIZE, b"\2" * PROOF_SIZE
PATIENCE = 20.0


class Clerk:
    """Takes a proof for right if it says so; looks at none before the test lets it."""

    def __init__(self, news: Callable[[], object]) -> None:
        self.asked: list[Question] = []
        self.free = threading.Event()
        self.free.set()
        self._news = news

    def __call__(self, question: Question, fleet_id: bytes) -> Examined:
        self.asked.append(question)
        self._news()
        assert self.free.wait(PATIENCE)
        return Examined.RIGHT if question.proof == RIGHT else Examined.WRONG

    @property
    def messages(self) -> list[bytes]:
        return [question.key.message_id for question in self.asked]


class Counter:
    """What is behind the broker, an examiner with a `Clerk`, and what it let be carried out."""

    def __init__(self, fleet: Fleet, parts: Parts) -> None:
        self.fleet, self.parts, self.keeper = fleet, parts, parts.keeper
        self.metrics = Metrics()
        self.told: list[tuple[str, str]] = []
        """Message ids in hex with the event or the reason that their sender was told."""
        self._news = asyncio.Event()
        loop = asyncio.get_running_loop()
        self.clerk = Clerk(lambda: loop.call_soon_threadsafe(self._news.set))
        self.examiner = Examiner(
            self.keeper, TOPICS, self._carry_out, self.metrics, verify=self.clerk
        )

    def _carry_out(self, effects: Effects) -> Errand:
        for tell in effects.tell:
            event = tell.event
            self.told.append((event.message_id.hex(), event.word or str(event.kind)))
        self._news.set()
        return self.parts.carry_out(effects)

    def seal(
        self, sender: str = "thermo", proof: bytes = RIGHT, message_id: bytes = b""
    ) -> SealedMessage:
        return self.fleet.seal(
            sender,
            ["hub"],
            channel=CELLAR,
            reading=committed(),
            expires=NOW + DAY,
            message_id=message_id,
            prove=lambda header, digest: proof,
        )

    async def arrive(self, *messages: SealedMessage) -> None:
        """Let envelopes arrive, as a session would."""
        for message in messages:
            arrival, decision = await self.decide(message)
            self.metrics.note(decision)
            self._carry_out(decision.effects)
            if decision.question is not None:
                self.examiner.ask(arrival, decision.question)

    async def decide(self, message: SealedMessage) -> tuple[Arrival, Decision]:
        """Decide about an envelope, and do nothing more."""
        arrival = Arrival(topic=message.topic, payload=message.data, retained=False)
        decision = await self.keeper.write(
            lambda tx: decide(tx, arrival, TOPICS, self.keeper.situation)
        )
        return arrival, decision

    @asynccontextmanager
    async def slow_disk(self) -> AsyncIterator[None]:
        """Keep the ledger busy meanwhile: nothing else is written."""
        done = threading.Event()
        writing = asyncio.ensure_future(self.keeper.write(lambda _: done.wait(PATIENCE)))
        await asyncio.sleep(0)  # it is the next one to be written
        try:
            yield
        finally:
            done.set()
            assert await writing

    async def until(self, holds: Callable[[], Any]) -> None:
        """Wait until something holds: it is looked at whenever anything happens."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self._news.clear()
                await self._news.wait()

    async def until_suspended(self, sender: str) -> None:
        """Wait until no proof of a sender is looked at: the examiner says nothing when it is."""
        async with asyncio.timeout(PATIENCE):
            while sender not in self.keeper.situation.suspended:  # noqa: ASYNC110 - as it says
                await asyncio.sleep(0)

    async def answers(self, *messages: SealedMessage) -> list[str]:
        """Wait until each of these messages is answered, and return what its sender heard first."""
        ids = [message.message_id.hex() for message in messages]
        await self.until(lambda: set(ids) <= {told for told, _ in self.told})
        return [next(word for told, word in self.told if told == one) for one in ids]

    async def row(self, message: SealedMessage) -> Message | None:
        return await self.keeper.read(lambda tx: tx.message(key_of(message)))

    async def new_roster(self) -> None:
        """Take the owner's next roster, as it is found in a bundle."""
        head, pages = self.fleet.signed_roster()
        roster = await self.keeper.write(
            lambda tx: admit.take_roster(tx, head, pages, self.fleet.pin)
        )
        assert roster is not None
        self.keeper.take_roster(roster)


def set_rule(fleet: Fleet, mode: str) -> None:
    fleet.channels[CELLAR] = ChannelEntry(
        readers=("hub",), senders=("lock", "phone", "thermo"), lifetime=DAY, reading=rule(mode)
    )


@asynccontextmanager
async def open_counter(fleet: Fleet, directory: Path) -> AsyncIterator[Counter]:
    """Let an examiner work at a channel that requires readings."""
    set_rule(fleet, REQUIRE)
    async with open_parts(fleet, directory) as parts:
        parts.keeper.end_reconcile()
        counter = Counter(fleet, parts)
        running = asyncio.ensure_future(counter.examiner.run())
        try:
            yield counter
        finally:
            counter.clerk.free.set()
            running.cancel()
            await asyncio.wait([running])
