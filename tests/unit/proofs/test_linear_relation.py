"""What a relation must be before anything is proved about it (sigma-protocols 3.5)."""

from dataclasses import replace

import pytest

from device_sdk.proofs import sigma
from device_sdk.proofs.errors import InvalidRelationError, ProofError
from device_sdk.proofs.group import RISTRETTO255 as GROUP
from device_sdk.proofs.linear_relation import Equation, LinearRelation, serialize, validate
from device_sdk.proofs.pedersen import H

G = GROUP.generator
X = GROUP.multiply_base(GROUP.scalar(7))
Y = GROUP.multiply(GROUP.scalar(7), H)
ONE = GROUP.scalar(1)
CHAUM_PEDERSEN = LinearRelation(
    elements=(G, H, X, Y),
    equations=(
        Equation(image=((2, 1),), terms=((0, 0, 1),)),
        Equation(image=((3, 1),), terms=((0, 1, 1),)),
    ),
)
TAG = b"test-CMPT-with-sigma-proofs_Shake128_ristretto255"


def single(image: tuple[tuple[int, int], ...], *terms: tuple[int, int, int]) -> LinearRelation:
    return LinearRelation(elements=(G, H, X), equations=(Equation(image=image, terms=terms),))


INVALID = {
    "without equations": LinearRelation(elements=(G,), equations=()),
    "without elements": LinearRelation(elements=(), equations=CHAUM_PEDERSEN.equations),
    "without an image": single((), (0, 1, 1), (0, 2, 1)),
    "without terms": single(((1, 1), (2, 1))),
    "with a negative element": single(((-1, 1), (1, 1)), (0, 2, 1)),
    "with a negative scalar": single(((1, 1),), (-1, 2, 1), (0, 2, 1)),
    "with an index of 33 bits": single(((1, 1),), (2**32, 2, 1)),
    "with an element too few": single(((1, 1), (3, 1)), (0, 2, 1)),
    "with an element that nothing uses": single(((1, 1),), (0, 0, 1)),
    "with a scalar that nothing binds": single(((1, 1),), (1, 2, 1)),
    "with another first element": replace(CHAUM_PEDERSEN, elements=(H, G, X, Y)),
    "with the identity": replace(CHAUM_PEDERSEN, elements=(G, H, X, GROUP.identity)),
    "with no point": replace(CHAUM_PEDERSEN, elements=(G, H, X, b"\x01" + bytes(31))),
    "with a longer element": replace(CHAUM_PEDERSEN, elements=(G, H, X, Y + b"\0")),
    "with an image that vanishes": single(((2, 1), (2, -1)), (0, 1, 1)),
    "with a scalar that cancels": single(((2, 1),), (0, 1, 1), (0, 1, -1), (1, 1, 1)),
    "with a scalar times zero": single(((2, 1),), (0, 1, 0), (1, 1, 1)),
}


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_relation_is_neither_proved_nor_believed(name: str) -> None:
    relation = INVALID[name]
    with pytest.raises(InvalidRelationError):
        validate(GROUP, relation)
    with pytest.raises(InvalidRelationError):
        sigma.prove_compact(GROUP, TAG, relation, [GROUP.scalar(7)])
    for verify in (sigma.verify_compact, sigma.verify_batchable):
        with pytest.raises(InvalidRelationError):
            verify(GROUP, TAG, relation, bytes(64))


def test_a_valid_relation_is_proved_and_serialized_as_in_the_drafts_example() -> None:
    validate(GROUP, CHAUM_PEDERSEN)
    u32 = [number.to_bytes(4, "little") for number in range(4)]
    first = u32[1] + u32[2] + ONE + u32[1] + u32[0] + u32[0] + ONE
    second = u32[1] + u32[3] + ONE + u32[1] + u32[0] + u32[1] + ONE
    assert serialize(GROUP, CHAUM_PEDERSEN) == u32[2] + first + second + H + X + Y
    witness = [GROUP.scalar(7)]
    compact = sigma.prove_compact(GROUP, TAG, CHAUM_PEDERSEN, witness)
    sigma.verify_compact(GROUP, TAG, CHAUM_PEDERSEN, compact)
    batchable = sigma.prove_batchable(GROUP, TAG, CHAUM_PEDERSEN, witness)
    sigma.verify_batchable(GROUP, TAG, CHAUM_PEDERSEN, batchable)
    assert (len(compact), len(batchable)) == (64, 96)


@pytest.mark.parametrize(
    "witness", [[], [GROUP.scalar(7)] * 2, [GROUP.order.to_bytes(32, "little")], [b"\x07"]]
)
def test_a_witness_of_another_length_or_form_is_refused(witness: list[bytes]) -> None:
    with pytest.raises(ProofError, match="witness"):
        sigma.prove_compact(GROUP, TAG, CHAUM_PEDERSEN, witness)


def test_a_wrong_witness_proves_nothing() -> None:
    witness = [GROUP.scalar(8)]
    with pytest.raises(ProofError):
        sigma.verify_compact(
            GROUP, TAG, CHAUM_PEDERSEN, sigma.prove_compact(GROUP, TAG, CHAUM_PEDERSEN, witness)
        )
    with pytest.raises(ProofError):
        sigma.verify_batchable(
            GROUP, TAG, CHAUM_PEDERSEN, sigma.prove_batchable(GROUP, TAG, CHAUM_PEDERSEN, witness)
        )


def test_a_commitment_that_is_the_identity_is_refused() -> None:
    # Nonces of zero: the responses would be the witness times the challenge.
    with pytest.raises(ProofError, match="identity"):
        sigma.prove_compact(
            GROUP, TAG, CHAUM_PEDERSEN, [GROUP.scalar(7)], draw=lambda: GROUP.scalar(0)
        )
    with pytest.raises(ProofError):
        sigma.verify_compact(GROUP, TAG, CHAUM_PEDERSEN, bytes(64))
