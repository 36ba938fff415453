"""The bundle's files for brokers: ``ca.pem``, ``crl.pem``, ``certs/{name}`` and ``acl``.

They follow from the roster, and are written whenever one is signed, before the roster itself. What
was issued is remembered in ``private/issued`` until it expires: a certificate that was replaced
since is still valid, and must be revoked with its member.
"""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from device_sdk.identity import Identity
from device_sdk.trust import Roster
from device_sdk.wire import bundle as names
from device_sdk.wire.certificates import from_pem, public_key, verify_certificates
from device_sdk.wire.errors import WireError
from device_sdk.wire.limits import DAY, MAX_LIFETIME
from device_sdk.wire.names import is_name
from device_sdk.wire.roster_page import DeviceEntry
from gateway.files import write_whole
from gateway.owner.certificates import (
    Authority,
    client_certificate,
    granted_authority,
    pem,
    revocation_list,
    root_authority,
    signing_key,
)
from gateway.owner.errors import FleetError
from gateway.owner.mosquitto_acl import acl_of

CA_FILE, CRL_FILE, ACL_FILE, CERTIFICATES = names.CA, names.CRL, names.ACL, names.CERTIFICATES
_ISSUED = "issued"

GRACE = MAX_LIFETIME
"""Seconds that certificates outlive the roster. When it has expired, devices go on reading what is
held, and they must be able to connect to get a new one: so its date is the one to watch."""
_KEPT = GRACE - 7 * DAY
"""A certificate that outlives a new roster by so much is not issued again: admitting a device does
not touch the thousand others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Issued:
    """One certificate that may still be valid."""

    serial: int
    not_after: int
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokerFiles:
    """The broker's part of a fleet's directory."""

    public: Path
    private: Path

    def write(self, roster: Roster, owner: Identity, *, now: int) -> Authority:
        """Write everything that follows from a roster which was just signed by ``owner``.

        The root makes those authorities whom it has granted the fleet. Returns the owner as an
        authority, for a broker's own certificate.

        Raises:
            FleetError: an owner who is no authority yet, or damaged files.
            OSError: they cannot be written.
        """
        root = roster.head.root.spki
        authority = self.authority(owner, root, now=now)
        if owner.spki == root:
            granted = [key.spki for key in roster.head.granted]
            self._grant(granted, authority, now=now)
        issued = self._issue(authority, roster, now=now)
        not_after = roster.expires + GRACE
        revoked = _revoked(issued, roster, now=now)
        number = roster.version
        crl = revocation_list(authority, revoked, number=number, now=now, not_after=not_after)
        self._write_crl(authority, crl)
        write_whole(self.public / ACL_FILE, acl_of(roster, now=now).encode())
        return authority

    def authority(self, owner: Identity, root: bytes, *, now: int) -> Authority:
        """Return the owner as an authority; a root becomes one when it first signs.

        ``root`` is the SubjectPublicKeyInfo of the fleet's present root. Raises FleetError.
        """
        known = self._authorities()
        is_root = owner.spki == root
        # A granted owner that became the root has a certificate of the root before as well.
        own = next(
            (
                one
                for one in known
                if public_key(one) == owner.spki and (one.subject == one.issuer) is is_root
            ),
            None,
        )
        if own is None and not is_root:
            raise FleetError(
                f"{self.public / CA_FILE} does not name this owner: fetch the bundle of the owner "
                "who granted it this fleet"
            )
        if own is None:
            made = root_authority(owner, now=now)
            # The root before stays behind it: certificates that it issued are still in use.
            write_whole(self.public / CA_FILE, pem([*made.chain, *known]))
            return made
        above = () if is_root else (_issuer_of(own, known),)
        return Authority(key=signing_key(owner), chain=(own, *above))

    def forget_older(self, root: Identity, *, now: int) -> None:
        """Let brokers believe no authority but a new root: the ones before may be a thief's.

        Raises FleetError, OSError.
        """
        own = self.authority(root, root.spki, now=now)
        write_whole(self.public / CA_FILE, pem(own.chain))

    def is_by_a_former_root(self, certificate: x509.Certificate, root: bytes) -> bool:
        """Tell whether a root before this one, still believed, has signed a certificate."""
        return any(
            one.subject == certificate.issuer and one.issuer == one.subject
            for one in self._authorities()
            if public_key(one) != root
        )

    def take_from(self, public: Path) -> None:
        """Take what another owner's bundle has: its roster says the same."""
        for name in (CA_FILE, CRL_FILE, ACL_FILE):
            with contextlib.suppress(FileNotFoundError):
                write_whole(self.public / name, (public / name).read_bytes())
        theirs, mine = public / CERTIFICATES, self.public / CERTIFICATES
        mine.mkdir(exist_ok=True)
        for path in theirs.iterdir() if theirs.is_dir() else ():
            if is_name(path.name):
                _replace(mine / path.name, path.read_bytes())

    def _grant(self, granted: Iterable[bytes], root: Authority, *, now: int) -> None:
        known = self._authorities()
        above = root.certificate.subject
        there = {public_key(one) for one in known if one.issuer == above}
        new = [granted_authority(spki, root, now=now) for spki in granted if spki not in there]
        if new:
            write_whole(self.public / CA_FILE, pem([*known, *new]))

    def _authorities(self) -> list[x509.Certificate]:
        path = self.public / CA_FILE
        if not path.exists():
            return []
        try:
            return x509.load_pem_x509_certificates(path.read_bytes())
        except ValueError as error:
            raise FleetError(f"{path} is damaged: expected certificates in PEM") from error

    def _issue(self, authority: Authority, roster: Roster, *, now: int) -> list[_Issued]:
        """Give every active member a certificate; return all that may still be valid."""
        made: dict[str, x509.Certificate] = {}
        known = self._issued(now)
        own = {(one.serial, one.name) for one in known}
        for name, entry in roster.devices.items():
            not_after = min(roster.expires + GRACE, entry.not_after)
            enough = min(roster.expires + _KEPT, not_after)
            if entry.is_active(now) and self._valid_until(name, entry, authority, own) < enough:
                made[name] = client_certificate(
                    authority, name=name, spki=entry.identities[-1], now=now, not_after=not_after
                )
        new = [_issued(certificate, name) for name, certificate in made.items()]
        if new:
            # First: none that is given away may be forgotten.
            self._remember([*known, *new])
        directory = self.public / CERTIFICATES
        directory.mkdir(exist_ok=True)
        for name, certificate in made.items():
            _replace(directory / name, pem([certificate, *authority.chain]))
        return [*known, *new]

    def _valid_until(
        self, name: str, entry: DeviceEntry, authority: Authority, own: set[tuple[int, str]]
    ) -> int:
        """Return when a member's certificate ends; 0 if it has none for its newest key."""
        try:
            data = (self.public / CERTIFICATES / name).read_bytes()
            first = x509.load_pem_x509_certificate(data)
            # One of our own need not be verified again, which would take a second for thousands.
            if (first.serial_number, name) in own and data.endswith(pem(authority.chain)):
                is_same = public_key(first) == entry.identities[-1]
                return int(first.not_valid_after_utc.timestamp()) if is_same else 0
            root = public_key(authority.chain[-1])
            member = verify_certificates(
                from_pem(data), name=name, identities=entry.identities[-1:], owners=[root]
            )
        except (FileNotFoundError, ValueError, WireError):
            return 0
        return member.not_after

    def _write_crl(self, authority: Authority, crl: x509.CertificateRevocationList) -> None:
        """Put an owner's list beside those of the other owners, which only they can sign."""
        path = self.public / CRL_FILE
        others = [
            one
            for one in _lists(path)
            if one.issuer != crl.issuer
            and any(one.issuer == known.subject for known in self._authorities())
        ]
        lists = [crl, *others]
        write_whole(path, b"".join(one.public_bytes(Encoding.PEM) for one in lists))

    # What was issued.

    def _issued(self, now: int) -> list[_Issued]:
        path = self.private / _ISSUED
        try:
            lines = path.read_text().splitlines()
        except FileNotFoundError:
            return []
        try:
            found = [
                _Issued(serial=int(serial, 16), not_after=int(not_after), name=name)
                for serial, not_after, name in map(str.split, lines)
            ]
        except ValueError as error:
            raise FleetError(f"{path} is damaged: expected serial, end and name") from error
        return [one for one in found if one.not_after > now]

    def _remember(self, issued: Iterable[_Issued]) -> None:
        lines = [f"{one.serial:x} {one.not_after} {one.name}\n" for one in issued]
        write_whole(self.private / _ISSUED, "".join(lines).encode(), mode=0o600)


def _issued(certificate: x509.Certificate, name: str) -> _Issued:
    not_after = int(certificate.not_valid_after_utc.timestamp())
    return _Issued(serial=certificate.serial_number, not_after=not_after, name=name)


def _revoked(issued: Iterable[_Issued], roster: Roster, *, now: int) -> Mapping[int, int]:
    """Return the serials that a CRL must list, with when: versions are at least Unix seconds."""
    found = {}
    for one in issued:
        entry = roster.devices.get(one.name)
        if entry is not None and entry.revoked_at:
            found[one.serial] = min(entry.revoked_at, now)
    return found


def _lists(path: Path) -> list[x509.CertificateRevocationList]:
    end = b"-----END X509 CRL-----\n"
    with contextlib.suppress(FileNotFoundError, ValueError):
        blocks = path.read_bytes().split(end)[:-1]
        return [x509.load_pem_x509_crl(block + end) for block in blocks]
    return []


def _issuer_of(own: x509.Certificate, known: Iterable[x509.Certificate]) -> x509.Certificate:
    found = next((one for one in known if one.subject == own.issuer), None)
    if found is None:
        raise FleetError("the owner's certificate is by an authority that ca.pem does not name")
    return found


def _replace(path: Path, data: bytes) -> None:
    # Without waiting for the disk, unlike `write_whole`: there may be thousands, and what a crash
    # damages does not verify, and is issued again by the next run.
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(data)
    temporary.chmod(0o644)  # whatever the umask
    temporary.replace(path)
