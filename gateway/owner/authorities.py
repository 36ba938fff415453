"""Which authorities and revocation lists of a bundle are the fleet's: those its roots have signed.

Whoever carries a bundle from one owner to another, or can write where it lies, may have put more
into ``ca.pem`` and ``crl.pem``. So they are verified whenever they are read (PROTOCOL 12.1).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from device_sdk.trust import VerifiedHead
from device_sdk.wire.certificates import (
    is_authority,
    is_issued,
    is_settled,
    parse_pem,
    public_key,
)
from device_sdk.wire.errors import MalformedError
from gateway.owner.errors import FleetError

_END = b"-----END X509 CRL-----\n"


def read_authorities(path: Path) -> list[x509.Certificate]:
    """Return what a ``ca.pem`` has, still to be verified. Raises FleetError, OSError."""
    try:
        return parse_pem(path.read_bytes())
    except FileNotFoundError:
        return []
    except MalformedError as error:
        raise FleetError(f"{path} is damaged: expected certificates in PEM") from error


def believed(
    found: Iterable[x509.Certificate], head: VerifiedHead, *, now: int
) -> list[x509.Certificate]:
    """Return those authorities that a broker of this fleet should believe, each once.

    They are the present root's, by its own signature; those of the keys that it grants, by its
    signature; and the roots' before it, for as long as they are needed.
    """
    # The first to be made of each: when it was made says until when the ones before it are needed.
    found = sorted(found, key=lambda one: one.not_valid_before_utc)
    present = [one for one in found if is_authority(one, [head.root.spki])]
    keys = {key.spki for key in head.granted}
    granted = [
        one
        for one in found
        if public_key(one) in keys and _is_ca(one) and any(is_issued(one, by) for by in present)
    ]
    former = [one for one in found if is_authority(one, head.former)]
    every = [*present, *granted, *([] if is_settled(present, now=now) else former)]
    first: dict[tuple[x509.Name, x509.Name], x509.Certificate] = {}
    for one in every:
        first.setdefault((one.subject, one.issuer), one)
    return list(first.values())


def read_lists(path: Path) -> list[x509.CertificateRevocationList]:
    """Return what a ``crl.pem`` has, still to be verified. Raises OSError."""
    try:
        blocks = path.read_bytes().split(_END)[:-1]
    except FileNotFoundError:
        return []
    found = (_parse_list(block + _END) for block in blocks)
    return [one for one in found if one is not None]


def believed_lists(
    found: Iterable[x509.CertificateRevocationList], known: Sequence[x509.Certificate]
) -> list[x509.CertificateRevocationList]:
    """Return the newest list of each authority, by the authority's own signature."""
    newest: dict[x509.Name, x509.CertificateRevocationList] = {}
    for one in found:
        if any(_is_list_of(one, authority) for authority in known):
            before = newest.get(one.issuer)
            if before is None or _number(one) > _number(before):
                newest[one.issuer] = one
    return list(newest.values())


def pem_lists(lists: Iterable[x509.CertificateRevocationList]) -> bytes:
    """Return revocation lists as a PEM file."""
    return b"".join(one.public_bytes(Encoding.PEM) for one in lists)


def _parse_list(pem: bytes) -> x509.CertificateRevocationList | None:
    try:
        found = x509.load_pem_x509_crl(pem)
        _ = found.issuer, found.extensions, list(found)
    except Exception:  # noqa: BLE001  # of whatever kind: the parser has some that are no ValueError
        return None
    return found


def _is_list_of(crl: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    key = authority.public_key()
    if crl.issuer != authority.subject or not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    try:
        return crl.is_signature_valid(key)
    except Exception:  # noqa: BLE001  # an algorithm that does not fit the key, or is none
        return False


def _number(crl: x509.CertificateRevocationList) -> int:
    try:
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return -1


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
