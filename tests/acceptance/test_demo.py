"""The demo succeeds only if what it shows is so, and leaves nothing behind however it ends."""

import io
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from gateway.cli.demo.facts import DemoError, becomes_true, found_in, found_in_files
from gateway.cli.demo.processes import Workshop
from gateway.cli.demo.screen import Screen
from tests.support.commands import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Commands whose temporary files are all below one directory."""
    shell = Shell(tmp_path)
    shell.environment["TMPDIR"] = str(tmp_path)
    return shell


def left_behind(directory: Path) -> list[str]:
    """Return the files below a directory, and the processes that work there."""
    found = [str(path) for path in directory.iterdir()]
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(directory):
                found.append(" ".join(process.cmdline()))
        except (psutil.Error, OSError):
            continue
    return found


def test_the_demo_checks_every_fact_and_leaves_nothing_behind(shell: Shell) -> None:
    done = shell.ok("demo")
    facts = done.out.count("\n    ✓ ")
    assert facts >= 18
    assert f"All {facts} facts hold" in done.out
    assert "✗" not in done.out
    assert done.err == ""
    assert left_behind(shell.directory) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_an_interrupted_demo_leaves_nothing_behind(shell: Shell, number: signal.Signals) -> None:
    with shell.start("demo") as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "held:" in line:
                break
        assert left_behind(shell.directory) != []
        demo.send_signal(number)
        assert demo.wait(30) == 130
        assert demo.stderr is not None
        assert demo.stderr.read() == ""
    assert left_behind(shell.directory) == []


def test_a_fact_that_does_not_hold_ends_the_demo() -> None:
    shown = io.StringIO()
    screen = Screen(Console(file=shown))
    screen.fact("the sun shines", True)
    with pytest.raises(DemoError, match="the moon shines"):
        screen.fact("the moon shines", False)
    assert "✗ the moon shines" in shown.getvalue()
    assert screen.facts == 1


def test_a_command_that_fails_ends_the_demo_with_its_reason() -> None:
    with Workshop() as shop:
        directory = shop.directory
        with pytest.raises(DemoError, match=r"`sealgate fleet show ./fleet` failed: .* no fleet"):
            shop.run("fleet", "show", "./fleet")
    assert not directory.exists()


def cut(secret: bytes) -> bytes:
    return b"x" * 100 + secret[5:21]


@pytest.mark.parametrize(
    "trace", [bytes, cut, lambda s: s.hex().encode(), lambda s: s.hex().upper().encode()]
)
def test_the_search_finds_a_message_also_in_pieces_and_in_hex(
    trace: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    secret = bytes(range(100, 140))
    (tmp_path / "below").mkdir()
    file = tmp_path / "below" / "ledger"
    file.write_bytes(b"before" + trace(secret) + b"after")
    assert found_in_files(tmp_path, {"it": secret, "another": bytes(40)}) == {"it"}
    file.write_bytes(b"before" + bytes(reversed(secret)) + b"after")
    assert found_in_files(tmp_path, {"it": secret}) == set()


def test_nothing_is_found_in_nothing() -> None:
    assert found_in(b"", {"it": bytes(40)}) == set()


def test_what_never_becomes_true_is_given_up() -> None:
    assert becomes_true(lambda: True)
    assert not becomes_true(lambda: False, patience=0.1)


def test_the_demo_says_what_to_install(shell: Shell) -> None:
    program = "import sys; sys.modules['psutil'] = None; sys.argv = ['sealgate', 'demo']\n"
    program += "from gateway.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert done.stderr == "sealgate: the demo needs: pip install 'sealgate[all]'\n"
    assert done.returncode == 1
