"""Readings are held once their proof was looked at; before, nothing is stored (PROTOCOL 13.1)."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from device_sdk.wire.envelope import Envelope
from device_sdk.wire.limits import DAY
from device_sdk.wire.reading_policy import OBSERVE, REQUIRE, Committed
from device_sdk.wire.reasons import Reason
from device_sdk.wire.roster_page import ChannelEntry
from gateway.hold import Holding
from gateway.lifecycle import MessageState
from gateway.reading_rule import Finding, Found
from gateway.situation import Limits
from tests.support.envelopes import NOW, Fleet, SealedMessage
from tests.support.mailroom import Mailroom, told_of
from tests.support.readings import CELLAR, POLICY, committed, rule

PROOF = b"the proof of it"


async def demand(room: Mailroom, mode: str = REQUIRE) -> None:
    """Let the owner make the channel's rule."""
    room.fleet.channels[CELLAR] = ChannelEntry(
        readers=("hub", "phone"), senders=("thermo",), lifetime=DAY, reading=rule(mode)
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
) -> SealedMessage:
    return fleet.seal(
        "thermo",
        readers or ("hub",),
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
    assert not room.holds_bytes(message.message_id, message.digest, PROOF)
    held = await room.send(message, proved=True)
    assert (held.holding, held.found) == (
        Holding.NEW,
        Found(channel=CELLAR, finding=Finding.PROVED),
    )
    assert told_of(held.effects) == ["held"]


async def test_no_copy_and_no_file_has_the_proof(room: Mailroom) -> None:
    await demand(room)
    message = seal(room.fleet, "hub", "phone")
    await room.send(message, proved=True)
    copies = await room.publish()
    assert len(copies) == 2
    assert not any(PROOF in data for _, data in copies)
    assert not room.holds_bytes(PROOF)


async def test_a_wrong_proof_refuses_the_message_and_leaves_nothing(room: Mailroom) -> None:
    await demand(room)
    message = seal(room.fleet)
    refused = await room.send(message, proved=False)
    assert (refused.holding, refused.reason) == (Holding.REFUSED, Reason.PROOF_INVALID)
    assert refused.found == Found(channel=CELLAR, finding=Finding.NOT_PROVED)
    assert refused.effects.tell[0].event.digest == message.digest
    assert await room.row(message) is None
    assert not room.holds_bytes(message.message_id)
    # It was somebody on the way, perhaps: the sender's own bytes are taken afterwards.
    assert (await room.send(message, proved=True)).holding is Holding.NEW


async def test_what_is_no_reading_or_has_no_proof_is_refused_without_asking(
    room: Mailroom,
) -> None:
    await demand(room)
    other = room.fleet.seal("thermo", ["hub"], channel=CELLAR)
    assert (await room.send(other)).reason is Reason.READING_REQUIRED
    assert (await room.send(seal(room.fleet, proof=b""))).reason is Reason.PROOF_INVALID
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
        (await room.send(seal(room.fleet), proved=True), Finding.PROVED),
        (await room.send(seal(room.fleet), proved=False), Finding.NOT_PROVED),
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
    for proved in (None, True):  # and again afterwards
        assert (await room.send(message, proved=proved)).reason is reason


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
    await room.send(first, proved=True)
    other = seal(room.fleet, message_id=first.message_id)
    for proved in (None, True):
        assert (await room.send(other, proved=proved)).reason is Reason.ID_REUSED


async def test_a_message_that_is_known_is_answered_whatever_proof_comes_with_it(
    room: Mailroom,
) -> None:
    await demand(room)
    message = seal(room.fleet)
    await room.send(message, proved=True)
    for data in (message.data, with_proof(message, b"another"), with_proof(message, b"")):
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


async def test_a_partial_message_is_completed_by_an_envelope_whose_proof_holds(
    room: Mailroom,
) -> None:
    await demand(room)
    message = seal(room.fleet, "hub", "phone")
    await room.found(message, "hub")  # its copy, in another life of the ledger

    async def state() -> MessageState | None:
        row = await room.row(message)
        return row.state if row is not None else None

    assert await state() is MessageState.PARTIAL
    assert (await room.send(message)).holding is Holding.UNPROVED
    assert (await room.send(message, proved=False)).reason is Reason.PROOF_INVALID
    bare = Envelope.decode(with_proof(message, b"")).encode()
    assert (await room.send(message, bare)).reason is Reason.PROOF_INVALID
    assert await state() is MessageState.PARTIAL
    completed = await room.send(message, proved=True)
    assert completed.holding is Holding.COMPLETED
    assert completed.found == Found(channel=CELLAR, finding=Finding.PROVED)
    assert await state() is MessageState.HELD


# ------------------------------ who sent wrong proofs


async def test_no_proof_of_a_suspended_sender_is_looked_at_and_its_other_mail_is_taken(
    room: Mailroom,
) -> None:
    await demand(room)
    before, message = seal(room.fleet), seal(room.fleet)
    await room.send(before, proved=True)
    room.situation = replace(room.situation, suspended=frozenset({"thermo"}))
    for proved in (None, True):
        refused = await room.send(message, proved=proved)
        assert (refused.holding, refused.reason) == (Holding.REFUSED, Reason.QUOTA)
        assert not Reason.QUOTA.final
    assert (await room.send(before)).holding is Holding.AGAIN
    assert (await room.send(room.fleet.seal("thermo", ["hub"]))).holding is Holding.NEW
    assert (await room.send(room.fleet.seal("lock", ["hub"]))).holding is Holding.NEW
    room.situation = replace(room.situation, suspended=frozenset())
    assert (await room.send(message)).holding is Holding.UNPROVED
