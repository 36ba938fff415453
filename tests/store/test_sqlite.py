"""What is particular to the ledger in one SQLite file."""

import asyncio
import contextlib
import hashlib
import os
import re
import sqlite3
import stat
import sys
from pathlib import Path

import pytest

from gateway.errors import (
    LedgerDamagedError,
    LedgerError,
    LedgerLockedError,
    LedgerTooNewError,
    LedgerUnavailableError,
)
from gateway.store.queries import migrations, queries
from gateway.store.sqlite import SqliteLedger, read_summaries
from tests.support.rows import add_message, settle


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


async def _closed(path: Path, messages: int = 1) -> None:
    """Make a ledger with a few messages in it, and close it."""
    ledger = SqliteLedger.open(path)
    await ledger.run(lambda tx: [add_message(tx) for _ in range(messages)])
    await ledger.close()


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def _damage(path: Path) -> None:
    """Overwrite the beginning of every table and index but the ledger's own id."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        roots = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE tbl_name != 'meta' AND rootpage > 0"
        ).fetchall()
    data = bytearray(path.read_bytes())
    for (page,) in roots:  # the first page is number 1
        data[(page - 1) * 4096 : (page - 1) * 4096 + 8] = b"\xff" * 8
    path.write_bytes(data)


# ---------------------------------------------------------------- the file


async def test_what_was_committed_is_there_after_reopening(path: Path) -> None:
    ledger = SqliteLedger.open(path)
    ledger_id = await ledger.read(lambda tx: tx.ledger_id())
    key = await ledger.run(lambda tx: add_message(tx, 3))
    await ledger.run(lambda tx: settle(tx, key, "r1"))
    await ledger.close()
    ledger = SqliteLedger.open(path)
    assert await ledger.read(lambda tx: tx.ledger_id()) == ledger_id
    slots = await ledger.read(lambda tx: tx.slots(key))
    assert [str(slot.state) for slot in slots] == ["owed", "read", "owed"]
    await ledger.close()


async def test_nobody_else_may_look_into_the_files(path: Path) -> None:
    ledger = SqliteLedger.open(path)
    await ledger.run(add_message)
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name
    await ledger.close()


async def test_the_settings_that_durability_and_erasure_need_are_in_force(path: Path) -> None:
    ledger = SqliteLedger.open(path)

    def settings() -> list[object]:
        names = ("journal_mode", "synchronous", "secure_delete", "foreign_keys", "temp_store")
        return [ledger._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert await ledger._in_thread(settings) == ["wal", 2, 1, 1, 2]
    await ledger.erase()
    assert await ledger._in_thread(settings) == ["wal", 2, 1, 1, 2]
    await ledger.close()


async def test_a_large_rebuilds_temporary_file_lies_beside_the_ledger(tmp_path: Path) -> None:
    directory = tmp_path / "it's here"
    directory.mkdir()
    ledger = SqliteLedger.open(directory / "ledger.sqlite")
    used = ledger._connection.execute
    (found,) = await ledger._in_thread(lambda: used("PRAGMA temp_store_directory").fetchone())
    assert found == str(directory)
    await ledger.close()


def test_every_query_that_runs_often_uses_an_index() -> None:
    connection = sqlite3.connect(":memory:")
    for script in migrations():
        connection.executescript(script)
    rare = {
        "is_used",  # looks at the first row only
        "owed_by_readers",  # reads an index whole, once a sweep
    }
    for name, query in queries().items():
        values = dict.fromkeys(re.findall(r":(\w+)", query), 1)
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", values)]
        large = r"SCAN (m|s|w|e|messages|slots|wraps|bodies|excuses|tombstones)\b"
        scans = [step for step in plan if re.match(large, step)]
        assert not scans or name in rare, (name, plan)
    connection.close()


# ---------------------------------------------------------------- one process


async def test_a_second_gateway_is_told_who_has_the_directory(path: Path) -> None:
    ledger = SqliteLedger.open(path)
    with pytest.raises(LedgerLockedError) as caught:
        SqliteLedger.open(path)
    assert caught.value.pid == os.getpid()
    assert str(os.getpid()) in str(caught.value)
    await ledger.close()
    await SqliteLedger.open(path).close()


_HOLDER = """
import sys, time
from pathlib import Path
from gateway.store.sqlite import SqliteLedger
ledger = SqliteLedger.open(Path(sys.argv[1]))
print("open", flush=True)
time.sleep(600)
"""


async def test_a_killed_gateway_leaves_the_directory_free(path: Path) -> None:
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _HOLDER, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"open\n"
    with pytest.raises(LedgerLockedError) as caught:
        SqliteLedger.open(path)
    assert caught.value.pid == holder.pid
    holder.kill()
    await holder.wait()
    await SqliteLedger.open(path).close()


# ---------------------------------------------------------------- files that are no use


def test_a_missing_directory_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="No such file"):
        SqliteLedger.open(tmp_path / "nowhere" / "ledger.sqlite")


async def test_a_ledger_of_a_newer_release_is_left_alone(path: Path) -> None:
    await _closed(path)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(migrations()) + 1}")
    connection.close()
    before = _digest(path)
    with pytest.raises(LedgerTooNewError) as caught:
        SqliteLedger.open(path)
    assert caught.value.found == caught.value.known + 1
    with pytest.raises(LedgerTooNewError):
        list(read_summaries(path))
    assert _digest(path) == before


def test_a_file_that_is_no_ledger_is_refused_and_the_lock_let_go_of(path: Path) -> None:
    path.write_bytes(b"something else " * 1000)
    with pytest.raises(LedgerDamagedError):
        SqliteLedger.open(path)
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    with pytest.raises(LedgerDamagedError):
        SqliteLedger.open(path)
    path.unlink()
    asyncio.run(SqliteLedger.open(path).close())


async def test_a_damaged_ledger_says_so_when_it_is_used(path: Path) -> None:
    await _closed(path, messages=200)
    _damage(path)
    ledger = SqliteLedger.open(path)
    with pytest.raises(LedgerDamagedError):
        await ledger.read(lambda tx: tx.copies_due(100, 1000))
    with pytest.raises(LedgerDamagedError):
        await ledger.run(lambda tx: [add_message(tx) for _ in range(50)])
    with pytest.raises(LedgerDamagedError):
        await ledger.erase()
    await ledger.close()
    # It has let go of the directory all the same.
    await SqliteLedger.open(path).close()


# ---------------------------------------------------------------- a disk that is full


async def test_a_full_disk_keeps_nothing_of_the_transaction_and_can_be_cured(path: Path) -> None:
    ledger = SqliteLedger.open(path)
    kept = await ledger.run(add_message)

    def limit(pages: int) -> None:
        ledger._connection.execute(f"PRAGMA max_page_count = {pages}")

    (pages,) = await ledger._in_thread(
        lambda: ledger._connection.execute("PRAGMA page_count").fetchone()
    )
    await ledger._in_thread(lambda: limit(pages + 2))
    with pytest.raises(LedgerUnavailableError):
        await ledger.run(lambda tx: [add_message(tx, 20) for _ in range(50)])
    assert await ledger.read(lambda tx: [key for key, _ in tx.summaries(None, 99)]) == [kept]
    await ledger._in_thread(lambda: limit(100_000))
    await ledger.run(lambda tx: [add_message(tx, 20) for _ in range(50)])
    assert len(await ledger.read(lambda tx: tx.summaries(None, 99))) == 51
    await ledger.close()


# ---------------------------------------------------------------- looking from outside


async def test_another_process_can_list_what_is_held_while_a_gateway_runs(path: Path) -> None:
    ledger = SqliteLedger.open(path)
    await ledger.run(lambda tx: [add_message(tx) for _ in range(3)])
    script = (
        "import sys; from pathlib import Path; from gateway.store.sqlite import read_summaries\n"
        "print(len(list(read_summaries(Path(sys.argv[1])))))"
    )
    lister = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(path), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await lister.communicate()
    assert out == b"3\n"
    await ledger.run(add_message)
    assert len(list(read_summaries(path))) == 4
    await ledger.close()


async def test_a_ledger_can_be_listed_while_no_gateway_runs(path: Path) -> None:
    await _closed(path, messages=2)
    assert len(list(read_summaries(path))) == 2
    await SqliteLedger.open(path).close()


def test_a_ledger_that_is_not_there_is_not_made_by_listing_it(path: Path) -> None:
    with pytest.raises(LedgerError):
        list(read_summaries(path))
    assert not path.exists()
