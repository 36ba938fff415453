"""From the pinned root to a verified roster and reader keys. Pure: bytes and ``now`` go in.

The rules are The Update Framework's: the root is pinned, a lower version is a rollback, the same
version with other bytes is a fork, an expired roster stops sealing and admission but never reading,
acknowledging or clearing. Verification ends before anything is stored (PROTOCOL 8).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from device_sdk.wire import cose
from device_sdk.wire.errors import KeyFormatError, SealgateError, SignatureError
from device_sdk.wire.excuse import Excuse
from device_sdk.wire.key_statement import KeyStatement
from device_sdk.wire.limits import CLOCK_SKEW
from device_sdk.wire.owner_grant import OwnerGrant
from device_sdk.wire.roster_head import RootSuccession, RosterHead
from device_sdk.wire.roster_page import (
    ROLE_DEVICE,
    ChannelEntry,
    DeviceEntry,
    RosterPage,
    page_hash,
    page_index,
)
from device_sdk.wire.suites import VerifyKey, fingerprint, key_id, load_verify_key

_REPLACED = "the roster is signed by a root that the owner has replaced"


class TrustError(SealgateError):
    """Somebody or something that the owner's roster does not vouch for."""


class RollbackError(TrustError):
    """An older roster, or older reader keys, than were seen before."""


class ForkError(TrustError):
    """Two different rosters with one version, both signed: report it to the owner."""


class RosterExpiredError(TrustError):
    """The roster must be renewed by the owner before anything new is sealed or admitted."""


class UnknownDeviceError(TrustError):
    """The roster does not list the device, or not with this key or role, or no longer."""


@dataclass(frozen=True, slots=True)
class Pin:
    """The owner's root as this device or gateway pinned it at enrolment."""

    root: VerifyKey
    """The fleet's first one."""
    successions: tuple[bytes, ...] = ()
    """How it was replaced before this enrolment: who knows that believes no root before it."""

    @classmethod
    def from_spki(cls, spki: bytes) -> "Pin":
        """Pin a root by its SubjectPublicKeyInfo. Raises KeyFormatError."""
        return cls(load_verify_key(spki))

    @classmethod
    def from_pem(cls, pem: bytes) -> "Pin":
        """Pin a root by the content of its ``root.pub``. Raises KeyFormatError."""
        try:
            key = load_pem_public_key(pem)
            spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise KeyFormatError("root", expected="a public key in PEM", got="another") from error
        return cls.from_spki(spki)

    def after(self, successions: Iterable[bytes]) -> "Pin":
        """Return the pin of somebody who knows these successions. Raises WireError."""
        pin = Pin(self.root, tuple(successions))
        _ = pin.present
        return pin

    @property
    def present(self) -> VerifyKey:
        """The root that signed last, as far as it is known here. Raises WireError."""
        return _roots(self, self.successions)[-1]

    def to_pem(self) -> bytes:
        """Return the content of ``root.pub``."""
        return self.root.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @property
    def fleet_id(self) -> bytes:
        """16 bytes: the first root's key id."""
        return key_id(self.root.spki)

    @property
    def aad(self) -> bytes:
        """external_aad of everything that belongs to this fleet."""
        return cose.fleet_aad(self.fleet_id)

    @property
    def fingerprint(self) -> str:
        """64 hex digits, see `device_sdk.wire.suites.fingerprint`."""
        return fingerprint(self.root.spki)


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifiedHead:
    """A roster head that the fleet's owner signed; its pages may still be missing."""

    data: bytes
    head: RosterHead
    root: VerifyKey
    """The present root: the pinned one, or a successor that it vouches for."""
    granted: tuple[VerifyKey, ...] = ()
    """The keys that may sign for the owner besides, by the present root's grants."""
    former: tuple[bytes, ...] = ()
    """SubjectPublicKeyInfos of the roots before the present one, the pinned one first."""

    def signer(self, kid: bytes) -> VerifyKey:
        """Return the owner's key of this id; the root if there is none, which then does not fit."""
        return next((key for key in self.granted if key.kid == kid), self.root)

    def may_sign(self, kid: bytes) -> bool:
        """Tell whether the key of this id signs for the owner."""
        return self.signer(kid).kid == kid


def verify_head(pin: Pin, data: bytes) -> VerifiedHead:
    """Verify a signed roster head.

    Raises:
        WireError: not a roster head, or not signed by an owner of this fleet.
        RollbackError: signed without the successions that the pin knows.
    """
    unverified = cose.parse_signed(RosterHead, data)
    head = unverified.claims
    if head.fleet_id != pin.fleet_id:
        raise SignatureError("the roster belongs to another fleet than the pinned root")
    if head.successions[: len(pin.successions)] != pin.successions:
        raise RollbackError(_REPLACED)
    *former, root = _roots(pin, head.successions)
    granted = tuple(_granted(grant, root, pin) for grant in head.grants)
    verified = VerifiedHead(
        data=data,
        head=head,
        root=root,
        granted=granted,
        former=tuple(key.spki for key in former),
    )
    unverified.verify(verified.signer(unverified.kid), pin.aad)
    return verified


def _roots(pin: Pin, successions: Iterable[bytes]) -> list[VerifyKey]:
    """Return the pinned root and those that came after it, the present one last."""
    roots = [pin.root]
    for data in successions:
        unverified = cose.parse_signed(RootSuccession, data)
        grant = unverified.claims.grant
        signer = _granted(grant, roots[-1], pin) if grant else roots[-1]
        succession = unverified.verify(signer, pin.aad)
        if succession.fleet_id != pin.fleet_id:
            raise SignatureError("a root succession belongs to another fleet")
        roots.append(load_verify_key(succession.next_root_spki))
    return roots


def _granted(data: bytes, root: VerifyKey, pin: Pin) -> VerifyKey:
    # A grant of an older root does not verify any more: a rotation ends them all (PROTOCOL 8.4).
    grant = cose.parse_signed(OwnerGrant, data).verify(root, pin.aad)
    if grant.fleet_id != pin.fleet_id:
        raise SignatureError("an owner's grant belongs to another fleet")
    return grant.owner


@dataclass(frozen=True, kw_only=True, slots=True)
class Roster:
    """A verified, complete roster."""

    head: VerifiedHead
    pages: tuple[bytes, ...]
    devices: Mapping[str, DeviceEntry]
    channels: Mapping[str, ChannelEntry]

    @property
    def version(self) -> int:
        """Counts up; at least the Unix seconds of its making."""
        return self.head.head.version

    @property
    def issued(self) -> int:
        """Unix seconds, by the owner's clock."""
        return self.head.head.issued

    @property
    def expires(self) -> int:
        """Unix seconds."""
        return self.head.head.expires

    def check_current(self, now: int) -> None:
        """Raise RosterExpiredError once the roster has expired."""
        if now >= self.expires:
            raise RosterExpiredError(
                f"the roster (version {self.version}) has expired: the owner must renew it"
            )

    def is_active(self, name: str, now: int, role: str = ROLE_DEVICE) -> bool:
        """Tell whether a device or gateway is listed with a role, unrevoked and unexpired."""
        entry = self.devices.get(name)
        return entry is not None and role in entry.roles and entry.is_active(now)

    def is_member(self, name: str, now: int) -> bool:
        """Tell the same, in whatever role."""
        entry = self.devices.get(name)
        return entry is not None and entry.is_active(now)

    def is_revoked(self, name: str) -> bool:
        """Tell whether the owner revoked a device, which differs from never having admitted it."""
        entry = self.devices.get(name)
        return entry is not None and bool(entry.revoked_at)

    def identity(self, name: str, kid: bytes, role: str = ROLE_DEVICE) -> VerifyKey:
        """Return an identity key, also of a revoked device: held mail still verifies.

        Raises:
            UnknownDeviceError: no such device, role or key in the roster.
        """
        entry = self.devices.get(name)
        if entry is None or role not in entry.roles:
            raise UnknownDeviceError(f"the roster lists no {role} named {name}")
        for spki in entry.identities:
            if key_id(spki) == kid:
                return load_verify_key(spki)
        raise UnknownDeviceError(f"the roster lists another identity key for {name}")


def complete_roster(head: VerifiedHead, pages: Mapping[bytes, bytes]) -> Roster:
    """Put a verified head and its pages (by their hashes) together.

    Raises:
        TrustError: a page is missing, or has another hash than the head names.
        WireError: a page is malformed, or lists a name that belongs to another page.
    """
    devices: dict[str, DeviceEntry] = {}
    channels: dict[str, ChannelEntry] = {}
    ordered = []
    for index, expected in enumerate(head.head.page_hashes):
        data = pages.get(expected)
        if data is None or page_hash(data) != expected:
            raise TrustError("a page of the roster is missing or not the one the owner signed")
        page = RosterPage.decode(data)
        for name in (*page.devices, *page.channels):
            if page_index(name, len(head.head.page_hashes)) != index:
                raise TrustError(f"the roster lists {name} on the wrong page")
        devices.update(page.devices)
        channels.update(page.channels)
        ordered.append(data)
    return Roster(head=head, pages=tuple(ordered), devices=devices, channels=channels)


def check_successor(current: VerifiedHead | None, new: VerifiedHead) -> bool:
    """Tell whether ``new`` is newer than ``current``; False if it is the same one.

    Raises:
        RollbackError: an older version, or one signed without the root successions that are known.
        ForkError: the same version with other content.
    """
    if current is None:
        return True
    if new.head.version < current.head.version:
        raise RollbackError(
            f"roster version {new.head.version} is older than the known {current.head.version}"
        )
    # A root that was replaced may be in a thief's hands: it signs nothing any more (PROTOCOL 8.4).
    known = current.head.successions
    if new.head.successions[: len(known)] != known:
        raise RollbackError(_REPLACED)
    if new.head.version > current.head.version:
        return True
    if new.head != current.head:
        raise ForkError(f"two different rosters have version {new.head.version}: tell the owner")
    return False


def verify_key_statement(data: bytes, device: str, roster: Roster) -> KeyStatement:
    """Return a device's reader-key statement, signed by an identity that the roster lists for it.

    Raises:
        WireError: malformed, another device's, or a signature that does not verify.
        UnknownDeviceError: the roster does not list the device or the key.
    """
    unverified = cose.parse_signed(KeyStatement, data)
    if unverified.claims.device != device:
        raise SignatureError(f"the key statement is another device's than {device}'s")
    identity = roster.identity(device, unverified.kid)
    return unverified.verify(identity, cose.FLEETLESS_AAD)


def newest_key(statements: Iterable[KeyStatement], *, now: int, until: int) -> KeyStatement | None:
    """Return the statement with the highest serial that is valid from ``now`` to ``until``.

    A key made a moment ago by a device whose clock runs a little ahead counts as valid.
    """
    latest = now + CLOCK_SKEW
    valid = [s for s in statements if s.not_before <= latest and until <= s.not_after]
    return max(valid, key=lambda statement: statement.serial, default=None)


def verify_excuse(data: bytes, roster: Roster, aad: bytes) -> Excuse:
    """Return an excuse signed by the owner: by any key that may sign rosters. Raises WireError."""
    unverified = cose.parse_signed(Excuse, data)
    return unverified.verify(roster.head.signer(unverified.kid), aad)
