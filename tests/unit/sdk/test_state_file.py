"""The state file: private, whole or not at all, and free of what was deleted."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from device_sdk.errors import StateFileError
from device_sdk.key_file import LoosePermissionsError
from device_sdk.state.state_file import StateFile


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        with StateFile(tmp_path / "state.sqlite") as state:
            state.put_fact("a", b"b")
            modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(old)
    assert modes == {0o600}


def test_a_file_open_to_others_is_refused(tmp_path: Path) -> None:
    StateFile(tmp_path / "s").close()
    (tmp_path / "s").chmod(0o644)
    with pytest.raises(LoosePermissionsError):
        StateFile(tmp_path / "s")


def test_its_settings_are_durable_and_erasing(tmp_path: Path) -> None:
    with StateFile(tmp_path / "s") as state:
        assert state.row("PRAGMA journal_mode") == ("wal",)
        assert state.row("PRAGMA synchronous") == (2,)
        assert state.row("PRAGMA secure_delete") == (1,)


def test_a_setting_that_sqlite_does_not_take_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StateFileError, match="journal_mode=WAL"):
        StateFile(Path(":memory:"))  # what SQLite keeps in memory has no write-ahead log


def test_a_new_files_name_survives_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[Path, bool]] = []
    fsync, path = os.fsync, tmp_path / "s"

    def record(descriptor: int) -> None:
        synced.append((Path(f"/proc/self/fd/{descriptor}").readlink(), path.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    StateFile(path).close()
    assert synced == [(tmp_path, True)]
    StateFile(path).close()
    assert len(synced) == 1  # it has its name already


def test_what_is_committed_has_been_synced_to_the_disk(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    script = """
        import os, sys
        from pathlib import Path
        from device_sdk.state.state_file import StateFile
        with StateFile(Path(sys.argv[1])) as state:
            state.put_fact("a", b"b")
            os.write(1, b"committed 1")
            state.put_fact("a", b"c")
            os.write(1, b"committed 2")
    """
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed: what reaches the disk cannot be seen")
    traced = [strace, "-f", "-y", "-o", str(trace), "-e", "trace=write,pwrite64,fdatasync,fsync"]
    subprocess.run(
        [*traced, sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "s")],
        check=True,
        capture_output=True,
    )
    lines = trace.read_text().splitlines()
    for number in (1, 2):
        said = next(i for i, line in enumerate(lines) if f"committed {number}" in line)
        before = [line for line in lines[:said] if "/s-wal>" in line]
        assert "sync(" in before[-1], before[-1]
        assert "pwrite64(" in before[-2]
        lines = lines[said:]


def test_what_was_deleted_is_gone_from_all_its_files(tmp_path: Path) -> None:
    marker = os.urandom(64)
    with StateFile(tmp_path / "s") as state:
        state.put_fact("a", marker)
        state.sweep()
        assert any(marker in path.read_bytes() for path in tmp_path.iterdir())
        state.execute("DELETE FROM fact")
        state.sweep()
        assert not any(marker in path.read_bytes() for path in tmp_path.iterdir())


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with StateFile(tmp_path / "s") as state:

        def put(value: bytes, *, fail: bool) -> None:
            with state.transaction():
                state.put_fact("a", value)
                if fail:
                    raise KeyError

        with pytest.raises(KeyError):
            put(b"b", fail=True)
        assert state.fact("a") is None
        put(b"c", fail=False)
        assert state.fact("a") == b"c"


def test_what_is_no_state_file_is_refused_with_our_error(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"not a database, but long enough to look like one" * 100)
    (tmp_path / "s").chmod(0o600)
    with pytest.raises(StateFileError):
        StateFile(tmp_path / "s")


def test_a_newer_versions_file_is_refused(tmp_path: Path) -> None:
    StateFile(tmp_path / "s").close()
    database = sqlite3.connect(tmp_path / "s")
    database.execute("PRAGMA user_version=1000")
    database.close()
    with pytest.raises(StateFileError, match="newer version"):
        StateFile(tmp_path / "s")


def test_a_directory_that_cannot_be_written_is_our_error(tmp_path: Path) -> None:
    with pytest.raises(StateFileError):
        StateFile(tmp_path / "missing" / "s")
