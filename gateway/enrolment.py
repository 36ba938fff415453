"""A gateway's own identity: made here once, admitted by the owner, never leaving its directory."""

import stat
from pathlib import Path

from device_sdk.identity import Identity
from device_sdk.trust import Roster
from device_sdk.wire import cose
from device_sdk.wire.join_request import JoinRequest
from device_sdk.wire.names import as_name
from device_sdk.wire.roster_page import ROLE_GATEWAY
from gateway.errors import GatewayError
from gateway.files import write_whole

IDENTITY_FILE = "identity.pem"
JOIN_REQUEST_FILE = "join-request"


class EnrolmentError(GatewayError):
    """A data directory without an identity, or one that has one already."""


class NotAdmittedError(GatewayError):
    """The owner's roster does not list this gateway, or no longer."""


def init_gateway(data: Path, name: str, passphrase: bytes | None, now: int) -> Path:
    """Make a gateway's identity in a directory of mode 0700; return its join request's path.

    Raises:
        MalformedError: the name is not 1 to 64 of ``a-z 0-9 . _ -``.
        EnrolmentError: the directory holds an identity already, is open to others, or cannot
            be made.
    """
    as_name(name, "gateway name")
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EnrolmentError(f"cannot make {data}: {error.strerror}") from error
    check_private(data)
    if (data / IDENTITY_FILE).exists():
        raise EnrolmentError(
            f"{data} holds a gateway's identity already: use it, or choose another directory"
        )
    identity = Identity.generate()
    request = JoinRequest(name=name, identity_spki=identity.spki, time=now)
    path = data / JOIN_REQUEST_FILE
    write_whole(path, cose.sign(request, identity, cose.FLEETLESS_AAD))
    # The identity last: without it an init that was cut short can be done again.
    identity.save(data / IDENTITY_FILE, passphrase)
    # The identity comes last: a directory that has one is complete.
    return path


def load_identity(data: Path, passphrase: bytes | None) -> Identity:
    """Return the gateway's identity. Raises EnrolmentError, KeyFileError and its kinds."""
    if not data.is_dir() or not (data / IDENTITY_FILE).exists():
        raise EnrolmentError(
            f"expected a gateway's data directory, but {data} holds no identity: "
            f"run sealgate gateway init NAME --data {data}"
        )
    check_private(data)
    return Identity.load(data / IDENTITY_FILE, passphrase)


def admitted_name(roster: Roster, identity: Identity, now: int) -> str:
    """Return the name under which the owner admitted this gateway. Raises NotAdmittedError."""
    for name, entry in roster.devices.items():
        if ROLE_GATEWAY in entry.roles and identity.spki in entry.identities:
            if roster.is_active(name, now, ROLE_GATEWAY):
                return name
            raise NotAdmittedError(
                f"the owner has revoked the gateway {name}, or its admission has expired"
            )
    raise NotAdmittedError(
        f"the owner's roster (version {roster.version}) does not list this gateway: "
        "run sealgate fleet admit FLEET JOIN-REQUEST --role gateway, and give it the new bundle"
    )


def check_private(data: Path) -> None:
    """Raise EnrolmentError unless only its owner may look into the data directory."""
    mode = stat.S_IMODE(data.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise EnrolmentError(
            f"{data} is open to other users (mode {mode:o}); a gateway's identity and ledger need "
            f"700: chmod 700 {data}"
        )
