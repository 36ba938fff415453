"""The library behind the proofs: loaded when it is needed, and nothing of it left lying about."""

import subprocess
import sys
from pathlib import Path

import pytest

from device_sdk.proofs import library
from device_sdk.proofs.errors import ProofsNotInstalledError


def run(code: str, temporary: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_package_by_itself_loads_nothing(tmp_path: Path) -> None:
    code = "import sys, device_sdk.proofs, device_sdk.proofs.errors; print('rbcl' in sys.modules)"
    assert run(code, tmp_path) == "False"


def test_no_copy_of_libsodium_stays_in_the_temporary_directory(tmp_path: Path) -> None:
    code = "import rbcl; print('loaded')"
    assert run(code, tmp_path) == "loaded"
    assert len(list(tmp_path.iterdir())) == 1  # what it leaves when nobody clears up
    clean = tmp_path / "clean"
    clean.mkdir()
    code = "from device_sdk.proofs.pedersen import H; print(len(H))"
    assert run(code, clean) == "32"
    assert list(clean.iterdir()) == []


def test_without_the_library_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "rbcl", None)
    with pytest.raises(ProofsNotInstalledError, match=r"pip install 'sealgate\[proofs\]'"):
        library.load()


def test_a_library_that_cannot_be_loaded_is_an_error_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Unloadable:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "rbcl":
                raise OSError("failed to map segment from shared object")

    monkeypatch.delitem(sys.modules, "rbcl", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Unloadable(), *sys.meta_path])
    with pytest.raises(ProofsNotInstalledError, match="failed to map segment"):
        library.load()
