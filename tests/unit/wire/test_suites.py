"""Keys: one encoding each, no weak ones, and signatures that mean this key and these bytes."""

import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from device_sdk.identity import Identity
from device_sdk.wire.errors import KeyFormatError, SignatureError
from device_sdk.wire.suites import (
    ES256,
    OAEP,
    PS256,
    fingerprint_digits,
    key_id,
    load_verify_key,
    load_wrap_key,
)

Change = Callable[[int], int]


def der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 128:
        return bytes([tag, length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(size)]) + size + content


def der_integer(value: int) -> bytes:
    return der(2, value.to_bytes(value.bit_length() // 8 + 1))


RSA_ENCRYPTION = bytes.fromhex("300d06092a864886f70d0101010500")


def rsa_spki(modulus: int, exponent: int = 65537, algorithm: bytes = RSA_ENCRYPTION) -> bytes:
    numbers = der(0x30, der_integer(modulus) + der_integer(exponent))
    return der(0x30, algorithm + der(3, b"\0" + numbers))


def spki_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def modulus(rsa_keys: list[rsa.RSAPrivateKey]) -> int:
    return rsa_keys[0].public_key().public_numbers().n


def test_an_rsa_key_serves_as_reader_key_and_as_ps256_identity(
    rsa_keys: list[rsa.RSAPrivateKey], modulus: int
) -> None:
    spki = spki_of(rsa_keys[0])
    assert spki == rsa_spki(modulus)
    assert load_verify_key(spki).alg == PS256
    cek = b"k" * 32
    wrapped = load_wrap_key(spki).wrap(cek)
    assert len(wrapped) == 256
    assert rsa_keys[0].decrypt(wrapped, OAEP) == cek


def test_a_p256_key_is_an_es256_identity_and_no_reader_key(
    ec_keys: list[ec.EllipticCurvePrivateKey],
) -> None:
    spki = spki_of(ec_keys[0])
    assert load_verify_key(spki).alg == ES256
    with pytest.raises(KeyFormatError, match="an RSA key"):
        load_wrap_key(spki)


def test_a_kid_is_the_start_of_the_hash_of_the_encoded_key(modulus: int) -> None:
    spki = rsa_spki(modulus)
    assert key_id(spki) == hashlib.sha256(spki).digest()[:16] == load_wrap_key(spki).kid


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(lambda n: n >> 1 | 1, "2048 to 4096 bits", id="2047 bits"),
        pytest.param(lambda n: n | 1 << 4096, "2048 to 4096 bits", id="4097 bits"),
        pytest.param(lambda n: n - 1, "odd modulus", id="even, which OpenSSL cannot use"),
        pytest.param(lambda n: n >> 1024 | 1, "2048 to 4096 bits", id="1024 bits"),
    ],
)
def test_a_modulus_of_a_wrong_size_or_kind_is_refused(
    modulus: int, change: Change, why: str
) -> None:
    for load in (load_wrap_key, load_verify_key):
        with pytest.raises(KeyFormatError, match=why):
            load(rsa_spki(change(modulus)))


@pytest.mark.parametrize("exponent", [1, 3, 17, 65539, 2**64 + 1])
def test_only_the_exponent_65537_is_allowed(modulus: int, exponent: int) -> None:
    with pytest.raises(KeyFormatError):
        load_wrap_key(rsa_spki(modulus, exponent))


@pytest.mark.parametrize(
    "algorithm",
    [
        pytest.param("300b06092a864886f70d010101", id="rsaEncryption without NULL"),
        pytest.param("300b06092a864886f70d01010a", id="RSASSA-PSS"),
        pytest.param("300d06092a864886f70d01010a0500", id="RSASSA-PSS with NULL"),
        pytest.param("300d06092a864886f70d0101070500", id="RSAES-OAEP"),
    ],
)
def test_a_second_way_to_write_the_same_key_is_refused(modulus: int, algorithm: str) -> None:
    with pytest.raises(KeyFormatError):
        load_verify_key(rsa_spki(modulus, algorithm=bytes.fromhex(algorithm)))


def test_other_encodings_of_a_point_and_other_curves_are_refused(
    ec_keys: list[ec.EllipticCurvePrivateKey],
) -> None:
    public = ec_keys[0].public_key()
    point = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    algorithm = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
    compressed = der(0x30, algorithm + der(3, b"\0" + point))
    p384 = spki_of(ec.generate_private_key(ec.SECP384R1()))
    off_curve = bytearray(spki_of(ec_keys[0]))
    off_curve[-1] ^= 1
    for spki in (compressed, p384, bytes(off_curve), spki_of(ec_keys[0]) + b"\0", b"", b"\x30"):
        with pytest.raises(KeyFormatError):
            load_verify_key(spki)


def test_an_oversized_key_is_not_even_parsed() -> None:
    with pytest.raises(KeyFormatError, match="at most 1024"):
        load_verify_key(b"\x30" * 1025)


@pytest.mark.parametrize("kind", ["ES256", "PS256"])
def test_a_signature_holds_for_its_key_and_its_bytes_only(
    kind: str, rsa_keys: list[rsa.RSAPrivateKey], ec_keys: list[ec.EllipticCurvePrivateKey]
) -> None:
    keys = ec_keys if kind == "ES256" else rsa_keys
    mine, other = Identity.from_key(keys[0]), Identity.from_key(keys[1])
    signature = mine.sign(b"message")
    assert len(signature) == (64 if kind == "ES256" else 256)
    mine.public.verify(signature, b"message")
    for key, bad, message in (
        (other, signature, b"message"),
        (mine, signature, b"massage"),
        (mine, signature[:-1], b"message"),
        (mine, signature + b"\0", b"message"),
        (mine, b"", b"message"),
        (mine, bytes(len(signature)), b"message"),
        (mine, b"\xff" * len(signature), b"message"),
    ):
        with pytest.raises(SignatureError):
            key.public.verify(bad, message)


def test_a_pss_signature_with_another_salt_length_is_refused(
    rsa_keys: list[rsa.RSAPrivateKey],
) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    digest = hashes.SHA256()
    short = padding.PSS(mgf=padding.MGF1(digest), salt_length=20)
    signature = rsa_keys[0].sign(b"message", short, digest)
    with pytest.raises(SignatureError):
        Identity.from_key(rsa_keys[0]).public.verify(signature, b"message")


def test_es256_signs_the_same_bytes_the_same_way_where_the_library_can() -> None:
    from device_sdk.wire import suites

    if not suites._ECDSA_SIGN.deterministic_signing:
        pytest.skip("this OpenSSL has no RFC 6979 nonces")
    identity = Identity.generate()
    assert identity.sign(b"message") == identity.sign(b"message")


def test_a_fingerprint_has_sixty_digits_also_if_they_begin_with_zeros() -> None:
    # PROTOCOL 8.2, calculated from SHA-256 of nothing.
    assert fingerprint_digits(b"") == (
        "02953 52123 22581 32278 97999 00648 19803 49933 79397 00111 56650 86549"
    )
    for number in range(200):
        spki = bytes([number])
        groups = fingerprint_digits(spki).split(" ")
        assert [len(group) for group in groups] == [5] * 12
        value = int(hashlib.sha256(spki).hexdigest(), 16)
        assert str(value).endswith("".join(groups))
