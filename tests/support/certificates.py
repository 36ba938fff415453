"""Certificates by an owner of a test, as `gateway.owner` makes them."""

from collections.abc import Sequence

from cryptography.hazmat.primitives.serialization import Encoding

from device_sdk.identity import Identity
from gateway.owner.certificates import Authority, client_certificate, root_authority

DAY = 24 * 3600


def chain_for(
    authority: Authority, name: str, spki: bytes, *, now: int, validity: int = 30 * DAY
) -> list[bytes]:
    """Return a member's certificate, and the authorities above it, in DER."""
    own = client_certificate(authority, name=name, spki=spki, now=now, not_after=now + validity)
    return [one.public_bytes(Encoding.DER) for one in (own, *authority.chain)]


def authority_of(owner: Identity, *, now: int) -> Authority:
    """Return an owner as an authority."""
    return root_authority(owner, now=now)


def other_chain(name: str, spki: bytes, *, now: int) -> Sequence[bytes]:
    """Return a certificate by an owner whom nobody knows."""
    return chain_for(authority_of(Identity.generate(), now=now), name, spki, now=now)
