"""Vectors of members' certificates, signed with the published keys, without any randomness."""

import datetime as dt
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage
from cryptography.x509.oid import NameOID

from device_sdk.wire import cbor
from device_sdk.wire.certificates import encode_certificates
from tests.vectors.generate.fixed import fixed_bytes, private_key
from tests.vectors.generate.fleet import DAY, NOW, P256, RSA2048
from tests.vectors.generate.vector import Vector, bad, good


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: str,
    key: str,
    *,
    issuer: str = "sealgate owner",
    ca: bool = False,
    usage: x509.ObjectIdentifier | None = Usage.CLIENT_AUTH,
) -> bytes:
    owner = private_key(P256)
    assert isinstance(owner, ec.EllipticCurvePrivateKey)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(private_key(key).public_key())
        .serial_number(int.from_bytes(fixed_bytes(f"serial {subject} {key}", 20)) >> 1)
        .not_valid_before(dt.datetime.fromtimestamp(NOW - 300, dt.UTC))
        .not_valid_after(dt.datetime.fromtimestamp(NOW + 395 * DAY, dt.UTC))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    signed = builder.sign(owner, hashes.SHA256(), ecdsa_deterministic=True)
    return signed.public_bytes(Encoding.DER)


def authority_and(subject: str, key: str) -> tuple[bytes, bytes]:
    """Return a client's certificate and the owner's authority, in DER."""
    authority = _certificate("sealgate owner", P256, ca=True, usage=None)
    return _certificate(subject, key), authority


def certificates_vectors() -> list[Vector]:
    """PROTOCOL 12.2. The owner's key is P-256, and so is hub's, as there are few of them."""
    authority = _certificate("sealgate owner", P256, ca=True, usage=None)
    hub, phone = _certificate("hub", P256), _certificate("meter-1", RSA2048)

    def given(name: str, *chain: bytes) -> dict[str, Any]:
        return {"name": name, "list": encode_certificates(chain).hex()}

    changed = bytearray(hub)
    changed[-1] ^= 1
    times = {"not_before": NOW - 300, "not_after": NOW + 395 * DAY}
    signature = {
        "for-another-name": given("lamp", hub, authority),
        "for-another-key": given("hub", _certificate("hub", RSA2048), authority),
        "signature-changed": given("hub", bytes(changed), authority),
        "by-a-member": given("meter-1", _certificate("meter-1", RSA2048, issuer="hub"), hub),
    }
    malformed = {
        "a-brokers": given("hub", _certificate("hub", P256, usage=Usage.SERVER_AUTH), authority),
        "for-any-use": given(
            "hub", _certificate("hub", P256, usage=Usage.ANY_EXTENDED_KEY_USAGE), authority
        ),
        "without-a-use": given("hub", _certificate("hub", P256, usage=None), authority),
        "an-authoritys": given("hub", _certificate("hub", P256, ca=True), authority),
        "by-another-name": given("hub", _certificate("hub", P256, issuer="owner"), authority),
        "under-an-authority-of-another-key": given(
            "hub", hub, _certificate("sealgate owner", RSA2048, ca=True, usage=None)
        ),
        "without-its-authority": given("hub", hub),
        "trailing-byte": given("hub", hub + b"\0", authority),
        "text-for-a-certificate": {"name": "hub", "list": cbor.encode(["a", "b"]).hex()},
    }
    return [
        good("es256-identity", given("hub", hub, authority), times),
        good("rsa-identity", given("meter-1", phone, authority), times),
        *(bad(name, value, "signature") for name, value in signature.items()),
        *(bad(name, value, "malformed") for name, value in malformed.items()),
        bad("four-certificates", given("hub", hub, *[authority] * 3), "too-large"),
        bad("certificate-of-4097-bytes", given("hub", bytes(4097), authority), "too-large"),
    ]
