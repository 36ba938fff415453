"""Whatever is left in a gateway's directory is found, and nothing else is."""

import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.audit import Finding, Look, look_again
from gateway.audit_files import AuditError, files_in
from gateway.audit_rows import SLACK, overdue_rows
from gateway.cli.audit_look import look_at
from gateway.errors import LedgerDamagedError, LedgerError
from gateway.lifecycle import MessageState
from gateway.settings import load_settings
from gateway.situation import Limits
from gateway.store.records import Tombstone
from gateway.store.sqlite import SqliteLedger, look_into
from tests.support.envelopes import Fleet
from tests.support.mailroom import Mailroom, erased, open_mailroom
from tests.support.rows import add_message, settle


async def left(data: Path, **settings: Path) -> list[tuple[str, str]]:
    """Return (what, where) of all that one look finds."""
    look = await look_at(load_settings(data=data, **settings))
    return [(one.what, one.where) for one in look.findings]


@asynccontextmanager
async def lived(fleet: Fleet, data: Path) -> AsyncIterator[Mailroom]:
    """Return a mailroom in which messages are at every stage of their way."""
    async with open_mailroom(fleet, data) as room:
        messages = [fleet.seal("thermo", ["hub", "phone"], os.urandom(3000)) for _ in range(12)]
        for message in messages:
            await room.send(message)
        await room.publish()
        for message in messages[:9]:
            await room.ack(message, "hub")
        for message in messages[:6]:
            await room.ack(message, "phone")
        await room.clear_all()
        await room.seen(*messages[:3])
        await room.erase()
        yield room


# ---------------------------------------------------------------- nothing left


async def test_nothing_is_left_while_messages_are_on_their_way_and_after_closing(
    fleet: Fleet, tmp_path: Path
) -> None:
    async with lived(fleet, tmp_path) as room:
        look = await look_at(load_settings(data=tmp_path))
        assert look == Look(messages=6, files=4)
        assert await room.ledger.erase()  # nobody is in its way
    assert await left(tmp_path) == []
    assert {path.name for path in files_in(tmp_path)} == {"ledger.sqlite", "lock"}


async def test_a_log_that_holds_what_is_held_is_nothing_left(tmp_path: Path) -> None:
    ledger = SqliteLedger.open(tmp_path / "ledger.sqlite")
    key = await ledger.run(lambda tx: add_message(tx, 2, ciphertext=os.urandom(9000)))
    await ledger.run(lambda tx: tx.set_message(key, MessageState.HELD))  # an older version of it
    assert (tmp_path / "ledger.sqlite-wal").stat().st_size
    assert await left(tmp_path) == []
    await ledger.close()


async def test_pages_that_were_split_hold_nothing_but_what_is_still_there(tmp_path: Path) -> None:
    ledger = SqliteLedger.open(tmp_path / "ledger.sqlite")
    await erased(ledger)
    for _ in range(10):
        await ledger.run(lambda tx: [add_message(tx, ciphertext=os.urandom(9)) for _ in range(300)])
    await ledger.close()
    with look_into(tmp_path / "ledger.sqlite") as connection:
        assert connection.execute("PRAGMA page_count").fetchone()[0] > 300
    assert await left(tmp_path) == []


# ---------------------------------------------------------------- files


async def test_files_that_do_not_belong_there_are_found_but_not_the_operators_own(
    fleet: Fleet, tmp_path: Path
) -> None:
    data, password = tmp_path / "data", tmp_path / "data" / "broker-password"
    data.mkdir()
    message = fleet.seal("thermo", ["hub"])
    async with lived(fleet, data):
        pass
    password.write_text("secret")
    shutil.copy(data / "ledger.sqlite", data / "ledger.sqlite.bak")
    (data / "old").mkdir()
    (data / "old" / "envelope").write_bytes(message.data)
    (data / ".identity.pem.new").write_bytes(b"half")
    (data / "ciphertext").write_bytes(message.envelope.body.ciphertext)
    (data / "gateway.toml").write_text("")
    assert await left(data, password_file=password) == [
        ("a file that does not belong here", ".identity.pem.new"),
        ("a file that does not belong here", "ciphertext"),
        ("a copied database that does not belong here", "ledger.sqlite.bak"),
        ("a sealed message that does not belong here", "old/envelope"),
    ]
    assert ("a file that does not belong here", "broker-password") in await left(data)


async def test_a_directory_or_ledger_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="there is no directory"):
        await left(tmp_path / "nowhere")
    with pytest.raises(LedgerError, match="there is no ledger"):
        await left(tmp_path)
    (tmp_path / "ledger.sqlite").write_bytes(b"something else " * 1000)
    with pytest.raises(LedgerDamagedError):
        await left(tmp_path)


# ---------------------------------------------------------------- bytes


async def test_what_is_deleted_and_not_erased_is_found_in_the_log_and_by_every_page(
    tmp_path: Path,
) -> None:
    ledger = SqliteLedger.open(tmp_path / "ledger.sqlite")
    keys = await ledger.run(
        lambda tx: [add_message(tx, 2, ciphertext=os.urandom(9000)) for _ in range(3)]
    )
    await erased(ledger)
    await ledger.run(lambda tx: tx.drop_message(keys[0]))
    found = [where for what, where in await left(tmp_path) if what == "bytes that no row explains"]
    # The file still has the older versions of the pages that the log has changed.
    assert any(where.startswith("ledger.sqlite page") for where in found)
    await erased(ledger)
    await ledger.run(lambda tx: tx.drop_message(add_message(tx, ciphertext=os.urandom(9000))))
    key = await ledger.run(lambda tx: add_message(tx, ciphertext=os.urandom(9000)))
    await ledger.run(lambda tx: tx.drop_message(key))
    found = [where for what, where in await left(tmp_path) if what == "bytes that no row explains"]
    assert any(where.startswith("ledger.sqlite-wal page") for where in found)
    await erased(ledger)
    assert await left(tmp_path) == []
    await ledger.close()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM bodies",  # whole pages go to the free list
        "DELETE FROM bodies WHERE message % 2",  # free blocks between rows
        "DELETE FROM wraps WHERE slot % 3",
        "UPDATE slots SET state = 'read'; DELETE FROM bodies; DELETE FROM wraps; VACUUM",
    ],
)
async def test_stale_bytes_in_pages_are_found_unless_the_file_was_rebuilt(
    tmp_path: Path, statement: str
) -> None:
    ledger = SqliteLedger.open(tmp_path / "ledger.sqlite")
    await ledger.run(lambda tx: [add_message(tx, ciphertext=os.urandom(700)) for _ in range(40)])
    await ledger.close()
    with sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None) as other:
        other.execute("PRAGMA secure_delete = 0")
        other.executescript(statement)
    other.close()
    found = {what for what, _ in await left(tmp_path)}
    assert found == (set() if "VACUUM" in statement else {"bytes that no row explains"})


# ---------------------------------------------------------------- rows


async def test_rows_that_should_be_gone_are_found(fleet: Fleet, tmp_path: Path) -> None:
    async with lived(fleet, tmp_path):
        pass
    with sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None) as other:
        other.executescript(
            """
            INSERT INTO wraps SELECT id, zeroblob(16), zeroblob(32), zeroblob(256), zeroblob(32)
            FROM slots WHERE state = 'read' ORDER BY id LIMIT 1;
            INSERT INTO bodies SELECT id, zeroblob(99), zeroblob(9), zeroblob(64), zeroblob(272)
            FROM messages WHERE state = 'finished' ORDER BY id LIMIT 1;
            UPDATE messages SET state = 'seen' WHERE id =
                (SELECT id FROM messages WHERE state = 'finished' ORDER BY id DESC LIMIT 1);
            INSERT INTO excuses (message, excuse) VALUES (12345, zeroblob(80));
            """
        )
    other.close()
    found = await left(tmp_path)
    assert [what for what, _ in found] == [
        "a body that no reader is owed",
        "a wrapped key that no reader is owed",
        "evidence of no message",
        "an outcome that its sender has seen",
    ]
    (sender, digits, reader) = found[1][1].split("/")
    assert (sender, len(digits), reader) == ("thermo", 8, "hub")


async def test_rows_whose_time_has_passed_are_found_after_the_time_that_a_sweep_takes(
    tmp_path: Path,
) -> None:
    path, grace = tmp_path / "ledger.sqlite", Limits().outcome_grace
    ledger = SqliteLedger.open(path)
    await ledger.run(lambda tx: add_message(tx, expires=5000))
    finished = await ledger.run(
        lambda tx: add_message(tx, expires=5000, state=MessageState.FINISHED)
    )
    await ledger.run(lambda tx: (settle(tx, finished, "r0"), tx.drop_body(finished)))  # type: ignore[func-returns-value]
    await ledger.run(
        lambda tx: tx.add_tombstone(
            Tombstone(mark=bytes(32), digest_mark=bytes(32), expires=5000 + grace)
        )
    )
    await ledger.close()
    with look_into(path) as connection:
        found = [
            [one.what for one in overdue_rows(connection, 5000 + seconds)]
            for seconds in (SLACK - 1, SLACK, SLACK + grace)
        ]
    assert found == [
        [],
        ["a message that has expired"],
        [
            "a message that has expired",
            "an outcome past its expiry and the grace after it",
            "a tombstone that has expired",
        ],
    ]


# ---------------------------------------------------------------- looking again

_ONE = Finding(what="something", where="here", todo="nothing", size=5, mark=1)


class Looks:
    """What is found, look by look."""

    def __init__(self, *looks: "list[Finding] | Exception") -> None:
        self._looks = list(looks)

    async def __call__(self) -> Look:
        found = self._looks.pop(0)
        if isinstance(found, Exception):
            raise found
        return Look(findings=tuple(found))


async def test_what_is_only_under_way_is_not_reported() -> None:
    moved = replace(_ONE, mark=2)
    for looks in ([[_ONE], []], [[_ONE], [moved]], [[], [_ONE]]):
        assert (await look_again(Looks(*looks), (0.0,))).findings == ()


async def test_what_stays_is_reported_once_with_its_whole_size() -> None:
    two = [_ONE, replace(_ONE, mark=2)]
    looks = Looks([*two, replace(_ONE, where="there")], two, two)
    (found,) = (await look_again(looks, (0.0, 0.0))).findings
    assert (found.size, found.count) == (10, 2)
    assert str(found) == "something (2 times): here, 10 bytes; nothing"


async def test_files_that_make_no_sense_are_looked_at_again() -> None:
    damaged = LedgerDamagedError("no sense")
    assert (await look_again(Looks(damaged, []), (0.0,))).findings == ()
    with pytest.raises(LedgerDamagedError):
        await look_again(Looks([_ONE], damaged), (0.0,))
