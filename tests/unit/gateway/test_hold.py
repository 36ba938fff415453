"""Held once, whatever comes again (PROTOCOL 13.2, 13.8)."""

from dataclasses import replace
from pathlib import Path

from device_sdk.wire.limits import DAY
from device_sdk.wire.reasons import Reason
from gateway import copies
from gateway.hold import Holding, take_in
from gateway.lifecycle import CopyState, MessageState, SlotState
from gateway.situation import Limits
from gateway.store.records import CopyRef
from tests.support.envelopes import NOW, TOPICS, Fleet
from tests.support.mailroom import Mailroom, key_of, open_mailroom, told_of


async def test_a_new_message_is_held_with_a_copy_to_publish_for_every_reader(
    room: Mailroom,
) -> None:
    message = room.fleet.seal("thermo", ["hub", "phone"])
    held = await room.send(message)
    assert held.holding is Holding.NEW
    assert held.effects.publish == tuple(
        CopyRef(key_of(message), name) for name in ("hub", "phone")
    )
    assert told_of(held.effects) == ["held"]
    assert held.effects.tell[0].device == "thermo"
    assert held.effects.tell[0].event.digest == message.digest


async def test_each_copy_comes_out_of_the_ledger_as_its_sender_would_have_cut_it(
    room: Mailroom,
) -> None:
    readers = ["hub", "lock", "phone", "wall"]
    message = room.fleet.seal("thermo", readers)
    await room.send(message)
    for reader in readers:
        ref = CopyRef(key_of(message), reader)
        cut = await room.read(lambda tx, ref=ref: copies.cut(tx, ref))  # type: ignore[misc]
        assert cut == (message.copy(reader).encode(), message.envelope.body.header.expires)


async def test_the_copies_left_stay_whole_after_other_readers_have_read(room: Mailroom) -> None:
    message = room.fleet.seal("thermo", ["hub", "phone", "wall"])
    await room.send(message)
    await room.ack(message, "hub")
    await room.ack(message, "phone")
    (ref, payload) = (await room.publish())[0]
    assert ref.reader == "wall"
    assert payload == message.copy("wall").encode()


async def test_the_same_envelope_again_is_answered_held_and_changes_nothing(
    room: Mailroom,
) -> None:
    message = room.fleet.seal("thermo", ["hub"])
    await room.send(message)
    before = await room.slots(message)
    again = await room.send(message)
    assert again.holding is Holding.AGAIN
    assert again.effects.publish == ()
    assert told_of(again.effects) == ["held"]
    assert await room.slots(message) == before


async def test_held_is_answered_again_whatever_has_changed_since(room: Mailroom) -> None:
    message = room.fleet.seal("thermo", ["hub"])
    await room.send(message)
    room.fleet.revoke("thermo")
    room.situation = replace(room.situation, roster=room.fleet.roster(expires=NOW))
    room.change(paused=True)
    assert (await room.send(message)).holding is Holding.AGAIN


async def test_the_same_id_with_other_content_is_refused_for_good(room: Mailroom) -> None:
    first = room.fleet.seal("thermo", ["hub"], b"20")
    await room.send(first)
    other = room.fleet.seal("thermo", ["hub"], b"21", message_id=first.message_id)
    refused = await room.send(other)
    assert refused.reason is Reason.ID_REUSED
    assert Reason.ID_REUSED.final
    assert refused.effects.tell[0].event.digest == other.digest
    row = await room.row(first)
    assert row is not None
    assert row.digest == first.digest


async def test_the_same_id_from_another_sender_is_another_message(room: Mailroom) -> None:
    first = room.fleet.seal("thermo", ["hub"])
    other = room.fleet.seal("lock", ["hub"], message_id=first.message_id)
    assert (await room.send(first)).holding is Holding.NEW
    assert (await room.send(other)).holding is Holding.NEW
    await room.ack(first, "hub")
    assert (await room.slots(other))["hub"].state is SlotState.OWED


async def test_a_forgotten_message_sent_again_is_finished_not_held_once_more(
    room: Mailroom,
) -> None:
    message = room.fleet.seal("thermo", ["hub"])
    await room.forget(message)
    replayed = await room.send(message)
    assert replayed.holding is Holding.FINISHED
    event = replayed.effects.tell[0].event
    assert (event.kind, event.word) == ("held", "finished")
    assert replayed.effects.publish == ()
    other = room.fleet.seal("thermo", ["hub"], message_id=message.message_id)
    assert (await room.send(other)).reason is Reason.ID_REUSED


async def test_a_forgotten_message_cannot_come_back_after_its_expiry_either(
    room: Mailroom,
) -> None:
    message = room.fleet.seal("thermo", ["hub"], expires=NOW + DAY)
    await room.forget(message)
    room.change(now=NOW + DAY)
    await room.sweep()
    assert (await room.send(message)).reason is Reason.EXPIRED


async def test_a_refused_envelope_leaves_nothing_behind(room: Mailroom) -> None:
    message = room.fleet.seal("thermo", ["hub"], expires=NOW)
    assert (await room.send(message)).reason is Reason.EXPIRED
    assert await room.row(message) is None
    assert await room.told(message) == [("unknown", "")]
    assert await room.read(lambda tx: tx.is_empty())


async def test_a_bad_envelope_does_not_spoil_its_batch(room: Mailroom) -> None:
    good = [room.fleet.seal("thermo", ["hub"]) for _ in range(3)]
    batch = [(message.topic, message.data) for message in good]
    batch.insert(1, (TOPICS.send("thermo", bytes(16)), b"garbage"))
    held = await room.run(
        lambda tx: [take_in(tx, TOPICS.parse(topic), data, room.situation) for topic, data in batch]
    )
    assert [str(one.holding) for one in held] == ["new", "refused", "new", "new"]
    for message in good:
        assert await room.row(message) is not None


async def test_the_same_message_twice_in_one_batch_is_held_once(room: Mailroom) -> None:
    message = room.fleet.seal("thermo", ["hub"])
    topic = TOPICS.parse(message.topic)
    held = await room.run(
        lambda tx: [take_in(tx, topic, message.data, room.situation) for _ in range(2)]
    )
    assert [one.holding for one in held] == [Holding.NEW, Holding.AGAIN]


async def test_a_sender_has_a_quota_of_messages_and_of_bytes(room: Mailroom) -> None:
    messages = [room.fleet.seal("thermo", ["hub"]) for _ in range(3)]
    room.change(limits=Limits(sender_messages=2))
    await room.send(messages[0])
    await room.send(messages[1])
    assert (await room.send(messages[2])).reason is Reason.QUOTA
    assert not Reason.QUOTA.final
    assert (await room.send(room.fleet.seal("lock", ["hub"]))).holding is Holding.NEW
    await room.ack(messages[0], "hub")
    assert (await room.send(messages[2])).reason is Reason.QUOTA  # its outcome is not seen yet
    await room.forget(messages[0])
    assert (await room.send(messages[2])).holding is Holding.NEW
    room.change(limits=Limits(sender_size=2 * len(messages[0].data) + 100))
    assert (await room.send(room.fleet.seal("thermo", ["hub"]))).reason is Reason.QUOTA


async def test_messages_that_nobody_owes_anything_for_count_as_well(room: Mailroom) -> None:
    room.change(limits=Limits(sender_messages=3))
    room.fleet.revoke("phone")
    await room.new_roster()
    for _ in range(3):
        assert (await room.send(room.fleet.seal("thermo", ["phone"]))).holding is Holding.NEW
    assert (await room.send(room.fleet.seal("thermo", ["phone"]))).reason is Reason.QUOTA


async def test_a_revoked_reader_is_excused_at_once_and_gets_no_copy(room: Mailroom) -> None:
    room.fleet.revoke("hub")
    await room.new_roster()
    message = room.fleet.seal("thermo", ["hub", "phone"])
    held = await room.send(message)
    assert [ref.reader for ref in held.effects.publish] == ["phone"]
    assert told_of(held.effects) == ["held", "excused"]
    excusal = held.effects.tell[1].event.excusal
    assert excusal is not None
    assert excusal.readers == ("hub",)
    assert excusal.roster_version == room.fleet.version
    slot = (await room.slots(message))["hub"]
    assert (slot.state, slot.copy) == (SlotState.EXCUSED, CopyState.CLEARED)
    await room.erase()
    assert not room.holds_bytes(message.envelope.readers[0].wrapped_cek)


async def test_a_message_to_revoked_readers_only_is_finished_as_soon_as_it_is_held(
    room: Mailroom,
) -> None:
    room.fleet.revoke("hub", "phone")
    await room.new_roster()
    message = room.fleet.seal("thermo", ["hub", "phone"])
    assert (await room.send(message)).holding is Holding.NEW
    row = await room.row(message)
    assert row is not None
    assert row.state is MessageState.FINISHED
    assert await room.told(message) == [("held", ""), ("excused", "")]
    await room.seen(message)
    assert await room.row(message) is None


async def test_after_a_restart_everything_held_is_still_due(fleet: Fleet, tmp_path: Path) -> None:
    message = fleet.seal("thermo", ["hub", "phone"])
    async with open_mailroom(fleet, tmp_path) as room:
        await room.send(message)
        await room.ack(message, "hub")
    async with open_mailroom(fleet, tmp_path) as room:
        await room.run(lambda tx: copies.make_all_due(tx, NOW))
        due = await room.run(lambda tx: copies.due(tx, NOW, 10))
        assert due == [CopyRef(key_of(message), "phone")]
        assert [ref.reader for ref in await room.clear_all()] == ["hub"]
        assert await room.told(message) == [("held", ""), ("read", "")]
        await room.ack(message, "phone")
        assert [ref.reader for ref in await room.clear_all()] == ["phone"]


async def test_an_unread_copy_is_published_again_later_and_later(room: Mailroom) -> None:
    message = room.fleet.seal("thermo", ["hub"], expires=NOW + 30 * DAY)
    await room.send(message)
    at, gaps = NOW, []
    for _ in range(10):
        await room.publish()
        slot = (await room.slots(message))["hub"]
        gaps.append(slot.act_at - at)
        at = slot.act_at
        room.change(now=at)
    assert gaps[:3] == [15 * 60, 30 * 60, 60 * 60]
    assert gaps[-1] == 24 * 3600


async def test_a_publish_that_is_not_confirmed_is_due_again(room: Mailroom) -> None:
    await room.send(room.fleet.seal("thermo", ["hub"]))
    assert await room.run(lambda tx: copies.due(tx, NOW, 10)) == []  # its effect is on the way
    assert len(await room.run(lambda tx: copies.due(tx, NOW + copies.RETRY, 10))) == 1
    assert await room.run(lambda tx: copies.due(tx, NOW + copies.RETRY, 10)) == []
    assert len(await room.run(lambda tx: copies.due(tx, NOW + 2 * copies.RETRY, 10))) == 1


async def test_a_copy_that_the_broker_lost_is_published_again_at_once(room: Mailroom) -> None:
    messages = [room.fleet.seal("thermo", ["hub"]) for _ in range(5)]
    for message in messages:
        await room.send(message)
    await room.publish()
    refs = await room.read(lambda tx: tx.owed_copies(None, 3))
    refs += await room.read(lambda tx: tx.owed_copies(refs[-1], 3))
    assert refs == sorted(CopyRef(key_of(message), "hub") for message in messages)
    await room.run(lambda tx: copies.missed(tx, refs[:2], NOW))
    assert sorted(await room.run(lambda tx: copies.due(tx, NOW, 10))) == refs[:2]
