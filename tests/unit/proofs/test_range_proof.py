"""Range proofs: every number of a range has one, and a proof is for one statement only."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_sdk.proofs import pedersen, range_proof, sigma
from device_sdk.proofs.digits import digits, weights
from device_sdk.proofs.errors import (
    MalformedProofError,
    OutOfRangeError,
    ProofError,
    RangeError,
)
from device_sdk.proofs.group import RISTRETTO255 as GROUP
from device_sdk.proofs.tags import argument_tag
from tests.support import literal_range_proof

BLINDING = pedersen.random_blinding()
LOWEST, HIGHEST = -(2**63), 2**63 - 1
TAG = b"cellar 1"


def accepted(proof: bytes, commitment: bytes, low: int, high: int, tag: bytes = TAG) -> bool:
    try:
        range_proof.verify(proof, commitment, low=low, high=high, tag=tag)
    except ProofError:
        return False
    return True


@st.composite
def ranges(draw: st.DrawFn) -> tuple[int, int]:
    width = draw(st.one_of(st.integers(1, 40), st.integers(1, 2**32 - 1)))
    low = draw(st.one_of(st.integers(-100, 100), st.integers(LOWEST, HIGHEST - width)))
    return low, low + width


@pytest.mark.parametrize("low", [0, -3, 2**40, LOWEST])
def test_every_number_of_a_small_range_has_a_proof_and_its_neighbours_have_none(low: int) -> None:
    for width in range(1, 14):
        high = low + width
        for value in range(low, high + 1):
            proof = range_proof.prove(value, BLINDING, low=low, high=high, tag=TAG)
            assert len(proof) == range_proof.proof_size(low, high)
            assert accepted(proof, pedersen.commit(value, BLINDING), low, high)
        for value in (low - 1, high + 1):
            with pytest.raises(OutOfRangeError):
                range_proof.prove(value, BLINDING, low=low, high=high, tag=TAG)


@given(ranges(), st.data())
@settings(max_examples=30)
def test_numbers_of_any_range_have_proofs(between: tuple[int, int], data: st.DataObject) -> None:
    low, high = between
    value = data.draw(st.integers(low, high))
    blinding = pedersen.random_blinding()
    proof = range_proof.prove(value, blinding, low=low, high=high, tag=TAG)
    assert accepted(proof, pedersen.commit(value, blinding), low, high)


@given(ranges(), st.data())
@settings(max_examples=15)
def test_the_fast_prover_makes_the_very_bytes_of_the_generic_one(
    between: tuple[int, int], data: st.DataObject
) -> None:
    low, high = between
    value, count = data.draw(st.integers(low, high)), (high - low).bit_length()
    draws = [GROUP.random_scalar() for _ in range(4 * count + 1)]
    proof = range_proof.prove(
        value, BLINDING, low=low, high=high, tag=TAG, draw=iter(draws).__next__
    )
    known = weights(high - low)
    bits = digits(value - low, known)
    points = [pedersen.commit(bit, r) for bit, r in zip(bits, draws[:count], strict=True)]
    relation = range_proof.relation(pedersen.commit(value, BLINDING), points, low, high)
    parts = zip(draws[:count], known, strict=True)
    rest = pedersen.blinding_sum([(BLINDING, 1), *((r, -weight) for r, weight in parts)])
    products = [GROUP.scalar(0) if bit else r for bit, r in zip(bits, draws[:count], strict=True)]
    witness = [*map(GROUP.scalar, bits), *draws[:count], *products, rest]
    nonces = iter(draws[count:]).__next__
    tag = argument_tag("RANGE", TAG)
    compact = sigma.prove_compact(GROUP, tag, relation, witness, nonces)
    assert proof == b"".join(points) + compact


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-5, 5), (10, 16), (-400, 1250)])
def test_the_literal_verifier_and_the_generic_one_agree_with_the_fast_one(
    low: int, high: int
) -> None:
    value = (low + high) // 2
    commitment = pedersen.commit(value, BLINDING)
    proof = range_proof.prove(value, BLINDING, low=low, high=high, tag=TAG)
    flipped = bytearray(proof)
    flipped[-40] ^= 4
    for candidate, expected in ((proof, True), (bytes(flipped), False), (proof[:-1], False)):
        assert accepted(candidate, commitment, low, high) is expected
        assert literal_range_proof.accepts(candidate, commitment, low, high, TAG) is expected
        assert generic(candidate, commitment, low, high) is expected


def generic(proof: bytes, commitment: bytes, low: int, high: int) -> bool:
    end = 32 * (high - low).bit_length()
    points = [proof[i : i + 32] for i in range(0, end, 32)]
    relation = range_proof.relation(commitment, points, low, high)
    try:
        sigma.verify_compact(GROUP, argument_tag("RANGE", TAG), relation, proof[end:])
    except ProofError:
        return False
    return True


# ------------------------------------------------------------- statements


def test_a_proof_is_for_one_commitment_one_range_and_one_tag() -> None:
    low, high, value = -400, 1250, 215
    commitment = pedersen.commit(value, BLINDING)
    proof = range_proof.prove(value, BLINDING, low=low, high=high, tag=TAG)
    assert accepted(proof, commitment, low, high)
    others = [pedersen.commit(216, BLINDING), pedersen.commit(215, GROUP.scalar(1)), pedersen.H]
    for other in others:
        assert not accepted(proof, other, low, high)
    # The same width elsewhere, and other widths of as many bits.
    for other_low, other_high in (
        (-399, 1251),
        (-401, 1249),
        (-400, 1251),
        (-401, 1250),
        (0, 1650),
    ):
        assert not accepted(proof, commitment, other_low, other_high)
    for tag in (b"", TAG[:-1], TAG + b"\0", b"cellar 2"):
        assert not accepted(proof, commitment, low, high, tag)


@pytest.mark.parametrize("step", [1, -1, 7])
def test_a_proof_cannot_be_shifted_with_its_statement(step: int) -> None:
    low, high, value = 10, 100, 50
    commitment = pedersen.commit(value, BLINDING)
    proof = range_proof.prove(value, BLINDING, low=low, high=high, tag=TAG)
    # The value committed to is in the shifted range: it is this proof that does not say so.
    shifted = pedersen.combine([(commitment, 1), (pedersen.G, step)])
    assert not accepted(proof, shifted, low + step, high + step)
    shifted = pedersen.combine([(commitment, 1), (pedersen.H, step)])
    assert not accepted(proof, shifted, low, high)


def test_two_proofs_of_one_statement_differ() -> None:
    proofs = {range_proof.prove(3, BLINDING, low=0, high=7, tag=TAG) for _ in range(5)}
    assert len(proofs) == 5
    pieces = [piece for proof in proofs for piece in range_proof._split(proof)]
    assert len(pieces) == len(set(pieces))


# ------------------------------------------------------------- what is refused at once


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 0), (1, 0), (0, 2**32), (LOWEST - 1, LOWEST + 5), (HIGHEST - 5, HIGHEST + 1)],
)
def test_a_range_that_is_empty_too_wide_or_too_far_out_has_no_proofs(low: int, high: int) -> None:
    with pytest.raises(RangeError):
        range_proof.proof_size(low, high)
    with pytest.raises(RangeError):
        range_proof.prove(low, BLINDING, low=low, high=high, tag=TAG)
    with pytest.raises(RangeError):
        range_proof.verify(bytes(192), pedersen.G, low=low, high=high, tag=TAG)


@pytest.mark.parametrize(
    ("low", "high", "size"),
    [
        (0, 1, 192),
        (0, 2047, 1472),
        (0, 65535, 2112),
        (0, 2**32 - 1, 4160),
        (HIGHEST - 1, HIGHEST, 192),
    ],
)
def test_proofs_have_the_size_of_their_range(low: int, high: int, size: int) -> None:
    assert range_proof.proof_size(low, high) == size
    proof = range_proof.prove(high, BLINDING, low=low, high=high, tag=TAG)
    assert len(proof) == size
    assert accepted(proof, pedersen.commit(high, BLINDING), low, high)


@pytest.mark.parametrize("blinding", [bytes(32), b"", GROUP.order.to_bytes(32, "little")])
def test_a_blinding_that_is_zero_or_not_canonical_is_not_used(blinding: bytes) -> None:
    with pytest.raises(MalformedProofError):
        range_proof.prove(1, blinding, low=0, high=3, tag=TAG)
