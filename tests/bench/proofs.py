"""Range proofs against the library's scalar multiplications, alternating in one run.

The first ratio is over the multiplications that the equations name, one for each product of a
scalar and a point, as a plain prover or verifier would do them; the second over those that are done
here, which are fewer. What is left is additions of points, checks, hashing and Python.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from device_sdk.proofs import opening, pedersen, range_proof
from device_sdk.proofs.group import RISTRETTO255 as GROUP

_ROUNDS, _TIMES = 15, 5
_TAG = bytes(100)
_SUMMED = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of the table; a ratio of 0 says that there is none."""

    what: str
    ours: float
    """Median seconds of one operation."""
    over_named: float = 0
    """Median of the rounds' ratios to the multiplications that the equations name."""
    over_done: float = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Counts:
    """Multiplications of any point, and of the generator."""

    any: int
    base: int


def run() -> list[Line]:
    """Measure everything."""
    lines = [line for bits in (11, 16, 32) for line in _range_lines(bits)]
    return [*lines, *_opening_lines()]


def _range_lines(bits: int) -> list[Line]:
    low, high, value = -400, -400 + 2**bits - 1, 215
    blinding = pedersen.random_blinding()
    commitment = pedersen.commit(value, blinding)
    proof = range_proof.prove(value, blinding, low=low, high=high, tag=_TAG)

    def prove() -> None:
        range_proof.prove(value, blinding, low=low, high=high, tag=_TAG)

    def verify() -> None:
        range_proof.verify(proof, commitment, low=low, high=high, tag=_TAG)

    # C and C_i, then the map at the nonces: G, H, C_i and H again for a digit, H at the end.
    named = _Counts(any=4 * bits + 2, base=bits + 1)
    done = _Counts(any=3 * bits + 2, base=bits + 1)
    size = f"{bits} bits, {len(proof):,} bytes"
    proving = _line(f"prove, {size}", prove, named, done)
    # The map at the responses, the challenge times every image, and the weights in the last one.
    named = _Counts(any=6 * bits + 2, base=bits + 1)
    done = _Counts(any=4 * bits + 2, base=bits)
    return [proving, _line(f"verify, {size}", verify, named, done)]


def _opening_lines() -> list[Line]:
    blinding = pedersen.random_blinding()
    commitment = pedersen.commit(215, blinding)
    proof = opening.prove_opening(215, blinding, tag=_TAG)
    parts = [(pedersen.commit(n, pedersen.random_blinding()), 1) for n in range(_SUMMED)]
    timed: dict[str, Callable[[], object]] = {
        "prove an opening, 96 bytes": lambda: opening.prove_opening(215, blinding, tag=_TAG),
        "verify an opening": lambda: opening.verify_opening(proof, commitment, tag=_TAG),
        "check what a commitment opens to": lambda: pedersen.opens(commitment, 215, blinding),
        f"sum of {_SUMMED:,} commitments": lambda: pedersen.combine(parts),
    }
    return [
        Line(what=what, ours=statistics.median(_seconds(act) for _ in range(_ROUNDS)))
        for what, act in timed.items()
    ]


def _line(what: str, act: Callable[[], object], named: _Counts, done: _Counts) -> Line:
    scalar, point = GROUP.random_scalar(), GROUP.multiply_base(GROUP.random_scalar())
    ours, over_named, over_done = [], [], []
    for _ in range(_ROUNDS):
        ours.append(_seconds(act))
        one = _seconds(lambda: GROUP.multiply(scalar, point), 100)
        base = _seconds(lambda: GROUP.multiply_base(scalar), 100)
        over_named.append(ours[-1] / (named.any * one + named.base * base))
        over_done.append(ours[-1] / (done.any * one + done.base * base))
    return Line(
        what=what,
        ours=statistics.median(ours),
        over_named=statistics.median(over_named),
        over_done=statistics.median(over_done),
    )


def _seconds(act: Callable[[], object], times: int = _TIMES) -> float:
    # Of processor time: the work is one thread's, and a machine that does other things counts less.
    start = time.process_time()
    for _ in range(times):
        act()
    return (time.process_time() - start) / times
