"""What somebody who installs the project gets, and what the pinned requirements promise."""

import re
import tomllib
from importlib import resources
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINNED = sorted((ROOT / "requirements").glob("*.txt"))
EXTRAS = r"(?:\[[a-z0-9,-]+\])?"


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9-]", requirement)[0] for requirement in requirements}


def pins(path: Path) -> dict[str, str]:
    """The pinned version of every package in a requirements file."""
    return dict(re.findall(rf"^([a-z0-9-]+){EXTRAS}==([^ ]+)", path.read_text(), re.MULTILINE))


def test_a_device_installs_three_packages_and_nothing_else() -> None:
    assert names(PROJECT["dependencies"]) == {"cbor2", "cryptography", "paho-mqtt"}


def test_everything_an_extra_asks_for_is_pinned_for_running() -> None:
    extras = PROJECT["optional-dependencies"]
    # Who wants keys in a token installs that extra by itself; the tests' own pins have it.
    asked = names([one for name in extras if name != "pkcs11" for one in extras[name]])
    assert names(extras["pkcs11"]) <= pins(ROOT / "requirements/dev.txt").keys()
    assert asked - {"sealgate"} <= pins(ROOT / "requirements/run.txt").keys()


@pytest.mark.parametrize("path", PINNED, ids=lambda path: path.name)
def test_every_requirement_is_one_version_with_hashes_and_no_address(path: Path) -> None:
    entries = path.read_text().replace("\\\n", " ").splitlines()
    assert entries
    for entry in entries:
        assert re.match(rf"[a-z0-9-]+{EXTRAS}==\S+ .*--hash=sha256:[0-9a-f]{{64}}", entry), entry
        assert "://" not in entry, entry


def test_developing_adds_to_what_runs_and_changes_none_of_it() -> None:
    run, dev = pins(ROOT / "requirements/run.txt"), pins(ROOT / "requirements/dev.txt")
    assert run.items() <= dev.items()


def test_the_oracles_run_on_the_oldest_cbor2_that_the_project_allows() -> None:
    assert "cbor2>=5.9,<7" in PROJECT["dependencies"]
    assert pins(ROOT / "requirements/oracles.txt")["cbor2"].startswith("5.9.")
    assert pins(ROOT / "requirements/run.txt")["cbor2"].startswith("6.")


@pytest.mark.parametrize("package", ["device_sdk", "gateway"])
def test_both_packages_say_that_they_are_typed(package: str) -> None:
    assert resources.files(package).joinpath("py.typed").is_file()
