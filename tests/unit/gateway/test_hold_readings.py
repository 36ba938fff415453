"""Readings are held once their proof was looked at; before, nothing is stored (PROTOCOL 13.1)."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from device_sdk.wire.limits import DAY
from device_sdk.wire.reading_policy import OBSERVE, REQUIRE, Committed, ReadingPolicy
from device_sdk.wire.reasons import Reason
from device_sdk.wire.roster_page import ChannelEntry
from gateway.hold import Holding
from gateway.lifecycle import MessageState
from gateway.reading_rule import Examined, Finding, Found
from gateway.situation import Limits
from tests.support.envelopes import NOW, Fleet, SealedMessage
from tests.support.mailroom import Mailroom, told_of
from tests.support.readings import CELLAR, POLICY, PROOF_SIZE, committed, rule

MARK = b"the proof of it "
PROOF = MARK * (PROOF_SIZE // len(MARK))


async def demand(room: Mailroom, mode: str = REQUIRE, policy: ReadingPolicy = POLICY) -> None:
    """Let the owner make the channel's rule."""
    room.fleet.channels[CELLAR] = ChannelEntry(
        readers=("hub", "phone"), senders=("thermo",), lifetime=DAY, reading=rule(mode, policy)
    )
    await room.new_roster()


def seal(
    fleet: Fleet,
    *readers: str,
    proof: bytes = PROOF,
    reading: Committed | None = None,
    channel: str = CELLAR,
    message_id: bytes = b"",
    expires: int = NOW + DAY,
    payload: bytes = b"21.5",
) -> SealedMessage:
    return fleet.seal(
        "thermo",
        readers or ("hub",),
        payload,
        channel=channel,
        reading=reading or committed(),
        message_id=message_id,
        expires=expires,
        prove=lambda header, digest: proof,
    )


def with_proof(message: SealedMessage, proof: bytes) -> bytes:
    return replace(message.envelope, proof=proof).encode()


# ------------------------------ what comes of it


async def test_a_reading_waits_until_its_proof_was_looked_at_and_nothing_is_stored(
    room: Mailroom,
) -> None:
    await demand(room)
    message = seal(room.fleet)
    asked = await room.send(message)
    assert asked.holding is Holding.UNPROVED
    assert told_of(asked.effects) == []
    assert asked.question is not None
    assert asked.question.proof == PROOF
    assert asked.question.digest == message.digest
    assert asked.question.header == message.envelope.body.header
    assert await room.row(message) is None
    assert not room.holds_bytes(message.message_id, message.digest, MARK)
    held = await room.send(message, examined=Examined.RIGHT)
    assert (held.holding, held.found) == (
        Holding.NEW,
        Found(channel=CELLAR, finding=Finding.PROVED),
    )
    assert told_of(held.effects) == ["held"]


async def test_no_copy_and_no_file_has_the_proof(room: Mailroom) -> None:
    await demand(room)
    message = seal(room.fleet, "hub", "phone")
    await room.send(message, examined=Examined.RIGHT)
    copies = await room.publish()
    assert len(copies) == 2
    assert not any(MARK in data for _, data in copies)
    assert not room.holds_bytes(MARK)


async def test_a_wrong_proof_refuses_the_message_and_leaves_nothing(room: Mailroom) -> None:
    await demand(room)
    message = seal(room.fleet)
    refused = await room.send(message, examined=Examined.WRONG)
    assert (refused.holding, refused.reason) == (Holding.REFUSED, Reason.PROOF_INVALID)
    assert refused.found == Found(channel=CELLAR, finding=Finding.NOT_PROVED)
    assert refused.effects.tell[0].event.digest == message.digest
    assert await room.row(message) is None
    assert not room.holds_bytes(message.message_id)
    # It was somebody on the way, perhaps: the sender's own bytes are taken afterwards.
    assert (await room.send(message, examined=Examined.RIGHT)).holding is Holding.NEW


async def test_what_is_no_reading_or_has_no_proof_is_refused_without_asking(
    room: Mailroom,
) -> None:
    await demand(room)
    other = room.fleet.seal("thermo", ["hub"], channel=CELLAR)
    assert (await room.send(other)).reason is Reason.READING_REQUIRED
    for proof in (b"", PROOF[:-1], PROOF + b"."):
        assert (await room.send(seal(room.fleet, proof=proof))).reason is Reason.PROOF_INVALID
    large = seal(room.fleet, payload=bytes(262_144))
    assert (await room.send(large)).reason is Reason.PROOF_INVALID
    older = committed(policy=replace(POLICY, version=1))
    assert (await room.send(seal(room.fleet, reading=older))).reason is Reason.POLICY_CHANGED


async def test_an_observing_channel_holds_whatever_was_found_and_says_what_it_was(
    room: Mailroom,
) -> None:
    await demand(room, OBSERVE)
    assert (await room.send(seal(room.fleet))).holding is Holding.UNPROVED
    newer = committed(policy=replace(POLICY, version=room.fleet.version + 1))
    older = committed(policy=replace(POLICY, version=1))
    sent = [
        (await room.send(seal(room.fleet), examined=Examined.RIGHT), Finding.PROVED),
        (await room.send(seal(room.fleet), examined=Examined.WRONG), Finding.NOT_PROVED),
        (await room.send(seal(room.fleet, proof=b"")), Finding.NOT_PROVED),
        (await room.send(seal(room.fleet, reading=older)), Finding.POLICY_CHANGED),
        (await room.send(seal(room.fleet, reading=newer)), Finding.POLICY_UNKNOWN),
        (await room.send(room.fleet.seal("thermo", ["hub"], channel=CELLAR)), Finding.ABSENT),
    ]
    for held, finding in sent:
        assert held.holding is Holding.NEW
        assert held.found == Found(channel=CELLAR, finding=finding)


@pytest.mark.parametrize("channel", ["direct", "air"])
async def test_where_nothing_is_demanded_no_proof_is_looked_at(
    room: Mailroom, channel: str
) -> None:
    room.fleet.channels["air"] = ChannelEntry(readers=("hub",), senders=("thermo",), lifetime=DAY)
    await room.new_roster()
    held = await room.send(seal(room.fleet, channel=channel))
    assert (held.holding, held.found) == (Holding.NEW, None)


# ------------------------------ the order of the checks

Wrong = Callable[[Mailroom, SealedMessage], object]


def over_quota(room: Mailroom, message: SealedMessage) -> None:
    room.change(limits=Limits(sender_messages=0))


def paused(room: Mailroom, message: SealedMessage) -> None:
    room.change(paused=True)


def expired(room: Mailroom, message: SealedMessage) -> None:
    room.change(now=NOW + 2 * DAY)


def too_large(room: Mailroom, message: SealedMessage) -> None:
    room.change(limits=Limits(max_payload=1, max_readers=0))


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (over_quota, Reason.QUOTA),
        (paused, Reason.PAUSED),
        (expired, Reason.EXPIRED),
        (too_large, Reason.TOO_LARGE),
    ],
)
async def test_whatever_else_is_wrong_is_said_before_the_proof_is_looked_at(
    room: Mailroom, wrong: Wrong, reason: Reason
) -> None:
    await demand(room)
    message = seal(room.fleet)
    wrong(room, message)
    for examined in (None, Examined.RIGHT):  # and again afterwards
        assert (await room.send(message, examined=examined)).reason is reason


async def test_a_signature_is_verified_before_a_proof(room: Mailroom) -> None:
    await demand(room)
    message = seal(room.fleet)
    signature = message.envelope.body.countersignature.signature
    data = message.data.replace(signature, bytes([signature[0] ^ 1]) + signature[1:])
    assert (await room.send(message, data)).reason is Reason.BAD_SIGNATURE


async def test_the_same_id_with_other_content_is_refused_before_its_proof_is_looked_at(
    room: Mailroom,
) -> None:
    await demand(room)
    first = seal(room.fleet)
    await room.send(first, examined=Examined.RIGHT)
    other = seal(room.fleet, message_id=first.message_id)
    for examined in (None, Examined.RIGHT):
        assert (await room.send(other, examined=examined)).reason is Reason.ID_REUSED


async def test_a_message_that_is_known_is_answered_whatever_proof_comes_with_it(
    room: Mailroom,
) -> None:
    await demand(room)
    message = seal(room.fleet)
    await room.send(message, examined=Examined.RIGHT)
    for data in (message.data, with_proof(message, bytes(PROOF_SIZE)), with_proof(message, b"")):
        again = await room.send(message, data)
        assert (again.holding, again.question, again.found) == (Holding.AGAIN, None, None)
    await room.publish()
    await room.ack(message, "hub")
    await room.clear_all()
    await room.seen(message)
    replayed = await room.send(message)
    assert (replayed.holding, replayed.question) == (Holding.FINISHED, None)


async def test_a_message_that_is_held_stays_so_when_the_rule_changes(room: Mailroom) -> None:
    message = room.fleet.seal("thermo", ["hub"])
    await room.send(message)
    await demand(room)
    assert (await room.send(message)).holding is Holding.AGAIN


@pytest.mark.parametrize("suspended", [frozenset(), frozenset({"thermo"})], ids=["heard", "not"])
async def test_a_partial_message_was_judged_when_it_came_first_and_is_completed_without_asking(
    room: Mailroom, suspended: frozenset[str]
) -> None:
    await demand(room)
    message = seal(room.fleet, "hub", "phone")
    await room.found(message, "hub")  # its copy, in another life of the ledger
    row = await room.row(message)
    assert row is not None
    assert row.state is MessageState.PARTIAL
    # Meanwhile the owner has changed the range, and its sender has fallen out of favour.
    await demand(room, policy=replace(POLICY, version=8, high=1000))
    room.situation = replace(room.situation, suspended=suspended)
    completed = await room.send(message)
    assert (completed.holding, completed.question) == (Holding.COMPLETED, None)
    assert completed.found is None
    row = await room.row(message)
    assert row is not None
    assert row.state is MessageState.HELD


async def test_a_partial_message_is_completed_by_its_own_envelope_only(room: Mailroom) -> None:
    await demand(room)
    message = seal(room.fleet, "hub", "phone")
    await room.found(message, "hub")
    other = seal(room.fleet, "hub", "phone", message_id=message.message_id)
    assert (await room.send(other)).reason is Reason.ID_REUSED


# ------------------------------ what is not examined


def suspend(room: Mailroom, *senders: str) -> None:
    room.situation = replace(room.situation, suspended=frozenset(senders))


async def test_no_proof_of_a_suspended_sender_is_looked_at_and_its_other_mail_is_taken(
    room: Mailroom,
) -> None:
    await demand(room)
    before, message = seal(room.fleet), seal(room.fleet)
    await room.send(before, examined=Examined.RIGHT)
    suspend(room, "thermo")
    for examined in (None, Examined.SKIPPED):
        refused = await room.send(message, examined=examined)
        assert (refused.holding, refused.reason) == (Holding.REFUSED, Reason.QUOTA)
        assert not Reason.QUOTA.final
    assert (await room.send(before)).holding is Holding.AGAIN
    assert (await room.send(room.fleet.seal("thermo", ["hub"]))).holding is Holding.NEW
    assert (await room.send(room.fleet.seal("lock", ["hub"]))).holding is Holding.NEW
    suspend(room)
    assert (await room.send(message)).holding is Holding.UNPROVED


@pytest.mark.parametrize("channel", ["direct", "air"])
async def test_a_suspended_sender_is_heard_where_nothing_is_demanded(
    room: Mailroom, channel: str
) -> None:
    room.fleet.channels["air"] = ChannelEntry(readers=("hub",), senders=("thermo",), lifetime=DAY)
    await demand(room)
    suspend(room, "thermo")
    held = await room.send(seal(room.fleet, channel=channel))
    assert (held.holding, held.found) == (Holding.NEW, None)


async def test_what_was_examined_before_its_sender_was_suspended_is_answered_by_that(
    room: Mailroom,
) -> None:
    await demand(room)
    suspend(room, "thermo")
    right, wrong = seal(room.fleet), seal(room.fleet)
    assert (await room.send(right, examined=Examined.RIGHT)).holding is Holding.NEW
    assert (await room.send(wrong, examined=Examined.WRONG)).reason is Reason.PROOF_INVALID


@pytest.mark.parametrize(
    ("examined", "suspended"),
    [(Examined.SKIPPED, ()), (None, ("thermo",))],
    ids=["full", "not heard"],
)
async def test_what_is_not_examined_is_refused_for_now_or_held_where_its_channel_observes(
    room: Mailroom, examined: Examined | None, suspended: tuple[str, ...]
) -> None:
    found = Found(channel=CELLAR, finding=Finding.NOT_EXAMINED)
    await demand(room, OBSERVE)
    suspend(room, *suspended)
    held = await room.send(seal(room.fleet), examined=examined)
    assert (held.holding, held.found) == (Holding.NEW, found)
    await demand(room, REQUIRE)
    message = seal(room.fleet)
    refused = await room.send(message, examined=examined)
    assert (refused.holding, refused.reason) == (Holding.REFUSED, Reason.QUOTA)
    assert not room.holds_bytes(message.message_id)


async def test_what_needs_no_examination_is_found_of_a_suspended_sender_too(
    room: Mailroom,
) -> None:
    await demand(room, OBSERVE)
    suspend(room, "thermo")
    older = committed(policy=replace(POLICY, version=1))
    sent = [
        (await room.send(seal(room.fleet, proof=b"")), Finding.NOT_PROVED),
        (await room.send(seal(room.fleet, reading=older)), Finding.POLICY_CHANGED),
        (await room.send(room.fleet.seal("thermo", ["hub"], channel=CELLAR)), Finding.ABSENT),
    ]
    for held, finding in sent:
        assert held.found == Found(channel=CELLAR, finding=finding)
    await demand(room, REQUIRE)
    assert (await room.send(seal(room.fleet, proof=b""))).reason is Reason.PROOF_INVALID
