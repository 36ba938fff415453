"""Who sends wrong proofs is not listened to for a while."""

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from device_sdk.wire.reading_policy import OBSERVE
from gateway import examiner, suspicion
from tests.support.envelopes import Fleet
from tests.support.readings import CELLAR
from tests.unit.gateway.counter import PATIENCE, RIGHT, WRONG, Counter, set_rule


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
