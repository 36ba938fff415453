"""The bundle's files for brokers: ``ca.pem``, ``crl.pem``, ``certs/{name}`` and ``acl``.

They follow from the roster, and are written whenever one is signed, before the roster itself. What
was issued is remembered in ``private/issued`` until it expires: a certificate that was replaced
since is still valid, and must be revoked with its member.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from device_sdk.identity import Identity
from device_sdk.trust import Roster, VerifiedHead
from device_sdk.wire import bundle as names
from device_sdk.wire.certificates import (
    FORMER_KEPT,
    first_in_pem,
    from_pem,
    is_authority,
    is_issued,
    public_key,
    verify_certificates,
)
from device_sdk.wire.errors import WireError
from device_sdk.wire.limits import DAY, MAX_LIFETIME
from device_sdk.wire.names import is_name
from device_sdk.wire.roster_page import DeviceEntry
from gateway.files import write_whole
from gateway.owner.authorities import (
    believed,
    believed_lists,
    pem_lists,
    read_authorities,
    read_lists,
)
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
_ISSUED, _FORGETS = "issued", "forgets-older"

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
        head = roster.head
        authority = self.authority(owner, head, now=now)
        known = self._authorities(head, now=now)
        if owner.spki == head.root.spki:
            known += _newly_granted(head, known, authority, now=now)
        self._write_authorities(known)
        issued = self._issue(authority, roster, now=now)
        not_after = roster.expires + GRACE
        revoked = _revoked(issued, roster, now=now)
        number = roster.version
        crl = revocation_list(authority, revoked, number=number, now=now, not_after=not_after)
        self._write_crl(crl, known)
        write_whole(self.public / ACL_FILE, acl_of(roster, now=now).encode())
        return authority

    def authority(self, owner: Identity, head: VerifiedHead, *, now: int) -> Authority:
        """Return the owner as an authority; a root becomes one when it first signs.

        ``head`` is that of the fleet's present roster. Raises FleetError.
        """
        known = self._authorities(head, now=now)
        is_root = owner.spki == head.root.spki
        # A root before this one may have been granted the fleet since.
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
            made = self._new_root(owner, now=now)
            # The root before stays behind it: certificates that it issued are still in use.
            self._write_authorities(believed([*made.chain, *known], head, now=now))
            return made
        above = () if is_root else (_issuer_of(own, known),)
        return Authority(key=signing_key(owner), chain=(own, *above))

    def forget_older(self, kid: bytes) -> None:
        """Let nobody believe an authority before a new root: those may be a thief's.

        It is remembered until that root becomes an authority, whatever happens meanwhile.
        """
        write_whole(self.private / _FORGETS, f"{kid.hex()}\n".encode(), mode=0o600)

    def is_by_a_former_root(
        self, certificate: x509.Certificate, head: VerifiedHead, *, now: int
    ) -> bool:
        """Tell whether a root before this one, still believed, has signed a certificate."""
        return any(
            is_authority(one, head.former) and is_issued(certificate, one)
            for one in self._authorities(head, now=now)
        )

    def take_from(self, public: Path, roster: Roster, *, now: int) -> None:
        """Take what another owner's bundle has, of which this is the roster.

        Of authorities and revocation lists only what verifies; what is newer here already stays.

        Raises FleetError, OSError.
        """
        mine = self.public
        found = [*read_authorities(mine / CA_FILE), *read_authorities(public / CA_FILE)]
        known = believed(found, roster.head, now=now)
        lists = [*read_lists(mine / CRL_FILE), *read_lists(public / CRL_FILE)]
        self._write_authorities(known)
        write_whole(mine / CRL_FILE, pem_lists(believed_lists(lists, known)))
        write_whole(mine / ACL_FILE, acl_of(roster, now=now).encode())
        theirs = public / CERTIFICATES
        (mine / CERTIFICATES).mkdir(exist_ok=True)
        for path in theirs.iterdir() if theirs.is_dir() else ():
            if is_name(path.name):
                _replace(mine / CERTIFICATES / path.name, path.read_bytes())

    def _authorities(self, head: VerifiedHead, *, now: int) -> list[x509.Certificate]:
        return believed(read_authorities(self.public / CA_FILE), head, now=now)

    def _write_authorities(self, known: Iterable[x509.Certificate]) -> None:
        path, data = self.public / CA_FILE, pem(known)
        if not path.exists() or path.read_bytes() != data:
            write_whole(path, data)

    def _new_root(self, owner: Identity, *, now: int) -> Authority:
        try:
            forgets = (self.private / _FORGETS).read_text().strip()
        except FileNotFoundError:
            forgets = ""
        # Its own date tells everybody that the roots before it are not needed (PROTOCOL 12.1).
        return root_authority(owner, now=now - FORMER_KEPT if forgets == owner.kid.hex() else now)

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
            first = first_in_pem(data)
            # One of our own need not be verified again, which would take a second for thousands.
            if (first.serial_number, name) in own and data.endswith(pem(authority.chain)):
                is_same = public_key(first) == entry.identities[-1]
                return int(first.not_valid_after_utc.timestamp()) if is_same else 0
            root = public_key(authority.chain[-1])
            member = verify_certificates(
                from_pem(data), name=name, identities=entry.identities[-1:], owners=[root]
            )
        except (FileNotFoundError, WireError):
            return 0
        return member.not_after

    def _write_crl(
        self, crl: x509.CertificateRevocationList, known: Sequence[x509.Certificate]
    ) -> None:
        """Put an owner's list beside those of the other owners, which only they can sign."""
        path = self.public / CRL_FILE
        others = [
            one for one in believed_lists(read_lists(path), known) if one.issuer != crl.issuer
        ]
        write_whole(path, pem_lists([crl, *others]))

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


def _newly_granted(
    head: VerifiedHead, known: Iterable[x509.Certificate], root: Authority, *, now: int
) -> list[x509.Certificate]:
    """Return new authorities for those keys that the root grants and that are none yet."""
    there = {public_key(one) for one in known if one.issuer == root.certificate.subject}
    granted = [key.spki for key in head.granted if key.spki not in there]
    return [granted_authority(spki, root, now=now) for spki in granted]


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
