"""The owner's key as an X.509 authority: certificates, and the list of revoked ones. Pure.

The profile is PROTOCOL 12.1. What a certificate says, the roster says as well; it is there for
brokers, which know nothing of rosters. Whoever signed a join request holds the key that it names,
so a join request serves as the certificate request, too.
"""

import datetime as dt
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from device_sdk.identity import Identity
from device_sdk.wire.certificates import public_key
from device_sdk.wire.limits import CLOCK_SKEW
from device_sdk.wire.suites import key_id, load_verify_key
from gateway.owner.errors import FleetError

SERVER_NAME = "sealgate broker"
"""No member can be called so: a name has no space."""
_NO_END = dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
"""RFC 5280 4.1.2.5: no well-defined end. An owner's key ends when another takes its place."""
_SHA256 = hashes.SHA256()


@dataclass(frozen=True, kw_only=True, slots=True)
class Authority:
    """An owner who can sign certificates."""

    key: ec.EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, ...]
    """The authority's own certificate, then those above it; the last signed itself."""

    @property
    def certificate(self) -> x509.Certificate:
        """The authority's own certificate."""
        return self.chain[0]


def root_authority(owner: Identity, *, now: int) -> Authority:
    """Return the root as an authority, with a new certificate. Raises FleetError for RSA keys."""
    key = signing_key(owner)
    name = _authority_name(owner.kid)
    builder = _authority(name, name, owner.spki, owner.spki, now=now, path_length=1)
    return Authority(key=key, chain=(builder.sign(key, _SHA256),))


def granted_authority(spki: bytes, root: Authority, *, now: int) -> x509.Certificate:
    """Return the certificate by which the root makes another owner's key an authority."""
    builder = _authority(
        _authority_name(key_id(spki)),
        root.certificate.subject,
        spki,
        public_key(root.certificate),
        now=now,
        path_length=0,
    )
    return builder.sign(root.key, _SHA256)


def client_certificate(
    authority: Authority, *, name: str, spki: bytes, now: int, not_after: int
) -> x509.Certificate:
    """Return a member's certificate: its name as user name, for its identity key, until then."""
    builder = _leaf(authority, name, spki, now=now, not_after=not_after)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    return builder.add_extension(usage, critical=False).sign(authority.key, _SHA256)


def server_certificate(
    authority: Authority, *, hosts: Sequence[str], spki: bytes, now: int, not_after: int
) -> x509.Certificate:
    """Return a broker's certificate for DNS names and IP addresses. Raises FleetError."""
    builder = _leaf(authority, SERVER_NAME, spki, now=now, not_after=not_after)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    names = x509.SubjectAlternativeName([_host(host) for host in hosts])
    return (
        builder.add_extension(usage, critical=False)
        .add_extension(names, critical=False)
        .sign(authority.key, _SHA256)
    )


def revocation_list(
    authority: Authority, revoked: Mapping[int, int], *, number: int, now: int, not_after: int
) -> x509.CertificateRevocationList:
    """Return the CRL of certificates by this authority: serial -> Unix seconds of revocation.

    ``number`` counts up; ``not_after`` is when a broker stops believing the list, and with it
    everybody's certificate.
    """
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(_time(now - CLOCK_SKEW))
        .next_update(_time(not_after))
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(_issuer_key(public_key(authority.certificate)), critical=False)
    )
    for serial, when in sorted(revoked.items()):
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(_time(when))
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(authority.key, _SHA256)


def signing_key(owner: Identity) -> ec.EllipticCurvePrivateKey:
    """Return an owner's key. Raises FleetError if it is not P-256, as every one made here is."""
    if not isinstance(owner.key, ec.EllipticCurvePrivateKey):
        raise FleetError("certificates are signed with ES256: this fleet's owner has an RSA key")
    return owner.key


def pem(certificates: Iterable[x509.Certificate]) -> bytes:
    """Return certificates as a PEM file."""
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def _authority_name(kid: bytes) -> x509.Name:
    # With a space, so that no member has the same name.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"sealgate owner {kid.hex()}")])


def _authority(
    subject: x509.Name,
    issuer: x509.Name,
    spki: bytes,
    issuer_spki: bytes,
    *,
    now: int,
    path_length: int,
) -> x509.CertificateBuilder:
    return (
        _builder(subject, issuer, spki, issuer_spki)
        .not_valid_before(_time(now - CLOCK_SKEW))
        .not_valid_after(_NO_END)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
    )


def _leaf(
    authority: Authority, name: str, spki: bytes, *, now: int, not_after: int
) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer = authority.certificate
    return (
        _builder(subject, issuer.subject, spki, public_key(issuer))
        .not_valid_before(_time(now - CLOCK_SKEW))
        .not_valid_after(_time(not_after))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, spki: bytes, issuer_spki: bytes
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(load_verify_key(spki).key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier(key_id(spki)), critical=False)
        .add_extension(_issuer_key(issuer_spki), critical=False)
    )


def _issuer_key(spki: bytes) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier(key_id(spki), None, None)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        if not host or set(host) & set(" /:@"):
            raise ValueError
        return x509.DNSName(host)
    except ValueError:
        raise FleetError(f"expected a host name or an IP address, got {host[:80]!r}") from None


def _time(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
