"""Loads `rbcl`, the wrapper of libsodium that proofs calculate with, and clears up after it.

It carries libsodium inside a Python file, writes it to the temporary directory whenever it is
imported, loads it from there and leaves it behind: 2.8 MB for each process that ever started. Once
loaded, the file has no more use. A temporary directory that must not be executed from (``noexec``)
cannot do with it at all.
"""

import contextlib
import os
import sys
from types import ModuleType, TracebackType

from device_sdk.proofs.errors import ProofsNotInstalledError

_failures: list[str] = []
"""Why it could not be loaded: it is not tried again, as each try writes the file anew."""


def load() -> ModuleType:
    """Return `rbcl`, or raise ProofsNotInstalledError."""
    if _failures:
        raise ProofsNotInstalledError(_failures[0])
    try:
        import rbcl
    except ModuleNotFoundError as error:
        if error.name not in {"rbcl", "barriers"}:
            raise
        raise ProofsNotInstalledError("proofs need: pip install 'sealgate[proofs]'") from error
    except OSError as error:
        _failures.append(f"libsodium cannot be loaded: {error}")
        _remove_copy_of(error)
        raise ProofsNotInstalledError(_failures[0]) from error
    _remove(getattr(sys.modules.get("rbcl._sodium"), "lib_path", None))
    module: ModuleType = rbcl
    return module


def _remove_copy_of(error: OSError) -> None:
    """The module is gone from `sys.modules` by now; its variables are still in the traceback."""
    at: TracebackType | None = error.__traceback__
    while at is not None:
        if at.tb_frame.f_globals.get("__name__") == "rbcl._sodium":
            _remove(at.tb_frame.f_globals.get("lib_path"))
        at = at.tb_next


def _remove(copy: object) -> None:
    if isinstance(copy, str):
        with contextlib.suppress(OSError):
            os.unlink(copy)  # noqa: PTH108
