"""Copies found at the broker, each decided against the current row (PROTOCOL 13.6)."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from device_sdk.identity import Identity
from device_sdk.wire.envelope import Inclusion
from device_sdk.wire.limits import CLOCK_SKEW, DAY, MAX_LIFETIME
from gateway.adopt import Found
from gateway.hold import Holding
from gateway.lifecycle import CopyState, MessageState, SlotState
from gateway.store.records import CopyRef
from tests.support.envelopes import NOW, YEAR, Fleet, SealedMessage
from tests.support.mailroom import Mailroom, key_of, open_mailroom, told_of


@pytest.fixture
async def message(room: Mailroom) -> SealedMessage:
    """Held for hub and phone, both copies standing."""
    message = room.fleet.seal("thermo", ["hub", "phone"])
    await room.send(message)
    await room.publish()
    return message


@pytest.fixture
async def empty_room(fleet: Fleet, tmp_path: Path) -> AsyncIterator[Mailroom]:
    """A second gateway with a new ledger."""
    (tmp_path / "new").mkdir()
    async with open_mailroom(fleet, tmp_path / "new") as room:
        yield room


def _flipped(data: bytes, part: bytes) -> bytes:
    at = data.index(part)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


# ---------------------------------------------------------------- what the ledger knows


async def test_a_copy_that_is_as_it_should_be_stays(room: Mailroom, message: SealedMessage) -> None:
    judged = await room.found(message, "hub")
    assert judged.found is Found.STANDING
    assert not judged.effects.publish
    assert not judged.effects.clear


async def test_a_copy_found_standing_needs_no_more_publishing(room: Mailroom) -> None:
    message = room.fleet.seal("thermo", ["hub"])
    await room.send(message)
    assert (await room.found(message, "hub")).found is Found.STANDING
    assert (await room.slots(message))["hub"].copy is CopyState.STANDING
    assert await room.publish() == []


@pytest.mark.parametrize("planted", [b"planted", b"\xd8\x60\x80"])
async def test_planted_bytes_over_an_owed_copy_are_replaced_by_the_right_copy(
    room: Mailroom, message: SealedMessage, planted: bytes
) -> None:
    judged = await room.found(message, "hub", planted)
    assert judged.found is Found.REPLACED
    assert judged.effects.publish == (CopyRef(key_of(message), "hub"),)
    assert (await room.slots(message))["hub"].copy is CopyState.DUE


async def test_a_copy_damaged_on_its_way_is_replaced(
    room: Mailroom, message: SealedMessage
) -> None:
    data = message.copy("hub").encode()
    damaged = _flipped(data, message.envelope.body.ciphertext)
    assert (await room.found(message, "hub", damaged)).found is Found.REPLACED


async def test_a_copy_of_a_settled_reader_is_cleared_again(
    room: Mailroom, message: SealedMessage
) -> None:
    await room.ack(message, "hub")
    await room.clear_all()
    judged = await room.found(message, "hub")
    assert judged.found is Found.CLEARED
    assert judged.effects.clear == (CopyRef(key_of(message), "hub"),)
    assert [ref.reader for ref in await room.clear_all()] == ["hub"]


async def test_a_replayed_copy_of_a_forgotten_message_is_cleared(room: Mailroom) -> None:
    message = room.fleet.seal("thermo", ["hub"])
    await room.forget(message)
    assert (await room.found(message, "hub")).found is Found.CLEARED
    assert await room.row(message) is None


async def test_a_copy_for_somebody_who_is_no_reader_is_cleared(
    room: Mailroom, message: SealedMessage
) -> None:
    judged = await room.found(message, "wall", message.copy("hub").encode())
    assert judged.found is Found.CLEARED
    assert "wall" not in await room.slots(message)


# ---------------------------------------------------------------- what it does not know


async def test_a_new_ledger_adopts_a_copy_that_verifies(empty_room: Mailroom, fleet: Fleet) -> None:
    message = fleet.seal("thermo", ["hub"])
    judged = await empty_room.found(message, "hub")
    assert judged.found is Found.ADOPTED
    assert told_of(judged.effects) == ["held"]
    row = await empty_room.row(message)
    assert row is not None
    assert (row.state, row.digest) == (MessageState.HELD, message.digest)
    slot = (await empty_room.slots(message))["hub"]
    assert (slot.state, slot.copy) == (SlotState.OWED, CopyState.STANDING)
    await empty_room.ack(message, "hub")
    assert await empty_room.told(message) == [("held", ""), ("read", "")]


async def test_an_adopted_copy_can_be_published_again_byte_by_byte(
    empty_room: Mailroom, fleet: Fleet
) -> None:
    message = fleet.seal("thermo", ["hub", "phone", "wall"])
    await empty_room.found(message, "phone")
    assert (await empty_room.found(message, "phone", b"planted")).found is Found.REPLACED
    empty_room.change(now=NOW + 60)
    assert await empty_room.publish() == [
        (CopyRef(key_of(message), "phone"), message.copy("phone").encode())
    ]


async def test_an_adopted_message_is_partial_until_all_its_readers_are_known(
    empty_room: Mailroom, fleet: Fleet
) -> None:
    message = fleet.seal("thermo", ["hub", "phone", "wall"])
    await empty_room.found(message, "hub")
    await empty_room.found(message, "wall")
    assert await empty_room.told(message) == [("unknown", "partial")]
    await empty_room.ack(message, "hub")
    assert await empty_room.told(message) == [("unknown", "partial"), ("read", "")]
    last = await empty_room.found(message, "phone")
    assert told_of(last.effects) == ["held"]
    assert await empty_room.told(message) == [("held", ""), ("read", "")]


async def test_the_senders_envelope_completes_a_partial_message(
    empty_room: Mailroom, fleet: Fleet
) -> None:
    message = fleet.seal("thermo", ["hub", "phone", "wall"])
    await empty_room.found(message, "hub")
    await empty_room.ack(message, "hub")
    assert await empty_room.read(lambda tx: tx.body(key_of(message))) is None
    completed = await empty_room.send(message)
    assert completed.holding is Holding.COMPLETED
    assert [ref.reader for ref in completed.effects.publish] == ["phone", "wall"]
    assert (await empty_room.slots(message))["hub"].state is SlotState.READ
    copies = dict(await empty_room.publish())
    assert copies[CopyRef(key_of(message), "wall")] == message.copy("wall").encode()
    for reader in ("phone", "wall"):
        await empty_room.ack(message, reader)
    assert (await empty_room.row(message)).state is MessageState.FINISHED  # type: ignore[union-attr]


async def test_a_partial_message_is_not_completed_by_a_changed_reader_list(
    empty_room: Mailroom, fleet: Fleet
) -> None:
    message = fleet.seal("thermo", ["hub", "phone"])
    await empty_room.found(message, "hub")
    fewer = replace(message.envelope, readers=message.envelope.readers[:1]).encode()
    refused = await empty_room.send(message, fewer)
    assert str(refused.reason) == "readers-changed"
    assert await empty_room.told(message) == [("unknown", "partial")]


async def test_a_partial_message_ends_at_its_expiry_also_for_unknown_readers(
    empty_room: Mailroom, fleet: Fleet
) -> None:
    message = fleet.seal("thermo", ["hub", "phone"])
    await empty_room.found(message, "hub")
    await empty_room.ack(message, "hub")
    empty_room.change(now=NOW + 7 * DAY)
    await empty_room.sweep()
    assert await empty_room.told(message) == [("held", ""), ("read", ""), ("expired", "")]


async def test_a_copy_of_another_message_with_the_id_of_a_partial_one_is_cleared(
    empty_room: Mailroom, fleet: Fleet
) -> None:
    message = fleet.seal("thermo", ["hub", "phone"])
    other = fleet.seal("thermo", ["hub", "phone"], message_id=message.message_id)
    await empty_room.found(message, "hub")
    assert (await empty_room.found(other, "phone")).found is Found.CLEARED
    assert (await empty_room.found(message, "phone")).found is Found.ADOPTED


async def test_nothing_that_no_roster_could_make_valid_is_adopted(
    empty_room: Mailroom, fleet: Fleet
) -> None:
    message = fleet.seal("thermo", ["hub", "phone"])
    copy = message.copy("hub")
    data = copy.encode()
    hopeless = {
        "no copy": b"planted",
        "an envelope": message.data,
        "changed content": _flipped(data, copy.body.ciphertext),
        "changed key": _flipped(data, copy.reader.wrapped_cek),
        "another place": replace(
            copy, inclusion=Inclusion(index=1, path=copy.inclusion.path)
        ).encode(),
        "another reader's": message.copy("phone").encode(),
    }
    for what, planted in hopeless.items():
        judged = await empty_room.found(message, "hub", planted)
        assert judged.found is Found.CLEARED, what
    other = fleet.seal("thermo", ["hub"])
    assert (
        await empty_room.found(message, "hub", other.copy("hub").encode())
    ).found is Found.CLEARED
    assert await empty_room.read(lambda tx: tx.is_empty())


async def test_a_forged_copy_in_a_listed_senders_name_is_cleared(
    empty_room: Mailroom, fleet: Fleet
) -> None:
    thief, thermo = Identity.generate(), fleet.members["thermo"].identity
    forged = fleet.seal(
        "thermo", ["hub"], signer=replace(thief, public=replace(thief.public, kid=thermo.kid))
    )
    assert (await empty_room.found(forged, "hub")).found is Found.CLEARED


async def test_an_expired_copy_is_cleared(empty_room: Mailroom, fleet: Fleet) -> None:
    message = fleet.seal("thermo", ["hub"], expires=NOW)
    assert (await empty_room.found(message, "hub")).found is Found.CLEARED


async def test_a_copy_by_an_unlisted_sender_is_left_until_a_roster_lists_it(
    empty_room: Mailroom, fleet: Fleet
) -> None:
    fleet.admit("new")
    message = fleet.seal("new", ["hub"], expires=NOW + DAY)
    judged = await empty_room.found(message, "hub")
    assert (judged.found, judged.until) == (Found.LEFT, NOW + DAY)
    await empty_room.new_roster()
    assert (await empty_room.found(message, "hub")).found is Found.ADOPTED


async def test_a_copy_by_a_key_that_the_roster_does_not_list_is_left(
    empty_room: Mailroom, fleet: Fleet
) -> None:
    message = fleet.seal("thermo", ["hub"], signer=Identity.generate())
    assert (await empty_room.found(message, "hub")).found is Found.LEFT


async def test_a_copy_that_is_left_does_not_stay_for_ever(
    empty_room: Mailroom, fleet: Fleet
) -> None:
    message = fleet.seal("thermo", ["hub"], expires=NOW + YEAR)
    judged = await empty_room.found(message, "hub")
    assert judged.found is Found.LEFT
    assert judged.until == NOW + MAX_LIFETIME + CLOCK_SKEW


async def test_copies_are_adopted_while_the_roster_has_expired(
    empty_room: Mailroom, fleet: Fleet
) -> None:
    await empty_room.new_roster(expires=NOW)
    assert (await empty_room.found(fleet.seal("thermo", ["hub"]), "hub")).found is Found.ADOPTED


async def test_an_adopted_message_of_a_revoked_sender_ends_at_once(
    empty_room: Mailroom, fleet: Fleet
) -> None:
    fleet.revoke("thermo")
    await empty_room.new_roster()
    message = fleet.seal("thermo", ["hub", "phone"])
    judged = await empty_room.found(message, "hub")
    assert told_of(judged.effects) == ["expired"]
    assert [ref.reader for ref in judged.effects.clear] == ["hub"]
    assert (await empty_room.found(message, "phone")).found is Found.CLEARED


async def test_an_adopted_copy_of_a_revoked_reader_is_excused_at_once(
    empty_room: Mailroom, fleet: Fleet
) -> None:
    fleet.revoke("hub")
    await empty_room.new_roster()
    message = fleet.seal("thermo", ["hub"])
    judged = await empty_room.found(message, "hub")
    assert told_of(judged.effects) == ["held", "excused"]
    assert (await empty_room.row(message)).state is MessageState.FINISHED  # type: ignore[union-attr]


async def test_no_word_of_unknown_before_the_first_reconcile(
    empty_room: Mailroom, fleet: Fleet
) -> None:
    message = fleet.seal("thermo", ["hub", "phone"])
    empty_room.change(reconciled=False)
    assert await empty_room.told(message) == []
    await empty_room.found(message, "hub")
    await empty_room.ack(message, "hub")
    assert await empty_room.told(message) == [("read", "")]
    empty_room.change(reconciled=True)
    assert await empty_room.told(message) == [("unknown", "partial"), ("read", "")]
