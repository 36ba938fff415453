"""A second owner's directory: a key, a request, and the fleet as another owner's bundle has it."""

from dataclasses import dataclass
from pathlib import Path

from device_sdk.identity import OWNER_KEY, Identity
from device_sdk.trust import ForkError, Pin, RollbackError, Roster, check_successor
from device_sdk.wire import cose
from device_sdk.wire.names import as_name
from device_sdk.wire.owner_grant import OwnerRequest
from device_sdk.wire.suites import key_id
from gateway.files import write_whole
from gateway.owner.bundle import PublicBundle
from gateway.owner.certificates_bundle import BrokerFiles
from gateway.owner.difference import Difference, difference
from gateway.owner.errors import FleetError
from gateway.owner.excuses import ExcuseFolder
from gateway.owner.overview import find_bundle
from gateway.owner.register import Register, errors_of
from gateway.owner.signing import Members, open_roster

REQUEST_FILE = "owner-request"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pulled:
    """What another owner's bundle has brought."""

    pin: Pin
    roster: Roster
    is_new: bool
    """False if it was here already."""
    changes: tuple[Difference, ...]
    taken_back: tuple[str, ...]
    """Who was revoked here and is not there: the two owners signed apart from each other."""


def make_owner(directory: Path, name: str, passphrase: bytes | None, *, now: int) -> OwnerRequest:
    """Make an owner's key, and ``owner-request`` for the owner who has the root.

    Raises:
        FleetError: the directory holds an owner's key already.
        MalformedError: the name is none.
    """
    as_name(name, "owner name")
    register = Register(directory)
    if register.private.exists():
        raise FleetError(f"{register.private} is there already: choose another directory")
    key = Identity.generate()
    request = OwnerRequest(name=name, owner_spki=key.spki, time=now)
    with errors_of(directory):
        directory.mkdir(parents=True, exist_ok=True)
        register.private.mkdir(mode=0o700)
        write_whole(directory / REQUEST_FILE, cose.sign(request, key, cose.FLEETLESS_AAD))
        # The key comes last: a directory that has one is complete.
        key.save(register.key_file, passphrase, OWNER_KEY)
    return request


def open_fleet(directory: Path, other: Path, *, now: int) -> Pulled:
    """Take a fleet's bundle into a second owner's directory for the first time, and pin its root.

    Raises:
        FleetError: no owner's key here, a fleet is here already, or no bundle there.
        TrustError, WireError: a bundle that its root did not sign.
    """
    register, bundle = Register(directory), find_bundle(other)
    if not register.key_file.is_file():
        raise FleetError(f"{directory} holds no owner's key: run sealgate fleet owner init first")
    if register.has_pin:
        raise FleetError(f"{directory} holds a fleet already: use sealgate fleet pull")
    pin = bundle.pin()
    data = bundle.roster_data()
    roster = open_roster(data, pin)
    with errors_of(directory), register.locked():
        register.public.write_root(pin)
        _take(register, bundle, pin, data, roster, now)
        # The pin comes last: until then the bundle can be opened again.
        register.write_pin(pin)
    return Pulled(pin=pin, roster=roster, is_new=True, changes=(), taken_back=())


def signs_for(directory: Path, roster: Roster) -> bool:
    """Tell whether a roster lets the key sign that the owner request in a directory names."""
    data = (directory / REQUEST_FILE).read_bytes()
    kid = key_id(cose.parse_signed(OwnerRequest, data).claims.owner_spki)
    return roster.head.may_sign(kid)


def pull(directory: Path, other: Path, *, now: int) -> Pulled:
    """Take a newer bundle of the same fleet, which another owner has signed.

    Raises:
        FleetError: another fleet's, or no fleet here.
        RollbackError: older than the roster here, or by a root that was replaced.
        ForkError: signed apart from the roster here.
        TrustError, WireError: a bundle that its root did not sign.
    """
    register, bundle = Register(directory), find_bundle(other)
    pin = register.pin
    if bundle.pin().fingerprint != pin.fingerprint:
        raise FleetError(f"{other} is another fleet's bundle than {directory}'s")
    with errors_of(directory), register.locked():
        data = bundle.roster_data()
        mine, theirs = register.roster(), open_roster(data, pin)
        if theirs.version < mine.version:
            _refuse_older(register, mine, theirs)
        is_new = check_successor(mine.head, theirs.head)
        changes = difference(Members.of(mine), Members.of(theirs))
        _take(register, bundle, pin, data, theirs, now)
    taken_back = tuple(
        name for name in mine.devices if mine.is_revoked(name) and not theirs.is_revoked(name)
    )
    return Pulled(pin=pin, roster=theirs, is_new=is_new, changes=changes, taken_back=taken_back)


def _refuse_older(register: Register, mine: Roster, theirs: Roster) -> None:
    if register.remembers(theirs):
        raise RollbackError(
            f"roster version {theirs.version} there is older than yours ({mine.version}), which "
            "has everything of it: give them yours"
        )
    raise ForkError(
        f"roster version {theirs.version} there was signed apart from yours ({mine.version}), "
        "which will replace it: look with fleet diff what it says, and make those changes again"
    )


def _take(
    register: Register, bundle: PublicBundle, pin: Pin, data: bytes, roster: Roster, now: int
) -> None:
    mine = register.public
    for name in roster.devices:
        mine.add_statements(name, bundle.statements(name, roster, now), roster, now)
    theirs = ExcuseFolder(bundle.excuses, roster, pin.aad)
    ExcuseFolder(mine.excuses, roster, pin.aad).take_from(theirs, now)
    files = BrokerFiles(public=mine.directory, private=register.private)
    files.take_from(bundle.directory, roster, now=now)
    register.write_roster(data, roster)
    mine.write_roster(data)
