"""Clearings: due until the broker confirms them (PROTOCOL 13.3, 13.5)."""

from gateway import clear, copies
from gateway.copies import RETRY
from gateway.lifecycle import CopyState, SlotState
from gateway.store.records import CopyRef
from tests.support.envelopes import NOW
from tests.support.mailroom import Mailroom, key_of


async def test_a_clearing_is_due_again_until_it_is_confirmed(room: Mailroom) -> None:
    message = room.fleet.seal("thermo", ["hub"])
    await room.send(message)
    await room.ack(message, "hub")
    ref = CopyRef(key_of(message), "hub")
    assert await room.run(lambda tx: clear.due(tx, NOW, 9)) == []  # its effect is on the way
    assert await room.run(lambda tx: clear.due(tx, NOW + RETRY, 9)) == [ref]
    assert await room.run(lambda tx: clear.due(tx, NOW + RETRY, 9)) == []
    assert await room.run(lambda tx: clear.due(tx, NOW + 2 * RETRY, 9)) == [ref]
    await room.run(lambda tx: clear.cleared(tx, [ref]))
    assert await room.run(lambda tx: clear.due(tx, NOW + 9 * RETRY, 9)) == []


async def test_after_a_reconnect_clearings_are_due_at_once(room: Mailroom) -> None:
    message = room.fleet.seal("thermo", ["hub"])
    await room.send(message)
    await room.ack(message, "hub")
    await room.run(lambda tx: copies.make_all_due(tx, NOW))
    assert len(await room.run(lambda tx: clear.due(tx, NOW, 9))) == 1


async def test_a_late_puback_of_the_copy_does_not_undo_its_clearing(room: Mailroom) -> None:
    message = room.fleet.seal("thermo", ["hub"])
    await room.send(message)
    await room.ack(message, "hub")
    await room.run(lambda tx: copies.standing(tx, [CopyRef(key_of(message), "hub")], NOW))
    assert (await room.slots(message))["hub"].copy is CopyState.CLEARING
    await room.clear_all()
    await room.run(lambda tx: copies.standing(tx, [CopyRef(key_of(message), "hub")], NOW))
    assert (await room.slots(message))["hub"].copy is CopyState.CLEARED


async def test_an_owed_copy_is_not_taken_for_cleared(room: Mailroom) -> None:
    message = room.fleet.seal("thermo", ["hub"])
    await room.send(message)
    await room.publish()
    await room.run(lambda tx: clear.cleared(tx, [CopyRef(key_of(message), "hub")]))
    slot = (await room.slots(message))["hub"]
    assert (slot.state, slot.copy) == (SlotState.OWED, CopyState.STANDING)


async def test_a_clearing_of_an_unknown_message_changes_nothing(room: Mailroom) -> None:
    unknown = room.fleet.seal("thermo", ["hub"])
    effects = await room.run(lambda tx: clear.cleared(tx, [CopyRef(key_of(unknown), "hub")]))
    assert not effects.erase
