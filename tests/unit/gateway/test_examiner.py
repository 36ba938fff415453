"""Proofs are looked at beside everything else: in turns, within bounds, and not from everybody."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from device_sdk.wire.limits import DAY
from device_sdk.wire.reading_policy import OBSERVE, REQUIRE, ReadingPolicy
from device_sdk.wire.reasons import Reason
from device_sdk.wire.roster_page import ChannelEntry
from gateway import admit, examiner
from gateway.decide import decide
from gateway.deliver import Errand
from gateway.effects import Effects
from gateway.examiner import Examiner, is_proved
from gateway.link.port import Arrival
from gateway.metrics import Metrics
from gateway.parts import Parts
from gateway.reading_rule import Question
from gateway.store.records import Message
from tests.support.broker_double import BrokerDouble
from tests.support.envelopes import NOW, TOPICS, Fleet, SealedMessage
from tests.support.mailroom import key_of
from tests.support.readings import CELLAR, POLICY, committed, prover, rule
from tests.unit.gateway.edges import open_parts

RIGHT, WRONG = b"right", b"wrong"
PATIENCE = 20.0


class Clerk:
    """Takes a proof for right if it says so; looks at none before the test lets it."""

    def __init__(self, news: Callable[[], object]) -> None:
        self.asked: list[Question] = []
        self.free = threading.Event()
        self.free.set()
        self._news = news

    def __call__(self, question: Question, fleet_id: bytes) -> bool:
        self.asked.append(question)
        self._news()
        assert self.free.wait(PATIENCE)
        return question.proof == RIGHT

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
            arrival = Arrival(topic=message.topic, payload=message.data, retained=False)
            decision = await self.keeper.write(
                lambda tx, arrival=arrival: decide(tx, arrival, TOPICS, self.keeper.situation)  # type: ignore[misc]
            )
            self._carry_out(decision.effects)
            if decision.question is not None:
                self.examiner.ask(arrival, decision.question)

    async def until(self, holds: Callable[[], Any]) -> None:
        """Wait until something holds: it is looked at whenever anything happens."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self._news.clear()
                await self._news.wait()

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


@pytest.fixture
async def counter(fleet: Fleet, tmp_path: Path) -> AsyncIterator[Counter]:
    set_rule(fleet, REQUIRE)
    async with open_parts(fleet, tmp_path) as parts:
        parts.keeper.end_reconcile()
        counter = Counter(fleet, parts)
        running = asyncio.ensure_future(counter.examiner.run())
        yield counter
        counter.clerk.free.set()
        running.cancel()
        await asyncio.wait([running])


def set_rule(fleet: Fleet, mode: str) -> None:
    fleet.channels[CELLAR] = ChannelEntry(
        readers=("hub",), senders=("lock", "phone", "thermo"), lifetime=DAY, reading=rule(mode)
    )


# ------------------------------ one message


async def test_a_reading_is_held_once_its_proof_was_found_right(counter: Counter) -> None:
    counter.clerk.free.clear()
    message = counter.seal()
    await counter.arrive(message)
    await counter.until(lambda: counter.clerk.messages == [message.message_id])
    assert (await counter.row(message), counter.told) == (None, [])
    counter.clerk.free.set()
    assert await counter.answers(message) == ["held"]
    assert await counter.row(message) is not None
    assert counter.clerk.messages == [message.message_id]
    assert counter.metrics.readings(CELLAR, "proved") == 1


async def test_a_reading_whose_proof_is_wrong_is_refused_and_leaves_nothing(
    counter: Counter,
) -> None:
    message = counter.seal(proof=WRONG)
    with capture_logs() as logs:
        await counter.arrive(message)
        assert await counter.answers(message) == ["proof-invalid"]
    assert await counter.row(message) is None
    assert counter.metrics.readings(CELLAR, "not-proved") == 1
    assert [(one["event"], one.get("reason")) for one in logs] == [("refused", "proof-invalid")]


async def test_an_observing_channel_holds_it_all_the_same_and_counts(
    fleet: Fleet, counter: Counter
) -> None:
    set_rule(fleet, OBSERVE)
    await counter.new_roster()
    message = counter.seal(proof=WRONG)
    await counter.arrive(message)
    assert await counter.answers(message) == ["held"]
    assert counter.metrics.readings(CELLAR, "not-proved") == 1


async def test_everything_else_goes_on_while_a_proof_is_looked_at(
    fleet: Fleet, counter: Counter
) -> None:
    counter.clerk.free.clear()
    message, other = counter.seal(), fleet.seal("thermo", ["hub"])
    await counter.arrive(message)
    await counter.until(lambda: counter.clerk.asked)
    await counter.arrive(other)
    assert await counter.answers(other) == ["held"]
    assert await counter.row(message) is None


async def test_the_same_envelope_twice_is_one_question(counter: Counter) -> None:
    counter.clerk.free.clear()
    first, second = counter.seal(), counter.seal()
    await counter.arrive(first, second)
    await counter.until(lambda: counter.clerk.asked)
    await counter.arrive(first, second)  # one of them is being looked at, the other one waits
    counter.clerk.free.set()
    assert await counter.answers(first, second) == ["held", "held"]
    assert counter.clerk.messages == [first.message_id, second.message_id]
    await counter.arrive(first)  # and now it is known
    await counter.until(lambda: len(counter.told) == 3)
    assert len(counter.clerk.asked) == 2


async def test_the_same_id_with_other_content_waits_for_nothing_and_is_not_held_either(
    counter: Counter,
) -> None:
    counter.clerk.free.clear()
    first = counter.seal()
    other = counter.seal(message_id=first.message_id)
    await counter.arrive(first, other)
    await counter.until(lambda: counter.told == [(first.message_id.hex(), "quota")])
    counter.clerk.free.set()
    await counter.until(lambda: len(counter.told) == 2)
    assert counter.told[1][1] == "held"
    row = await counter.row(first)
    assert row is not None
    assert row.digest == first.digest
    await counter.arrive(other)
    await counter.until(lambda: len(counter.told) == 3)
    assert counter.told[2][1] == "id-reused"


# ------------------------------ what has changed meanwhile


async def test_what_is_decided_goes_by_the_roster_of_then(fleet: Fleet, counter: Counter) -> None:
    counter.clerk.free.clear()
    message = counter.seal()
    await counter.arrive(message)
    await counter.until(lambda: counter.clerk.asked)
    newer = replace(POLICY, version=POLICY.version + 1)
    fleet.channels[CELLAR] = replace(fleet.channels[CELLAR], reading=rule(policy=newer))
    await counter.new_roster()
    counter.clerk.free.set()
    assert await counter.answers(message) == ["policy-changed"]
    assert await counter.row(message) is None


async def test_a_sender_that_was_revoked_meanwhile_is_refused(
    fleet: Fleet, counter: Counter
) -> None:
    counter.clerk.free.clear()
    message = counter.seal()
    await counter.arrive(message)
    await counter.until(lambda: counter.clerk.asked)
    fleet.revoke("thermo")
    await counter.new_roster()
    counter.clerk.free.set()
    assert await counter.answers(message) == ["sender-inactive"]
    assert await counter.row(message) is None


async def test_a_message_whose_connection_is_lost_meanwhile_is_held_and_goes_out_over_the_next(
    counter: Counter,
) -> None:
    counter.clerk.free.clear()
    message = counter.seal()
    first, second = BrokerDouble(), BrokerDouble()
    running = asyncio.ensure_future(counter.parts.deliverer.run(first))
    await counter.arrive(message)
    await counter.until(lambda: counter.clerk.asked)
    running.cancel()
    await asyncio.wait([running])
    counter.clerk.free.set()
    assert await counter.answers(message) == ["held"]
    running = asyncio.ensure_future(counter.parts.deliverer.run(second))
    async with asyncio.timeout(PATIENCE):
        ((topic, copy),) = await second.until(1)
    running.cancel()
    await asyncio.wait([running])
    assert topic == TOPICS.inbox("hub", "thermo", message.message_id)
    assert copy == message.copy("hub").encode()
    assert first.published == []


# ------------------------------ turns, and bounds


async def test_senders_take_turns_however_much_one_of_them_sends(counter: Counter) -> None:
    counter.clerk.free.clear()
    many = [counter.seal("thermo") for _ in range(4)]
    others = [counter.seal(name) for name in ("lock", "phone", "lock")]
    await counter.arrive(*many, *others)
    counter.clerk.free.set()
    await counter.answers(*many, *others)
    order = [question.key.sender for question in counter.clerk.asked]
    assert order == ["thermo", "thermo", "lock", "phone", "thermo", "lock", "thermo"]
    # Each sender's own come in the order in which they were sent.
    assert [one for one in counter.clerk.messages if one in {m.message_id for m in many}] == [
        message.message_id for message in many
    ]


async def test_what_is_too_much_of_one_sender_is_answered_quota_and_taken_later(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examiner, "MOST_OF_ONE", 2)
    counter.clerk.free.clear()
    first, *waiting, more = [counter.seal() for _ in range(4)]
    await counter.arrive(first)
    await counter.until(lambda: counter.clerk.asked)  # it waits no more, it is looked at
    await counter.arrive(*waiting, more)
    assert await counter.answers(more) == [Reason.QUOTA]
    other = counter.seal("lock")
    await counter.arrive(other)
    counter.clerk.free.set()
    assert await counter.answers(first, *waiting, other) == ["held"] * 4
    await counter.arrive(more)
    await counter.until(lambda: (more.message_id.hex(), "held") in counter.told)


@pytest.mark.parametrize("limit", ["MOST", "MOST_BYTES"])
async def test_what_is_too_much_of_all_is_answered_quota_and_taken_later(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    taken = [counter.seal(name) for name in ("thermo", "lock")]
    size = sum(len(message.data) for message in taken)
    monkeypatch.setattr(examiner, limit, 2 if limit == "MOST" else size)
    counter.clerk.free.clear()
    more = counter.seal("phone")
    await counter.arrive(*taken, more)
    assert await counter.answers(more) == [Reason.QUOTA]
    counter.clerk.free.set()
    assert await counter.answers(*taken) == ["held", "held"]
    await counter.arrive(more)
    await counter.until(lambda: (more.message_id.hex(), "held") in counter.told)
    # Nothing is counted twice, or for ever.
    await counter.arrive(*[counter.seal("phone") for _ in range(1)])
    await counter.until(lambda: counter.metrics.readings(CELLAR, "proved") == 4)


# ------------------------------ who sends wrong proofs


async def wrong_three_times(counter: Counter, sender: str = "thermo") -> None:
    for _ in range(3):
        message = counter.seal(sender, proof=WRONG)
        await counter.arrive(message)
        assert await counter.answers(message) == ["proof-invalid"]


async def test_who_sends_three_wrong_proofs_within_a_minute_is_not_listened_to_for_a_while(
    counter: Counter,
) -> None:
    with capture_logs() as logs:
        await wrong_three_times(counter)
    said = [one for one in logs if one["event"] == "proofs_suspended"]
    assert [one["device"] for one in said] == ["thermo"]
    message, other = counter.seal(), counter.seal("lock")
    await counter.arrive(message, other)
    assert await counter.answers(message, other) == ["quota", "held"]
    assert message.message_id not in counter.clerk.messages


async def test_what_waits_of_a_sender_is_answered_quota_when_it_is_suspended(
    counter: Counter,
) -> None:
    counter.clerk.free.clear()
    wrong = [counter.seal(proof=WRONG) for _ in range(3)]
    waiting, other = [counter.seal() for _ in range(3)], counter.seal("lock")
    await counter.arrive(*wrong, *waiting, other)
    counter.clerk.free.set()
    assert await counter.answers(*wrong, *waiting, other) == [
        *["proof-invalid"] * 3,
        *["quota"] * 3,
        "held",
    ]
    assert not {message.message_id for message in waiting} & {*counter.clerk.messages}


async def test_two_wrong_proofs_are_forgiven_and_so_are_those_that_are_long_apart(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sender in ("thermo", "lock"):
        for message in (counter.seal(sender, proof=WRONG) for _ in range(2)):
            await counter.arrive(message)
            await counter.answers(message)
    message = counter.seal()
    await counter.arrive(message)
    assert await counter.answers(message) == ["held"]
    monkeypatch.setattr(examiner, "WITHIN", 0.0)
    await wrong_three_times(counter)
    message = counter.seal()
    await counter.arrive(message)
    assert await counter.answers(message) == ["held"]


async def test_a_suspended_sender_is_pardoned_and_may_err_again(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examiner, "SUSPENSION", 0.0)
    await wrong_three_times(counter)
    async with asyncio.timeout(PATIENCE):
        while counter.keeper.situation.suspended:  # noqa: ASYNC110 - the loop's own timer ends it
            await asyncio.sleep(0)
    monkeypatch.setattr(examiner, "SUSPENSION", 60.0)
    for proof, answer in ((WRONG, "proof-invalid"), (WRONG, "proof-invalid"), (RIGHT, "held")):
        message = counter.seal(proof=proof)
        await counter.arrive(message)
        assert await counter.answers(message) == [answer]


async def test_a_suspension_outlasts_a_new_roster_and_a_tick_of_the_clock(
    counter: Counter,
) -> None:
    await wrong_three_times(counter)
    await counter.new_roster()
    await counter.keeper.tick()
    message = counter.seal()
    await counter.arrive(message)
    assert await counter.answers(message) == ["quota"]


# ------------------------------ the verifier


def question_of(fleet: Fleet, policy: ReadingPolicy = POLICY) -> Question:
    message = fleet.seal(
        "thermo",
        ["hub"],
        reading=committed(policy=policy),
        prove=prover(fleet.pin.fleet_id),
    )
    return Question(
        key=key_of(message),
        header=message.envelope.body.header,
        digest=message.digest,
        proof=message.envelope.proof,
    )


def test_a_proof_is_for_one_message_of_one_fleet(fleet: Fleet) -> None:
    question, fleet_id = question_of(fleet), fleet.pin.fleet_id
    assert is_proved(question, fleet_id)
    header = question.header
    others = [
        replace(question, proof=question_of(fleet).proof),
        replace(question, digest=bytes(32)),
        *(
            replace(question, header=changed)
            for changed in (
                replace(header, sender="lock"),
                replace(header, channel="attic"),
                replace(header, sequence=header.sequence + 1),
                replace(header, reading=committed(216)),
                replace(header, reading=committed(policy=replace(POLICY, version=8))),
                replace(header, reading=committed(policy=replace(POLICY, unit="kelvin"))),
                replace(header, reading=committed(policy=replace(POLICY, low=-401, high=1249))),
                replace(header, reading=None),
            )
        ),
        *(
            replace(question, proof=proof)
            for proof in (
                *(b"", question.proof[:-1], question.proof + b"\0", question.proof[32:]),
                *(bytes(len(question.proof)), b"\xff" * len(question.proof)),
            )
        ),
    ]
    assert [is_proved(other, fleet_id) for other in others] == [False] * len(others)
    assert not is_proved(question, bytes(16))


def test_every_byte_of_a_proof_counts(fleet: Fleet) -> None:
    fleet_id = fleet.pin.fleet_id
    question = question_of(fleet, replace(POLICY, low=215, high=216))
    assert is_proved(question, fleet_id)
    for position in range(len(question.proof)):
        changed = bytearray(question.proof)
        changed[position] ^= 1 << position % 8
        assert not is_proved(replace(question, proof=bytes(changed)), fleet_id), position


async def test_a_verifier_that_raises_is_a_refusal_and_the_examiner_goes_on(
    fleet: Fleet, counter: Counter
) -> None:
    honest = prover(fleet.pin.fleet_id)

    def verify(question: Question, fleet_id: bytes) -> bool:
        """Verify as the gateway does, what is no proof for the first message."""
        first = not counter.clerk.asked
        counter.clerk(question, fleet_id)
        broken = replace(question, proof=cast(bytes, None)) if first else question
        return is_proved(broken, fleet_id)

    counter.examiner._verify = verify
    bad, good = (
        fleet.seal(
            "thermo",
            ["hub"],
            channel=CELLAR,
            expires=NOW + DAY,
            reading=committed(),
            prove=honest,
        )
        for _ in range(2)
    )
    with capture_logs() as logs:
        await counter.arrive(bad, good)
        assert await counter.answers(bad, good) == ["proof-invalid", "held"]
    assert "verifier_failed" in [one["event"] for one in logs]
