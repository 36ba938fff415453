"""Many honest proofs over random ranges, none refused, and many changed ones, none accepted.

A sample in every run; ten thousand and a hundred thousand with SEALGATE_EXHAUSTIVE=1.
"""

import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from device_sdk.proofs import pedersen, range_proof
from device_sdk.proofs.errors import ProofError
from device_sdk.proofs.group import RISTRETTO255 as GROUP
from tests.support import literal_range_proof, ristretto

EXHAUSTIVE = "SEALGATE_EXHAUSTIVE" in os.environ
HONEST, CHANGED = (10_000, 100_000) if EXHAUSTIVE else (40, 600)
LITERAL = 200 if EXHAUSTIVE else 2
"""Of the changed ones, as many are shown to the literal verifier as well."""
SEED = 20260816


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a verifier is given."""

    proof: bytes
    commitment: bytes
    low: int
    high: int
    tag: bytes

    def accepted(self) -> bool:
        try:
            range_proof.verify(
                self.proof, self.commitment, low=self.low, high=self.high, tag=self.tag
            )
        except ProofError:
            return False
        return True

    def piece(self, index: int) -> bytes:
        return self.proof[32 * index : 32 * index + 32]

    def with_piece(self, index: int, piece: bytes) -> "Claim":
        start = 32 * index
        return replace(self, proof=self.proof[:start] + piece + self.proof[start + 32 :])

    @property
    def points(self) -> int:
        return (self.high - self.low).bit_length()

    @property
    def pieces(self) -> int:
        return len(self.proof) // 32


def honest(chance: random.Random, most_bits: int) -> Claim:
    bits = chance.randint(1, most_bits)
    width = chance.randint(2 ** (bits - 1), 2**bits - 1)
    low = chance.choice((0, -(width // 2), chance.randint(-(2**63), 2**63 - 1 - width)))
    value = chance.choice((low, low + width, chance.randint(low, low + width)))
    blinding, tag = pedersen.random_blinding(), chance.randbytes(chance.randrange(100))
    high = low + width
    proof = range_proof.prove(value, blinding, low=low, high=high, tag=tag)
    commitment = pedersen.commit(value, blinding)
    return Claim(proof=proof, commitment=commitment, low=low, high=high, tag=tag)


@pytest.mark.timeout(0 if EXHAUSTIVE else 120)
def test_no_honest_proof_is_refused() -> None:
    chance = random.Random(SEED)
    for _ in range(HONEST):
        assert honest(chance, 32).accepted()


# ------------------------------------------------------------- changes


def flip_a_bit(claim: Claim, chance: random.Random) -> Claim:
    changed = bytearray(claim.proof)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return replace(claim, proof=bytes(changed))


def another_scalar(claim: Claim, chance: random.Random) -> Claim:
    return claim.with_piece(chance.randrange(claim.points, claim.pieces), GROUP.random_scalar())


def a_scalar_plus_a_little(claim: Claim, chance: random.Random) -> Claim:
    index = chance.randrange(claim.points, claim.pieces)
    step = GROUP.scalar(chance.choice((1, -1, 2**32)))
    return claim.with_piece(index, GROUP.scalar_add(claim.piece(index), step))


def the_order_added(claim: Claim, chance: random.Random) -> Claim:
    index = chance.randrange(claim.points, claim.pieces)
    number = int.from_bytes(claim.piece(index), "little") + GROUP.order
    return claim.with_piece(index, number.to_bytes(32, "little"))


def another_digit(claim: Claim, chance: random.Random) -> Claim:
    index, point = chance.randrange(claim.points), pedersen.commit(1, GROUP.random_scalar())
    return claim.with_piece(index, point)


def a_digit_moved(claim: Claim, chance: random.Random) -> Claim:
    index = chance.randrange(claim.points)
    by = chance.choice((pedersen.G, pedersen.H, claim.commitment))
    return claim.with_piece(index, GROUP.add(claim.piece(index), by))


def no_point(claim: Claim, chance: random.Random) -> Claim:
    encoding = chance.choice((bytes(32), b"\x01" + bytes(31), ristretto.P.to_bytes(32, "little")))
    return claim.with_piece(chance.randrange(claim.points), encoding)


def two_pieces_swapped(claim: Claim, chance: random.Random) -> Claim:
    first, second = chance.sample(range(claim.pieces), 2)
    swapped = claim.with_piece(first, claim.piece(second))
    return swapped.with_piece(second, claim.piece(first))


def another_length(claim: Claim, chance: random.Random) -> Claim:
    if chance.random() < 0.5:
        return replace(claim, proof=claim.proof[: chance.randrange(len(claim.proof))])
    return replace(claim, proof=claim.proof + chance.randbytes(chance.choice((1, 32, 128))))


def another_commitment(claim: Claim, chance: random.Random) -> Claim:
    by = chance.choice((pedersen.G, pedersen.H))
    change = chance.choice((GROUP.add, GROUP.subtract))
    return replace(claim, commitment=change(claim.commitment, by))


def another_range(claim: Claim, chance: random.Random) -> Claim:
    low, high = claim.low + chance.choice((0, 1, -1)), claim.high + chance.choice((1, -1))
    return replace(claim, low=low, high=high)


def shifted(claim: Claim, chance: random.Random) -> Claim:
    step = chance.choice((1, -1, 1000))
    moved = GROUP.add(claim.commitment, GROUP.multiply_base(GROUP.scalar(step)))
    return replace(claim, commitment=moved, low=claim.low + step, high=claim.high + step)


def another_tag(claim: Claim, chance: random.Random) -> Claim:
    return replace(claim, tag=claim.tag + chance.randbytes(1))


CHANGES: list[Callable[[Claim, random.Random], Claim]] = [
    flip_a_bit,
    another_scalar,
    a_scalar_plus_a_little,
    the_order_added,
    another_digit,
    a_digit_moved,
    no_point,
    two_pieces_swapped,
    another_length,
    another_commitment,
    another_range,
    shifted,
    another_tag,
]


@pytest.mark.timeout(0 if EXHAUSTIVE else 120)
def test_no_changed_proof_is_accepted() -> None:
    chance, tried = random.Random(SEED), Counter[str]()
    claim = honest(chance, 11)
    while tried.total() < CHANGED:
        if tried.total() % 50 == 0:
            claim = honest(chance, 11)
            assert claim.accepted()
        change = CHANGES[tried.total() % len(CHANGES)]
        changed = change(claim, chance)
        if changed == claim:
            continue
        tried[change.__name__] += 1
        assert not changed.accepted(), (change.__name__, changed)
    assert len(tried) == len(CHANGES)
    print(f"\n{tried.total()} changed proofs refused: {dict(tried)}")


@pytest.mark.timeout(0 if EXHAUSTIVE else 120)
def test_the_literal_verifier_decides_alike() -> None:
    chance = random.Random(SEED)
    for _ in range(LITERAL):
        claim = honest(chance, 5)
        for candidate in (claim, *(change(claim, chance) for change in CHANGES)):
            given = (candidate.proof, candidate.commitment, candidate.low, candidate.high)
            if not 1 <= candidate.high - candidate.low < 2**32:
                continue
            assert literal_range_proof.accepts(*given, candidate.tag) == candidate.accepted()
