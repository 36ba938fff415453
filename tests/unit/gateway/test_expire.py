"""What ends without a read ack (PROTOCOL 13.4), and what is forgotten when (13.9)."""

from device_sdk.identity import Identity
from device_sdk.wire.limits import CLOCK_SKEW, DAY
from gateway.acknowledge import AckResult
from gateway.expire import ExcuseResult, excuse, sweep
from gateway.hold import Holding
from gateway.lifecycle import CopyState, MessageState, SlotState
from tests.support.envelopes import NOW, YEAR, SealedMessage
from tests.support.mailroom import Mailroom, key_of, told_of


async def _excuse(room: Mailroom, data: bytes) -> ExcuseResult:
    result, _ = await room.run(lambda tx: excuse(tx, data, room.situation))
    return result


async def _held(room: Mailroom, *readers: str, expires: int = NOW + DAY) -> SealedMessage:
    message = room.fleet.seal("thermo", readers, expires=expires)
    await room.send(message)
    await room.publish()
    return message


# ---------------------------------------------------------------- expiry


async def test_at_its_expiry_a_message_ends_for_everyone_who_has_not_read(room: Mailroom) -> None:
    message = await _held(room, "hub", "phone")
    await room.ack(message, "hub")
    room.change(now=NOW + DAY - 1)
    assert told_of(await room.sweep()) == []
    room.change(now=NOW + DAY)
    effects = await room.sweep()
    assert [ref.reader for ref in effects.clear] == ["phone"]
    assert told_of(effects) == ["expired"]
    slots = await room.slots(message)
    assert slots["hub"].state is SlotState.READ
    assert (slots["phone"].state, slots["phone"].copy) == (SlotState.EXPIRED, CopyState.CLEARING)
    assert await room.read(lambda tx: tx.body(key_of(message))) is None
    assert await room.told(message) == [("held", ""), ("read", ""), ("expired", "")]


async def test_a_message_that_everyone_has_read_does_not_expire(room: Mailroom) -> None:
    message = await _held(room, "hub")
    await room.ack(message, "hub")
    room.change(now=NOW + DAY)
    assert told_of(await room.sweep()) == []
    assert await room.told(message) == [("held", ""), ("read", "")]


async def test_an_ack_that_is_faster_than_the_sweep_still_counts(room: Mailroom) -> None:
    message = await _held(room, "hub")
    room.change(now=NOW + DAY)
    assert (await room.ack(message, "hub")).result is AckResult.READ


async def test_an_ack_after_the_expiry_changes_nothing(room: Mailroom) -> None:
    message = await _held(room, "hub")
    room.change(now=NOW + DAY)
    await room.sweep()
    late = await room.ack(message, "hub")
    assert late.result is AckResult.NOT_OWED
    assert late.effects.clear


async def test_nothing_expires_while_the_clock_is_paused(room: Mailroom) -> None:
    message = await _held(room, "hub")
    room.change(now=NOW + DAY, paused=True)
    assert told_of(await room.sweep()) == []
    assert (await room.slots(message))["hub"].state is SlotState.OWED


async def test_a_sweep_is_done_in_pieces(room: Mailroom) -> None:
    for _ in range(5):
        await _held(room, "hub", "phone")
    room.change(now=NOW + DAY)
    ended = []
    more = True
    while more:
        swept = await room.run(lambda tx: sweep(tx, room.situation, limit=2))
        ended.append(len(swept.effects.tell))
        more = swept.more
    assert sum(ended) == 5
    assert max(ended) <= 2


async def test_what_expired_stores_the_time_by_which_it_did(room: Mailroom) -> None:
    await _held(room, "hub")
    room.change(now=NOW + DAY)
    await room.sweep()
    assert await room.read(lambda tx: tx.high_water()) == NOW + DAY


# ---------------------------------------------------------------- revocation


async def test_a_new_roster_excuses_the_readers_it_revokes(room: Mailroom) -> None:
    message = await _held(room, "hub", "phone")
    room.fleet.revoke("hub")
    effects = await room.new_roster()
    assert [ref.reader for ref in effects.clear] == ["hub"]
    (tell,) = effects.tell
    assert tell.event.excusal is not None
    assert tell.event.excusal.readers == ("hub",)
    assert tell.event.excusal.roster_version == room.fleet.version
    assert (await room.slots(message))["phone"].state is SlotState.OWED
    assert (await room.ack(message, "hub")).result is AckResult.NOT_OWED


async def test_the_last_reader_revoked_finishes_the_message(room: Mailroom) -> None:
    message = await _held(room, "hub", "phone")
    await room.ack(message, "phone")
    room.fleet.revoke("hub")
    await room.new_roster()
    assert (await room.row(message)).state is MessageState.FINISHED  # type: ignore[union-attr]
    assert await room.told(message) == [("held", ""), ("read", ""), ("excused", "")]


async def test_a_revoked_senders_messages_end_as_expired(room: Mailroom) -> None:
    message = await _held(room, "hub", "phone")
    await room.ack(message, "hub")
    other = room.fleet.seal("lock", ["hub"])
    await room.send(other)
    room.fleet.revoke("thermo")
    effects = await room.new_roster()
    (tell,) = effects.tell
    assert (tell.event.kind, tell.event.word) == ("expired", "sender-revoked")
    slots = await room.slots(message)
    assert (slots["hub"].state, slots["phone"].state) == (SlotState.READ, SlotState.EXPIRED)
    assert (await room.slots(other))["hub"].state is SlotState.OWED


async def test_many_messages_of_a_revoked_reader_are_excused_in_pieces(room: Mailroom) -> None:
    messages = [await _held(room, "hub") for _ in range(7)]
    room.fleet.revoke("hub")
    roster = room.fleet.roster()
    room.situation = type(room.situation)(pin=room.fleet.pin, roster=roster, now=NOW)
    pieces = 0
    more = True
    while more:
        swept = await room.run(lambda tx: sweep(tx, room.situation, limit=3))
        pieces += bool(swept.effects.clear)
        more = swept.more
    assert pieces == 3
    for message in messages:
        assert (await room.slots(message))["hub"].state is SlotState.EXCUSED
    assert await room.read(lambda tx: tx.swept_roster()) == roster.version


async def test_revocations_work_while_the_clock_is_paused(room: Mailroom) -> None:
    message = await _held(room, "hub")
    room.change(paused=True)
    room.fleet.revoke("hub")
    await room.new_roster()
    assert (await room.slots(message))["hub"].state is SlotState.EXCUSED


# ---------------------------------------------------------------- excuse


async def test_the_owner_can_excuse_a_reader(room: Mailroom) -> None:
    message = await _held(room, "hub", "phone", "wall")
    data = room.fleet.excuse(message, "hub", "phone", "lock")
    result, effects = await room.run(lambda tx: excuse(tx, data, room.situation))
    assert result is ExcuseResult.EXCUSED
    assert [ref.reader for ref in effects.clear] == ["hub", "phone"]
    (tell,) = effects.tell
    assert tell.event.excusal is not None
    assert tell.event.excusal.readers == ("hub", "phone")
    assert tell.event.excusal.excuse == data
    answer = await room.query("thermo", sent=[message])
    (excused,) = [event for event in answer.events if event.kind == "excused"]
    assert excused == tell.event
    assert (await room.slots(message))["wall"].state is SlotState.OWED


async def test_only_the_owner_can_excuse(room: Mailroom) -> None:
    message = await _held(room, "hub")
    for signer in (room.fleet.members["thermo"].identity, Identity.generate()):
        data = room.fleet.excuse(message, "hub", signer=signer)
        assert await _excuse(room, data) is ExcuseResult.REFUSED
    assert await _excuse(room, b"\xa0") is ExcuseResult.REFUSED
    assert (await room.slots(message))["hub"].state is SlotState.OWED


async def test_an_excuse_of_somebody_who_owes_nothing_changes_nothing(room: Mailroom) -> None:
    message = await _held(room, "hub")
    await room.ack(message, "hub")
    for reader in ("hub", "wall"):
        data = room.fleet.excuse(message, reader)
        assert await _excuse(room, data) is ExcuseResult.NOTHING_OWED
    unknown = room.fleet.seal("thermo", ["hub"])
    assert await _excuse(room, room.fleet.excuse(unknown, "hub")) is ExcuseResult.UNKNOWN_MESSAGE


# ---------------------------------------------------------------- forgetting


async def test_an_outcome_waits_for_its_sender_until_expiry_and_a_grace(room: Mailroom) -> None:
    message = await _held(room, "hub")
    await room.ack(message, "hub")
    await room.clear_all()
    grace = room.situation.limits.outcome_grace
    room.change(now=NOW + DAY + grace - 1)
    await room.sweep()
    assert await room.row(message) is not None
    room.change(now=NOW + DAY + grace)
    await room.sweep()
    assert await room.row(message) is None
    assert await room.read(lambda tx: tx.is_empty())


async def test_a_seen_outcome_waits_for_the_last_clearing(room: Mailroom) -> None:
    message = await _held(room, "hub", "phone")
    await room.ack(message, "hub")
    await room.ack(message, "phone")
    await room.seen(message)
    assert (await room.row(message)).state is MessageState.SEEN  # type: ignore[union-attr]
    await room.clear_all()
    assert await room.row(message) is None


async def test_a_tombstone_is_dropped_at_the_messages_expiry(room: Mailroom) -> None:
    message = await _held(room, "hub")
    await room.forget(message)
    assert not await room.read(lambda tx: tx.is_empty())
    room.change(now=NOW + DAY)
    await room.sweep()
    assert await room.read(lambda tx: tx.is_empty())


async def test_a_message_forgotten_after_its_expiry_leaves_no_tombstone(room: Mailroom) -> None:
    message = await _held(room, "hub")
    room.change(now=NOW + DAY)
    await room.sweep()
    await room.clear_all()
    await room.seen(message)
    assert await room.read(lambda tx: tx.is_empty())


async def test_an_unfinished_message_cannot_be_seen_away(room: Mailroom) -> None:
    message = await _held(room, "hub")
    await room.seen(message)
    assert (await room.row(message)).state is MessageState.HELD  # type: ignore[union-attr]


async def test_key_statements_are_dropped_when_they_have_run_out(room: Mailroom) -> None:
    room.change(now=NOW + 90 * DAY + CLOCK_SKEW)
    effects = await room.sweep()
    assert sorted(effects.keys) == ["hub", "lock", "phone", "thermo", "wall"]
    assert await room.read(lambda tx: tx.devices_with_keys()) == []
    old = await room.announce("hub")
    assert str(old.result) == "expired"


async def test_a_sweep_with_nothing_to_do_writes_nothing(room: Mailroom) -> None:
    room.change(now=NOW + YEAR // 12)
    message = room.fleet.seal("thermo", ["hub"], expires=NOW + YEAR // 12 + DAY)
    assert (await room.send(message)).holding is Holding.NEW
    swept = await room.run(lambda tx: sweep(tx, room.situation))
    assert not swept.more
    assert await room.read(lambda tx: tx.high_water()) == 0
