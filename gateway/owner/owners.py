"""Who may sign for a fleet: the root, those it grants that, and how a root hands over. Pure.

A grant cannot be taken back by leaving it out of the next roster: whoever has it can put it into
another one. What ends it is a new root, under which no older grant verifies (PROTOCOL 8.4).
"""

from dataclasses import dataclass, replace

from device_sdk.trust import Pin, Roster
from device_sdk.wire import cose
from device_sdk.wire.errors import SignatureError, WireError
from device_sdk.wire.limits import MAX_GRANTS, MAX_SUCCESSIONS
from device_sdk.wire.owner_grant import OwnerGrant, OwnerRequest, verify_owner_request
from device_sdk.wire.roster_head import RootSuccession
from device_sdk.wire.suites import Signer, fingerprint, fingerprint_digits, is_fingerprint
from gateway.owner.errors import FleetError, NotAdmittedError, NotChangedError


@dataclass(frozen=True, kw_only=True, slots=True)
class Lineage:
    """How a roster head leads from the pinned root to whoever signs it."""

    successions: tuple[bytes, ...] = ()
    grants: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, roster: Roster) -> "Lineage":
        """Return that of the roster signed last."""
        head = roster.head.head
        return cls(successions=head.successions, grants=head.grants)


def owner_keys(roster: Roster, pin: Pin) -> frozenset[bytes]:
    """Return the SPKI of every key that signs, or once signed, for the owner."""
    granted = {key.spki for key in roster.head.granted}
    return frozenset({pin.root.spki, roster.head.root.spki, *granted})


def check_may_sign(signer: Signer, roster: Roster) -> None:
    """Raise FleetError unless rosters after this one may be signed by a key."""
    if not roster.head.may_sign(signer.kid):
        raise FleetError(
            "your key does not sign for this fleet: the root was replaced, or has not granted it "
            "yet (fleet owner add)"
        )


def examine_request(data: bytes, expected: str = "") -> OwnerRequest:
    """Check an owner request on its own, and against the fingerprint read off its maker if given.

    Raises:
        NotAdmittedError: not an owner request, changed since it was signed, or another key.
    """
    try:
        request = verify_owner_request(data)
    except SignatureError as error:
        raise NotAdmittedError(f"the owner request was changed or forged: {error}") from error
    except WireError as error:
        raise NotAdmittedError(f"this is not an owner request: {error}") from error
    shown = fingerprint(request.owner_spki), fingerprint_digits(request.owner_spki)
    if expected and not is_fingerprint(expected, request.owner_spki):
        raise NotAdmittedError(
            f"the owner request is not by the key you expect: its fingerprint is {shown[0]}, in "
            f"digits {shown[1]}"
        )
    return request


def check_grant(request: OwnerRequest, roster: Roster, pin: Pin, signer: Signer) -> None:
    """Raise NotChangedError unless the root, and only it, may grant a request."""
    if signer.kid != roster.head.root.kid:
        raise NotChangedError("only the root can make somebody else an owner, and yours is no root")
    check_new_owner(request, roster, pin)


def check_new_owner(request: OwnerRequest, roster: Roster, pin: Pin) -> None:
    """Raise NotChangedError for a key that is something else already, or one owner too many."""
    spki = request.owner_spki
    if spki in owner_keys(roster, pin):
        raise NotChangedError(f"{request.name}'s key is an owner's already")
    for name, entry in roster.devices.items():
        if spki in entry.identities:
            raise NotChangedError(f"this key is already admitted as {name}")
    if len(roster.head.granted) >= MAX_GRANTS:
        raise NotChangedError(f"a fleet has {MAX_GRANTS} owners beside the root at most")


def grant(before: Lineage, request: OwnerRequest, *, root: Signer, pin: Pin, now: int) -> Lineage:
    """Return an lineage under which the request's key signs as well."""
    record = OwnerGrant(fleet_id=pin.fleet_id, owner_spki=request.owner_spki, time=now)
    return replace(before, grants=(*before.grants, cose.sign(record, root, pin.aad)))


def check_rotation(before: Lineage) -> None:
    """Raise NotChangedError if a roster can carry no more successions."""
    if len(before.successions) >= MAX_SUCCESSIONS:
        raise NotChangedError(
            f"this root was replaced {MAX_SUCCESSIONS} times, and a roster carries no more: make a "
            "new fleet, and enrol every device anew"
        )


def succeed(
    before: Roster, next_root_spki: bytes, *, signer: Signer, pin: Pin, now: int
) -> Lineage:
    """Return an lineage whose root is a new key, named by an owner; no older grant is left.

    Raises:
        NotChangedError: more rotations than a roster can carry.
    """
    lineage = Lineage.of(before)
    check_rotation(lineage)
    own = b""
    if signer.kid != before.head.root.kid:
        own = next(
            data
            for data, key in zip(lineage.grants, before.head.granted, strict=True)
            if key.kid == signer.kid
        )
    record = RootSuccession(
        fleet_id=pin.fleet_id, next_root_spki=next_root_spki, time=now, grant=own
    )
    signed = cose.sign(record, signer, pin.aad)
    return Lineage(successions=(*lineage.successions, signed))
