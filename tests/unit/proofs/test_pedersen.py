"""Commitments: what they are, what opens them, and how they add up."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sdk.proofs import pedersen
from device_sdk.proofs.errors import MalformedProofError
from device_sdk.proofs.group import RISTRETTO255 as GROUP
from tests.support import ristretto

VALUES = st.integers(-(2**63), 2**63 - 1)
WEIGHTS = st.integers(-(2**32), 2**32)
BLINDING = GROUP.scalar(123456789)
UNCANONICAL = (5 + GROUP.order).to_bytes(32, "little")


def test_h_is_hashed_from_g() -> None:
    generator = ristretto.encode(ristretto.GENERATOR)
    derived = ristretto.from_hash(hashlib.sha3_512(generator).digest())
    assert generator == pedersen.G
    assert ristretto.encode(derived) == pedersen.H


@pytest.mark.parametrize("value", [0, 1, -1, 215, -400, 2**63 - 1, -(2**63)])
def test_a_commitment_is_the_value_times_g_and_the_blinding_times_h(value: int) -> None:
    h = ristretto.decode(pedersen.H)
    expected = ristretto.add(
        ristretto.multiply(value, ristretto.GENERATOR), ristretto.multiply(123456789, h)
    )
    commitment = pedersen.commit(value, BLINDING)
    assert commitment == ristretto.encode(expected)
    assert pedersen.is_commitment(commitment)
    assert pedersen.opens(commitment, value, BLINDING)


def test_nothing_else_opens_a_commitment() -> None:
    commitment = pedersen.commit(215, BLINDING)
    assert not pedersen.opens(commitment, 216, BLINDING)
    assert not pedersen.opens(commitment, -215, BLINDING)
    assert not pedersen.opens(commitment, 215 + GROUP.order, BLINDING)
    assert not pedersen.opens(commitment, 215, pedersen.random_blinding())
    assert not pedersen.opens(commitment[:-1], 215, BLINDING)
    assert not pedersen.opens(bytes(32), 215, BLINDING)


def test_a_blinding_that_is_not_canonical_opens_nothing_and_commits_to_nothing() -> None:
    commitment = pedersen.commit(215, GROUP.scalar(5))
    assert pedersen.opens(commitment, 215, GROUP.scalar(5))
    for blinding in (UNCANONICAL, b"", GROUP.scalar(5) + b"\0"):
        assert not pedersen.is_blinding(blinding)
        assert not pedersen.opens(commitment, 215, blinding)
        with pytest.raises(MalformedProofError):
            pedersen.commit(215, blinding)
        with pytest.raises(MalformedProofError):
            pedersen.blinding_sum([(blinding, 1)])


@given(st.lists(st.tuples(VALUES, WEIGHTS), max_size=6))
def test_weighted_sums_of_commitments_open_to_the_sums(parts: list[tuple[int, int]]) -> None:
    blindings = [pedersen.random_blinding() for _ in parts]
    weights = [weight for _, weight in parts]
    commitments = [
        pedersen.commit(value, blinding)
        for (value, _), blinding in zip(parts, blindings, strict=True)
    ]
    total = sum(value * weight for value, weight in parts)
    combined = pedersen.combine(zip(commitments, weights, strict=True))
    blinding = pedersen.blinding_sum(zip(blindings, weights, strict=True))
    assert pedersen.opens(combined, total, blinding)
    assert not pedersen.opens(combined, total + 1, blinding)


@pytest.mark.parametrize(
    "commitment", [bytes(32), b"", b"\x01" + bytes(31), pedersen.G[:-1], pedersen.G + b"\0"]
)
def test_what_is_no_commitment_is_not_added_up(commitment: bytes) -> None:
    # The library would take an invalid point for the identity, and say nothing.
    assert not pedersen.is_commitment(commitment)
    for weight in (0, 1, 2):
        with pytest.raises(MalformedProofError):
            pedersen.combine([(pedersen.G, 1), (commitment, weight)])


def test_numbers_that_would_wrap_around_are_refused() -> None:
    huge = 2**251
    with pytest.raises(MalformedProofError):
        pedersen.commit(huge, BLINDING)
    with pytest.raises(MalformedProofError):
        pedersen.combine([(pedersen.G, -huge)])
    assert not pedersen.opens(pedersen.G, huge, BLINDING)
