"""Invitations: a ticket for each new device, and the admission of what comes back with its code.

``private/invites/{name}`` keeps a ticket's code. It is good for one key, until it expires.
"""

import json
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from device_sdk.identity import Identity
from device_sdk.wire.errors import SealgateError, SignatureError, WireError
from device_sdk.wire.join_offer import LIMIT, JoinOffer
from device_sdk.wire.names import as_name
from device_sdk.wire.roster_page import ROLE_DEVICE
from device_sdk.wire.ticket import CODE_SIZE, Ticket
from device_sdk.wire.topics import DEFAULT_PREFIX
from gateway.access import Role
from gateway.files import write_whole
from gateway.owner.certificates import client_certificate
from gateway.owner.errors import FleetError, NotAdmittedError
from gateway.owner.fleet import Admitted, Fleet
from gateway.owner.join import check_name, examine

_INVITES = "invites"


class NotInvitedError(NotAdmittedError):
    """A request for whose name no ticket was made in this fleet."""


class InviteExpiredError(NotAdmittedError):
    """A request that was handed to the owner after its ticket had expired."""


class InviteUsedError(NotAdmittedError):
    """A ticket with which another key was admitted before."""


class WrongCodeError(NotAdmittedError):
    """A request that was not made with the code of its name's ticket, or was changed since."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Invite:
    """What the owner remembers of a ticket."""

    code: str
    """32 bytes in hex."""
    expires: int
    """Unix seconds."""
    used_by: str = ""
    """Fingerprint of the key that was admitted with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of one request: admitted, or why it was passed over."""

    path: Path
    name: str
    """Empty if it is no request."""
    admitted: Admitted | None = None
    problem: SealgateError | None = None


def invite(
    fleet: Fleet, name: str, *, broker: str, prefix: str = DEFAULT_PREFIX, now: int, validity: int
) -> str:
    """Make a ticket for a new device; one made before for the same name is void from now on.

    Raises:
        NotAdmittedError: a name that is taken or reserved.
        MalformedError: no name.
        FleetError: no broker URL, or the fleet's files cannot be used.
    """
    as_name(name, "device name")
    check_name(name)
    if name in fleet.roster().devices:
        raise NotAdmittedError(f"the name {name} is taken: choose another one")
    _check_broker(broker)
    authority = fleet.broker_files.authority(fleet.root, fleet.roster().head, now=now)
    stranger, expires = Identity.generate(), now + validity
    certificate = client_certificate(
        authority, name=Role.JOINER, spki=stranger.spki, now=now, not_after=expires
    )
    code = secrets.token_bytes(CODE_SIZE)
    _write(fleet, name, Invite(code=code.hex(), expires=expires))
    return Ticket(
        device=name,
        broker=broker,
        prefix=prefix,
        root=fleet.pin.root.spki,
        successions=fleet.roster().head.head.successions,
        ca=authority.chain[-1].public_bytes(Encoding.DER),
        code=code,
        expires=expires,
        certificate=certificate.public_bytes(Encoding.DER),
        key=stranger.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
    ).encode()


def are_offers(path: Path) -> bool:
    """Tell whether a path holds what came through a broker, and not a single join request."""
    if path.is_dir():
        return True
    try:
        JoinOffer.decode(_read_offer(path))
    except WireError:
        return False
    return True


def admit_offers(fleet: Fleet, path: Path, *, now: int, validity: int) -> Iterator[Outcome]:
    """Admit what came with the right code; yield what became of each request.

    ``path`` is one of them, or a gateway's directory of them. What lies in there is the gateway's
    doing: a file that cannot be read does not keep the others from being admitted.
    """
    for one in _files(path) if path.is_dir() else [path]:
        name = ""
        try:
            offer = JoinOffer.decode(_read_offer(one))
            name = offer.name
            yield Outcome(path=one, name=name, admitted=_admit(fleet, offer, now, validity))
        except SealgateError as error:
            yield Outcome(path=one, name=name, problem=error)


def _files(directory: Path) -> list[Path]:
    """Return the files in a directory and below it. Links may lead anywhere, and are left out."""
    every = (Path(parent, name) for parent, _, names in os.walk(directory) for name in names)
    return sorted(path for path in every if _is_file(path))


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False  # the gateway has forgotten it meanwhile


def _read_offer(path: Path) -> bytes:
    """Return a file's beginning: enough for an offer, and to see that it is none. FleetError."""
    try:
        with path.open("rb") as file:
            return file.read(LIMIT + 1)
    except OSError as error:
        raise FleetError(f"{path}: {error.strerror}") from error


def _admit(fleet: Fleet, offer: JoinOffer, now: int, validity: int) -> Admitted:
    name = offer.name
    known = _read(fleet, name)
    if known is None:
        raise NotInvitedError(f"no ticket was made for {name} in this fleet")
    code = bytes.fromhex(known.code)
    try:
        offer.check(code=code, device=name, fleet_id=fleet.pin.fleet_id)
    except SignatureError as error:
        raise WrongCodeError(
            f"the request for {name} was not made with the code of its ticket, or was changed"
        ) from error
    candidate = examine(offer.request, role=ROLE_DEVICE, now=now)
    if known.used_by and known.used_by != candidate.fingerprint:
        raise InviteUsedError(f"the ticket for {name} was used before, for another key")
    if not known.used_by and now >= known.expires:
        raise InviteExpiredError(f"the ticket for {name} has expired: make another one")
    admitted = fleet.admit(offer.request, now=now, validity=validity)
    _write(fleet, name, replace(known, used_by=candidate.fingerprint))
    return admitted


def _check_broker(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or parts.username:
        raise FleetError("broker URL: expected mqtt[s]://host[:port] without a user, got another")


def _path(fleet: Fleet, name: str) -> Path:
    return fleet.directory / "private" / _INVITES / name


def _write(fleet: Fleet, name: str, made: Invite) -> None:
    path = _path(fleet, name)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_whole(path, json.dumps(asdict(made)).encode(), mode=0o600)


def _read(fleet: Fleet, name: str) -> Invite | None:
    path = _path(fleet, name)
    if name.startswith(".") or not path.exists():
        return None
    try:
        known = Invite(**json.loads(path.read_bytes()))
        bytes.fromhex(known.code)
    except (TypeError, ValueError) as error:
        raise FleetError(f"{path} is damaged: make another ticket for {name}") from error
    return known
