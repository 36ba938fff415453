"""A fleet in memory: an owner's root, identities, reader keys and the roster that lists them."""

from cryptography.hazmat.primitives.asymmetric import rsa

from device_sdk.identity import Identity
from device_sdk.keys.reader_key import ReaderKey
from device_sdk.seal import Sealed, WrapTarget, seal
from device_sdk.trust import Pin, Roster, complete_roster, verify_head
from device_sdk.wire import cose
from device_sdk.wire.key_statement import KeyStatement
from device_sdk.wire.limits import DAY, READER_KEY_VALIDITY
from device_sdk.wire.roster_head import RosterHead
from device_sdk.wire.roster_page import (
    ROLE_DEVICE,
    ChannelEntry,
    DeviceEntry,
    RosterPage,
    page_hash,
)

NOW = 1_800_000_000
"""When tests happen, Unix seconds."""


class Fleet:
    """Devices by name; every change takes effect in the next `roster()`."""

    def __init__(self, reader_keys: list[rsa.RSAPrivateKey]) -> None:
        self.root = Identity.generate()
        self.pin = Pin.from_spki(self.root.spki)
        self.identities: dict[str, Identity] = {}
        self.reader_keys: dict[str, ReaderKey] = {}
        self.devices: dict[str, DeviceEntry] = {}
        self.channels: dict[str, ChannelEntry] = {}
        self.version = NOW
        self._spare_keys = [ReaderKey.from_key(key) for key in reader_keys]

    @property
    def aad(self) -> bytes:
        """external_aad of this fleet."""
        return self.pin.aad

    def admit(self, name: str, role: str = ROLE_DEVICE) -> Identity:
        """Add a device or gateway; devices share a few RSA keys, which cost too much to make."""
        identity = self.identities.setdefault(name, Identity.generate())
        self.devices[name] = DeviceEntry(
            identities=(identity.spki,), roles=(role,), not_after=NOW + 365 * DAY
        )
        if role == ROLE_DEVICE:
            key = self._spare_keys[len(self.reader_keys) % len(self._spare_keys)]
            self.reader_keys[name] = key
        return identity

    def revoke(self, name: str) -> None:
        """Revoke a device as of the next roster."""
        old = self.devices[name]
        self.devices[name] = DeviceEntry(
            identities=old.identities,
            roles=old.roles,
            not_after=old.not_after,
            revoked_at=self.version + 1,
        )

    def signed_roster(self, *, expires: int = NOW + 365 * DAY) -> tuple[bytes, list[bytes]]:
        """Return (head, pages) as the owner publishes them, with the next version."""
        self.version += 1
        page = RosterPage(devices=self.devices, channels=self.channels).encode()
        head = RosterHead(
            fleet_id=self.pin.fleet_id,
            version=self.version,
            issued=NOW,
            expires=expires,
            page_hashes=(page_hash(page),),
        )
        return cose.sign(head, self.root, self.aad), [page]

    def roster(self, *, expires: int = NOW + 365 * DAY) -> Roster:
        """Return the next roster, verified as a device would."""
        head, pages = self.signed_roster(expires=expires)
        return complete_roster(
            verify_head(self.pin, head), {page_hash(page): page for page in pages}
        )

    def key_statement(self, name: str, *, serial: int = NOW) -> bytes:
        """Return a device's signed reader-key statement."""
        statement = KeyStatement(
            device=name,
            spki=self.reader_keys[name].public.spki,
            not_before=NOW,
            not_after=NOW + READER_KEY_VALIDITY,
            serial=serial,
        )
        return cose.sign(statement, self.identities[name], cose.FLEETLESS_AAD)

    def target(self, name: str) -> WrapTarget:
        """Return a device as somebody to seal to."""
        return WrapTarget(reader=name, key=self.reader_keys[name].public)

    def seal(
        self,
        payload: bytes,
        *,
        sender: str,
        to: list[str],
        expires: int = NOW + DAY,
        sequence: int = 1,
    ) -> Sealed:
        """Seal a direct message from one device to others."""
        return seal(
            payload,
            recipients=[self.target(name) for name in to],
            sender=sender,
            signer=self.identities[sender],
            aad=self.aad,
            content_type="application/octet-stream",
            issued=NOW,
            expires=expires,
            sequence=sequence,
        )
