"""The closed list of algorithms of version 1 and the keys they take (PROTOCOL 3).

| use      | algorithm                                   | COSE |
|----------|---------------------------------------------|------|
| content  | AES-256-GCM                                 | 3    |
| reader   | RSAES-OAEP, SHA-256, empty label            | -41  |
| identity | ES256 on P-256, or PS256                    | -7, -37 |
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from device_sdk.wire.errors import KeyFormatError, SignatureError
from device_sdk.wire.limits import KID_SIZE

A256GCM = 3
RSA_OAEP_SHA256 = -41
ES256 = -7
PS256 = -37

RSA_SIZES = range(2048, 4097)
RSA_DEFAULT_SIZE = 3072
RSA_EXPONENT = 65537
SPKI_LIMIT = 1024

_SHA256 = hashes.SHA256()
OAEP = padding.OAEP(mgf=padding.MGF1(_SHA256), algorithm=_SHA256, label=None)
_PSS = padding.PSS(mgf=padding.MGF1(_SHA256), salt_length=32)
_P256_BYTES = 32


def _best_ecdsa() -> ec.ECDSA:
    """ES256 with RFC 6979 nonces where this OpenSSL has them."""
    try:
        return ec.ECDSA(_SHA256, deterministic_signing=True)
    except UnsupportedAlgorithm:
        return ec.ECDSA(_SHA256)


_ECDSA_SIGN = _best_ecdsa()
_ECDSA_VERIFY = ec.ECDSA(_SHA256)


def key_id(spki: bytes) -> bytes:
    """Return the kid: the first 16 bytes of SHA-256 over the SubjectPublicKeyInfo (PROTOCOL 3)."""
    return hashlib.sha256(spki).digest()[:KID_SIZE]


def fingerprint(spki: bytes) -> str:
    """Return SHA-256 of a SubjectPublicKeyInfo, 64 hex digits: what people compare."""
    return hashlib.sha256(spki).hexdigest()


def fingerprint_digits(spki: bytes) -> str:
    """Return the last 60 decimal digits of SHA-256 of a SubjectPublicKeyInfo, in twelve groups of
    five: what people read to each other (PROTOCOL 8.2). 199 bits."""
    digits = f"{int.from_bytes(hashlib.sha256(spki).digest()) % 10**60:060}"
    return " ".join(digits[at : at + 5] for at in range(0, 60, 5))


def is_fingerprint(typed: str, spki: bytes) -> bool:
    """Tell whether all 64 hex or all 60 decimal digits are those of a key, however spaced."""
    digits = fingerprint_digits(spki).replace(" ", "")
    return "".join(typed.split()).lower() in (fingerprint(spki), digits)


class Signer(Protocol):
    """Who signs: a device, gateway or owner identity, wherever its private key lives."""

    @property
    def alg(self) -> int:
        """ES256 or PS256."""

    @property
    def kid(self) -> bytes:
        """16 bytes, see `key_id`."""

    def sign(self, message: bytes) -> bytes:
        """Return the raw COSE signature: r || s for ES256, the PSS block for PS256."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifyKey:
    """An identity's public key, checked on construction through `load_verify_key`."""

    alg: int
    kid: bytes
    spki: bytes
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey

    def verify(self, signature: bytes, message: bytes) -> None:
        """Raise SignatureError unless ``signature`` is this key's over ``message``."""
        try:
            if isinstance(self.key, rsa.RSAPublicKey):
                self.key.verify(signature, message, _PSS, _SHA256)
            else:
                self.key.verify(_der_signature(signature), message, _ECDSA_VERIFY)
        except InvalidSignature:
            raise SignatureError("the signature does not verify under the signer's key") from None


@dataclass(frozen=True, kw_only=True, slots=True)
class WrapKey:
    """A reader's public RSA key, to which content keys are wrapped."""

    kid: bytes
    spki: bytes
    key: rsa.RSAPublicKey

    def wrap(self, cek: bytes) -> bytes:
        """Return RSAES-OAEP of a 32-byte content key, as long as the modulus."""
        return self.key.encrypt(cek, OAEP)


@lru_cache(maxsize=4096)
def load_verify_key(spki: bytes) -> VerifyKey:
    """Load an identity key from SubjectPublicKeyInfo DER.

    Raises:
        KeyFormatError: not an uncompressed P-256 point nor RSA of 2048 to 4096 bits with
            e = 65537, or not the one DER encoding of it (PROTOCOL 3).
    """
    key = _load_spki(spki)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return VerifyKey(alg=ES256, kid=key_id(spki), spki=spki, key=key)
    return VerifyKey(alg=PS256, kid=key_id(spki), spki=spki, key=key)


@lru_cache(maxsize=4096)
def load_wrap_key(spki: bytes) -> WrapKey:
    """Load a reader key from SubjectPublicKeyInfo DER; RSA only. Raises KeyFormatError."""
    key = _load_spki(spki)
    if not isinstance(key, rsa.RSAPublicKey):
        raise KeyFormatError("reader key", expected="an RSA key", got="an elliptic-curve key")
    return WrapKey(kid=key_id(spki), spki=spki, key=key)


def _load_spki(spki: bytes) -> ec.EllipticCurvePublicKey | rsa.RSAPublicKey:
    if len(spki) > SPKI_LIMIT:
        raise KeyFormatError(
            "public key", expected=f"at most {SPKI_LIMIT} bytes", got=f"{len(spki)} bytes"
        )
    try:
        key = load_der_public_key(spki)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFormatError(
            "public key", expected="SubjectPublicKeyInfo DER", got="undecodable bytes"
        ) from error
    if isinstance(key, rsa.RSAPublicKey):
        _check_rsa(key)
    elif not (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)):
        raise KeyFormatError("public key", expected="RSA or P-256", got="another kind of key")
    # One key, one encoding: otherwise one key could have many kids (PROTOCOL 3).
    if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != spki:
        raise KeyFormatError("public key", expected="the canonical DER", got="another encoding")
    return key


def _check_rsa(key: rsa.RSAPublicKey) -> None:
    if key.key_size not in RSA_SIZES:
        raise KeyFormatError(
            "RSA key",
            expected=f"{RSA_SIZES.start} to {RSA_SIZES.stop - 1} bits",
            got=f"{key.key_size} bits",
        )
    numbers = key.public_numbers()
    if numbers.e != RSA_EXPONENT:
        raise KeyFormatError("RSA key", expected="exponent 65537", got="another exponent")
    # OpenSSL loads such a key, but cannot calculate with it: it would fail only when sealing.
    if numbers.n % 2 == 0:
        raise KeyFormatError("RSA key", expected="an odd modulus", got="an even one")


def _der_signature(signature: bytes) -> bytes:
    if len(signature) != 2 * _P256_BYTES:
        raise SignatureError(f"an ES256 signature has 64 bytes, got {len(signature)}")
    r = int.from_bytes(signature[:_P256_BYTES])
    s = int.from_bytes(signature[_P256_BYTES:])
    return encode_dss_signature(r, s)


def sign_es256(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """Return the 64-byte COSE signature r || s (RFC 9053 2.1)."""
    r, s = decode_dss_signature(key.sign(message, _ECDSA_SIGN))
    return r.to_bytes(_P256_BYTES) + s.to_bytes(_P256_BYTES)


def sign_ps256(key: rsa.RSAPrivateKey, message: bytes) -> bytes:
    """Return the PSS signature with SHA-256 and a 32-byte salt (RFC 8230 2)."""
    return key.sign(message, _PSS, _SHA256)
