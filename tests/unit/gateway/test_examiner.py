"""Proofs are looked at beside everything else, in turns, and what follows is written."""

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from device_sdk.wire.reading_policy import OBSERVE
from device_sdk.wire.reasons import Reason
from gateway import proof_queue
from tests.support.broker_double import BrokerDouble
from tests.support.envelopes import TOPICS, Fleet
from tests.support.readings import CELLAR, POLICY, rule
from tests.unit.gateway.counter import PATIENCE, WRONG, Counter, set_rule

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
    await counter.arrive(first)  # it still waits, and is one question
    counter.clerk.free.set()
    await counter.until(lambda: len(counter.told) == 2)
    assert counter.told[1][1] == "held"
    assert len(counter.clerk.asked) == 1
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
