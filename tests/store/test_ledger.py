"""What every ledger promises: whole transactions, on disk, in order, and no more than was kept."""

import asyncio
import os
import threading
from dataclasses import replace

import pytest

from device_sdk.wire.epoch_key import EpochKey
from gateway.errors import LedgerDamagedError, LedgerError
from gateway.lifecycle import CopyState, MessageState, SlotState
from gateway.store.port import Ledger, Transaction
from gateway.store.records import (
    CopyRef,
    MessageKey,
    StoredKey,
    StoredRoster,
    StoredTokenKey,
    Tombstone,
    Usage,
)
from tests.support.rows import add_message, new_slot, new_wrap, settle


class StopError(Exception):
    """Raised by work that has second thoughts."""


async def test_what_a_transaction_wrote_is_there_for_the_next_one(ledger: Ledger) -> None:
    key = await ledger.run(add_message)
    message = await ledger.read(lambda tx: tx.message(key))
    assert message is not None
    assert message.key == key


async def test_work_that_raises_leaves_nothing_behind(ledger: Ledger) -> None:
    def work(tx: Transaction) -> None:
        add_message(tx)
        tx.set_high_water(5)
        raise StopError

    with pytest.raises(StopError):
        await ledger.run(work)
    assert await ledger.read(lambda tx: tx.is_empty())
    assert await ledger.read(lambda tx: tx.high_water()) == 0
    assert await ledger.read(lambda tx: tx.usage("thermo")) == Usage(messages=0, size=0)


async def test_work_under_way_together_is_done_one_after_the_other(ledger: Ledger) -> None:
    firsts = await asyncio.gather(*(ledger.run(lambda tx: tx.take_counters(3)) for _ in range(20)))
    assert sorted(firsts) == list(range(1, 61, 3))


async def test_a_caller_that_goes_away_leaves_its_work_whole(ledger: Ledger) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    def work(tx: Transaction) -> None:
        begun.set()
        cancelled.wait()
        for _ in range(50):
            add_message(tx)

    waiting = asyncio.create_task(ledger.run(work))
    await asyncio.to_thread(begun.wait)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    cancelled.set()
    assert await ledger.read(lambda tx: len(tx.copies_due(0, 100))) == 50


async def test_a_closed_ledger_does_no_work(ledger: Ledger) -> None:
    await ledger.close()
    with pytest.raises(LedgerError):
        await ledger.run(add_message)
    await ledger.close()


async def test_a_ledger_has_an_id_and_a_key_of_its_own(ledger: Ledger) -> None:
    ledger_id = await ledger.read(lambda tx: tx.ledger_id())
    key = await ledger.read(lambda tx: tx.tombstone_key())
    assert (len(ledger_id), len(key)) == (16, 32)
    assert await ledger.read(lambda tx: tx.ledger_id()) == ledger_id
    assert await ledger.read(lambda tx: tx.tombstone_key()) == key


# ---------------------------------------------------------------- messages and slots


async def test_a_message_comes_back_as_it_was_stored(ledger: Ledger) -> None:
    slot, wrap = new_slot(7, act_at=9), new_wrap()

    def work(tx: Transaction) -> MessageKey:
        key = add_message(tx, 2, ciphertext=b"sealed")
        tx.add_slot(key, slot, wrap)
        return key

    key = await ledger.run(work)
    assert (await ledger.read(lambda tx: tx.slot(key, "r7"))) == slot
    assert (await ledger.read(lambda tx: tx.wrap(key, "r7"))) == wrap
    body = await ledger.read(lambda tx: tx.body(key))
    assert body is not None
    assert body.ciphertext == b"sealed"
    assert [one.reader for one in await ledger.read(lambda tx: tx.slots(key))] == ["r0", "r1", "r7"]
    copy = await ledger.read(lambda tx: tx.copy(CopyRef(key, "r7")))
    assert copy is not None
    assert (copy.body, copy.wrap, copy.index, copy.expires) == (body, wrap, 7, 1000)


async def test_a_settled_slot_keeps_its_evidence_and_nothing_of_its_copy(ledger: Ledger) -> None:
    key = await ledger.run(lambda tx: add_message(tx, 4))
    refs = [CopyRef(key, f"r{index}") for index in range(4)]

    def work(tx: Transaction) -> None:
        tx.settle(refs[0], SlotState.READ, ack=b"ack")
        tx.settle(refs[1], SlotState.EXCUSED, excuse=b"excuse")
        tx.settle(refs[2], SlotState.EXCUSED, revoked_at=12)

    await ledger.run(work)
    read, excused, revoked, owed = await ledger.read(lambda tx: tx.slots(key))
    assert (read.state, read.ack) == (SlotState.READ, b"ack")
    assert (excused.state, excused.excuse) == (SlotState.EXCUSED, b"excuse")
    assert (revoked.state, revoked.revoked_at) == (SlotState.EXCUSED, 12)
    assert owed.state is SlotState.OWED
    for ref in refs[:3]:
        assert await ledger.read(lambda tx, ref=ref: tx.wrap(key, ref.reader)) is None  # type: ignore[misc]
        assert await ledger.read(lambda tx, ref=ref: tx.copy(ref)) is None  # type: ignore[misc]
    assert await ledger.read(lambda tx: tx.is_owed(key))
    await ledger.run(lambda tx: tx.settle(refs[3], SlotState.EXPIRED))
    assert not await ledger.read(lambda tx: tx.is_owed(key))


async def test_a_slot_cannot_be_settled_twice(ledger: Ledger) -> None:
    key = await ledger.run(add_message)
    await ledger.run(lambda tx: settle(tx, key, "r0"))
    with pytest.raises(LedgerDamagedError):
        await ledger.run(lambda tx: settle(tx, key, "r0"))


async def test_a_message_cannot_be_added_twice(ledger: Ledger) -> None:
    key = await ledger.run(add_message)
    message = await ledger.read(lambda tx: tx.message(key))
    assert message is not None
    with pytest.raises(LedgerDamagedError):
        await ledger.run(lambda tx: tx.add_message(message))


async def test_what_is_not_there_cannot_be_changed(ledger: Ledger) -> None:
    key = MessageKey("thermo", bytes(16))
    for work in (
        lambda tx: tx.drop_message(key),
        lambda tx: tx.set_message(key, MessageState.FINISHED),
        lambda tx: tx.set_copy(CopyRef(key, "r0"), CopyState.DUE, act_at=0, offers=0),
        lambda tx: tx.settle(CopyRef(key, "r0"), SlotState.READ),
    ):
        with pytest.raises(LedgerDamagedError):
            await ledger.run(work)


async def test_a_dropped_message_leaves_no_row_anywhere(ledger: Ledger) -> None:
    key = await ledger.run(lambda tx: add_message(tx, 3))
    await ledger.run(lambda tx: tx.settle(CopyRef(key, "r0"), SlotState.EXCUSED, excuse=b"word"))
    await ledger.run(lambda tx: tx.drop_message(key))
    assert await ledger.read(lambda tx: tx.is_empty())
    assert await ledger.read(lambda tx: tx.slots(key)) == []
    assert await ledger.read(lambda tx: tx.usage("thermo")) == Usage(messages=0, size=0)
    assert await ledger.read(lambda tx: tx.owed_by("r1")) == 0


async def test_usage_counts_messages_until_they_are_forgotten_and_sizes_of_what_has_content(
    ledger: Ledger,
) -> None:
    keys = await ledger.run(lambda tx: [add_message(tx) for _ in range(3)])
    await ledger.run(lambda tx: add_message(tx, sender="lock"))
    assert await ledger.read(lambda tx: tx.usage("thermo")) == Usage(messages=3, size=1500)
    await ledger.run(lambda tx: tx.drop_body(keys[0]))
    await ledger.run(lambda tx: tx.drop_body(keys[0]))
    assert await ledger.read(lambda tx: tx.usage("thermo")) == Usage(messages=3, size=1000)
    await ledger.run(lambda tx: tx.drop_message(keys[1]))
    assert await ledger.read(lambda tx: tx.usage("thermo")) == Usage(messages=2, size=500)


# ---------------------------------------------------------------- what is due


async def test_copies_and_clearings_are_due_by_their_time(ledger: Ledger) -> None:
    key = await ledger.run(lambda tx: add_message(tx, 4))

    def work(tx: Transaction) -> None:
        for index, act_at in enumerate((40, 10, 30, 20)):
            ref = CopyRef(key, f"r{index}")
            if index < 2:
                tx.set_copy(ref, CopyState.STANDING, act_at=act_at, offers=1)
            else:
                tx.settle(ref, SlotState.READ)
                tx.set_copy(ref, CopyState.CLEARING, act_at=act_at, offers=0)

    await ledger.run(work)
    copies = await ledger.read(lambda tx: tx.copies_due(100, 9))
    assert [ref.reader for ref in copies] == ["r1", "r0"]
    assert await ledger.read(lambda tx: tx.copies_due(39, 9)) == [CopyRef(key, "r1")]
    clearings = await ledger.read(lambda tx: tx.clearings_due(100, 9))
    assert [ref.reader for ref in clearings] == ["r3", "r2"]
    assert await ledger.read(lambda tx: tx.clearings_due(100, 1)) == [CopyRef(key, "r3")]


async def test_what_was_under_way_can_be_made_due_at_once(ledger: Ledger) -> None:
    key = await ledger.run(lambda tx: add_message(tx, 3))

    def work(tx: Transaction) -> None:
        tx.set_copy(CopyRef(key, "r0"), CopyState.DUE, act_at=500, offers=0)
        tx.set_copy(CopyRef(key, "r1"), CopyState.STANDING, act_at=500, offers=0)
        tx.settle(CopyRef(key, "r2"), SlotState.READ)
        tx.set_copy(CopyRef(key, "r2"), CopyState.CLEARING, act_at=500, offers=0)

    await ledger.run(work)
    await ledger.run(lambda tx: tx.make_all_due(100))
    assert [ref.reader for ref in await ledger.read(lambda tx: tx.copies_due(100, 9))] == ["r0"]
    assert [ref.reader for ref in await ledger.read(lambda tx: tx.clearings_due(100, 9))] == ["r2"]


async def test_all_owed_copies_can_be_walked_through_in_pieces(ledger: Ledger) -> None:
    def work(tx: Transaction) -> list[CopyRef]:
        keys = [add_message(tx, 3, sender=f"s{index % 3}") for index in range(10)]
        settle(tx, keys[0], "r1")
        return [
            CopyRef(key, f"r{index}")
            for key in keys
            for index in range(3)
            if (key, index) != (keys[0], 1)
        ]

    expected = await ledger.run(work)
    walked: list[CopyRef] = []
    after: CopyRef | None = None
    while page := await ledger.read(lambda tx, after=after: tx.owed_copies(after, 4)):  # type: ignore[misc]
        walked += page
        after = page[-1]
    assert walked == sorted(expected)


async def test_what_expires_and_what_waits_for_its_sender_is_found_by_time(
    ledger: Ledger,
) -> None:
    def work(tx: Transaction) -> list[MessageKey]:
        return [
            add_message(tx, expires=30),
            add_message(tx, expires=10, state=MessageState.PARTIAL),
            add_message(tx, expires=20, state=MessageState.FINISHED),
            add_message(tx, expires=5, state=MessageState.SEEN),
        ]

    held, partial, finished, _ = await ledger.run(work)
    assert await ledger.read(lambda tx: tx.expired(30, 9)) == [partial, held]
    assert await ledger.read(lambda tx: tx.expired(29, 9)) == [partial]
    assert await ledger.read(lambda tx: tx.finished_until(30, 9)) == [finished]
    assert await ledger.read(lambda tx: tx.finished_from(finished.sender, 9)) == [finished]
    assert await ledger.read(lambda tx: tx.finished_from("nobody", 9)) == []
    assert set(await ledger.read(lambda tx: tx.unfinished_from("thermo", 9))) == {held, partial}
    assert len(await ledger.read(lambda tx: tx.owed_refs("r0", 3))) == 3


# ---------------------------------------------------------------- the rest


async def test_tombstones_are_dropped_by_time(ledger: Ledger) -> None:
    stones = [
        Tombstone(mark=os.urandom(32), digest_mark=os.urandom(32), expires=expires)
        for expires in (10, 20, 30)
    ]
    for stone in stones:
        await ledger.run(lambda tx, stone=stone: tx.add_tombstone(stone))  # type: ignore[misc]
    assert not await ledger.read(lambda tx: tx.is_empty())
    assert await ledger.read(lambda tx: tx.tombstone(stones[0].mark)) == stones[0]
    assert await ledger.run(lambda tx: tx.drop_tombstones(20, 1)) == 1
    assert await ledger.run(lambda tx: tx.drop_tombstones(20, 9)) == 1
    assert await ledger.read(lambda tx: tx.tombstone(stones[0].mark)) is None
    assert await ledger.read(lambda tx: tx.tombstone(stones[2].mark)) == stones[2]


async def test_a_roster_replaces_the_one_before(ledger: Ledger) -> None:
    assert await ledger.read(lambda tx: tx.roster()) is None
    for pages in ((b"a", b"b", b"c"), (b"d",)):
        roster = StoredRoster(version=len(pages), head=b"head", pages=pages)
        await ledger.run(lambda tx, roster=roster: tx.save_roster(roster))  # type: ignore[misc]
        assert await ledger.read(lambda tx: tx.roster()) == roster


async def test_key_statements_are_found_by_device_and_key_and_dropped_by_time(
    ledger: Ledger,
) -> None:
    first = StoredKey(
        device="hub", kid=b"k" * 16, serial=1, not_before=0, not_after=10, statement=b"one"
    )
    second = replace(first, kid=b"l" * 16, serial=2, not_after=20)
    for key in (second, first):
        await ledger.run(lambda tx, key=key: tx.add_key_statement(key))  # type: ignore[misc]
    assert await ledger.read(lambda tx: tx.key_statements("hub")) == [first, second]
    assert await ledger.read(lambda tx: tx.key_statement("hub", first.kid)) == first
    assert await ledger.read(lambda tx: tx.key_statement("phone", first.kid)) is None
    same_key = replace(first, device="phone")
    await ledger.run(lambda tx: tx.add_key_statement(same_key))
    assert await ledger.read(lambda tx: tx.key_statement("hub", first.kid)) == first
    assert await ledger.read(lambda tx: tx.key_statement("phone", first.kid)) == same_key
    again = replace(first, serial=3, not_after=30)
    await ledger.run(lambda tx: tx.add_key_statement(again))
    assert await ledger.read(lambda tx: tx.key_statements("hub")) == [second, again]
    assert await ledger.run(lambda tx: tx.drop_key_statements(20)) == ["hub", "phone"]
    assert await ledger.run(lambda tx: tx.drop_key_statements(30)) == ["hub"]
    assert await ledger.read(lambda tx: tx.devices_with_keys()) == []
    assert await ledger.read(lambda tx: tx.key_serial("hub")) == 3


async def test_summaries_show_no_more_than_metadata(ledger: Ledger) -> None:
    key = await ledger.run(lambda tx: add_message(tx, 2))
    await ledger.run(lambda tx: settle(tx, key, "r0"))
    ((found, summary),) = await ledger.read(lambda tx: tx.summaries(None, 9))
    assert found == key
    assert summary.id_prefix == key.message_id.hex()[:8]
    assert (summary.sender, summary.owing, summary.reader_count) == ("thermo", ("r1",), 2)
    assert await ledger.read(lambda tx: tx.summaries(key, 9)) == []


def token_key(channel: str, erase_at: int) -> StoredTokenKey:
    """Return a key for tokens; no two are alike."""
    key = EpochKey(channel=channel, begins=3600, ends=7200, public=os.urandom(32))
    return StoredTokenKey(key=key, seed=os.urandom(32), erase_at=erase_at)


async def test_keys_for_tokens_go_in_time_with_all_that_hangs_on_them(ledger: Ledger) -> None:
    old, new = token_key("a", erase_at=10), token_key("b", erase_at=11)

    def work(tx: Transaction) -> None:
        for stored in (old, new):
            tx.add_token_key(stored)
            tx.add_token_request(stored.key.key_id, "thermo", bytes(32))
            tx.add_token_spent(stored.key.key_id, b"t" * 32, b"m" * 32)

    await ledger.run(work)
    assert await ledger.read(lambda tx: tx.token_keys()) == [old, new]
    assert await ledger.run(lambda tx: tx.drop_token_keys(10)) == 1
    assert await ledger.run(lambda tx: tx.drop_token_keys(10)) == 0
    for stored, kept in ((old, False), (new, True)):
        key_id = stored.key.key_id
        found = await ledger.read(
            lambda tx, key_id=key_id: (  # type: ignore[misc]
                tx.token_key(key_id),
                tx.token_request(key_id, "thermo"),
                tx.token_spent(key_id, b"t" * 32),
            )
        )
        assert found == ((stored, bytes(32), b"m" * 32) if kept else (None, None, None))


async def test_what_is_added_to_no_key_or_twice_is_a_defect(ledger: Ledger) -> None:
    stored = token_key("a", erase_at=10)
    await ledger.run(lambda tx: tx.add_token_key(stored))
    key_id = stored.key.key_id
    await ledger.run(lambda tx: tx.add_token_spent(key_id, b"t" * 32, b"m" * 32))
    for work in (
        lambda tx: tx.add_token_key(token_key("a", erase_at=10)),
        lambda tx: tx.add_token_spent(key_id, b"t" * 32, b"n" * 32),
        lambda tx: tx.add_token_spent(bytes(16), b"t" * 32, b"m" * 32),
        lambda tx: tx.add_token_request(bytes(16), "thermo", bytes(32)),
    ):
        with pytest.raises(LedgerDamagedError):
            await ledger.run(work)
