"""Several owners: how one asks to be one, and the root's word that it is (PROTOCOL 8.4)."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from device_sdk.wire import cbor, cose
from device_sdk.wire.limits import KID_SIZE, MAX_STATEMENT
from device_sdk.wire.names import as_name
from device_sdk.wire.suites import SPKI_LIMIT, VerifyKey, load_verify_key


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnerGrant:
    """Signed by the root: another key may sign rosters, excuses and the next root as well."""

    fleet_id: bytes
    owner_spki: bytes
    time: int
    """Unix seconds."""

    TYP: ClassVar[str] = "application/sealgate-owner+cose"
    LIMIT: ClassVar[int] = MAX_STATEMENT

    def encode(self) -> bytes:
        """Return the record's deterministic CBOR."""
        return cbor.encode({1: self.fleet_id, 2: self.owner_spki, 3: self.time})

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Return the record from decoded CBOR. Raises MalformedError, KeyFormatError."""
        what = "owner-grant"
        fields = cbor.as_map(fields, what, (1, 2, 3))
        spki = cbor.as_bytes(fields[2], f"{what}.owner", most=SPKI_LIMIT)
        load_verify_key(spki)
        return cls(
            fleet_id=cbor.as_bytes(fields[1], f"{what}.fleet-id", size=KID_SIZE),
            owner_spki=spki,
            time=cbor.as_uint(fields[3], f"{what}.time"),
        )

    @property
    def owner(self) -> VerifyKey:
        """The key that may sign."""
        return load_verify_key(self.owner_spki)


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnerRequest:
    """Signed by the key that it names: somebody asks to be an owner. It is no join request, so
    that no device or gateway can become an owner by mistake."""

    name: str
    """What that owner is called, by people only."""
    owner_spki: bytes
    time: int
    """Unix seconds."""

    TYP: ClassVar[str] = "application/sealgate-owner-request+cose"
    LIMIT: ClassVar[int] = MAX_STATEMENT

    def encode(self) -> bytes:
        """Return the record's deterministic CBOR."""
        return cbor.encode({1: self.name, 2: self.owner_spki, 3: self.time})

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Return the record from decoded CBOR. Raises MalformedError, KeyFormatError."""
        what = "owner-request"
        fields = cbor.as_map(fields, what, (1, 2, 3))
        spki = cbor.as_bytes(fields[2], f"{what}.owner", most=SPKI_LIMIT)
        load_verify_key(spki)
        return cls(
            name=as_name(fields[1], f"{what}.name"),
            owner_spki=spki,
            time=cbor.as_uint(fields[3], f"{what}.time"),
        )


def verify_owner_request(data: bytes) -> OwnerRequest:
    """Return an owner request that its own key signed. Raises MalformedError, SignatureError."""
    unverified = cose.parse_signed(OwnerRequest, data)
    owner = load_verify_key(unverified.claims.owner_spki)
    return unverified.verify(owner, cose.FLEETLESS_AAD)
