"""The sponge and the codecs against the vectors of draft-irtf-cfrg-fiat-shamir."""

import json
from pathlib import Path
from typing import Any

import pytest

from device_sdk.proofs import codecs
from device_sdk.proofs.errors import MalformedProofError, ProofError
from device_sdk.proofs.sponge import Sponge, derive_session
from tests.support.p256 import P256

FOLDER = Path(__file__).parents[2] / "vectors/sigma"
Json = dict[str, Any]


def vectors(*functions: str) -> list[Any]:
    files = ("fiatShamirCodecVectors.json", "fiatShamirShake128Vectors.json")
    every = [vector for file in files for vector in json.loads((FOLDER / file).read_text())]
    chosen = [vector for vector in every if vector["Function"] in functions]
    return [pytest.param(vector, id=vector["Name"]) for vector in chosen]


def replay(vector: Json) -> bytes:
    sponge, out = Sponge(bytes.fromhex(vector["SessionId"])), b""
    for step in vector["Operations"]:
        if step["type"] == "absorb":
            sponge.absorb(bytes.fromhex(step["data"]))
        else:
            out += sponge.squeeze(step["length"])
    return out


def number(text: str | int) -> int:
    return int(text, 16) if isinstance(text, str) else text


@pytest.mark.parametrize("vector", vectors("DuplexSponge"))
def test_the_sponge_squeezes_what_the_draft_says(vector: Json) -> None:
    assert replay(vector).hex() == vector["Output"]


@pytest.mark.parametrize("vector", vectors("DeriveSessionID"))
def test_a_tag_gives_the_session_identifier_of_the_draft(vector: Json) -> None:
    assert derive_session(bytes.fromhex(vector["Tag"])).hex() == vector["Output"]


@pytest.mark.parametrize("vector", vectors("DecodeUint"))
def test_squeezed_bytes_become_the_number_of_the_draft(vector: Json) -> None:
    octets = replay(vector) if "Operations" in vector else bytes.fromhex(vector["Input"])
    assert octets.hex() == vector.get("Output", vector.get("Input"))
    challenge, modulus = number(vector["Challenge"]), number(vector["Modulus"])
    assert codecs.decode_uint(octets, modulus) == challenge
    assert P256().decode_scalar(octets) == challenge.to_bytes(32)


@pytest.mark.parametrize("vector", vectors("SerializeVarLenString"))
def test_strings_are_serialized_as_the_draft_says(vector: Json) -> None:
    octets = bytes.fromhex(vector["Input"])
    assert codecs.serialize_var_len(octets).hex() == vector["Output"]
    assert codecs.deserialize_var_len(bytes.fromhex(vector["Output"]) + b"x") == (octets, b"x")


@pytest.mark.parametrize("vector", vectors("SerializeUint", "SerializeField"))
def test_numbers_are_serialized_as_the_draft_says(vector: Json) -> None:
    value, modulus = number(vector["Value"]), number(vector["Modulus"])
    if vector.get("ByteOrder") == "big-endian":
        octets = P256().scalar(value)
    else:
        octets = codecs.serialize_uint(value, modulus)
    assert octets.hex() == vector["Output"]


@pytest.mark.parametrize(
    "vector", vectors("DeserializeVarLenString", "DeserializeUint", "DeserializeField")
)
def test_what_the_draft_accepts_is_read_and_what_it_rejects_is_refused(vector: Json) -> None:
    octets = bytes.fromhex(vector["Input"])
    if vector.get("Expected") != "reject":
        assert _read(vector, octets) == [number(c) for c in vector["Coordinates"]]
        return
    with pytest.raises(MalformedProofError):
        _read(vector, octets)


def _read(vector: Json, octets: bytes) -> list[int]:
    if vector["Function"] == "DeserializeVarLenString":
        return list(codecs.deserialize_var_len(octets)[0])
    found = []
    for _ in range(vector.get("ExtensionDegree", 1)):
        value, octets = codecs.deserialize_uint(octets, number(vector["Modulus"]))
        found.append(value)
    return found


# ------------------------------------------------------------- the draft's sumcheck example


@pytest.mark.parametrize("vector", vectors("Sumcheck"))
def test_the_sumcheck_example_comes_out_as_in_the_draft(vector: Json) -> None:
    session, p = bytes.fromhex(vector["SessionId"]), number(vector["Modulus"])
    if "Tag" in vector:
        assert derive_session(bytes.fromhex(vector["Tag"])) == session
    claimed, narg = number(vector["ClaimedSum"]), bytes.fromhex(vector["Narg"])
    if vector.get("Expected") == "reject":
        with pytest.raises(ProofError):
            check_sumcheck(session, vector["NumVariables"], claimed, narg, p)
        return
    assert prove_sumcheck(session, vector["Witness"], p) == narg
    final = check_sumcheck(session, vector["NumVariables"], claimed, narg, p)
    assert final == number(vector["FinalEvaluation"])


def _begin(session: bytes, variables: int, claimed: int, p: int) -> Sponge:
    sponge = Sponge(session)
    sponge.absorb(codecs.serialize_uint(variables, 2**32) + codecs.serialize_uint(claimed, p))
    return sponge


def _squeeze(sponge: Sponge, p: int) -> int:
    return codecs.le2ip(sponge.squeeze(codecs.uint_size(p))) % p


def prove_sumcheck(session: bytes, table: list[int], p: int) -> bytes:
    variables = (len(table) - 1).bit_length()
    sponge, narg = _begin(session, variables, sum(table) % p, p), b""
    for _ in range(variables):
        even = sum(table[::2]) % p
        odd = (sum(table[1::2]) - even) % p
        message = codecs.serialize_uint(even, p) + codecs.serialize_uint(odd, p)
        sponge.absorb(message)
        narg += message
        r = _squeeze(sponge, p)
        table = [(a + r * (b - a)) % p for a, b in zip(table[::2], table[1::2], strict=True)]
    return narg


def check_sumcheck(session: bytes, variables: int, claimed: int, narg: bytes, p: int) -> int:
    sponge = _begin(session, variables, claimed, p)
    for _ in range(variables):
        before = narg
        even, narg = codecs.deserialize_uint(narg, p)
        odd, narg = codecs.deserialize_uint(narg, p)
        if (2 * even + odd - claimed) % p:
            raise ProofError("a round's sums")
        sponge.absorb(before[: len(before) - len(narg)])
        claimed = (even + odd * _squeeze(sponge, p)) % p
    if narg:
        raise ProofError("trailing bytes")
    return claimed


def test_a_session_identifier_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Sponge(bytes(31))
