"""Gone means gone: no byte of what was dropped is left in any file of the ledger."""

import os
import random
import sqlite3
from pathlib import Path

import pytest

from gateway.store.port import Transaction
from gateway.store.records import MessageKey
from gateway.store.sqlite import SqliteLedger
from tests.support.envelopes import NOW, Fleet, SealedMessage
from tests.support.mailroom import erased, open_mailroom
from tests.support.rows import add_message, settle


def _content(message: SealedMessage) -> list[bytes]:
    """Return pieces of all that must go with the last read ack."""
    body = message.envelope.body
    pieces = [body.ciphertext[at : at + 24] for at in range(0, len(body.ciphertext) - 24, 24)]
    pieces += [body.protected[-40:], body.countersignature.signature]
    for reader in message.envelope.readers:
        pieces += [reader.wrapped_cek[:24], reader.wrapped_cek[-24:], reader.open_hash]
    pieces += [node for copy in message.envelope.copies() for node in copy.inclusion.path]
    return pieces


def _names(message: SealedMessage) -> list[bytes]:
    """Return what must go as well when the sender has seen the outcome."""
    return [message.message_id, message.digest, message.message_id.hex().encode()]


def _left(directory: Path, pieces: set[bytes]) -> set[bytes]:
    """Return which of these pieces of 16 bytes are in any file."""
    found: set[bytes] = set()
    for file in directory.iterdir():
        data = file.read_bytes()
        found |= pieces & {data[at : at + 16] for at in range(len(data) - 15)}
    return found


async def test_a_message_is_gone_with_its_last_read_ack_and_its_name_with_seen(
    tmp_path: Path,
) -> None:
    fleet = Fleet()
    fleet.admit("thermo", "hub", "phone", "wall")
    async with open_mailroom(fleet, tmp_path) as room:
        staying = [fleet.seal("thermo", ["hub", "phone"], os.urandom(900)) for _ in range(20)]
        message = fleet.seal("thermo", ["hub", "phone", "wall"], os.urandom(9000))
        for one in [*staying[:10], message, *staying[10:]]:
            await room.send(one)
        await room.publish()
        for reader in ("hub", "phone"):
            await room.ack(message, reader)
        await room.erase()
        assert room.holds_bytes(message.envelope.body.ciphertext[:24])
        assert not room.holds_bytes(
            *(reader.wrapped_cek[:24] for reader in message.envelope.readers[:2])
        )
        await room.ack(message, "wall")
        await room.erase()
        assert not room.holds_bytes(*_content(message))
        assert room.holds_bytes(message.message_id)
        await room.clear_all()
        await room.seen(message)
        await room.erase()
        assert not room.holds_bytes(*_content(message), *_names(message))
        assert room.holds_bytes(staying[0].envelope.body.ciphertext[:24])
        assert await room.told(message) == [("held", "finished")]


async def test_an_expired_message_is_gone_as_well(tmp_path: Path) -> None:
    fleet = Fleet()
    fleet.admit("thermo", "hub", "phone")
    async with open_mailroom(fleet, tmp_path) as room:
        message = fleet.seal("thermo", ["hub", "phone"], expires=NOW + 5)
        await room.send(message)
        room.change(now=NOW + 5)
        await room.sweep()
        await room.erase()
        assert not room.holds_bytes(*_content(message))


async def test_nothing_dropped_survives_in_pages_that_are_still_in_use(tmp_path: Path) -> None:
    """Rows move between pages when trees are balanced; their old places must be empty too."""
    chance = random.Random(1)
    ledger = SqliteLedger.open(tmp_path / "ledger.sqlite")
    held: list[tuple[MessageKey, bytes]] = []
    read: list[tuple[MessageKey, bytes]] = []
    gone: set[bytes] = set()

    def churn(tx: Transaction) -> None:
        for _ in range(chance.randint(1, 60)):
            ack = os.urandom(16)
            ciphertext = os.urandom(chance.choice([272, 600, 3000]))
            held.append((add_message(tx, chance.choice([1, 1, 3, 20]), ciphertext=ciphertext), ack))
        chance.shuffle(held)
        for _ in range(min(len(held), chance.randint(1, 56))):
            key, ack = held.pop()
            body = tx.body(key)
            assert body is not None
            gone.add(body.ciphertext[:16])
            for slot in tx.slots(key):
                wrap = tx.wrap(key, slot.reader)
                assert wrap is not None
                gone.add(wrap.wrapped_cek[:16])
                settle(tx, key, slot.reader, ack * chance.randint(10, 20))
            tx.drop_body(key)
            read.append((key, ack))
        chance.shuffle(read)
        for _ in range(chance.randint(0, len(read))):
            key, ack = read.pop()
            message = tx.message(key)
            assert message is not None
            gone.update((key.message_id, message.digest[:16], ack))
            tx.drop_message(key)

    for _ in range(60):
        await ledger.run(churn)
        await ledger.erase()
    await ledger.run(churn)
    await erased(ledger)
    assert not _left(tmp_path, gone)
    assert held
    await ledger.close()


async def test_erasing_waits_for_a_reader_and_is_done_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = SqliteLedger.open(path)
    key = await ledger.run(lambda tx: add_message(tx, ciphertext=b"sealed" * 50))
    with sqlite3.connect(path) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM messages").fetchone()
        await ledger.run(lambda tx: tx.drop_message(key))
        assert not await ledger.erase()
        assert _left(tmp_path, {b"sealedsealedseal"})
        reader.execute("COMMIT")
    reader.close()
    await erased(ledger)
    assert not _left(tmp_path, {b"sealedsealedseal"})
    await ledger.close()


async def test_a_large_ledger_is_not_rebuilt_without_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = SqliteLedger.open(tmp_path / "ledger.sqlite")
    key = await ledger.run(add_message)
    await ledger.run(lambda tx: tx.drop_message(key))
    monkeypatch.setattr(ledger._eraser, "_rest_until", float("inf"))
    assert not await ledger.erase()
    monkeypatch.setattr(ledger._eraser, "_rest_until", 0.0)
    assert await ledger.erase()
    await ledger.close()


async def test_what_the_process_before_could_not_erase_is_erased_by_the_next(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = SqliteLedger.open(path)
    assert ledger._eraser._stale
    assert await ledger.erase()
    assert not ledger._eraser._stale
    await ledger.close()
