"""Is a gateway well, and its fleet? Each check says what it found and what to do.

Nothing is changed, and a gateway may be running: its ledger is only read.
"""

import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from device_sdk.trust import Pin, Roster
from device_sdk.wire.errors import SealgateError
from device_sdk.wire.join_request import verify_join_request
from device_sdk.wire.limits import ROSTER_WARNING
from device_sdk.wire.roster_page import ROLE_GATEWAY
from gateway.enrolment import IDENTITY_FILE

_TIGHT_DISK, _FULL_DISK = 256 * 2**20, 32 * 2**20
"""Free bytes below which a disk is worth a warning, and below which the gateway may pause."""
_LEDGER_COPIES = 2
"""A rebuild of the ledger needs room for about two copies of it (SECURITY.md)."""


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


def check(what: str, verdict: Verdict, found: str, todo: str = "") -> Check:
    """Return a check; nothing is to be done where all is well."""
    return Check(
        what=what, verdict=verdict, found=found, todo="" if verdict is Verdict.OK else todo
    )


def check_modes(paths: Iterable[Path]) -> Check:
    """See that nobody else may look into private files and directories."""
    for path in paths:
        if path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            found = f"{path} is open to other users"
            return check("files", Verdict.PROBLEM, found, f"chmod go= {path}")
    return check("files", Verdict.OK, "only their owner may read them")


def check_passphrase(key_file: Path) -> Check:
    """See whether a private key is encrypted."""
    what = "keys at rest"
    try:
        encrypted = b"ENCRYPTED" in key_file.read_bytes()[:100]
    except OSError as error:
        return check(what, Verdict.PROBLEM, f"{key_file}: {error.strerror}", "restore the key")
    if encrypted:
        return check(what, Verdict.OK, "under a passphrase")
    todo = "protect the disk; a key that is made with --passphrase-file is encrypted"
    return check(what, Verdict.WARNING, f"{key_file} is stored unencrypted", todo)


def check_disk(directory: Path, ledger_size: int = 0) -> Check:
    """See that there is room to store things, and to erase them."""
    free = shutil.disk_usage(directory).free
    verdict = Verdict.OK
    if free < _FULL_DISK:
        verdict = Verdict.PROBLEM
    elif free < max(_TIGHT_DISK, _LEDGER_COPIES * ledger_size):
        verdict = Verdict.WARNING
    return check("disk space", verdict, f"{free // 2**20:,} MiB free", "make room")


def check_roster(roster: Roster | None, now: int, what: str = "roster") -> Check:
    """See how long a roster is valid."""
    if roster is None:
        return check(what, Verdict.PROBLEM, "there is none", "give the gateway the owner's bundle")
    return check_expiry(what, roster.version, roster.expires, now)


def check_expiry(what: str, version: int, expires: int, now: int) -> Check:
    """See how long a roster is valid."""
    date = f"{datetime.fromtimestamp(expires, UTC):%Y-%m-%d %H:%M} UTC"
    todo = "the owner must renew it"
    if now >= expires:
        return check(what, Verdict.PROBLEM, f"version {version}, expired on {date}", todo)
    verdict = Verdict.WARNING if now >= expires - ROSTER_WARNING else Verdict.OK
    return check(what, verdict, f"version {version}, valid until {date}", todo)


def check_bundle(held: Roster | None, bundle: Roster | SealgateError, pin: Pin) -> Check:
    """Compare the bundle with the roster by which the gateway goes."""
    what = "bundle"
    if isinstance(bundle, SealgateError):
        return check(what, Verdict.PROBLEM, str(bundle), "copy the owner's public directory again")
    if bundle.head.head.fleet_id != pin.fleet_id:
        return check(what, Verdict.PROBLEM, "another owner's", "use the bundle of this fleet")
    version = 0 if held is None else held.version
    if bundle.version < version:
        found = f"version {bundle.version} is older than the ledger's {version}"
        return check(what, Verdict.PROBLEM, found, "copy the owner's newest bundle")
    if bundle.version > version:
        found = f"version {bundle.version} is newer than the ledger's {version}"
        return check(what, Verdict.WARNING, found, "see that the gateway runs with this --bundle")
    return check(what, Verdict.OK, f"version {version}, as in the ledger")


def check_admission(join_request: Path, roster: Roster | None, now: int) -> Check:
    """See whether the roster lists the gateway that made a join request."""
    what, todo = "admission", "the owner must admit it: sealgate fleet admit --role gateway"
    try:
        request, _ = verify_join_request(join_request.read_bytes())
    except (OSError, SealgateError) as error:
        return check(what, Verdict.WARNING, f"no join request to compare with: {error}", todo)
    entry = roster.devices.get(request.name) if roster else None
    is_listed = entry is not None and request.identity_spki in entry.identities
    if is_listed and roster is not None and roster.is_active(request.name, now, ROLE_GATEWAY):
        return check(what, Verdict.OK, f"listed as {request.name}")
    found = f"the roster does not list {request.name} as an active gateway with this key"
    return check(what, Verdict.PROBLEM, found, todo)


def private_files(data: Path, ledger: str) -> list[Path]:
    """Return what nobody else may look into."""
    return [data, data / IDENTITY_FILE, data / ledger]
