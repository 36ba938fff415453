"""Proofs are looked at beside everything else: in turns, within bounds, and not from everybody."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

import device_sdk
from device_sdk.wire.limits import DAY
from device_sdk.wire.reading_policy import OBSERVE, REQUIRE, ReadingPolicy
from device_sdk.wire.reasons import Reason
from device_sdk.wire.roster_page import ChannelEntry
from gateway import admit, examiner, proof_queue, suspicion
from gateway.decide import Decision, decide
from gateway.deliver import Errand
from gateway.effects import Effects
from gateway.examiner import Examiner, examine
from gateway.link.port import Arrival
from gateway.metrics import Metrics
from gateway.parts import Parts
from gateway.reading_rule import Examined, Question
from gateway.store.records import Message
from tests.support.broker_double import BrokerDouble
from tests.support.envelopes import NOW, TOPICS, Fleet, SealedMessage
from tests.support.mailroom import key_of
from tests.support.readings import CELLAR, POLICY, PROOF_SIZE, committed, prover, rule
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
    monkeypatch.setattr(proof_queue, "MOST_OF_ONE", 2)
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


async def test_whoever_sends_most_makes_room_for_others(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter.clerk.free.clear()
    first, *waiting, last = [counter.seal() for _ in range(4)]
    await counter.arrive(first)
    await counter.until(lambda: counter.clerk.asked)
    room = sum(len(message.data) for message in (*waiting, last))
    monkeypatch.setattr(proof_queue, "MOST_BYTES", room)
    await counter.arrive(*waiting, last)
    assert counter.told == []
    other = counter.seal("lock")
    await counter.arrive(other)
    assert await counter.answers(last) == [Reason.QUOTA]
    counter.clerk.free.set()
    assert await counter.answers(first, *waiting, other) == ["held"] * 4
    assert last.message_id not in counter.clerk.messages


async def test_an_observing_channel_holds_what_there_is_no_room_for_and_counts(
    fleet: Fleet, counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_rule(fleet, OBSERVE)
    await counter.new_roster()
    monkeypatch.setattr(proof_queue, "MOST_BYTES", 0)
    message = counter.seal()
    await counter.arrive(message)
    assert await counter.answers(message) == ["held"]
    assert counter.clerk.asked == []
    assert counter.metrics.readings(CELLAR, "not-examined") == 1


# ------------------------------ beside the disk


async def test_the_next_proofs_are_looked_at_while_the_first_message_is_written(
    counter: Counter,
) -> None:
    counter.clerk.free.clear()
    messages = [counter.seal(sender) for sender in ("thermo", "lock", "thermo", "phone")]
    arrival, decision = await counter.decide(messages[0])
    assert decision.question is not None
    await counter.arrive(*messages)
    async with counter.slow_disk():
        counter.clerk.free.set()
        await counter.until(lambda: len(counter.clerk.asked) == len(messages))
        counter.examiner.ask(arrival, decision.question)  # it comes again meanwhile
        assert counter.told == []
    assert await counter.answers(*messages) == ["held"] * 4
    assert len(counter.clerk.asked) == len(counter.told) == 4


async def test_what_was_found_before_its_sender_was_suspended_counts_although_it_is_written_later(
    counter: Counter,
) -> None:
    counter.clerk.free.clear()
    right, wrong = counter.seal(), [counter.seal(proof=WRONG) for _ in range(3)]
    await counter.arrive(right, *wrong)
    async with counter.slow_disk():
        counter.clerk.free.set()
        await counter.until_suspended("thermo")
        assert counter.told == []
    assert await counter.answers(right, *wrong) == ["held", *["proof-invalid"] * 3]


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


async def test_an_observing_channel_holds_what_a_suspended_sender_sends_and_counts(
    fleet: Fleet, counter: Counter
) -> None:
    set_rule(fleet, OBSERVE)
    await counter.new_roster()
    counter.clerk.free.clear()
    wrong, waiting = [counter.seal(proof=WRONG) for _ in range(3)], counter.seal()
    await counter.arrive(*wrong, waiting)
    counter.clerk.free.set()
    await counter.until_suspended("thermo")
    late = counter.seal()
    await counter.arrive(late)
    assert await counter.answers(*wrong, waiting, late) == ["held"] * 5
    assert len(counter.clerk.asked) == 3
    assert counter.metrics.readings(CELLAR, "not-proved") == 3
    assert counter.metrics.readings(CELLAR, "not-examined") == 2


async def test_what_was_decided_before_a_suspension_and_is_asked_after_it_is_not_looked_at(
    counter: Counter,
) -> None:
    message = counter.seal(proof=WRONG)
    arrival, decision = await counter.decide(message)
    assert decision.question is not None
    await wrong_three_times(counter)
    counter.examiner.ask(arrival, decision.question)
    assert await counter.answers(message) == ["quota"]
    assert message.message_id not in counter.clerk.messages


async def test_the_same_wrong_bytes_again_are_answered_again_and_count_as_one(
    counter: Counter,
) -> None:
    wrong = counter.seal(proof=WRONG)
    for count in range(1, 5):
        await counter.arrive(wrong)
        await counter.until(lambda count=count: len(counter.told) == count)  # type: ignore[misc]
    assert {word for _, word in counter.told} == {"proof-invalid"}
    assert counter.clerk.messages == [wrong.message_id]
    good = counter.seal()
    await counter.arrive(good)
    assert await counter.answers(good) == ["held"]


async def test_a_message_that_came_with_a_wrong_proof_is_held_once_it_comes_with_its_own(
    counter: Counter,
) -> None:
    message = counter.seal()
    changed = replace(message, envelope=replace(message.envelope, proof=WRONG))
    await counter.arrive(changed)
    assert await counter.answers(message) == ["proof-invalid"]
    await counter.arrive(message)
    await counter.until(lambda: (message.message_id.hex(), "held") in counter.told)


async def test_two_wrong_proofs_are_forgiven(counter: Counter) -> None:
    for sender in ("thermo", "lock"):
        for message in (counter.seal(sender, proof=WRONG) for _ in range(2)):
            await counter.arrive(message)
            await counter.answers(message)
    message = counter.seal()
    await counter.arrive(message)
    assert await counter.answers(message) == ["held"]


async def test_a_suspended_sender_is_pardoned_and_may_err_again(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (examiner, suspicion):
        monkeypatch.setattr(module, "SUSPENSION", 0.0)
    await wrong_three_times(counter)
    async with asyncio.timeout(PATIENCE):
        while counter.keeper.situation.suspended:  # noqa: ASYNC110 - the loop's own timer ends it
            await asyncio.sleep(0)
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
    assert examine(question, fleet_id) is Examined.RIGHT
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
    assert {examine(other, fleet_id) for other in others} == {Examined.WRONG}
    assert examine(question, bytes(16)) is Examined.WRONG


def test_every_byte_of_a_proof_counts(fleet: Fleet) -> None:
    fleet_id = fleet.pin.fleet_id
    question = question_of(fleet, replace(POLICY, low=215, high=216))
    assert examine(question, fleet_id) is Examined.RIGHT
    for position in range(len(question.proof)):
        changed = bytearray(question.proof)
        changed[position] ^= 1 << position % 8
        spoilt = replace(question, proof=bytes(changed))
        assert examine(spoilt, fleet_id) is Examined.WRONG, position


async def test_a_verifier_that_raises_is_a_refusal_and_the_examiner_goes_on(
    fleet: Fleet, counter: Counter
) -> None:
    honest = prover(fleet.pin.fleet_id)

    def verify(question: Question, fleet_id: bytes) -> Examined:
        """Verify as the gateway does, what is no proof for the first message."""
        first = not counter.clerk.asked
        counter.clerk(question, fleet_id)
        broken = replace(question, proof=cast(bytes, None)) if first else question
        return examine(broken, fleet_id)

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


async def test_without_the_library_nothing_is_examined_and_the_operator_hears_of_it(
    fleet: Fleet, counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = fleet.seal(
        "thermo",
        ["hub"],
        channel=CELLAR,
        expires=NOW + DAY,
        reading=committed(),
        prove=prover(fleet.pin.fleet_id),
    )
    for name in [name for name in sys.modules if name.startswith("device_sdk.proofs")]:
        monkeypatch.delitem(sys.modules, name)  # as if nothing had been loaded yet
    monkeypatch.delattr(device_sdk, "proofs")
    monkeypatch.setitem(sys.modules, "rbcl", None)
    counter.examiner._verify = examine
    with capture_logs() as logs:
        await counter.arrive(message)
        assert await counter.answers(message) == ["quota"]
    (said,) = [one for one in logs if one["log_level"] == "error"]
    assert said["event"] == "proofs_not_verified"
    assert "sealgate[proofs]" in said["reason"]
