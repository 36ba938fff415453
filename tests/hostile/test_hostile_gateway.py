"""Findings of a hostile review: the gateway's side. Each of these fails today."""
# mypy: ignore-errors
# ruff: noqa: ASYNC110, PT012, PTH211

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from device_sdk.proofs import pedersen, sealed_reading
from device_sdk.readings import CONTENT_TYPE, encode
from device_sdk.seal import CommittedReading, Sealed, WrapTarget, new_message_id, seal
from device_sdk.wire.envelope import Envelope
from device_sdk.wire.limits import DAY
from device_sdk.wire.reading_policy import OBSERVE, REQUIRE, Committed, ReadingPolicy, ReadingRule
from device_sdk.wire.reasons import Reason
from device_sdk.wire.roster_page import ChannelEntry
from device_sdk.wire.suites import load_wrap_key
from gateway import examiner as examining
from gateway.adopt import judge_retained
from gateway.decide import decide
from gateway.effects import Effects
from gateway.examiner import Examiner
from gateway.hold import Holding, take_in
from gateway.link.port import Arrival
from gateway.metrics import Metrics
from gateway.owner.reading_rules import RuleWish, _policy
from gateway.parts import Parts
from gateway.reading_rule import Question
from gateway.store.records import MessageKey
from tests.support.envelopes import NOW, TOPICS, Fleet
from tests.support.mailroom import open_mailroom
from tests.unit.gateway.edges import open_parts

POLICY = ReadingPolicy(version=1, unit="celsius", exponent=-1, mantissa=1, low=-400, high=1250)
SENDERS = tuple(f"s{i:02}" for i in range(17))


@pytest.fixture
def fleet() -> Fleet:
    fleet = Fleet()
    fleet.admit("hub", "phone", *SENDERS)
    give_rule(fleet, OBSERVE)
    return fleet


def give_rule(fleet: Fleet, mode: str, policy: ReadingPolicy = POLICY) -> None:
    fleet.channels["cellar"] = ChannelEntry(
        readers=("hub", "phone"),
        senders=SENDERS,
        lifetime=DAY,
        reading=ReadingRule(mode=mode, policy=policy),
    )


def reading(
    fleet: Fleet,
    sender: str,
    *,
    readers: tuple[str, ...] = ("hub",),
    payload: bytes = b"",
    proof: bytes | None = None,
    channel: str = "cellar",
) -> Sealed:
    blinding = pedersen.random_blinding()

    def prove(header, digest):  # type: ignore[no-untyped-def]
        if proof is not None:
            return proof
        return sealed_reading.prove(
            header, digest, fleet.pin.fleet_id, steps=215, blinding=blinding
        )

    return seal(
        payload or encode(215, blinding),
        recipients=[
            WrapTarget(reader=name, key=load_wrap_key(fleet.members[name].reader_spki))
            for name in readers
        ],
        sender=sender,
        signer=fleet.members[sender].identity,
        aad=fleet.pin.aad,
        content_type=CONTENT_TYPE,
        channel=channel,
        issued=NOW,
        expires=NOW + DAY,
        sequence=1,
        reading=CommittedReading(
            message_id=new_message_id(),
            committed=Committed(policy=POLICY, commitment=pedersen.commit(215, blinding)),
            prove=prove,
        ),
    )


def arrival_of(sealed: Sealed) -> Arrival:
    topic = TOPICS.send(sealed.header.sender, sealed.message_id)
    return Arrival(topic=topic, payload=sealed.envelope, retained=False, token=0)


def told(given: list[Effects]) -> list[tuple[str, str, str]]:
    return [(t.device, str(t.event.kind), t.event.word) for one in given for t in one.tell]


async def asked(parts: Parts, examiner: Examiner, sealed: Sealed) -> None:
    arrival = arrival_of(sealed)
    keeper = parts.keeper
    decision = await keeper.write(lambda tx: decide(tx, arrival, TOPICS, keeper.situation))
    assert decision.question is not None
    examiner.ask(arrival, decision.question)


def idle_examiner(parts: Parts, given: list[Effects]) -> Examiner:
    """An examiner whose thread is busy: nothing that waits gets its turn."""
    return Examiner(parts.keeper, TOPICS, given.append, Metrics())  # type: ignore[arg-type]


async def test_sixteen_senders_do_not_keep_the_seventeenth_from_its_first_reading(
    fleet: Fleet, tmp_path: Path
) -> None:
    async with open_parts(fleet, tmp_path) as parts:
        given: list[Effects] = []
        examiner = idle_examiner(parts, given)
        for sender in SENDERS[:16]:
            one = reading(fleet, sender)  # all of them valid: nobody is ever suspended
            for _ in range(examining.MOST_OF_ONE):
                fill(examiner, sender, one)
        assert told(given) == []
        await asked(parts, examiner, reading(fleet, SENDERS[16]))
        assert told(given) == []


def fill(examiner: Examiner, sender: str, like: Sealed) -> None:
    message_id = os.urandom(16)
    envelope = Envelope.decode(like.envelope)
    examiner.ask(
        Arrival(
            topic=TOPICS.send(sender, message_id), payload=like.envelope, retained=False, token=0
        ),
        Question(
            key=MessageKey(sender, message_id),
            header=envelope.body.header,
            digest=os.urandom(32),
            proof=envelope.proof,
        ),
    )


async def test_a_channel_that_observes_refuses_nothing(fleet: Fleet, tmp_path: Path) -> None:
    """docs/zero-knowledge.md: "Its first mode is *observe*, which refuses nothing"."""
    import asyncio

    async with open_parts(fleet, tmp_path) as parts:
        given: list[Effects] = []
        examiner = idle_examiner(parts, given)
        for _ in range(3):
            await asked(parts, examiner, reading(fleet, "s00", proof=bytes(128 * 11 + 64)))
        task = asyncio.create_task(examiner.run())
        while not parts.keeper.situation.suspended:
            await asyncio.sleep(0.01)
        task.cancel()
        assert [kind for _, kind, _ in told(given)] == ["held"] * 3
        given.clear()
        arrival = arrival_of(reading(fleet, "s00"))
        decision = await parts.keeper.write(
            lambda tx: decide(tx, arrival, TOPICS, parts.keeper.situation)
        )
        assert decision.refused is None


async def test_a_proof_that_nobody_would_look_at_is_no_reason_to_refuse(
    fleet: Fleet, tmp_path: Path
) -> None:
    """PROTOCOL 17.3: "a message that has a reading ... to `direct` is not checked"."""
    async with open_parts(fleet, tmp_path) as parts:
        parts.keeper.suspend(frozenset({"s00"}))
        arrival = arrival_of(reading(fleet, "s00", channel="direct"))
        decision = await parts.keeper.write(
            lambda tx: decide(tx, arrival, TOPICS, parts.keeper.situation)
        )
        assert decision.refused is None


async def test_an_adopted_reading_is_completed_as_it_was_judged_when_it_came_first(
    fleet: Fleet, tmp_path: Path
) -> None:
    """PROTOCOL 17.3: "an adopted message (13.6) was judged when it came first"."""
    async with open_mailroom(fleet, tmp_path) as room:
        give_rule(fleet, REQUIRE)
        await room.new_roster()
        sealed = reading(fleet, "s00", readers=("hub", "phone"))
        # It was held by a ledger that is lost since; hub's copy stands at the broker.
        copy = next(
            c for c in Envelope.decode(sealed.envelope).copies() if c.reader.reader == "hub"
        )
        topic = TOPICS.parse(TOPICS.inbox("hub", "s00", sealed.message_id))
        await room.run(lambda tx: judge_retained(tx, topic, copy.encode(), room.situation))
        # Meanwhile the owner has changed the range.
        give_rule(fleet, REQUIRE, replace(POLICY, version=2, high=1000))
        await room.new_roster()
        send = TOPICS.parse(TOPICS.send("s00", sealed.message_id))
        held = await room.run(lambda tx: take_in(tx, send, sealed.envelope, room.situation))
        # Its sender was told `held`, keeps it, and sends it again and again until exp.
        assert held.holding is Holding.COMPLETED, held.reason


def test_figures_are_not_written_through_somebody_elses_link(tmp_path: Path) -> None:
    """Where a collector's directory is writable by others, as /tmp is."""
    victim, file = tmp_path / "victim", tmp_path / "metrics.prom"
    victim.write_text("precious")
    guess = f"{file}.{os.getpid()}.{threading.current_thread().ident}"
    os.symlink(victim, guess)
    Metrics(file).write()
    assert victim.read_text() == "precious"


def test_an_end_of_a_range_that_is_no_whole_step_is_refused_however_many_digits_it_has() -> None:
    from gateway.owner.errors import NotChangedError

    wish = RuleWish(unit="celsius", span="0..9." + "9" * 40)
    with pytest.raises(NotChangedError):
        policy = _policy(None, wish, 1)
        assert policy.high != 10, "rounded up without a word"


async def test_a_large_message_is_no_reading(fleet: Fleet, tmp_path: Path) -> None:
    """A reading has at most 44 bytes, so 272 of ciphertext: more need not wait for its proof."""
    async with open_mailroom(fleet, tmp_path) as room:
        sealed = reading(fleet, "s00", payload=bytes(262_144))
        topic = TOPICS.parse(TOPICS.send("s00", sealed.message_id))
        held = await room.run(lambda tx: take_in(tx, topic, sealed.envelope, room.situation))
        assert held.question is None, (
            f"{len(sealed.envelope)} bytes would wait, PUBACKed, in memory"
        )


async def test_one_spoilt_message_does_not_keep_a_devices_good_readings_waiting(
    fleet: Fleet, tmp_path: Path
) -> None:
    """`proof-invalid` is to be tried again, so its sender does, 5, 10 and 20 seconds later: three
    wrong proofs within a minute, of one message, and all others are refused for a minute."""
    import asyncio

    async with open_parts(fleet, tmp_path) as parts:
        given: list[Effects] = []
        examiner = idle_examiner(parts, given)
        give_rule(fleet, REQUIRE)
        parts.keeper.take_roster(fleet.roster())
        bad = reading(fleet, "s00", proof=bytes(128 * 11 + 64))
        task = asyncio.create_task(examiner.run())
        for count in (1, 2, 3):
            await asked(parts, examiner, bad)
            while len(told(given)) < count or (count == 3 and not parts.keeper.situation.suspended):
                await asyncio.sleep(0.01)
        task.cancel()
        assert told(given) == [("s00", "refused", Reason.PROOF_INVALID)] * 3
        arrival = arrival_of(reading(fleet, "s00"))
        decision = await parts.keeper.write(
            lambda tx: decide(tx, arrival, TOPICS, parts.keeper.situation)
        )
        assert decision.refused is None


async def test_who_is_suspended_stays_so_for_the_whole_minute(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Questions decided before a suspension and asked after it (one batch has 256) are verified
    all the same, suspend again, and the first pardon ends the second suspension early."""
    import asyncio

    monkeypatch.setattr(examining, "SUSPENSION", 0.6)
    async with open_parts(fleet, tmp_path) as parts:
        given: list[Effects] = []
        examiner = idle_examiner(parts, given)
        keeper = parts.keeper
        late = []
        for _ in range(3):
            sealed = reading(fleet, "s00", proof=bytes(128 * 11 + 64))
            arrival = arrival_of(sealed)
            decision = await keeper.write(
                lambda tx, arrival=arrival: decide(tx, arrival, TOPICS, keeper.situation)
            )
            late.append((arrival, decision.question))
        for _ in range(3):
            await asked(parts, examiner, reading(fleet, "s00", proof=bytes(128 * 11 + 64)))
        verified = []
        honest = examiner._verify
        examiner._verify = lambda q, f: (verified.append(q.key), honest(q, f))[1]
        task = asyncio.create_task(examiner.run())
        while not keeper.situation.suspended:
            await asyncio.sleep(0.01)
        verified.clear()
        for arrival, question in late:
            examiner.ask(arrival, question)
        await asyncio.sleep(0.3)
        task.cancel()
        assert verified == []
