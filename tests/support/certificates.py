"""Certificates by an owner of a test, as `gateway.owner` makes them."""

import base64
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier

from device_sdk.identity import Identity
from gateway.owner.certificates import Authority, client_certificate, root_authority

DAY = 24 * 3600


def chain_for(
    authority: Authority, name: str, spki: bytes, *, now: int, validity: int = 30 * DAY
) -> list[bytes]:
    """Return a member's certificate, and the authorities above it, in DER."""
    own = client_certificate(authority, name=name, spki=spki, now=now, not_after=now + validity)
    return to_der((own, *authority.chain))


def to_der(certificates: Iterable[x509.Certificate]) -> list[bytes]:
    """Return certificates in DER."""
    return [one.public_bytes(Encoding.DER) for one in certificates]


def authority_of(owner: Identity, *, now: int) -> Authority:
    """Return an owner as an authority."""
    return root_authority(owner, now=now)


def other_chain(name: str, spki: bytes, *, now: int) -> Sequence[bytes]:
    """Return a certificate by an owner whom nobody knows."""
    return chain_for(authority_of(Identity.generate(), now=now), name, spki, now=now)


def unreadable(name: str = "hub") -> Mapping[str, bytes]:
    """Return certificates in DER that the parser refuses in ways of its own, some of them late."""
    whole = _self_signed(name)
    version = whole.index(bytes.fromhex("a003020102")) + 4
    alternative = ObjectIdentifier("2.5.29.17")
    return {
        "version-5": whole[:version] + b"\x05" + whole[version + 1 :],
        "name-not-utf8": whole.replace(name.encode(), b"\xff" + name.encode()[1:]),
        "month-13": whole.replace(b"250101000000Z", b"251301000000Z"),
        "x400-address": _self_signed(name, alternative, bytes.fromhex("3004a3023000")),
        "half-an-extension": _self_signed(name, alternative, bytes.fromhex("30030101")),
    }


def as_pem(der: bytes) -> bytes:
    """Return a certificate as a PEM file, whatever is in it."""
    lines = base64.encodebytes(der)
    return b"-----BEGIN CERTIFICATE-----\n" + lines + b"-----END CERTIFICATE-----\n"


def _self_signed(
    name: str, extension: ObjectIdentifier | None = None, content: bytes = b""
) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(5)
        .not_valid_before(dt.datetime(2025, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2035, 1, 1, tzinfo=dt.UTC))
    )
    if extension is not None:
        builder = builder.add_extension(x509.UnrecognizedExtension(extension, content), False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
