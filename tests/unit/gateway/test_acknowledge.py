"""Read acks: what counts, and what changes nothing (PROTOCOL 7, 13.3)."""

import pytest

from device_sdk.identity import Identity
from device_sdk.wire.read_ack import READ, UNREADABLE
from gateway.acknowledge import AckResult
from gateway.lifecycle import CopyState, MessageState, SlotState
from gateway.store.records import CopyRef
from tests.support.envelopes import NOW, TOPICS, SealedMessage
from tests.support.mailroom import Mailroom, key_of, told_of


@pytest.fixture
async def message(room: Mailroom) -> SealedMessage:
    """Held for hub and phone, both copies standing."""
    message = room.fleet.seal("thermo", ["hub", "phone"])
    await room.send(message)
    await room.publish()
    return message


async def _nothing_changed(room: Mailroom, message: SealedMessage) -> bool:
    slots = await room.slots(message)
    return all(slot.state is SlotState.OWED for slot in slots.values())


async def test_a_read_ack_settles_its_readers_slot_and_only_that(
    room: Mailroom, message: SealedMessage
) -> None:
    done = await room.ack(message, "hub")
    assert done.result is AckResult.READ
    assert done.effects.clear == (CopyRef(key_of(message), "hub"),)
    slots = await room.slots(message)
    assert slots["hub"].state is SlotState.READ
    assert slots["hub"].copy is CopyState.CLEARING
    assert slots["phone"].state is SlotState.OWED
    assert (await room.row(message)).state is MessageState.HELD  # type: ignore[union-attr]


async def test_the_sender_is_told_with_the_ack_itself(
    room: Mailroom, message: SealedMessage
) -> None:
    data = room.fleet.read_ack(message, "hub")
    done = await room.ack(message, "hub", data)
    (tell,) = done.effects.tell
    assert tell.device == "thermo"
    assert (tell.event.kind, tell.event.ack) == ("read", data)
    assert tell.event.digest == message.digest


async def test_unreadable_settles_as_well_and_needs_no_token(
    room: Mailroom, message: SealedMessage
) -> None:
    data = room.fleet.read_ack(message, "hub", verdict=UNREADABLE)
    done = await room.ack(message, "hub", data)
    assert done.result is AckResult.UNREADABLE
    assert told_of(done.effects) == ["unreadable"]
    assert (await room.slots(message))["hub"].state is SlotState.UNREADABLE


async def test_the_last_read_ack_finishes_the_message_and_drops_its_content(
    room: Mailroom, message: SealedMessage
) -> None:
    await room.ack(message, "hub")
    assert await room.read(lambda tx: tx.body(key_of(message))) is not None
    await room.ack(message, "phone")
    assert await room.read(lambda tx: tx.body(key_of(message))) is None
    assert (await room.row(message)).state is MessageState.FINISHED  # type: ignore[union-attr]


async def test_what_only_one_readers_copy_needed_is_dropped_with_its_slot(
    room: Mailroom, message: SealedMessage
) -> None:
    await room.ack(message, "hub")
    assert await room.read(lambda tx: tx.wrap(key_of(message), "hub")) is None
    assert await room.read(lambda tx: tx.wrap(key_of(message), "phone")) is not None


async def test_a_repeated_read_ack_makes_the_clear_go_out_again(
    room: Mailroom, message: SealedMessage
) -> None:
    await room.ack(message, "hub")
    again = await room.ack(message, "hub")
    assert again.result is AckResult.NOT_OWED
    assert again.effects.clear == (CopyRef(key_of(message), "hub"),)
    assert again.effects.tell == ()


async def test_a_later_ack_cannot_change_what_the_first_one_said(
    room: Mailroom, message: SealedMessage
) -> None:
    await room.ack(message, "hub", room.fleet.read_ack(message, "hub", verdict=UNREADABLE))
    await room.ack(message, "hub")
    assert (await room.slots(message))["hub"].state is SlotState.UNREADABLE


async def test_an_ack_for_a_forgotten_message_makes_the_clear_go_out_again(
    room: Mailroom,
) -> None:
    message = room.fleet.seal("thermo", ["hub"])
    await room.forget(message)
    replayed = await room.ack(message, "hub")
    assert replayed.result is AckResult.NOT_OWED
    assert replayed.effects.clear == (CopyRef(key_of(message), "hub"),)


async def test_an_ack_for_an_unknown_message_changes_nothing(room: Mailroom) -> None:
    unknown = room.fleet.seal("thermo", ["hub"])
    done = await room.ack(unknown, "hub")
    assert done.result is AckResult.UNKNOWN_MESSAGE
    assert await room.row(unknown) is None


async def test_before_the_first_reconcile_an_ack_without_a_row_has_to_wait(
    room: Mailroom,
) -> None:
    unknown = room.fleet.seal("thermo", ["hub"])
    room.change(reconciled=False)
    assert (await room.ack(unknown, "hub")).result is AckResult.NOT_RECONCILED


async def test_a_bystander_cannot_ack_what_it_was_not_sent(
    room: Mailroom, message: SealedMessage
) -> None:
    data = room.fleet.read_ack(
        message, "hub", reader="wall", signer=room.fleet.members["wall"].identity
    )
    assert (await room.ack(message, "wall", data)).result is AckResult.UNKNOWN_MESSAGE
    assert await _nothing_changed(room, message)


async def test_an_ack_under_another_readers_or_messages_topic_is_crossed(
    room: Mailroom, message: SealedMessage
) -> None:
    data = room.fleet.read_ack(message, "hub")
    for topic in (
        TOPICS.read("phone", "thermo", message.message_id),
        TOPICS.read("hub", "lock", message.message_id),
        TOPICS.read("hub", "thermo", bytes(16)),
    ):
        assert (await room.ack(message, "hub", data, topic)).result is AckResult.CROSSED
    assert await _nothing_changed(room, message)


async def test_another_reader_cannot_sign_for_a_reader(
    room: Mailroom, message: SealedMessage
) -> None:
    forged = room.fleet.read_ack(message, "hub", signer=room.fleet.members["phone"].identity)
    assert (await room.ack(message, "hub", forged)).result is AckResult.UNKNOWN_READER
    stranger = room.fleet.read_ack(message, "hub", signer=Identity.generate())
    assert (await room.ack(message, "hub", stranger)).result is AckResult.UNKNOWN_READER
    assert await _nothing_changed(room, message)


async def test_a_changed_signature_does_not_verify(room: Mailroom, message: SealedMessage) -> None:
    data = room.fleet.read_ack(message, "hub")
    forged = data[:-1] + bytes([data[-1] ^ 1])
    assert (await room.ack(message, "hub", forged)).result is AckResult.BAD_SIGNATURE
    assert await _nothing_changed(room, message)


async def test_bytes_that_are_no_ack_are_malformed(room: Mailroom, message: SealedMessage) -> None:
    data = room.fleet.read_ack(message, "hub")
    for wrong in (b"\xa0", data[:-1], data + b"\0", message.data, b"\xd2" + bytes(9000)):
        assert (await room.ack(message, "hub", wrong)).result is AckResult.MALFORMED
    query = room.fleet.query("hub")
    assert (await room.ack(message, "hub", query)).result is AckResult.MALFORMED
    assert await _nothing_changed(room, message)


async def test_the_wrong_token_shows_nothing(room: Mailroom, message: SealedMessage) -> None:
    for token in (bytes(32), message.open_token("phone")):
        data = room.fleet.read_ack(message, "hub", open_token=token)
        assert (await room.ack(message, "hub", data)).result is AckResult.WRONG_TOKEN
    assert await _nothing_changed(room, message)


async def test_an_ack_of_another_message_with_the_same_id_does_not_count(
    room: Mailroom, message: SealedMessage
) -> None:
    other = room.fleet.seal("thermo", ["hub", "phone"], message_id=message.message_id)
    data = room.fleet.read_ack(other, "hub")
    assert (await room.ack(message, "hub", data)).result is AckResult.WRONG_DIGEST
    mixed = room.fleet.read_ack(message, "hub", digest=other.digest)
    assert (await room.ack(message, "hub", mixed)).result is AckResult.WRONG_DIGEST
    unreadable = room.fleet.read_ack(other, "hub", verdict=UNREADABLE)
    assert (await room.ack(message, "hub", unreadable)).result is AckResult.WRONG_DIGEST
    assert await _nothing_changed(room, message)


async def test_reading_goes_on_while_the_roster_has_expired_or_the_clock_is_paused(
    room: Mailroom, message: SealedMessage
) -> None:
    await room.new_roster(expires=NOW)
    room.change(paused=True)
    assert (await room.ack(message, "hub")).result is AckResult.READ


async def test_a_copy_read_before_its_publishing_was_confirmed_is_cleared(room: Mailroom) -> None:
    message = room.fleet.seal("thermo", ["hub"])
    await room.send(message)
    assert (
        await room.ack(message, "hub", room.fleet.read_ack(message, "hub", verdict=READ))
    ).effects.clear
    assert [ref.reader for ref in await room.clear_all()] == ["hub"]
