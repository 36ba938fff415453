"""What must not pass for a range proof: changed ones, and those of provers that lie."""

import os
import random
from collections.abc import Iterator

import pytest

from device_sdk.proofs import pedersen, range_proof
from device_sdk.proofs.digits import digits, weights
from device_sdk.proofs.errors import ProofError
from device_sdk.proofs.group import RISTRETTO255 as GROUP
from tests.support import ristretto
from tests.support.dishonest_range import forge, forge_without_binding

EXHAUSTIVE = "SEALGATE_EXHAUSTIVE" in os.environ
"""Every byte of a proof of 11 bits takes a minute: SEALGATE_EXHAUSTIVE=1."""
LOW, HIGH = (-400, 1250) if EXHAUSTIVE else (-3, 2)
TAG = b"cellar 1"
BLINDING = pedersen.random_blinding()
COMMITMENT = pedersen.commit(1, BLINDING)
PROOF = range_proof.prove(1, BLINDING, low=LOW, high=HIGH, tag=TAG)
DIGITS = (HIGH - LOW).bit_length()
PIECES = len(PROOF) // 32


def refused(proof: bytes, commitment: bytes = COMMITMENT, low: int = LOW, high: int = HIGH) -> bool:
    """Tell whether the proof is refused; anything but a ProofError is a failure."""
    try:
        range_proof.verify(proof, commitment, low=low, high=high, tag=TAG)
    except ProofError:
        return True
    return False


def with_piece(index: int, piece: bytes) -> bytes:
    return PROOF[: 32 * index] + piece + PROOF[32 * (index + 1) :]


def test_the_proof_that_is_changed_here_is_accepted() -> None:
    assert not refused(PROOF)


@pytest.mark.timeout(0 if EXHAUSTIVE else 120)
def test_every_changed_byte_is_refused() -> None:
    masks = (1, 2, 4, 8, 16, 32, 64, 128, 255) if EXHAUSTIVE else (1, 128)
    for position in range(len(PROOF)):
        for mask in masks:
            changed = bytearray(PROOF)
            changed[position] ^= mask
            assert refused(bytes(changed)), (position, mask)


def test_another_length_is_refused() -> None:
    for size in range(len(PROOF)):
        assert refused(PROOF[:size])
    for more in (b"\0", bytes(32), PROOF):
        assert refused(PROOF + more)
        assert refused(more + PROOF)
    # A piece too many before the end must not become one that nobody looks at.
    for index in range(PIECES):
        assert refused(PROOF[: 32 * index] + bytes(32) + PROOF[32 * index :])


def test_a_scalar_with_the_order_added_is_refused() -> None:
    for index in range(DIGITS, PIECES):
        number = int.from_bytes(PROOF[32 * index : 32 * index + 32], "little")
        assert refused(with_piece(index, (number + GROUP.order).to_bytes(32, "little")))
        # The library ignores the highest bit of a scalar: it must not be free.
        assert refused(with_piece(index, (number + 2**255).to_bytes(32, "little")))


@pytest.mark.parametrize(
    "encoding",
    [
        bytes(32),
        b"\x01" + bytes(31),
        ristretto.P.to_bytes(32, "little"),
        (2**256 - 1).to_bytes(32, "little"),
        bytes.fromhex("26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371"),
        bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    ],
)
def test_the_identity_and_what_is_no_canonical_point_are_refused(encoding: bytes) -> None:
    for index in range(DIGITS):
        assert refused(with_piece(index, encoding))
    assert refused(PROOF, encoding)


def test_a_commitment_of_another_length_is_refused() -> None:
    for commitment in (b"", COMMITMENT[:-1], COMMITMENT + b"\0"):
        assert refused(PROOF, commitment)


def test_pieces_that_change_places_are_refused() -> None:
    pieces = range_proof._split(PROOF)
    for first in range(PIECES):
        for second in range(first):
            swapped = list(pieces)
            swapped[first], swapped[second] = swapped[second], swapped[first]
            assert refused(b"".join(swapped))


def test_the_responses_and_challenges_of_nothing_are_refused() -> None:
    points = PROOF[: 32 * DIGITS]
    assert refused(points + bytes(len(PROOF) - len(points)))
    assert refused(bytes(len(PROOF)))
    assert refused(pedersen.G * PIECES)


def test_an_equation_that_says_nothing_is_refused() -> None:
    # C = low*G + sum(w_i*C_i): the last image is the identity, which a blinding of zero opens.
    points = range_proof._split(PROOF)[:DIGITS]
    parts = [(point, w) for point, w in zip(points, weights(HIGH - LOW), strict=True)]
    commitment = pedersen.combine([(pedersen.G, LOW), *parts])
    with pytest.raises(ProofError, match="says nothing"):
        range_proof.verify(PROOF, commitment, low=LOW, high=HIGH, tag=TAG)


# ------------------------------------------------------------- dishonest provers


def lies(low: int, high: int) -> Iterator[tuple[str, int, list[int]]]:
    """Values outside of the range, with the digits that come closest to them."""
    of = weights(high - low)
    ones, zeros = [1] * len(of), [0] * len(of)
    yield "low - 1 with no digits", low - 1, zeros
    yield "high + 1 with all digits", high + 1, ones
    yield "high + 1 with a digit of 2 in the last place", high + 1, [*ones[:-1], 2]
    yield "low - 1 with a digit of -1 in the last place", low - 1, [*zeros[:-1], -1]
    yield "high + w with a digit of 2 in the first place", high + of[0], [2, *ones[1:]]
    yield "low - w with a digit of -1 in the first place", low - of[0], [-1, *zeros[1:]]
    yield "a number that wraps around to below", low - 2**64, zeros
    yield "a number far above", high + 2**64, ones
    yield "the digit that is half of the order", high + 1, [(GROUP.order + 1) // 2, *ones[1:]]


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 2), (0, 7), (-400, 1250)])
def test_no_lie_about_a_value_outside_is_believed(low: int, high: int) -> None:
    for name, value, chosen in lies(low, high):
        blinding = pedersen.random_blinding()
        forged = forge(value, blinding, chosen, low=low, high=high, tag=TAG)
        assert refused(forged, pedersen.commit(value, blinding), low, high), name


def test_the_dishonest_prover_is_believed_when_it_does_not_lie() -> None:
    for value in range(-3, 3):
        honest = digits(value + 3, weights(5))
        forged = forge(value, BLINDING, honest, low=-3, high=2, tag=TAG)
        assert not refused(forged, pedersen.commit(value, BLINDING), -3, 2)


def test_a_proof_for_a_wider_range_is_none_for_a_narrower_one() -> None:
    wide = range_proof.prove(7, BLINDING, low=0, high=7, tag=TAG)
    commitment = pedersen.commit(7, BLINDING)
    for high in (4, 5, 6):  # as many bits
        assert refused(wide, commitment, 0, high)


def test_a_commitment_cannot_be_chosen_after_the_challenge() -> None:
    for _ in range(5):
        proof, commitment = forge_without_binding(0, 7, TAG)
        assert refused(proof, commitment, 0, 7)


def test_random_bytes_are_refused() -> None:
    chance = random.Random(5)
    for _ in range(200):
        assert refused(chance.randbytes(len(PROOF)))
        assert refused(chance.randbytes(chance.randrange(5000)))
