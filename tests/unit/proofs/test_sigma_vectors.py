"""Proving and verifying against the vectors of draft-irtf-cfrg-sigma-protocols, over P-256.

The valid ones are proved again, byte for byte, from the randomness that the draft fixes.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from device_sdk.proofs import sigma
from device_sdk.proofs.codecs import le2ip
from device_sdk.proofs.errors import InvalidRelationError, ProofError
from device_sdk.proofs.linear_relation import Equation, LinearRelation, serialize, validate
from device_sdk.proofs.sponge import Sponge, derive_session
from tests.support.p256 import P256

FOLDER = Path(__file__).parents[2] / "vectors/sigma"
GROUP = P256()
Json = dict[str, Any]


def load(name: str) -> list[Json]:
    vectors: list[Json] = json.loads((FOLDER / f"{name}_Shake128_P256.json").read_text())
    return vectors


VALID = {vector["Id"]: vector for vector in load("sigma-proofs")}
ADVERSARIAL = {vector["Id"]: vector for vector in load("sigma-proofs-invalid")}


class Reader:
    """Takes a serialized relation apart."""

    def __init__(self, octets: bytes) -> None:
        self.rest = octets

    def take(self, size: int) -> bytes:
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken

    def u32(self) -> int:
        return le2ip(self.take(4))

    def scalar(self) -> int:
        return int.from_bytes(self.take(GROUP.scalar_size))


def parse(octets: bytes) -> LinearRelation:
    reader, equations = Reader(octets), []
    for _ in range(reader.u32()):
        image = tuple((reader.u32(), reader.scalar()) for _ in range(reader.u32()))
        count = reader.u32()
        terms = tuple((reader.u32(), reader.u32(), reader.scalar()) for _ in range(count))
        equations.append(Equation(image=image, terms=terms))
    elements = [GROUP.generator]
    while reader.rest:
        elements.append(reader.take(GROUP.element_size))
    return LinearRelation(elements=tuple(elements), equations=tuple(equations))


def draws(vector: Json) -> Callable[[], bytes]:
    """The prover's randomness of the draft's appendix."""
    marker = {"batchable": sigma.BATCHABLE, "compact": sigma.COMPACT}[vector["Flavor"]]
    tag = f"TestDRNG-SIGMA-PROOFS-{marker}-{vector['Ciphersuite']}-{vector['Relation']}"
    sponge = Sponge(derive_session(tag.encode()))
    return lambda: GROUP.decode_scalar(sponge.squeeze(GROUP.scalar_size + 16))


def verify(vector: Json) -> None:
    check = {"batchable": sigma.verify_batchable, "compact": sigma.verify_compact}
    relation, proof = parse(bytes.fromhex(vector["Instance"])), bytes.fromhex(vector["NargString"])
    check[vector["Flavor"]](GROUP, vector["Tag"].encode(), relation, proof)


@pytest.mark.parametrize("name", VALID)
def test_a_valid_proof_of_the_draft_is_accepted_and_made_again(name: str) -> None:
    vector = VALID[name]
    octets, tag = bytes.fromhex(vector["Instance"]), vector["Tag"].encode()
    relation = parse(octets)
    assert serialize(GROUP, relation) == octets
    assert derive_session(tag).hex() == vector["SessionId"]
    verify(vector)
    prove = {"batchable": sigma.prove_batchable, "compact": sigma.prove_compact}
    secrets = bytes.fromhex(vector["Witness"])
    witness = [secrets[i : i + 32] for i in range(0, len(secrets), 32)]
    made = prove[vector["Flavor"]](GROUP, tag, relation, witness, draws(vector))
    assert made.hex() == vector["NargString"]


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_an_adversarial_vector_has_the_outcome_that_the_draft_names(name: str) -> None:
    vector = ADVERSARIAL[name]
    if vector["Expected"] == "accept":
        verify(vector)
        return
    assert vector["BaseId"] in VALID | ADVERSARIAL
    with pytest.raises(ProofError):
        verify(vector)


@pytest.mark.parametrize("name", ["E1", "E1b", "E2"])
def test_an_instance_that_proves_nothing_is_what_is_refused(name: str) -> None:
    vector = ADVERSARIAL[f"sigma-protocols/p256/discrete_logarithm/batchable/{name}"]
    with pytest.raises(InvalidRelationError):
        validate(GROUP, parse(bytes.fromhex(vector["Instance"])))
