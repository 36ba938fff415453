"""A fleet's directory at its owner's: ``private/`` stays, ``public/`` may be given away.

The working state is the root key and the roster it signed last (``private/roster``); there is no
list beside it that could say something else. ``public/roster`` is a copy of that one.
"""

import contextlib
import fcntl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from device_sdk.identity import Identity
from device_sdk.trust import Pin, Roster
from device_sdk.wire.limits import DAY
from device_sdk.wire.names import as_name
from device_sdk.wire.roster_page import ROLE_DEVICE
from gateway.files import write_whole
from gateway.owner.bundle import PublicBundle
from gateway.owner.certificates_bundle import BrokerFiles
from gateway.owner.errors import FleetError, NotAdmittedError
from gateway.owner.join import Candidate, enlist, examine
from gateway.owner.signing import ROSTER_VALIDITY, Members, open_roster, sign_roster

MEMBER_VALIDITY = 3650 * DAY
"""A member stays one until it is revoked or, failing that, for ten years: what expires yearly and
stops everything at once is the roster, which the owner renews as a whole."""

_ROOT_KEY, _NAME, _ROSTER, _LOCK = "root.pem", "name", "roster", "lock"


@dataclass(frozen=True, kw_only=True, slots=True)
class Admitted:
    """The roster after an admission."""

    member: Candidate
    roster: Roster
    is_new: bool
    """False if the same key was admitted under this name before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fleet:
    """An owner's fleet, opened with its root key."""

    directory: Path
    name: str
    root: Identity

    @classmethod
    def create(cls, directory: Path, *, name: str, passphrase: bytes | None, now: int) -> "Fleet":
        """Make a root key and an empty roster.

        Raises:
            FleetError: there is a fleet or a bundle already.
            MalformedError: a name outside 1 to 64 of ``a-z 0-9 . _ -``.
        """
        as_name(name, "fleet name")
        for part in ("private", "public"):
            if (directory / part).exists():
                raise FleetError(
                    f"{directory / part} is there already: choose a directory without a fleet"
                )
        private = directory / "private"
        with _errors_of(directory):
            directory.mkdir(parents=True, exist_ok=True)
            private.mkdir(mode=0o700)
            fleet = cls(directory=directory, name=name, root=Identity.generate())
            fleet.root.save(private / _ROOT_KEY, passphrase)
            write_whole(private / _NAME, f"{name}\n".encode(), mode=0o600)
            fleet.public.write_root(fleet.pin)
            fleet._sign(Members(devices={}, channels={}), previous=0, now=now)
            fleet._publish(now)
        return fleet

    @classmethod
    def open(cls, directory: Path, passphrase: bytes | None) -> "Fleet":
        """Open a fleet. Raises FleetError; KeyFileError and its kinds for the root key."""
        key_file = root_key_file(directory)
        return cls(
            directory=directory,
            name=fleet_name(directory) or "",
            root=Identity.load(key_file, passphrase),
        )

    @property
    def pin(self) -> Pin:
        """The fleet's root as everybody else pins it."""
        return Pin.from_spki(self.root.spki)

    @property
    def public(self) -> PublicBundle:
        """What may be given away."""
        return PublicBundle(self.directory / "public")

    def roster(self) -> Roster:
        """Return the roster signed last, verified. Raises FleetError, TrustError, WireError."""
        path = self.directory / "private" / _ROSTER
        with _errors_of(path):
            return open_roster(path.read_bytes(), self.pin)

    def admit(
        self,
        request: bytes,
        *,
        role: str = ROLE_DEVICE,
        now: int,
        validity: int = ROSTER_VALIDITY,
        fingerprint: str = "",
    ) -> Admitted:
        """Put the sender of a join request into the roster and sign it anew.

        ``validity`` is the new roster's, in seconds. ``fingerprint`` is the one that the owner read
        off the device; a request with another key is refused. What was admitted before stays as it
        is. A run that was interrupted is made good by the next one.

        Raises:
            NotAdmittedError: the request is not to be admitted, see `examine` and `enlist`, or
                another device has stated the same reader key.
            FleetError: the fleet's files cannot be read or written.
            TrustError, WireError: the fleet's roster is damaged or not of this root.
        """
        member = examine(request, role=role, now=now, fingerprint=fingerprint)
        with self._locked(), _errors_of(self.directory):
            before = self.roster()
            devices = enlist(before.devices, member, not_after=now + MEMBER_VALIDITY)
            self._check_reader_key(member, before, now)
            members = Members(devices=devices, channels=before.channels)
            self._sign(members, previous=before.version, now=now, validity=validity)
            roster = self.roster()
            if member.key_statement:
                self.public.add_statement(member.name, member.key_statement, roster, now)
            self._publish(now)
        return Admitted(member=member, roster=roster, is_new=member.name not in before.devices)

    def _check_reader_key(self, member: Candidate, roster: Roster, now: int) -> None:
        # One of two devices with the same key cannot use it, or was copied from the other.
        for name in roster.devices if member.reader_spki else ():
            stated = self.public.statements(name, roster, now).values()
            if name != member.name and any(one.spki == member.reader_spki for one in stated):
                raise NotAdmittedError(
                    f"{member.name} brings the reader key of {name}: find out which of them made it"
                )

    def _sign(
        self, members: Members, *, previous: int, now: int, validity: int = ROSTER_VALIDITY
    ) -> None:
        data = sign_roster(
            members, root=self.root, pin=self.pin, previous=previous, now=now, validity=validity
        )
        write_whole(self.directory / "private" / _ROSTER, data, mode=0o600)

    @property
    def broker_files(self) -> BrokerFiles:
        """Certificates, their revocation list and access rules."""
        return BrokerFiles(public=self.directory / "public", private=self.directory / "private")

    def _publish(self, now: int) -> None:
        self.broker_files.write(self.roster(), self.root, now=now)
        self.public.write_roster((self.directory / "private" / _ROSTER).read_bytes())

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One change after the other: each begins from the roster that the one before signed."""
        with (self.directory / "private" / _LOCK).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def root_key_file(directory: Path) -> Path:
    """Return where the root key of a fleet is. Raises FleetError if there is none."""
    path = directory / "private" / _ROOT_KEY
    if not path.is_file():
        raise FleetError(f"{directory} holds no fleet of yours: expected {path}")
    return path


def fleet_name(directory: Path) -> str | None:
    """Return the name that the owner gave the fleet; None at whoever has only the bundle."""
    try:
        return (directory / "private" / _NAME).read_text().strip()
    except OSError:
        return None


@contextlib.contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FleetError(f"{error.filename or path}: {error.strerror}") from error
