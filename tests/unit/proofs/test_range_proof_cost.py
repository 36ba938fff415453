"""What a stranger's bytes can make a verifier calculate: nothing, or a fixed number of products."""

import sys
from collections import Counter
from types import FrameType
from typing import Any

import pytest

from device_sdk.proofs import pedersen, range_proof
from device_sdk.proofs.errors import MalformedProofError, ProofError
from device_sdk.proofs.group import RISTRETTO255 as GROUP

LOW, HIGH = -400, 1250
COUNT = (HIGH - LOW).bit_length()
BLINDING = pedersen.random_blinding()
COMMITMENT = pedersen.commit(215, BLINDING)
PROOF = range_proof.prove(215, BLINDING, low=LOW, high=HIGH, tag=b"")
PRODUCTS = 5 * COUNT + 2
"""Multiplications of a scalar and a point for one verification, whatever its outcome."""


def products(proof: bytes, commitment: bytes = COMMITMENT) -> tuple[int, type[ProofError] | None]:
    """Return how many multiplications a verification took, and what it raised."""
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            calls[frame.f_code.co_name] += 1

    raised = None
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        range_proof.verify(proof, commitment, low=LOW, high=HIGH, tag=b"")
    except ProofError as error:
        raised = type(error)
    finally:
        sys.setprofile(before)
    return calls["multiply"] + calls["multiply_base"], raised


def test_an_accepted_proof_and_a_false_one_cost_the_same() -> None:
    false = bytearray(PROOF)
    false[-32] ^= 1
    assert products(PROOF) == (PRODUCTS, None)
    assert products(bytes(false)) == (PRODUCTS, ProofError)


@pytest.mark.parametrize(
    ("name", "proof"),
    [
        ("empty", b""),
        ("a byte short", PROOF[:-1]),
        ("a byte long", PROOF + b"\0"),
        ("a megabyte", bytes(1 << 20)),
        ("with its last scalar not canonical", PROOF[:-32] + b"\xff" * 32),
        (
            "with its last digit no point",
            PROOF[: 32 * COUNT - 32] + b"\xff" * 32 + PROOF[32 * COUNT :],
        ),
    ],
)
def test_a_proof_of_another_form_costs_no_multiplication(name: str, proof: bytes) -> None:
    assert products(proof) == (0, MalformedProofError), name


def test_a_commitment_that_is_none_costs_no_multiplication() -> None:
    for commitment in (bytes(32), b"", GROUP.identity, b"\xff" * 32):
        assert products(PROOF, commitment) == (0, MalformedProofError)
