"""What the range proof's security rests on: an extractor, a simulator, and one path for all."""

import gc
import sys
from types import FrameType
from typing import Any

import pytest

from device_sdk.proofs import digits, group, pedersen, range_proof, sigma
from device_sdk.proofs.digits import weights
from device_sdk.proofs.errors import ProofError
from device_sdk.proofs.group import RISTRETTO255 as GROUP
from device_sdk.proofs.linear_relation import evaluate, image
from device_sdk.proofs.pedersen import commit

LOW, HIGH = -400, 1250
COUNT = (HIGH - LOW).bit_length()
BLINDING = pedersen.random_blinding()


def scalars(proof: bytes) -> list[int]:
    pieces = range_proof._split(proof)[COUNT:]
    return [int.from_bytes(piece, "little") for piece in pieces]


@pytest.mark.parametrize("value", [LOW, -1, 0, 215, HIGH])
def test_two_answers_to_one_commitment_give_the_witness_away(value: int) -> None:
    """Special soundness: whoever can answer two challenges has digits of 0 and 1 and the value."""
    draws = [GROUP.random_scalar() for _ in range(4 * COUNT + 1)]
    first, second = (
        range_proof.prove(value, BLINDING, low=LOW, high=HIGH, tag=tag, draw=iter(draws).__next__)
        for tag in (b"1", b"2")
    )
    assert first[: 32 * COUNT] == second[: 32 * COUNT]
    (c1, *z1), (c2, *z2) = scalars(first), scalars(second)
    inverse = pow(c1 - c2, -1, GROUP.order)
    found = [(a - b) * inverse % GROUP.order for a, b in zip(z1, z2, strict=True)]
    bits, blindings, t = found[:COUNT], found[COUNT : 2 * COUNT], found[-1]
    assert set(bits) <= {0, 1}
    of = weights(HIGH - LOW)
    assert LOW + sum(w * b for w, b in zip(of, bits, strict=True)) == value
    total = (t + sum(w * r for w, r in zip(of, blindings, strict=True))) % GROUP.order
    assert total == int.from_bytes(BLINDING, "little")
    for point, bit, r in zip(range_proof._split(first), bits, blindings, strict=False):
        assert point == commit(bit, r.to_bytes(32, "little"))


def test_a_transcript_can_be_made_up_without_any_witness_but_not_a_proof() -> None:
    """Honest-verifier zero knowledge: the simulator's transcripts satisfy every equation.

    They do so even for a false statement; what they lack is a challenge that follows from a hash.
    """
    commitment = commit(HIGH + 1, BLINDING)
    points = [GROUP.multiply(GROUP.random_scalar(), pedersen.H) for _ in range(COUNT)]
    relation = range_proof.relation(commitment, points, LOW, HIGH)
    challenge = GROUP.random_scalar()
    response = [GROUP.random_scalar() for _ in range(relation.scalars)]
    made_up = sigma.simulate_commitment(GROUP, relation, response, challenge)
    mapped, images = evaluate(GROUP, relation, response), image(GROUP, relation)
    for row, left, right in zip(made_up, mapped, images, strict=True):
        assert left == GROUP.add(row, GROUP.multiply(challenge, right))
    proof = b"".join([*points, challenge, *response])
    with pytest.raises(ProofError, match="does not prove"):
        range_proof.verify(proof, commitment, low=LOW, high=HIGH, tag=b"")


def test_the_prover_runs_the_same_lines_and_calls_whatever_the_value_is() -> None:
    """No branch, index or shortcut depends on the value: the traces of all values are one."""
    trace(LOW)  # what follows from the range alone is calculated once
    of_lowest = trace(LOW)
    assert len(of_lowest) > 1000
    for value in (-399, -1, 0, 1, 215, 424, 425, 426, 1249, HIGH):
        assert trace(value) == of_lowest


def trace(value: int) -> list[tuple[str, int]]:
    seen: list[tuple[str, int]] = []
    files = {module.__file__ for module in (digits, group, pedersen, range_proof, sigma)}

    def local(frame: FrameType, event: str, _: Any) -> Any:
        seen.append((event, frame.f_lineno))
        return local

    def begin(frame: FrameType, event: str, _: Any) -> Any:
        seen.append((f"{event} {frame.f_code.co_name}", frame.f_lineno))
        return local if frame.f_code.co_filename in files else None

    before = sys.gettrace()
    gc.disable()  # whose callbacks of other libraries come when they like
    sys.settrace(begin)
    try:
        range_proof.prove(value, BLINDING, low=LOW, high=HIGH, tag=b"")
    finally:
        sys.settrace(before)
        gc.enable()
    return seen


def test_the_masked_choice_takes_what_each_bit_says() -> None:
    clear = [bytes([n]) * 32 for n in range(8)]
    when_set = [bytes([255 - n]) * 32 for n in range(8)]
    for number in range(256):
        bits = [number >> i & 1 for i in range(8)]
        expected = [b if bit else a for bit, a, b in zip(bits, clear, when_set, strict=True)]
        assert range_proof._choose(bits, clear, when_set) == expected
