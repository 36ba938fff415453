"""The published keys, and RSA and ECDSA without any randomness, so that vectors come out alike."""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key

from device_sdk.wire.suites import VerifyKey, load_verify_key, sign_es256

VECTORS = Path(__file__).parents[1]
KEYS: dict[str, dict[str, str]] = json.loads((VECTORS / "keys.json").read_text())["keys"]


def fixed_bytes(label: str, size: int) -> bytes:
    """Return what stands for ``size`` random bytes wherever ``label`` is wanted."""
    return hashlib.shake_256(f"sealgate vector {label}".encode()).digest(size)


def spki(key: str) -> bytes:
    """Return a published key's SubjectPublicKeyInfo."""
    return bytes.fromhex(KEYS[key]["spki"])


@cache
def private_key(key: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    """Return a published key."""
    loaded = load_der_private_key(bytes.fromhex(KEYS[key]["pkcs8"]), None)
    assert isinstance(loaded, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    return loaded


@dataclass(frozen=True)
class FixedSigner:
    """A published key as a `device_sdk.wire.suites.Signer`; claims can be made to differ."""

    key: str
    claimed_alg: int = 0
    claimed_kid: bytes = b""

    @property
    def public(self) -> VerifyKey:
        """The key's public half."""
        return load_verify_key(spki(self.key))

    @property
    def alg(self) -> int:
        """The algorithm that a signature's header names."""
        return self.claimed_alg or self.public.alg

    @property
    def kid(self) -> bytes:
        """The key id that a signature's header names."""
        return self.claimed_kid or self.public.kid

    def sign(self, message: bytes) -> bytes:
        """Return the key's one fixed signature over ``message``."""
        key = private_key(self.key)
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return sign_es256(key, message)
        salt = fixed_bytes(f"salt {hashlib.sha256(message).hexdigest()}", 32)
        return _private_operation(key, _pss(message, salt, key.key_size))


def wrap(key: str, cek: bytes) -> bytes:
    """Return RSAES-OAEP (RFC 8017 7.1.1) of ``cek`` with a fixed seed."""
    numbers = rsa_public_numbers(key)
    size = (numbers.n.bit_length() + 7) // 8
    seed = fixed_bytes(f"seed {key} {cek.hex()}", 32)
    block = hashlib.sha256(b"").digest() + bytes(size - len(cek) - 66) + b"\x01" + cek
    masked = _xor(block, _mgf1(seed, len(block)))
    encoded = b"\0" + _xor(seed, _mgf1(masked, 32)) + masked
    return pow(int.from_bytes(encoded), numbers.e, numbers.n).to_bytes(size)


def rsa_public_numbers(key: str) -> rsa.RSAPublicNumbers:
    """Return modulus and exponent of a published RSA key."""
    loaded = private_key(key)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    return loaded.public_key().public_numbers()


def _pss(message: bytes, salt: bytes, bits: int) -> bytes:
    """Return EMSA-PSS (RFC 8017 9.1.1) for a modulus of a multiple of eight bits."""
    hashed = hashlib.sha256(bytes(8) + hashlib.sha256(message).digest() + salt).digest()
    block = bytes(bits // 8 - len(salt) - 34) + b"\x01" + salt
    masked = bytearray(_xor(block, _mgf1(hashed, len(block))))
    masked[0] &= 0x7F
    return bytes(masked) + hashed + b"\xbc"


def _private_operation(key: rsa.RSAPrivateKey, encoded: bytes) -> bytes:
    numbers = key.private_numbers()
    modulus = numbers.public_numbers.n
    return pow(int.from_bytes(encoded), numbers.d, modulus).to_bytes(len(encoded))


def _mgf1(seed: bytes, size: int) -> bytes:
    blocks = range(-(-size // 32))
    return b"".join(hashlib.sha256(seed + i.to_bytes(4)).digest() for i in blocks)[:size]


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
