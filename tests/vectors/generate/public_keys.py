"""Vectors of public keys: the published ones, and every way in which a key may not be written."""

import hashlib
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.vectors.generate.fixed import private_key, rsa_public_numbers, spki
from tests.vectors.generate.vector import Vector, bad, good


def public_key_vectors() -> list[Vector]:
    """PROTOCOL 3."""
    goods = [
        good(f"{key}-as-{use}", _use(spki(key), use), {"alg": alg, "kid": _kid(spki(key))})
        for key, use, alg in (
            ("testECCP256", "identity", -7),
            ("testRSA2048", "identity", -37),
            ("testRSA4096", "identity", -37),
            ("testRSA2048", "reader-key", -41),
            ("testRSA4096", "reader-key", -41),
        )
    ]
    bads = [
        bad(f"{name}-as-{use}", _use(data, use), "key-format")
        for name, data in _bad_keys().items()
        for use in ("identity", "reader-key")
    ]
    p256 = bad("testECCP256-as-reader-key", _use(spki("testECCP256"), "reader-key"), "key-format")
    return [*goods, p256, *bads]


def _use(data: bytes, use: str) -> dict[str, Any]:
    return {"spki": data.hex(), "use": use}


def _kid(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _bad_keys() -> dict[str, bytes]:
    numbers = rsa_public_numbers("testRSA2048")
    p256 = private_key("testECCP256").public_key()
    rsa_spki, ec_spki = spki("testRSA2048"), spki("testECCP256")
    assert isinstance(p256, ec.EllipticCurvePublicKey)
    head, point = ec_spki[:26], ec_spki[26:]
    compressed = p256.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    oid = bytes.fromhex("06092a864886f70d0101")
    return {
        "rsa-1024-bits": spki("testRSA1024"),
        "rsa-2047-bits": _rsa(numbers.n >> 1 | 1, numbers.e),
        "rsa-4097-bits": _rsa(numbers.n << 2049 | 1, numbers.e),
        "rsa-exponent-3": _rsa(numbers.n, 3),
        "rsa-exponent-65539": _rsa(numbers.n, 65539),
        "rsa-even-modulus": _rsa(numbers.n - 1, numbers.e),
        "rsa-with-the-oid-of-rsassa-pss": rsa_spki.replace(oid + b"\x01", oid + b"\x0a"),
        "rsa-with-the-oid-of-rsaes-oaep": rsa_spki.replace(oid + b"\x01", oid + b"\x07"),
        "rsa-without-null-parameters": _without_null(rsa_spki),
        "rsa-as-pkcs1": rsa_spki[24:],
        "p384": spki("testECCP384"),
        "p256-compressed-point": b"\x30\x39" + head[2:23] + b"\x03\x22\x00" + compressed,
        "p256-point-off-the-curve": head + point[:-1] + bytes([point[-1] ^ 1]),
        "a-byte-behind-the-key": rsa_spki + b"\0",
        "length-in-a-longer-form": b"\x30\x83\x00" + rsa_spki[2:],
        "truncated": rsa_spki[:-1],
        "nothing": b"",
    }


def _rsa(modulus: int, exponent: int) -> bytes:
    key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _without_null(data: bytes) -> bytes:
    size = int.from_bytes(data[2:4]) - 2
    return b"\x30\x82" + size.to_bytes(2) + b"\x30\x0b" + data[6:17] + data[19:]
