"""The known-answer vectors: what every implementation must accept, and what it must refuse."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from device_sdk.wire import cose, suites
from device_sdk.wire.content_key import cek_commitment
from device_sdk.wire.envelope import Copy
from tests.vectors.generate.__main__ import FILES, build
from tests.vectors.generate.fixed import KEYS, private_key
from tests.vectors.operations import KINDS, OPERATIONS, PIN

VECTORS = Path(__file__).parent
CONTEXT = {"keys", "fleet"}
"""Files that hold no vectors, but what the others need."""

NAMES = sorted(path.stem for path in VECTORS.glob("*.json"))
ALL = {
    (name, vector["name"]): vector
    for name in sorted(set(NAMES) - CONTEXT)
    for vector in json.loads((VECTORS / f"{name}.json").read_text())["vectors"]
}


@pytest.mark.parametrize(
    ("file", "vector"),
    [pytest.param(file, vector, id=f"{file}-{name}") for (file, name), vector in ALL.items()],
)
def test_a_vector_has_the_outcome_that_it_names(file: str, vector: dict[str, Any]) -> None:
    operation = OPERATIONS[file]
    if "expect" in vector:
        outcome = operation(vector["input"])
        if file == "merkle-tree":
            shown = vector["expect"]["paths"]
            outcome["paths"] = {index: outcome["paths"][index] for index in shown}
        elif file == "envelope" and "copies" not in vector["expect"]:
            del outcome["copies"]
        assert outcome == vector["expect"]
        return
    with pytest.raises(tuple(KINDS)) as caught:
        operation(vector["input"])
    assert KINDS[caught.type] == vector["error"]
    if "because" in vector:
        cause = caught.value.__cause__
        assert cause is not None
        assert KINDS[type(cause)] == vector["because"]


def test_every_vector_is_used_and_every_name_is_there_once() -> None:
    for file in set(NAMES) - CONTEXT:
        content = json.loads((VECTORS / f"{file}.json").read_text())
        assert content.keys() == {"clause", "vectors"}
        assert max(Counter(vector["name"] for vector in content["vectors"]).values()) == 1
        for vector in content["vectors"]:
            assert ("expect" in vector) != ("error" in vector)
            assert vector.get("error", "malformed") in KINDS.values()
    assert set(NAMES) - CONTEXT == set(OPERATIONS) == set(FILES)


def test_every_kind_of_error_has_a_vector_and_the_readme_explains_it() -> None:
    readme = (VECTORS / "README.md").read_text()
    used = {vector["error"] for vector in ALL.values() if "error" in vector}
    assert used == set(KINDS.values())
    for kind in used:
        assert f"`{kind}`" in readme
    for file in NAMES:
        assert f"`{file}.json`" in readme


def test_the_generator_writes_these_very_files() -> None:
    if not suites._ECDSA_SIGN.deterministic_signing:
        pytest.skip("this OpenSSL has no RFC 6979 nonces, so ES256 signatures come out differently")
    files = build()
    assert files.keys() == {f"{name}.json" for name in NAMES} - {"keys.json"}
    for name, text in files.items():
        assert text == (VECTORS / name).read_text(), f"{name}: python -m tests.vectors.generate"


@pytest.mark.parametrize("name", [name for name, key in KEYS.items() if "pkcs8" in key])
def test_the_halves_of_a_published_key_belong_together(name: str) -> None:
    key = private_key(name)  # which checks an RSA key's primes
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert public.hex() == KEYS[name]["spki"]


def test_the_published_keys_are_those_of_rfc_9500() -> None:
    # The first bytes of each key as the RFC prints them (2.1: moduli, 2.3: private scalars).
    begins = {"testRSA2048": "b0f9e81943a7ae98", "testRSA4096": "b38b4960e63be6a8"}
    for name, start in begins.items():
        key = private_key(name)
        assert isinstance(key, rsa.RSAPrivateKey)
        assert f"{key.public_key().public_numbers().n:x}".startswith(start)
    assert "e6cb5bdd80aa45ae" in KEYS["testECCP256"]["pkcs8"]


def test_without_the_commitment_the_salamander_would_say_two_things() -> None:
    first = ALL["dishonest-copy", "salamander-at-the-first-reader"]
    second = ALL["dishonest-copy", "salamander-at-the-second-reader"]
    copies = [Copy.decode(bytes.fromhex(vector["input"]["copy"])) for vector in (first, second)]
    assert copies[0].body == copies[1].body
    body = copies[1].body
    cek = bytes.fromhex(second["without_commitment"]["cek"])
    key = private_key(second["input"]["key"])
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.decrypt(copies[1].reader.wrapped_cek, suites.OAEP) == cek
    additional = cose.encrypt_structure(body.protected, PIN.aad)
    plaintext = AESGCM(cek).decrypt(body.header.iv, body.ciphertext, additional)
    assert plaintext[4:].hex() == second["without_commitment"]["payload"]
    assert b"Keep the garage locked." in plaintext
    assert b"Open the garage" in bytes.fromhex(first["expect"]["payload"])


@pytest.mark.parametrize("size", [16, 24, 33])
def test_a_key_of_another_length_commits_like_one_of_32_bytes(size: int) -> None:
    name = f"key-of-{size}-bytes-that-commits-like-one-of-32"
    vector = ALL["dishonest-copy", name]
    copy = Copy.decode(bytes.fromhex(vector["input"]["copy"]))
    key = private_key(vector["input"]["key"])
    assert isinstance(key, rsa.RSAPrivateKey)
    cek = key.decrypt(copy.reader.wrapped_cek, suites.OAEP)
    assert len(cek) == size
    header = copy.body.header
    alike = cek.ljust(32, b"\0")[:32]
    assert cek_commitment(cek, header.message_id) == header.cek_commitment
    assert cek_commitment(alike, header.message_id) == header.cek_commitment
