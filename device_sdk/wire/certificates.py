"""Certificates of members as they travel, and how one is believed (PROTOCOL 12.1, 12.2).

The owner's key is the X.509 authority, so a certificate says nothing that the roster does not say
as well: it only lets a broker that knows nothing of rosters recognise the fleet's members.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from device_sdk.wire import cbor
from device_sdk.wire.errors import KeyFormatError, MalformedError, SignatureError
from device_sdk.wire.limits import MAX_CERTIFICATE, MAX_CERTIFICATES, MAX_LIFETIME
from device_sdk.wire.suites import load_verify_key

_WHAT = "certificates"
_LIST_LIMIT = MAX_CERTIFICATES * (MAX_CERTIFICATE + 3) + 1
FORMER_KEPT = MAX_LIFETIME
"""Seconds from which the present root is an authority until nobody believes one before it: devices
that were asleep for longer could not have been written to, and are handed their certificates."""
_REFUSALS = {
    "CERTIFICATE_REQUIRED": "it wants a certificate of the fleet's owner, and there is none here",
    "HANDSHAKE_FAILURE": "it wants a certificate of the fleet's owner, and may have got none",
    "CERTIFICATE_REVOKED": "the owner has revoked it",
    "CERTIFICATE_EXPIRED": "it has expired: the owner must renew the fleet, and hand it over",
    "UNKNOWN_CA": "it is by another owner than the broker's fleet has",
    "BAD_CERTIFICATE": "the broker does not believe it",
    "UNSUPPORTED_CERTIFICATE": "the broker does not believe it",
    "CERTIFICATE_UNKNOWN": "the broker does not believe it",
    "DECRYPT_ERROR": "it is for another key",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class MemberCertificate:
    """A member's certificate that leads to the fleet's owner. Times are Unix seconds."""

    name: str
    spki: bytes
    """SubjectPublicKeyInfo of the key that it is for."""
    not_before: int
    """Of two certificates of one member the one with the later time counts."""
    not_after: int
    chain: tuple[bytes, ...]
    """DER: the member's own first, the authority whose key is an owner's last."""
    root: bytes
    """That owner's SubjectPublicKeyInfo."""


def encode_certificates(chain: Sequence[bytes]) -> bytes:
    """Return what stands under ``cert/{name}``: an array of certificates in DER."""
    return cbor.encode(list(chain))


def decode_certificates(data: bytes) -> list[bytes]:
    """Return the certificates of a list, still to be verified. Raises MalformedError."""
    items = cbor.as_array(
        cbor.decode(data, _WHAT, limit=_LIST_LIMIT), _WHAT, least=2, most=MAX_CERTIFICATES
    )
    return [cbor.as_bytes(item, _WHAT, least=1, most=MAX_CERTIFICATE) for item in items]


def verify_certificates(
    chain: Sequence[bytes], *, name: str, identities: Collection[bytes], owners: Collection[bytes]
) -> MemberCertificate:
    """Return a member's certificate; whether it is valid by now is for its user to say.

    ``identities`` are the SubjectPublicKeyInfos that it may be for, ``owners`` those of the keys
    that may sign for the owner.

    Raises:
        MalformedError: not certificates, or not of the profile in PROTOCOL 12.1.
        SignatureError: for another name or key, or not signed by an owner of this fleet.
    """
    parsed = [_parse(der) for der in chain]
    if not 2 <= len(parsed) <= MAX_CERTIFICATES:
        raise MalformedError(_WHAT, expected="a chain", got=f"{len(parsed)} certificates")
    leaf, issuers = parsed[0], parsed[1:]
    _check_member(leaf, name, identities)
    for issued, issuer in zip(parsed, [*issuers, issuers[-1]], strict=True):
        _check_issued(issued, issuer)
    root = public_key(issuers[-1])
    if root not in owners:
        raise SignatureError(f"the certificate of {name} is not by an owner of this fleet")
    return MemberCertificate(
        name=name,
        spki=public_key(leaf),
        not_before=int(leaf.not_valid_before_utc.timestamp()),
        not_after=int(leaf.not_valid_after_utc.timestamp()),
        chain=tuple(chain),
        root=root,
    )


def to_pem(chain: Sequence[bytes]) -> bytes:
    """Return certificates as a PEM file, in the same order. Raises MalformedError."""
    return b"".join(_parse(der).public_bytes(Encoding.PEM) for der in chain)


def from_pem(pem: bytes) -> list[bytes]:
    """Return the certificates of a PEM file in DER. Raises MalformedError."""
    return [certificate.public_bytes(Encoding.DER) for certificate in parse_pem(pem)]


def parse_pem(pem: bytes) -> list[x509.Certificate]:
    """Return the certificates of a PEM file, all of them readable. Raises MalformedError."""
    try:
        found = x509.load_pem_x509_certificates(pem)
        for certificate in found:
            _read_through(certificate)
    except Exception as error:  # see `_parse`
        raise MalformedError(_WHAT, expected="certificates in PEM", got="another") from error
    return found


def first_in_pem(pem: bytes) -> x509.Certificate:
    """Return the first certificate of a PEM file, which is readable. Raises MalformedError."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        _read_through(certificate)
    except Exception as error:  # see `_parse`
        raise MalformedError(_WHAT, expected="a certificate in PEM", got="another") from error
    return certificate


def authorities(chain: Sequence[bytes], owners: Collection[bytes]) -> list[bytes]:
    """Return those certificates that are authorities of their own, by a key of an owner."""
    return [der for der in chain if is_authority(_parse(der), owners)]


def with_former(
    own: Sequence[bytes], known: Sequence[bytes], former: Collection[bytes], *, now: int
) -> list[bytes]:
    """Return the present root's authorities, then those before them that are still needed.

    A broker may for a while have its certificate from one of these (PROTOCOL 12.1). ``own`` are
    authorities of the present root, ``former`` the SubjectPublicKeyInfos of the roots before it.
    """
    is_over = is_settled((_parse(der) for der in own), now=now)
    return list(dict.fromkeys([*own, *([] if is_over else authorities(known, former))]))


def is_settled(present: Iterable[x509.Certificate], *, now: int) -> bool:
    """Tell whether the present root, by its authorities, needs none before it any more."""
    return any(one.not_valid_before_utc.timestamp() + FORMER_KEPT <= now for one in present)


def why_refused(alert: str) -> str:
    """Return what a TLS alert says about one's own certificate; empty if it is about another thing.

    ``alert`` is OpenSSL's name of it (RFC 8446 6.2).
    """
    name = alert.partition("ALERT_")[2]
    return _REFUSALS.get(name, "")


def key_of(der: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo of a certificate in DER. Raises MalformedError."""
    return public_key(_parse(der))


def public_key(certificate: x509.Certificate) -> bytes:
    """Return the SubjectPublicKeyInfo of a certificate. Raises MalformedError."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise MalformedError(_WHAT, expected="a key of clause 3", got="another") from error
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _parse(der: bytes) -> x509.Certificate:
    try:
        certificate = x509.load_der_x509_certificate(der)
        _read_through(certificate)
    except Exception as error:  # of whatever kind: the parser has some that are no ValueError
        raise MalformedError(_WHAT, expected="a certificate in DER", got="another") from error
    return certificate


def _read_through(certificate: x509.Certificate) -> None:
    """Read once what may be looked at later: the parser reads late, and raises where it is used."""
    _ = certificate.subject, certificate.issuer
    _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    _ = certificate.extensions, certificate.public_key()


def _check_member(leaf: x509.Certificate, name: str, identities: Collection[bytes]) -> None:
    if leaf.subject != x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]):
        raise SignatureError(f"the certificate is another's than {name}'s")
    if public_key(leaf) not in identities:
        raise SignatureError(f"the certificate of {name} is for another key")
    try:
        extensions = leaf.extensions
        usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        is_authority = extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, x509.DuplicateExtension, x509.ExtensionNotFound) as error:
        raise MalformedError(_WHAT, expected="the extensions of 12.1", got="others") from error
    if is_authority or list(usage) != [ExtendedKeyUsageOID.CLIENT_AUTH]:
        raise MalformedError(_WHAT, expected="a client's certificate", got="another kind")


def _check_issued(issued: x509.Certificate, issuer: x509.Certificate) -> None:
    try:
        load_verify_key(public_key(issuer))
        is_authority = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        issued.verify_directly_issued_by(issuer)
    except InvalidSignature:
        raise SignatureError("a certificate is not signed by the authority above it") from None
    except KeyFormatError:
        raise
    except (ValueError, TypeError, x509.DuplicateExtension, x509.ExtensionNotFound) as error:
        raise MalformedError(_WHAT, expected="a chain", got="unrelated certificates") from error
    except UnsupportedAlgorithm as error:
        raise MalformedError(_WHAT, expected="algorithms of clause 3", got="others") from error
    if not is_authority:
        raise SignatureError("a certificate is signed by somebody who is no authority")


def is_authority(certificate: x509.Certificate, owners: Collection[bytes]) -> bool:
    """Tell whether a certificate is an authority of its own, by a key of an owner."""
    return public_key(certificate) in owners and is_issued(certificate, certificate)


def is_issued(issued: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Tell whether one certificate is signed by another, which is an authority."""
    try:
        _check_issued(issued, issuer)
    except (MalformedError, SignatureError):
        return False
    return True
