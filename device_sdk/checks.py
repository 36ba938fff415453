"""What a check of a device has found, and what to do about it."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from device_sdk.key_file import LoosePermissionsError, check_private

_TIGHT_DISK, _FULL_DISK = 256 * 2**20, 32 * 2**20
"""Free bytes below which a disk is worth a warning, and below which storing may fail any moment."""


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One thing that was looked at."""

    what: str
    verdict: Verdict
    found: str
    todo: str = ""
    """What to do about it; empty if all is well."""


def ok(what: str, found: str) -> Check:
    """Nothing is wrong."""
    return Check(what=what, verdict=Verdict.OK, found=found)


def warning(what: str, found: str, todo: str) -> Check:
    """Something will be wrong, or may be."""
    return Check(what=what, verdict=Verdict.WARNING, found=found, todo=todo)


def problem(what: str, found: str, todo: str) -> Check:
    """Something is wrong now."""
    return Check(what=what, verdict=Verdict.PROBLEM, found=found, todo=todo)


def check_modes(what: str, paths: Iterable[Path]) -> Check:
    """See that nobody else may look into private files and directories."""
    for path in paths:
        try:
            check_private(path)
        except LoosePermissionsError as error:
            return problem(what, str(error), f"chmod go= {path}")
        except FileNotFoundError:
            continue
    return ok(what, "only their owner may read them")


def check_disk(directory: Path) -> Check:
    """See that there is room to store things."""
    free = shutil.disk_usage(directory).free
    found, todo = f"{free // 2**20:,} MiB free", "make room"
    if free < _FULL_DISK:
        return problem("disk space", found, todo)
    return warning("disk space", found, todo) if free < _TIGHT_DISK else ok("disk space", found)
