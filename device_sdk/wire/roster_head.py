"""The roster's signed head, and how one root hands over to the next (PROTOCOL 8.3, 8.4)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from device_sdk.wire import cbor
from device_sdk.wire.limits import (
    HASH_SIZE,
    KID_SIZE,
    MAX_GRANTS,
    MAX_ROSTER_PAGES,
    MAX_STATEMENT,
    MAX_SUCCESSIONS,
)
from device_sdk.wire.suites import SPKI_LIMIT, load_verify_key

_FLEET, _VERSION, _ISSUED, _EXPIRES, _PAGES, _SUCCESSIONS, _GRANTS = range(1, 8)


@dataclass(frozen=True, kw_only=True, slots=True)
class RosterHead:
    """What the root signs, or somebody whom it granted that. Times are Unix seconds."""

    fleet_id: bytes
    version: int
    """max(previous + 1, Unix seconds): a restored owner does not reuse one."""
    issued: int
    expires: int
    page_hashes: tuple[bytes, ...]
    """SHA-256 of each page's bytes."""
    successions: tuple[bytes, ...] = ()
    """Signed RootSuccessions from the first root to the present one, in order."""
    grants: tuple[bytes, ...] = ()
    """Signed OwnerGrants of the present root: who else may sign heads and excuses."""

    TYP: ClassVar[str] = "application/sealgate-roster+cose"
    LIMIT: ClassVar[int] = (MAX_SUCCESSIONS + 2) * MAX_STATEMENT

    def encode(self) -> bytes:
        """Return the record's deterministic CBOR."""
        fields: dict[int, Any] = {
            _FLEET: self.fleet_id,
            _VERSION: self.version,
            _ISSUED: self.issued,
            _EXPIRES: self.expires,
            _PAGES: list(self.page_hashes),
        }
        if self.successions:
            fields[_SUCCESSIONS] = list(self.successions)
        if self.grants:
            fields[_GRANTS] = list(self.grants)
        return cbor.encode(fields)

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Return the record from decoded CBOR. Raises MalformedError."""
        what = "roster-head"
        required = (_FLEET, _VERSION, _ISSUED, _EXPIRES, _PAGES)
        fields = cbor.as_map(fields, what, required, (_SUCCESSIONS, _GRANTS))
        pages = cbor.as_array(fields[_PAGES], f"{what}.pages", least=1, most=MAX_ROSTER_PAGES)
        return cls(
            fleet_id=cbor.as_bytes(fields[_FLEET], f"{what}.fleet-id", size=KID_SIZE),
            version=cbor.as_uint(fields[_VERSION], f"{what}.version"),
            issued=cbor.as_uint(fields[_ISSUED], f"{what}.issued"),
            expires=cbor.as_uint(fields[_EXPIRES], f"{what}.expires"),
            page_hashes=tuple(cbor.as_bytes(h, f"{what}.pages", size=HASH_SIZE) for h in pages),
            successions=_statements(fields, _SUCCESSIONS, f"{what}.successions", MAX_SUCCESSIONS),
            grants=_statements(fields, _GRANTS, f"{what}.grants", MAX_GRANTS),
        )


def encode_chain(successions: Iterable[bytes]) -> bytes:
    """Return successions on their own, as whoever is enrolled after a rotation keeps them."""
    return cbor.encode(list(successions))


def decode_chain(data: bytes) -> tuple[bytes, ...]:
    """Return the successions of `encode_chain`, still to be verified. Raises MalformedError."""
    return as_chain(cbor.decode(data, "chain", limit=RosterHead.LIMIT), "chain")


def as_chain(value: Any, what: str) -> tuple[bytes, ...]:
    """Return decoded CBOR as successions, of which there may be none. Raises MalformedError."""
    listed = cbor.as_array(value, what, most=MAX_SUCCESSIONS)
    return tuple(cbor.as_bytes(one, what, least=1, most=MAX_STATEMENT) for one in listed)


def _statements(fields: dict[int, Any], key: int, what: str, most: int) -> tuple[bytes, ...]:
    if key not in fields:
        return ()
    listed = cbor.as_array(fields[key], what, least=1, most=most)
    return tuple(cbor.as_bytes(one, what, most=MAX_STATEMENT) for one in listed)


@dataclass(frozen=True, kw_only=True, slots=True)
class RootSuccession:
    """The old root, or an owner whom it granted that, names the new one. A head carries the whole
    chain, so that a device which missed some rotations still finds its way from the root it pinned
    (PROTOCOL 8.4)."""

    fleet_id: bytes
    next_root_spki: bytes
    time: int
    grant: bytes = b""
    """The old root's signed OwnerGrant for the key that signs this; empty if the root signs it."""

    TYP: ClassVar[str] = "application/sealgate-root+cose"
    LIMIT: ClassVar[int] = MAX_STATEMENT

    def encode(self) -> bytes:
        """Return the record's deterministic CBOR."""
        fields: dict[int, Any] = {1: self.fleet_id, 2: self.next_root_spki, 3: self.time}
        if self.grant:
            fields[4] = self.grant
        return cbor.encode(fields)

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Return the record from decoded CBOR. Raises MalformedError, KeyFormatError."""
        what = "root-succession"
        fields = cbor.as_map(fields, what, (1, 2, 3), (4,))
        spki = cbor.as_bytes(fields[2], f"{what}.next-root", most=SPKI_LIMIT)
        load_verify_key(spki)
        return cls(
            fleet_id=cbor.as_bytes(fields[1], f"{what}.fleet-id", size=KID_SIZE),
            next_root_spki=spki,
            time=cbor.as_uint(fields[3], f"{what}.time"),
            grant=b""
            if 4 not in fields
            else cbor.as_bytes(fields[4], f"{what}.grant", least=1, most=MAX_STATEMENT),
        )
