"""Loads `rbcl`, the wrapper of libsodium that proofs calculate with, and clears up after it.

It carries libsodium inside a Python file, writes it to the temporary directory whenever it is
imported, loads it from there and leaves it behind: 2.8 MB for each process that ever started. Once
loaded, the file has no more use. A temporary directory that must not be executed from (``noexec``)
cannot do with it at all.
"""

import contextlib
import os
import sys
from types import ModuleType

from device_sdk.proofs.errors import ProofsNotInstalledError


def load() -> ModuleType:
    """Return `rbcl`, or raise ProofsNotInstalledError."""
    try:
        import rbcl
    except ModuleNotFoundError as error:
        if error.name not in {"rbcl", "barriers"}:
            raise
        raise ProofsNotInstalledError("proofs need: pip install 'sealgate[proofs]'") from error
    except OSError as error:
        raise ProofsNotInstalledError(f"libsodium cannot be loaded: {error}") from error
    _remove_copy()
    module: ModuleType = rbcl
    return module


def _remove_copy() -> None:
    copy = getattr(sys.modules.get("rbcl._sodium"), "lib_path", None)
    if isinstance(copy, str):
        with contextlib.suppress(OSError):
            os.unlink(copy)  # noqa: PTH108
