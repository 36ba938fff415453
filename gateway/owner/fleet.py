"""A fleet's directory at its owner's: ``private/`` stays, ``public/`` may be given away.

The working state is the owner's key and the roster signed last (``private/roster``); there is no
list beside it that could say something else. ``public/roster`` is a copy of that one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from device_sdk.identity import OWNER_KEY, Identity
from device_sdk.trust import Pin, Roster, check_successor
from device_sdk.wire.excuse import Excuse
from device_sdk.wire.names import as_name
from device_sdk.wire.owner_grant import OwnerRequest
from device_sdk.wire.roster_page import ROLE_DEVICE
from gateway.owner.admission import admission
from gateway.owner.bundle import PublicBundle
from gateway.owner.certificates_bundle import BrokerFiles
from gateway.owner.errors import FleetError
from gateway.owner.excuses import ExcuseFolder
from gateway.owner.join import Candidate, examine
from gateway.owner.owners import (
    Lineage,
    check_grant,
    check_may_sign,
    grant,
    succeed,
)
from gateway.owner.register import Edit, Register, errors_of
from gateway.owner.signing import ROSTER_VALIDITY, Members, open_roster, sign_roster


@dataclass(frozen=True, kw_only=True, slots=True)
class Admitted:
    """The roster after an admission."""

    member: Candidate
    roster: Roster
    is_new: bool
    """False if the same key was admitted under this name before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Changed:
    """The rosters before and after a change."""

    before: Roster
    roster: Roster


@dataclass(frozen=True, kw_only=True, slots=True)
class Fleet:
    """An owner's fleet, opened with its root key."""

    directory: Path
    name: str
    root: Identity
    """This owner's key: the present root, or one that it granted to sign as well."""

    @classmethod
    def create(cls, directory: Path, *, name: str, passphrase: bytes | None, now: int) -> "Fleet":
        """Make a root key and an empty roster.

        Raises:
            FleetError: there is a fleet or a bundle already.
            MalformedError: a name outside 1 to 64 of ``a-z 0-9 . _ -``.
        """
        as_name(name, "fleet name")
        check_free(directory)
        register = Register(directory)
        with errors_of(directory):
            directory.mkdir(parents=True, exist_ok=True)
            register.private.mkdir(mode=0o700)
            fleet = cls(directory=directory, name=name, root=Identity.generate())
            fleet.root.save(register.key_file, passphrase, OWNER_KEY)
            pin = Pin.from_spki(fleet.root.spki)
            register.write_name(name)
            register.write_pin(pin)
            fleet.public.write_root(pin)
            fleet._sign(Members(devices={}, channels={}), before=None, now=now)
            fleet._publish(now)
        return fleet

    @classmethod
    def open(cls, directory: Path, passphrase: bytes | None) -> "Fleet":
        """Open a fleet. Raises FleetError; KeyFileError and its kinds for the root key."""
        key_file, register = root_key_file(directory), Register(directory)
        with register.locked():
            register.finish_rotation()
        return cls(
            directory=directory,
            name=register.name or "",
            root=Identity.load(key_file, passphrase),
        )

    @property
    def register(self) -> Register:
        """The fleet's files."""
        return Register(self.directory)

    @property
    def pin(self) -> Pin:
        """The fleet's first root as everybody else pins it."""
        return self.register.pin

    @property
    def public(self) -> PublicBundle:
        """What may be given away."""
        return self.register.public

    def roster(self) -> Roster:
        """Return the roster signed last, verified. Raises FleetError, TrustError, WireError."""
        return self.register.roster()

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
        edit = admission(self.register, member, now=now)
        changed = self.change(edit, now=now, validity=validity, member=member)
        is_new = member.name not in changed.before.devices
        return Admitted(member=member, roster=changed.roster, is_new=is_new)

    def change(
        self,
        edit: Edit,
        *,
        now: int,
        validity: int = ROSTER_VALIDITY,
        member: Candidate | None = None,
    ) -> Changed:
        """Make a change, sign the roster anew for ``validity`` seconds, and publish it.

        A ``member`` brings its reader key into the bundle. Nothing is written unless the new roster
        verifies as it will everywhere else.

        Raises:
            NotChangedError, NotAdmittedError: what the edit refuses.
            TooLargeError: the roster would not fit the protocol's limits.
            FleetError, TrustError, WireError: see `admit`.
        """
        with self.register.locked(), errors_of(self.directory):
            preview = self.register.preview(edit, now=now)
            roster = self._sign(preview.after, before=preview.before, now=now, validity=validity)
            if member is not None and member.key_statement:
                self.public.add_statement(member.name, member.key_statement, roster, now)
            ExcuseFolder(self.public.excuses, roster, self.pin.aad).drop_old(now)
            self._publish(now)
        return Changed(before=preview.before, roster=roster)

    def excuse(self, sender: str, message_id: bytes, readers: Iterable[str], *, now: int) -> Excuse:
        """Release readers of one message from owing a read ack, and put that into the bundle.

        Raises:
            NotChangedError: see `ExcuseFolder.plan`.
            FleetError, TrustError, WireError: see `admit`.
        """
        with self.register.locked(), errors_of(self.directory):
            folder = self.register.excuses()
            check_may_sign(self.root, folder.roster)
            excuse = folder.plan(sender, message_id, readers, now=now)
            folder.drop_old(now)
            folder.sign(excuse, self.root)
            self._publish(now)  # of a run before, if it was cut short
        return excuse

    def add_owner(
        self, request: OwnerRequest, *, now: int, validity: int = ROSTER_VALIDITY
    ) -> Changed:
        """Let another owner's key sign from now on, too.

        Raises:
            NotChangedError: this key is no root, or see `owners.check_new_owner`.
            FleetError, TrustError, WireError: see `admit`.
        """
        with self.register.locked(), errors_of(self.directory):
            before, pin = self.roster(), self.pin
            check_grant(request, before, pin, self.root)
            lineage = grant(Lineage.of(before), request, root=self.root, pin=pin, now=now)
            roster = self._sign(
                Members.of(before), before=before, now=now, validity=validity, lineage=lineage
            )
            self._publish(now)
        return Changed(before=before, roster=roster)

    def rotate(
        self,
        passphrase: bytes | None,
        *,
        now: int,
        validity: int = ROSTER_VALIDITY,
        stolen: bool = False,
    ) -> Changed:
        """Replace the root by a new key, which this owner keeps; all grants and excuses end.

        With ``stolen`` brokers are to believe no certificate by the old key any more, at once.

        A run that was cut short before the roster was written has changed nothing; one that was
        cut short afterwards is finished when the fleet is opened again.

        Raises:
            NotChangedError: more rotations than a roster can carry.
            FleetError, TrustError, WireError: see `admit`.
        """
        with self.register.locked(), errors_of(self.directory):
            before, pin, new = self.roster(), self.pin, Identity.generate()
            check_may_sign(self.root, before)
            lineage = succeed(before, new.spki, signer=self.root, pin=pin, now=now)
            new.save(self.register.next_key_file(new.kid), passphrase, OWNER_KEY)
            if stolen:  # before the roster: a run that is cut short is finished as what it was
                self.broker_files.forget_older(new.kid)
            roster = self._sign(
                Members.of(before),
                before=before,
                now=now,
                validity=validity,
                lineage=lineage,
                signer=new,
            )
            self.register.finish_rotation()
            ExcuseFolder(self.public.excuses, roster, pin.aad).drop_old(now)
            self._publish(now, signer=new)
        return Changed(before=before, roster=roster)

    def _sign(
        self,
        members: Members,
        *,
        before: Roster | None,
        now: int,
        validity: int = ROSTER_VALIDITY,
        lineage: Lineage | None = None,
        signer: Identity | None = None,
    ) -> Roster:
        pin = self.pin
        if before is not None and lineage is None:
            check_may_sign(self.root, before)
            lineage = Lineage.of(before)
        lineage = lineage or Lineage()
        data = sign_roster(
            members,
            root=signer or self.root,
            pin=pin,
            previous=0 if before is None else before.version,
            now=now,
            validity=validity,
            successions=lineage.successions,
            grants=lineage.grants,
        )
        # Whatever everybody else would refuse is refused here, before it is written.
        roster = open_roster(data, pin)
        check_successor(None if before is None else before.head, roster.head)
        self.register.write_roster(data, roster)
        return roster

    @property
    def broker_files(self) -> BrokerFiles:
        """Certificates, their revocation list and access rules."""
        return BrokerFiles(public=self.public.directory, private=self.register.private)

    def _publish(self, now: int, signer: Identity | None = None) -> None:
        self.broker_files.write(self.roster(), signer or self.root, now=now)
        self.public.write_roster(self.register.roster_file())


def check_free(directory: Path) -> None:
    """Raise FleetError if a directory holds a fleet or a bundle already."""
    for part in ("private", "public"):
        if (directory / part).exists():
            raise FleetError(
                f"{directory / part} is there already: choose a directory without a fleet"
            )


def root_key_file(directory: Path) -> Path:
    """Return where the owner's key of a fleet is. Raises FleetError if there is none."""
    path = Register(directory).key_file
    if not path.is_file():
        raise FleetError(f"{directory} holds no fleet of yours: expected {path}")
    return path
