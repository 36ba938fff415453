"""Two rosters of one fleet side by side: the owner's own, and the one that somebody else has."""

from dataclasses import dataclass
from pathlib import Path

from device_sdk.trust import Roster
from gateway.owner.difference import Difference, difference
from gateway.owner.errors import FleetError
from gateway.owner.overview import find_bundle
from gateway.owner.register import Register
from gateway.owner.signing import Members


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What leads from another bundle's roster to the one that the owner signed last."""

    mine: Roster
    theirs: Roster
    changes: tuple[Difference, ...]


def compare(directory: Path, other: Path) -> Comparison:
    """Compare a fleet, or a copy of its bundle, with another bundle of the same fleet.

    Raises:
        FleetError: no fleet or bundle, or one of another fleet.
        TrustError, WireError: a bundle that its root did not sign.
    """
    register, bundle = Register(directory), find_bundle(other)
    if register.private.is_dir():
        pin, mine = register.pin, register.roster()
    else:
        own = find_bundle(directory)
        pin, mine = own.pin(), own.roster()
    if bundle.pin().fingerprint != pin.fingerprint:
        raise FleetError(
            f"{other} is another fleet's bundle: its root is {bundle.pin().fingerprint[:16]}, "
            f"yours is {pin.fingerprint[:16]}"
        )
    theirs = bundle.roster()
    changes = difference(Members.of(theirs), Members.of(mine))
    return Comparison(mine=mine, theirs=theirs, changes=changes)
