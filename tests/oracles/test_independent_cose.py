"""Other people's COSE libraries read what we write. They share no code with ours but cryptography.

|                                         | pycose 1.1             | python-cwt 3.3            |
|-----------------------------------------|------------------------|---------------------------|
| COSE_Encrypt with RSAES-OAEP recipients | opens it               | parses, but cannot open   |
| countersignature (RFC 9338)             | parses, but ignores it | verifies it, whatever     |
|                                         |                        | algorithm its header says |
| COSE_Sign1 with ES256 and PS256         | verifies it            | verifies it               |

Neither is told anything about our private labels: both keep what they do not know. What no COSE
library can know (readers' tree, commitment, padding, open-tokens) is checked by the reader in
tests/interop.
"""

from typing import Any

import cbor2
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)
from cwt import COSE, COSEKey, COSEMessage, COSETypes, Signer, VerifyError
from cwt.const import COSE_ALGORITHMS_RECIPIENT
from pycose.headers import IV, KID, Algorithm
from pycose.keys import CoseKey
from pycose.keys.rsa import RSAKey
from pycose.messages import CoseMessage, EncMessage, Sign1Message

from device_sdk.wire import cose
from device_sdk.wire.envelope import Copy, Envelope
from device_sdk.wire.errors import SignatureError
from device_sdk.wire.padding import unpad
from device_sdk.wire.suites import RSA_OAEP_SHA256, key_id
from tests.vectors.generate.fixed import private_key, spki
from tests.vectors.operations import FLEET, PIN, roster
from tests.vectors.test_vectors import ALL

GOOD_COPIES = [
    pytest.param(vector, id=name)
    for (file, name), vector in ALL.items()
    if file == "copy" and "expect" in vector
]
SIGNED = [
    pytest.param(file, vector, id=f"{file}-{name}")
    for (file, name), vector in ALL.items()
    if "expect" in vector and {"data", "signer"} <= vector["input"].keys()
]


def public_pem(key: str) -> bytes:
    """Return a published key as both libraries load it."""
    return load_der_public_key(spki(key)).public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )


def identity_of(signer: str) -> str:
    """Return the name of the published key that a member of the fleet signs with."""
    name: str = FLEET["root"] if signer == "owner" else FLEET["identities"][signer]
    return name


def algorithm(key: str) -> str:
    return "ES256" if key == "testECCP256" else "PS256"


def cwt_key(key: str) -> Any:
    return COSEKey.from_pem(public_pem(key), alg=algorithm(key), kid=key_id(spki(key)))


# ------------------------------------------------------------- pycose


def pycose_opens(vector: dict[str, Any], *, aad: bytes = PIN.aad) -> bytes:
    """Return a copy's plaintext by pycose alone, with the reader's private key."""
    message = CoseMessage.decode(bytes.fromhex(vector["input"]["copy"]))
    assert isinstance(message, EncMessage)
    [recipient] = message.recipients
    pem = private_key(vector["input"]["key"]).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    recipient.key = RSAKey.from_pem_private_key(pem.decode())
    message.external_aad = aad
    plaintext: bytes = message.decrypt(recipient)
    return plaintext


@pytest.mark.parametrize("vector", GOOD_COPIES)
def test_pycose_opens_a_copy_with_the_readers_rsa_key(vector: dict[str, Any]) -> None:
    assert unpad(pycose_opens(vector)).hex() == vector["expect"]["payload"]


def test_pycose_finds_algorithms_keys_and_nonce_where_they_belong() -> None:
    copy = bytes.fromhex(ALL["copy", "one-reader"]["input"]["copy"])
    ours, theirs = Copy.decode(copy), CoseMessage.decode(copy)
    assert theirs.phdr[Algorithm].fullname == "A256GCM"
    assert theirs.phdr[IV] == ours.body.header.iv
    assert theirs.phdr[KID] == ours.body.header.sender_kid
    [recipient] = theirs.recipients
    assert recipient.uhdr[Algorithm].fullname == "RSAES_OAEP_SHA_256"
    assert recipient.uhdr[KID] == ours.reader.kid


def test_pycose_opens_nothing_for_another_fleet_or_with_another_key() -> None:
    vector = ALL["copy", "one-reader"]
    with pytest.raises(InvalidTag):
        pycose_opens(vector, aad=cose.fleet_aad(bytes(16)))
    other = {"input": {**vector["input"], "key": "testRSA4096"}}
    with pytest.raises(ValueError, match="key size"):
        pycose_opens(other)


def test_pycose_alone_would_fall_for_the_salamander() -> None:
    # Why the reader compares the commitment first: COSE and AES-GCM do not ask for it.
    vector = ALL["dishonest-copy", "salamander-at-the-second-reader"]
    plaintext = pycose_opens(vector)
    assert plaintext[4:].hex() == vector["without_commitment"]["payload"]


@pytest.mark.parametrize(("file", "vector"), SIGNED)
def test_pycose_verifies_every_signed_record(file: str, vector: dict[str, Any]) -> None:
    message = CoseMessage.decode(bytes.fromhex(vector["input"]["data"]))
    assert isinstance(message, Sign1Message)
    message.key = CoseKey.from_pem_public_key(
        public_pem(identity_of(vector["input"]["signer"])).decode()
    )
    message.external_aad = aad_of(file)
    assert message.verify_signature()
    message.external_aad = cose.fleet_aad(bytes(16))
    assert not message.verify_signature()


def aad_of(file: str) -> bytes:
    return cose.FLEETLESS_AAD if file in ("key-statement", "owner-request") else PIN.aad


# ------------------------------------------------------------- python-cwt


def counterverify(data: bytes, key: str, aad: bytes = PIN.aad) -> None:
    """Verify a message's countersignature by python-cwt alone."""
    message = COSEMessage.loads(data)
    assert message.type is COSETypes.ENCRYPT
    message.counterverify(cwt_key(key), aad=aad)


@pytest.mark.parametrize("vector", GOOD_COPIES)
def test_cwt_verifies_the_senders_countersignature(vector: dict[str, Any]) -> None:
    sender = FLEET["identities"][vector["expect"]["sender"]]
    counterverify(bytes.fromhex(vector["input"]["copy"]), sender)


def test_cwt_verifies_it_on_the_envelope_as_well_as_on_every_copy_cut_from_it() -> None:
    data = bytes.fromhex(ALL["envelope", "ten-readers"]["input"]["envelope"])
    counterverify(data, "testECCP256")
    for copy in Envelope.decode(data).copies():
        counterverify(copy.encode(), "testECCP256")


@pytest.mark.parametrize(
    "name",
    [
        name
        for (file, name), vector in ALL.items()
        if file == "envelope"
        and vector.get("error") == "signature"
        # python-cwt goes by the key that it is given, not by the algorithm in the header.
        and name != "ps256-claimed-for-a-p256-key"
    ],
)
def test_cwt_refuses_what_we_refuse(name: str) -> None:
    vector = ALL["envelope", name]
    data = bytes.fromhex(vector["input"]["envelope"])
    envelope = Envelope.decode(data)
    sender = envelope.body.header.sender
    key = FLEET["identities"][sender]
    with pytest.raises(SignatureError):
        envelope.body.verify(roster().identity(sender, envelope.body.countersignature.kid), PIN.aad)
    with pytest.raises(VerifyError):
        counterverify(data, key)


def test_we_accept_a_countersignature_that_cwt_made() -> None:
    envelope = Envelope.decode(bytes.fromhex(ALL["envelope", "two-readers"]["input"]["envelope"]))
    body = envelope.body
    pem = private_key("testECCP256").private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    signer = Signer.new(
        cose_key=COSEKey.from_pem(pem, alg="ES256"),
        protected=cbor2.loads(body.countersignature.protected),
    )
    message = COSEMessage(COSETypes.ENCRYPT, [body.protected, {}, body.ciphertext, []])
    made = message.countersign(signer, aad=PIN.aad)
    protected, unprotected, signature = made.unprotected[11]
    assert (protected, unprotected) == (body.countersignature.protected, {})
    identity = roster().identity("thermo-1", body.countersignature.kid)
    identity.verify(signature, body.signed_bytes(PIN.aad))


@pytest.mark.parametrize(("file", "vector"), SIGNED)
def test_cwt_verifies_every_signed_record(file: str, vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["input"]["data"])
    key = cwt_key(identity_of(vector["input"]["signer"]))
    payload = COSE.new().decode(data, key, external_aad=aad_of(file))
    assert payload == cbor2.loads(data).value[2]


def test_cwt_knows_no_rsa_recipients() -> None:
    # Why there are two oracles.
    copy = bytes.fromhex(ALL["copy", "one-reader"]["input"]["copy"])
    [recipient] = COSEMessage.loads(copy).recipients
    assert recipient[1][1] == RSA_OAEP_SHA256
    assert RSA_OAEP_SHA256 not in COSE_ALGORITHMS_RECIPIENT.values()
