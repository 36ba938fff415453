"""What ``import device_sdk`` gives, and what it does not load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import device_sdk


def loaded_by(statement: str) -> set[str]:
    script = f"import sys; {statement}; print(*[m for m in sys.modules if '.' in m or m == 'paho'])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_wire_loads_nothing_else_of_the_sdk() -> None:
    modules = loaded_by("import device_sdk.wire.envelope")
    ours = {name for name in modules if name.startswith("device_sdk.")}
    assert all(name.startswith("device_sdk.wire") for name in ours)
    assert "paho.mqtt" not in modules


def test_an_error_can_be_named_without_loading_mqtt() -> None:
    assert "paho.mqtt" not in loaded_by("from device_sdk import RefusedError")


@pytest.mark.parametrize("name", sorted(device_sdk.__all__))
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(device_sdk, name).__name__ == name


def test_type_checkers_see_the_names_that_are_there_at_run_time() -> None:
    tree = ast.parse(Path(device_sdk.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    imported = {
        alias.name
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == set(device_sdk.__all__)
    assert imported <= set(dir(device_sdk))


def test_a_wrong_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Devise"):
        device_sdk.Devise  # noqa: B018
