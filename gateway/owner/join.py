"""From a join request to a new list of devices. Pure: bytes and ``now`` go in (PROTOCOL 8.2)."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from device_sdk.wire.errors import SignatureError, WireError
from device_sdk.wire.join_request import verify_join_request
from device_sdk.wire.key_statement import KeyStatement
from device_sdk.wire.limits import CLOCK_SKEW
from device_sdk.wire.names import ANONYMOUS, JOINER, OPERATOR
from device_sdk.wire.roster_page import ROLE_DEVICE, DeviceEntry
from device_sdk.wire.suites import fingerprint, fingerprint_digits, is_fingerprint
from gateway.owner.errors import NotAdmittedError

RESERVED_NAMES = frozenset({OPERATOR, JOINER, ANONYMOUS})
"""A device of that name could never log in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """Somebody whose request holds together: its name, keys and role fit each other."""

    name: str
    role: str
    identity_spki: bytes
    key_statement: bytes = b""
    """A device's signed reader-key statement; empty for a gateway."""
    reader_spki: bytes = b""
    """The key that it states."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the identity key, 64 hex digits: what owner and device compare."""
        return fingerprint(self.identity_spki)

    @property
    def digits(self) -> str:
        """The same as 60 decimal digits in groups of five."""
        return fingerprint_digits(self.identity_spki)


def examine(data: bytes, *, role: str, now: int, fingerprint: str = "") -> Candidate:
    """Check a join request on its own, and against the fingerprint read off the device if given.

    Raises:
        NotAdmittedError: not a join request, changed since it was signed, not one for ``role``, or
            made by another key than expected.
    """
    try:
        request, statement = verify_join_request(data)
    except SignatureError as error:
        raise NotAdmittedError(f"the join request was changed or forged: {error}") from error
    except WireError as error:
        raise NotAdmittedError(f"this is not a join request: {error}") from error
    check_name(request.name)
    _check_statement(request.name, statement, role=role, now=now)
    if statement is not None and statement.spki == request.identity_spki:
        raise NotAdmittedError(f"{request.name}'s reader key is its identity key: make it anew")
    candidate = Candidate(
        name=request.name,
        role=role,
        identity_spki=request.identity_spki,
        key_statement=request.key_statement,
        reader_spki=b"" if statement is None else statement.spki,
    )
    if fingerprint and not is_fingerprint(fingerprint, candidate.identity_spki):
        raise NotAdmittedError(
            f"the join request is not by the key you expect: its fingerprint is "
            f"{candidate.fingerprint}, in digits {candidate.digits}"
        )
    return candidate


def check_name(name: str) -> None:
    """Raise NotAdmittedError for a name that no member may have."""
    if name in RESERVED_NAMES:
        raise NotAdmittedError(f"the name {name} is reserved: choose another one")
    if name.startswith("."):  # the name of a file under keys/, where ".." would lead elsewhere
        raise NotAdmittedError(f"the name {name} begins with a dot: choose another one")


def _check_statement(name: str, statement: KeyStatement | None, *, role: str, now: int) -> None:
    if role != ROLE_DEVICE:
        if statement is not None:
            raise NotAdmittedError(
                f"{name} brings a reader key, so it is a device: admit it without --role {role}"
            )
        return
    if statement is None:
        raise NotAdmittedError(
            f"{name} brings no reader key, so it is a gateway: admit it with --role gateway"
        )
    if statement.not_after <= now:
        raise NotAdmittedError(
            f"{name}'s reader key expired on {_date(statement.not_after)}: "
            "connect the device or make it anew, and use its new join request"
        )
    if statement.not_before > now + CLOCK_SKEW:
        raise NotAdmittedError(
            f"{name}'s reader key is valid only from {_date(statement.not_before)}: "
            "compare the two machines' clocks"
        )


def _date(seconds: int) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(seconds))
    except (OverflowError, OSError, ValueError):
        return f"second {seconds}"


def enlist(
    devices: Mapping[str, DeviceEntry], candidate: Candidate, *, not_after: int
) -> dict[str, DeviceEntry]:
    """Return the devices with the candidate among them; admitting it again renews its time.

    Raises:
        NotAdmittedError: the name belongs to another key or role or was revoked, or the key to
            another name.
    """
    name = candidate.name
    for other, entry in devices.items():
        if other != name and candidate.identity_spki in entry.identities:
            raise NotAdmittedError(f"this identity key is already admitted as {other}")
    known = devices.get(name)
    if known is not None:
        _check_same(known, candidate)
        not_after = max(not_after, known.not_after)
    entry = DeviceEntry(
        identities=(candidate.identity_spki,) if known is None else known.identities,
        roles=(candidate.role,),
        not_after=not_after,
    )
    return {**devices, name: entry}


def _check_same(known: DeviceEntry, candidate: Candidate) -> None:
    name = candidate.name
    if known.revoked_at:
        raise NotAdmittedError(f"{name} was revoked: choose another name for the new device")
    if candidate.identity_spki not in known.identities:
        owner = fingerprint(known.identities[-1])
        raise NotAdmittedError(f"the name {name} is taken by another key ({owner[:16]}...)")
    if known.roles != (candidate.role,):
        raise NotAdmittedError(f"{name} is already admitted as {' and '.join(known.roles)}")
