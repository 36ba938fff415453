"""The command line by itself: help, errors, and what is made without a broker."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from gateway.cli.main import app
from tests.support.commands import Shell


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Return every command by the words that call it."""
    context = group.make_context(" ".join(path), [], resilient_parsing=True)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if hasattr(command, "list_commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


def find(path: tuple[str, ...]) -> Any:
    command: Any = typer.main.get_command(app)
    for name in path:
        context = command.make_context(name, [], resilient_parsing=True)
        command = command.get_command(context, name)
    return command


def run_python(program: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )


EVERY = list(commands(typer.main.get_command(app)))


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def fleet(shell: Shell) -> Shell:
    shell.ok("fleet", "init", "./fleet", "--name", "home", "--no-passphrase")
    return shell


def test_every_documented_command_is_there() -> None:
    assert {" ".join(path) for path in EVERY} >= {
        "demo",
        "device init",
        "device read",
        "device send",
        "device sent",
        "device status",
        "device trust",
        "fleet admit",
        "fleet channel add",
        "fleet channel remove",
        "fleet channel set",
        "fleet diff",
        "fleet excuse",
        "fleet init",
        "fleet owner add",
        "fleet owner init",
        "fleet owner open",
        "fleet pull",
        "fleet renew",
        "fleet revoke",
        "fleet rotate",
        "fleet show",
        "gateway init",
        "messages list",
        "serve",
    }


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_command_has_help_with_an_example_that_it_takes(
    path: tuple[str, ...], shell: Shell
) -> None:
    shown = " ".join(shell.ok(*path, "--help").out.split())
    command = find(path)
    words = shlex.split(command.epilog.removeprefix("Example: ").partition("|")[0])
    assert " ".join(words) in shown.replace("'", "")
    assert words[: len(path) + 1] == ["sealgate", *path]
    command.make_context(path[-1], words[len(path) + 1 :])


def test_the_version_is_the_distributions(shell: Shell) -> None:
    assert shell.ok("--version").out.startswith("sealgate 0.")


@pytest.mark.parametrize(
    "mistake",
    ["nonsense", "fleet nonsense", "fleet init", "fleet admit . x --role king", "demo --nonsense"],
)
def test_a_mistyped_command_is_one_line_that_leads_to_its_help(mistake: str, shell: Shell) -> None:
    assert "--help" in shell.fails(*mistake.split())
    assert shell.run(*mistake.split()).code == 2


def test_a_traceback_is_shown_only_to_those_who_ask_for_it(shell: Shell) -> None:
    shell.environment["SEALGATE_DEBUG"] = "1"
    assert "Traceback" in shell.run("fleet", "show", "./nowhere").err


def test_a_fleet_is_made_and_admits_a_gateway_and_a_device(fleet: Shell) -> None:
    fleet.ok("gateway", "init", "gw-1", "--data", "./gateway-data")
    made = fleet.ok("device", "init", "thermo-1", "--dir", "./thermo-1").out
    fleet.ok("fleet", "admit", "./fleet", "./gateway-data/join-request", "--role", "gateway")
    admitted = fleet.ok("fleet", "admit", "./fleet", "./thermo-1/join-request").out
    # The fingerprint is the same on both machines, in hex and in digits.
    assert (*made.splitlines()[1:3], "Admitted device thermo-1") == (
        *admitted.splitlines()[1:3],
        admitted.splitlines()[0],
    )
    shown = fleet.ok("fleet", "show", "./fleet", "--json").json
    assert [(m["name"], m["roles"], m["state"]) for m in shown["members"]] == [
        ("gw-1", ["gateway"], "active"),
        ("thermo-1", ["device"], "active"),
    ]
    assert shown["members"][1]["reader_key_until"] > shown["roster_version"]


def test_the_bundle_alone_shows_who_belongs_to_the_fleet(fleet: Shell) -> None:
    mine = fleet.ok("fleet", "show", "./fleet", "--json").json
    given_away = fleet.ok("fleet", "show", "./fleet/public", "--json").json
    assert (mine.pop("name"), given_away.pop("name")) == ("home", "")
    assert mine == given_away


def test_admitting_says_in_json_what_a_script_wants_to_know(fleet: Shell) -> None:
    fleet.ok("gateway", "init", "gw-1", "--data", "./gw")
    arguments = ("fleet", "admit", "./fleet", "./gw/join-request", "--role", "gateway", "--json")
    first, second = fleet.ok(*arguments).json, fleet.ok(*arguments).json
    assert (first["name"], first["new"], second["new"]) == ("gw-1", True, False)
    assert second["roster_version"] > first["roster_version"]


def test_a_key_without_a_passphrase_is_written_with_a_warning(shell: Shell) -> None:
    done = shell.ok("gateway", "init", "gw-1", "--data", "./gw")
    assert "warning" in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("make", "use"),
    [
        ("fleet init ./f --name home", "fleet admit ./f ./gw/join-request --role gateway"),
        ("device init hub --dir ./d", "device status --dir ./d"),
    ],
    ids=["owner", "device"],
)
def test_a_passphrase_is_needed_again_and_never_warned_about(
    make: str, use: str, shell: Shell
) -> None:
    (shell.directory / "secret").write_text("correct horse\n")
    shell.ok("gateway", "init", "gw-1", "--data", "./gw")
    assert shell.ok(*make.split(), "--passphrase-file", "secret").err == ""
    assert "--passphrase-file" in shell.fails(*use.split())


MAKE = ("fleet", "init", "./fleet", "--name", "home")
ADMIT = ("fleet", "admit", "./fleet", "./gw/join-request", "--role", "gateway")


def test_at_a_terminal_a_passphrase_is_asked_for_and_never_shown(shell: Shell) -> None:
    shell.ok("gateway", "init", "gw-1", "--data", "./gw")
    code, shown = shell.talk(*MAKE, answers=["correct horse", "correct horse"])
    assert (code, "horse" in shown, "warning" in shown) == (0, False, False)
    code, shown = shell.talk(*ADMIT, answers=["correct horse"])
    assert (code, "Admitted gateway gw-1" in shown) == (0, True)
    code, shown = shell.talk(*ADMIT, answers=["wrong"])
    assert (code, "does not open" in shown) == (1, True)


def test_two_different_answers_make_nothing(shell: Shell) -> None:
    code, shown = shell.talk(*MAKE, answers=["correct horse", "correct hose"])
    assert (code, "differ" in shown) == (1, True)
    assert not (shell.directory / "fleet").exists()


def test_a_device_without_a_passphrase_is_made_with_a_warning(shell: Shell) -> None:
    code, shown = shell.talk("gateway", "init", "gw-1", "--data", "./gw", answers=[""])
    assert (code, "warning" in shown) == (0, True)


def test_a_root_key_is_unencrypted_only_for_an_owner_who_says_so(shell: Shell) -> None:
    code, shown = shell.talk(*MAKE, answers=[""])
    assert (code, "--no-passphrase" in shown) == (1, True)
    assert "--no-passphrase" in shell.fails(*MAKE)
    (shell.directory / "secret").write_text("correct horse\n")
    assert "got both" in shell.fails(*MAKE, "--no-passphrase", "--passphrase-file", "secret")
    assert not (shell.directory / "fleet").exists()
    assert "whoever copies that file owns the fleet" in shell.ok(*MAKE, "--no-passphrase").err


def test_a_passphrase_file_must_hold_one(shell: Shell) -> None:
    given = ("--passphrase-file", "secret")
    assert "cannot read" in shell.fails(*MAKE, *given)
    (shell.directory / "secret").write_text("\n")
    assert "empty" in shell.fails(*MAKE, *given)
    assert not (shell.directory / "fleet").exists()


@pytest.mark.parametrize(
    ("mistake", "reason"),
    [
        ("fleet init ./fleet --name other --no-passphrase", "there already"),
        ("fleet init ./new --name UPPER --no-passphrase", "a-z 0-9"),
        ("fleet admit ./nowhere ./fleet/public/roster", "holds no fleet"),
        ("fleet admit ./fleet ./nowhere", "No such file"),
        ("fleet admit ./fleet ./fleet/public/roster", "not a join request"),
        ("fleet show ./nowhere", "no fleet and no bundle"),
        ("gateway init a/b --data ./gw", "a-z 0-9"),
        ("device init Hub --dir ./hub", "a-z 0-9"),
        ("device send --dir ./nowhere --to hub x", "holds no device"),
        ("device read --dir ./nowhere", "holds no device"),
        ("device trust ./fleet/public/root.pub --dir ./nowhere --broker mqtt://x", "no device"),
        ("messages list --data ./nowhere", "no ledger"),
        ("serve --data ./nowhere --bundle ./fleet/public", "no identity"),
    ],
)
def test_a_refusal_is_one_line_that_says_what_is_wrong(
    mistake: str, reason: str, fleet: Shell
) -> None:
    assert reason in fleet.fails(*mistake.split())


def test_without_the_extra_the_command_says_what_to_install() -> None:
    program = "import sys; sys.modules['typer'] = None; from gateway.cli import main; main()"
    done = run_python(program)
    assert done.returncode != 0
    assert done.stderr == "sealgate: the command line needs: pip install 'sealgate[cli]'\n"


def test_without_the_gateways_extra_serve_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['pydantic_settings'] = None\n"
        "sys.argv = ['sealgate', 'serve', '--data', 'x', '--bundle', 'y']\n"
        "from gateway.cli import main; main()"
    )
    done = run_python(program)
    assert done.returncode == 1
    assert done.stderr == "sealgate: serve needs: pip install 'sealgate[gateway]'\n"


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        ("serve --data x --bundle y", ["device_sdk.cli", "device_sdk.unseal", "gateway.owner"]),
        ("messages list --data x", ["device_sdk.cli", "device_sdk.unseal", "gateway.owner"]),
        ("device status --dir x", ["gateway.service", "gateway.store", "gateway.owner", "amqtt"]),
        ("--help", ["device_sdk.cli", "gateway.service", "gateway.owner", "rich.live", "psutil"]),
    ],
)
def test_a_command_loads_only_its_own_half_of_the_project(
    arguments: str, absent: list[str]
) -> None:
    program = (
        "import sys, atexit\n"
        "atexit.register(lambda: print('LOADED', *sys.modules))\n"
        f"sys.argv = ['sealgate', *{arguments.split()!r}]\n"
        "from gateway.cli import main; main()"
    )
    done = run_python(program)
    loaded = done.stdout.splitlines()[-1].split()
    assert "gateway.cli.main" in loaded
    assert not set(absent) & set(loaded)
