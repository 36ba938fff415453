"""Is a device well? Each check says what it found and what to do; none changes anything.

What the device's files say is looked at first, without opening it, so that a broken one can be
examined; what only a connected device knows comes from its `Status`.
"""

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from device_sdk.assembly import STATE_FILE
from device_sdk.checks import Check, check_disk, check_modes, ok, problem, warning
from device_sdk.enrolment.settings_file import has_pin, read_settings
from device_sdk.freshness import Concern
from device_sdk.keys.file_vault import IDENTITY_FILE
from device_sdk.keys.keystore import TOKEN_FILE
from device_sdk.proofs.errors import ProofsNotInstalledError
from device_sdk.proofs.library import load
from device_sdk.status import Status
from device_sdk.wire.certificates import first_in_pem
from device_sdk.wire.errors import SealgateError, WireError
from device_sdk.wire.limits import CLOCK_SKEW, MAX_LIFETIME, ROSTER_WARNING

CERTIFICATE_FILE = "certificate.pem"
"""The device's client certificate, where its broker asks for one."""


def check_files(directory: Path, now: int) -> list[Check]:
    """Check a device's directory, which may be open elsewhere. ``now`` is Unix seconds."""
    keys = (*directory.glob("*.pem"), *directory.glob("reading-*.key"))
    private = [directory, *keys, directory / STATE_FILE, directory / "settings"]
    checks = [check_modes("files", private), _check_passphrase(directory), check_disk(directory)]
    checks += [_check_settings(directory), *_check_state(directory / STATE_FILE)]
    return [*checks, *_check_certificate(directory / CERTIFICATE_FILE, now)]


def _check_passphrase(directory: Path) -> Check:
    what, path = "keys at rest", directory / IDENTITY_FILE
    if (directory / TOKEN_FILE).exists():
        return ok(what, "in a token")
    try:
        encrypted = b"ENCRYPTED" in path.read_bytes()[:100]
    except OSError as error:
        return problem(what, f"{path}: {error.strerror}", "make the device with device init")
    if encrypted:
        return ok(what, "under a passphrase")
    return warning(
        what,
        "stored unencrypted",
        "protect the disk, or make the device anew with --passphrase-file",
    )


def _check_settings(directory: Path) -> Check:
    what = "enrolment"
    try:
        broker = read_settings(directory).broker
    except SealgateError as error:
        return problem(what, str(error), "run sealgate device trust again")
    if not has_pin(directory):
        return problem(what, "trusts no owner yet", "run sealgate device trust ROOT.PUB")
    if not broker:
        return warning(what, "no broker is remembered", "run sealgate device trust --broker URL")
    return ok(what, "an owner is pinned, and a broker remembered")


def _check_state(path: Path) -> Iterable[Check]:
    what = "state file"
    if not path.exists():
        return  # nobody has used the device yet
    try:
        # Opened for writing, but not written: a reader alone cannot fold in what a crash left.
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)
        try:
            (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            db.close()
    except sqlite3.Error as error:
        found = str(error)
    if found == "ok":
        yield ok(what, "intact")
    else:
        yield problem(what, f"damaged: {found}", f"move {path} away: what was not sent is lost")


def _check_certificate(path: Path, now: int) -> Iterable[Check]:
    what = "certificate"
    try:
        ends = first_in_pem(path.read_bytes()).not_valid_after_utc
    except FileNotFoundError:
        return
    except (OSError, WireError) as error:
        yield problem(what, f"cannot be read: {error}", f"remove {path}, and fetch it again")
        return
    yield _until(what, int(ends.timestamp()), now, "the owner must renew it with the roster")


def _until(what: str, end: int, now: int, todo: str) -> Check:
    date = f"{datetime.fromtimestamp(end, UTC):%Y-%m-%d %H:%M} UTC"
    if now >= end:
        return problem(what, f"expired on {date}", todo)
    found = f"valid until {date}"
    return warning(what, found, todo) if now >= end - ROSTER_WARNING else ok(what, found)


def check_status(status: Status, now: int) -> list[Check]:
    """Check what an open device says of itself."""
    return [
        *_check_roster(status, now),
        _check_reader_key(status, now),
        _check_broker(status),
        *_check_gateway(status, now),
        *_check_proofs(status),
    ]


def _check_roster(status: Status, now: int) -> Iterable[Check]:
    if status.roster_expires is None:
        yield problem("roster", "none has come yet", "let the device reach a gateway of its fleet")
        return
    expires = int(status.roster_expires.timestamp())
    checked = _until("roster", expires, now, "the owner must renew it")
    yield Check(
        what=checked.what,
        verdict=checked.verdict,
        found=f"version {status.roster_version}, {checked.found}",
        todo=checked.todo,
    )
    for concern in status.warnings:
        if concern.concern in (Concern.WITHHELD, Concern.GATEWAY_BEHIND):
            yield warning(str(concern.concern), concern.text, "compare versions with the owner's")
    if not status.is_admitted:
        todo = "the owner must admit it: sealgate fleet admit"
        yield problem("admission", "the roster does not list this device's key as active", todo)
    else:
        yield ok("admission", "listed as active")


def _check_proofs(status: Status) -> Iterable[Check]:
    if not status.reading_channels:
        return
    what, channels = "proofs", ", ".join(status.reading_channels)
    try:
        load()
    except ProofsNotInstalledError as error:
        todo = "install it: the device can neither send nor read readings"
        yield warning(what, f"needed on {channels}: {error}", todo)
    else:
        yield ok(what, f"can be made and checked, for {channels}")


def _check_reader_key(status: Status, now: int) -> Check:
    what, todo = "reader key", "let the device stay connected for a while: it makes a new one"
    if not status.reader_keys:
        return problem(what, "there is none", "make the device anew")
    end = int(status.reader_keys[-1].not_after.timestamp())
    checked = _until(what, end, now, todo)
    if checked.todo or now < end - MAX_LIFETIME:
        return checked
    return warning(what, f"{checked.found}: too short for the longest messages", todo)


def _check_broker(status: Status) -> Check:
    if status.is_connected:
        return ok("broker", f"connected to {status.broker}")
    found = f"not connected to {status.broker}" + (f": {status.problem}" if status.problem else "")
    return problem("broker", found, "see that it runs, and that URL, account and CA are right")


def _check_gateway(status: Status, now: int) -> Iterable[Check]:
    gateway = status.gateway
    if gateway is None:
        yield problem("gateway", "none was heard", "ask its operator to run sealgate serve")
        return
    apart = int(gateway.heard_at.timestamp()) - now
    if gateway.status != "online":
        todo = "ask its operator; a wrong clock on either side looks like silence, too"
        yield problem("gateway", f"{gateway.name} is {gateway.status}", todo)
    else:
        yield ok("gateway", f"{gateway.name} is online")
    if gateway.status == "online" and abs(apart) <= CLOCK_SKEW:
        yield ok("clock", "agrees with the gateway's signed time")
    else:
        found = f"the gateway's latest signed time is {apart:+,} s from this device's"
        yield warning("clock", found, "compare this device's clock with another one")
