"""The device's half of the pseudorandom function: the vectors of RFC 9497, and every bad answer."""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from voprf import ristretto

from device_sdk.proofs import oprf
from device_sdk.proofs.group import RISTRETTO255
from gateway import oprf as gateway_oprf

SUITE: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "vectors/oprf/rfc9497-ristretto255-voprf.json").read_text()
)
PUBLIC = bytes.fromhex(SUITE["pkSm"])
VECTORS: list[dict[str, Any]] = SUITE["vectors"]
ORDER = RISTRETTO255.order


def parts(vector: dict[str, Any], name: str) -> list[bytes]:
    """Return a vector's field, of which a batch has several."""
    return [bytes.fromhex(part) for part in vector[name].split(",")]


def served() -> ristretto.Evaluator:
    """Return the gateway's library with the RFC's key, derived as the RFC derives it."""
    seed, info = bytes.fromhex(SUITE["seed"]), bytes.fromhex(SUITE["keyInfo"])
    return ristretto.Evaluator.from_seed(seed, info)


@pytest.mark.parametrize("vector", VECTORS)
def test_inputs_are_blinded_as_in_the_rfc(vector: dict[str, Any]) -> None:
    inputs, blinds = parts(vector, "Input"), parts(vector, "Blind")
    blinded = [oprf.blind(x, r) for x, r in zip(inputs, blinds, strict=True)]
    assert blinded == parts(vector, "BlindedElement")


@pytest.mark.parametrize("vector", VECTORS)
def test_answers_are_verified_and_unblinded_as_in_the_rfc(vector: dict[str, Any]) -> None:
    outputs = oprf.finalize(
        parts(vector, "Input"),
        parts(vector, "Blind"),
        parts(vector, "EvaluationElement"),
        public=PUBLIC,
        proof=bytes.fromhex(vector["Proof"]["proof"]),
    )
    assert outputs == parts(vector, "Output")


@pytest.mark.parametrize("vector", VECTORS)
def test_the_gateways_library_evaluates_as_in_the_rfc(vector: dict[str, Any]) -> None:
    # What it cannot be made to do is to draw the RFC's r for a proof, so its proofs are others.
    evaluator = served()
    assert bytes(evaluator.public_key.serialize()) == PUBLIC
    inputs = parts(vector, "Input")
    assert [evaluator.evaluate_known_input(x) for x in inputs] == parts(vector, "Output")
    blinded = [ristretto.BlindedInput.deserialize(b) for b in parts(vector, "BlindedElement")]
    answer = bytes(evaluator.evaluate_batch(blinded).serialize())
    assert answer[64:] == b"".join(parts(vector, "EvaluationElement"))
    oprf.check_proof(
        PUBLIC, parts(vector, "BlindedElement"), parts(vector, "EvaluationElement"), answer[:64]
    )


@dataclass(kw_only=True)
class Issued:
    """One request and its answer."""

    tokens: list[bytes]
    blinds: list[bytes]
    evaluated: list[bytes]
    public: bytes
    proof: bytes

    def finalize(self, **changes: Any) -> list[bytes]:
        """Finish it, with some parts exchanged."""
        with_changes = replace(self, **changes)
        return oprf.finalize(
            with_changes.tokens,
            with_changes.blinds,
            with_changes.evaluated,
            public=with_changes.public,
            proof=with_changes.proof,
        )


@pytest.fixture
def seed() -> bytes:
    return os.urandom(32)


@pytest.fixture
def issued(seed: bytes) -> Issued:
    tokens = [os.urandom(32) for _ in range(5)]
    blinds = [RISTRETTO255.random_scalar() for _ in tokens]
    blinded = [oprf.blind(x, r) for x, r in zip(tokens, blinds, strict=True)]
    evaluated, proof = gateway_oprf.issue(seed, blinded)
    return Issued(
        tokens=tokens,
        blinds=blinds,
        evaluated=list(evaluated),
        public=gateway_oprf.public_of(seed),
        proof=proof,
    )


def test_both_halves_agree_on_every_token_of_a_batch(seed: bytes, issued: Issued) -> None:
    assert issued.finalize() == [gateway_oprf.output_of(seed, x) for x in issued.tokens]


def test_no_byte_of_a_proof_can_be_another(issued: Issued) -> None:
    for index in range(len(issued.proof)):
        for bit in (1, 128):
            proof = bytearray(issued.proof)
            proof[index] ^= bit
            with pytest.raises(oprf.IssueError):
                issued.finalize(proof=bytes(proof))


def test_a_scalar_has_one_encoding(issued: Issued) -> None:
    for half in (slice(0, 32), slice(32, 64)):
        number = int.from_bytes(issued.proof[half], "little") + ORDER
        proof = bytearray(issued.proof)
        proof[half] = number.to_bytes(32, "little")
        with pytest.raises(oprf.IssueError, match="no scalars"):
            issued.finalize(proof=bytes(proof))


@pytest.mark.parametrize("cut", [0, 1, 63, 65])
def test_a_proof_of_another_length_is_none(issued: Issued, cut: int) -> None:
    with pytest.raises(oprf.IssueError):
        issued.finalize(proof=(issued.proof + b"\0")[:cut])


@pytest.mark.parametrize("element", [bytes(32), b"\xff" * 32, bytes(31), b"\1" + bytes(31)])
def test_what_is_no_element_is_not_calculated_with(issued: Issued, element: bytes) -> None:
    with pytest.raises(oprf.IssueError):
        issued.finalize(evaluated=[element, *issued.evaluated[1:]])
    with pytest.raises(oprf.IssueError):
        issued.finalize(public=element)


def test_a_single_element_by_another_key_spoils_the_answer(issued: Issued) -> None:
    other = os.urandom(32)
    blinded = [oprf.blind(issued.tokens[3], issued.blinds[3])]
    (element,), _ = gateway_oprf.issue(other, blinded)
    evaluated = [*issued.evaluated[:3], element, issued.evaluated[4]]
    with pytest.raises(oprf.IssueError, match="was not made with the key"):
        issued.finalize(evaluated=evaluated)


def test_an_answer_by_another_key_or_in_another_order_is_none(issued: Issued) -> None:
    with pytest.raises(oprf.IssueError):
        issued.finalize(public=gateway_oprf.public_of(os.urandom(32)))
    with pytest.raises(oprf.IssueError):
        issued.finalize(evaluated=issued.evaluated[::-1])
    with pytest.raises(oprf.IssueError):
        issued.finalize(evaluated=issued.evaluated[:-1])
    with pytest.raises(oprf.IssueError):
        issued.finalize(tokens=[os.urandom(32), *issued.tokens[1:]])


@pytest.mark.parametrize("element", [bytes(32), b"\xff" * 32, bytes(31)])
def test_the_gateway_evaluates_nothing_but_elements(seed: bytes, element: bytes) -> None:
    with pytest.raises(gateway_oprf.BlindedError):
        gateway_oprf.issue(seed, [element])
