"""Proves that a commitment is to a number from low to high, and nothing else (PROTOCOL 20.4).

With N = high - low, n its bit length, w_i the weights of `digits` and C_i a commitment to digit i:

    Relation SealgateRange(low, w_0 .. w_{n-1}, H, C, C_0 .. C_{n-1}):
      Witness: b_0 .. b_{n-1}, r_0 .. r_{n-1}, s_0 .. s_{n-1}, t
      Equations:
        C_i = b_i * G + r_i * H                                   for every i
        C_i = b_i * C_i + s_i * H                                 for every i
        C - low * G - w_0 * C_0 - ... - w_{n-1} * C_{n-1} = t * H

The first two make every b_i 0 or 1: with s_i = r_i * (1 - b_i), b_i*(b_i - 1) must vanish. The last
makes C a commitment to low + sum(w_i * b_i). A proof is ``C_0 || .. || C_{n-1}``, then the compact
string ``challenge || responses`` of sigma-protocols 5.5 in the order of the witness: 128n + 64
bytes. All C_i are sent: leaving the last for the verifier to derive would save 64 bytes and let a
proof be moved to C + G and low + 1. This is `sigma.prove_compact` and `sigma.verify_compact` of
`relation`, written out for speed, byte for byte.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from device_sdk.proofs.digits import digits, weighted_sum, weights
from device_sdk.proofs.errors import (
    MalformedProofError,
    OutOfRangeError,
    ProofError,
    RangeError,
)
from device_sdk.proofs.group import RISTRETTO255
from device_sdk.proofs.linear_relation import Equation, LinearRelation, serialize
from device_sdk.proofs.pedersen import G, H, commit, is_blinding
from device_sdk.proofs.sigma import Draw, derive_challenge
from device_sdk.proofs.tags import argument_tag

_group = RISTRETTO255
_SIZE = 32
"""Bytes of a point, and of a scalar."""
_WIDEST = 2**32
"""A range is narrower: wider ones cost more than a gateway should spend on a reading."""
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_RANGES = 256
"""Ranges whose calculations are kept, at most 10 kB each; a fleet has a few."""
_ARGUMENT = "RANGE"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Range:
    """What follows from a range alone."""

    width: int
    weights: tuple[int, ...]
    low_point: bytes
    """low * G."""
    statement: bytes
    """The serialized relation up to its elements, which come last: H, C, C_0 and so on."""


def proof_size(low: int, high: int) -> int:
    """Return the bytes of every proof for the range: 128n + 64 for a width of n bits.

    Raises:
        RangeError: not 1 <= high - low < 2**32, or outside of signed 64 bits.
    """
    _check_range(low, high)
    return 128 * (high - low).bit_length() + 64


def relation(commitment: bytes, points: Sequence[bytes], low: int, high: int) -> LinearRelation:
    """Return SealgateRange for a commitment and the commitments to its n digits."""
    of = weights(high - low)
    n, own = len(of), 3
    first = [Equation(image=((own + i, 1),), terms=((i, 0, 1), (n + i, 1, 1))) for i in range(n)]
    second = [
        Equation(image=((own + i, 1),), terms=((i, own + i, 1), (2 * n + i, 1, 1)))
        for i in range(n)
    ]
    parts = [(own + i, -weight) for i, weight in enumerate(of)]
    last = Equation(image=((2, 1), (0, -low), *parts), terms=((3 * n, 1, 1),))
    elements = (G, H, commitment, *points)
    return LinearRelation(elements=elements, equations=(*first, *second, last))


def prove(
    value: int, blinding: bytes, *, low: int, high: int, tag: bytes, draw: Draw | None = None
) -> bytes:
    """Return a proof, for this tag, that ``commit(value, blinding)`` is to one of low to high.

    ``draw`` is for known answers only; otherwise every scalar is fresh.

    Raises:
        OutOfRangeError: the value is not from low to high.
        RangeError: no proof can be about this range.
        ProofError: the blinding is not canonical, or zero.
    """
    known = _range(low, high)
    if not low <= value <= high:
        raise OutOfRangeError(f"the value is not from {low} to {high}")
    if not is_blinding(blinding) or hmac.compare_digest(blinding, bytes(_SIZE)):
        raise MalformedProofError("blinding", expected="a canonical scalar, not zero")
    draw = draw or _group.random_scalar
    bits = digits(value - low, known.weights)
    count = len(bits)
    blindings = [draw() for _ in bits]
    points = _digit_points(bits, blindings)
    nonces = [draw() for _ in range(3 * count + 1)]
    sent = b"".join(points)
    statement = known.statement + H + commit(value, blinding) + sent
    witness = _witness(known, bits, blindings, blinding)
    committed = _commitment(bits, blindings, nonces)
    challenge = derive_challenge(_group, argument_tag(_ARGUMENT, tag), statement, committed)
    multiply, add = _group.scalar_multiply, _group.scalar_add
    response = [add(k, multiply(challenge, w)) for k, w in zip(nonces, witness, strict=True)]
    return b"".join((sent, challenge, *response))


def _digit_points(bits: Sequence[int], blindings: Sequence[bytes]) -> list[bytes]:
    """Return C_i = b_i*G + r_i*H: both of r_i*H and r_i*H + G are calculated."""
    clear = [_group.multiply(r, H) for r in blindings]
    return _choose(bits, clear, [_group.add(point, G) for point in clear])


def _witness(
    known: _Range, bits: Sequence[int], blindings: Sequence[bytes], blinding: bytes
) -> list[bytes]:
    """Return b_i, r_i, s_i = r_i*(1 - b_i) and t = blinding - sum(w_i * r_i)."""
    multiply, rest = _group.scalar_multiply, blinding
    for weight, r in zip(known.weights, blindings, strict=True):
        rest = _group.scalar_subtract(rest, multiply(_group.scalar(weight), r))
    ones = [bytes((bit,)) + bytes(_SIZE - 1) for bit in bits]
    zeros = [bytes((1 - bit,)) + bytes(_SIZE - 1) for bit in bits]
    products = [multiply(r, zero) for r, zero in zip(blindings, zeros, strict=True)]
    return [*ones, *blindings, *products, rest]


def _commitment(bits: Sequence[int], blindings: Sequence[bytes], nonces: Sequence[bytes]) -> bytes:
    """Return the map at the nonces k, l, m (one of each for a digit) and the last one.

    A row of the second kind is k*C_i + m*H = b_i*k*G + (k*r_i + m)*H: the prover knows what C_i is
    made of, and k*G from the first kind.
    """
    n = len(bits)
    k, other, m = nonces[:n], nonces[n : 2 * n], nonces[2 * n : 3 * n]
    multiply, add = _group.multiply, _group.add
    bases = [_group.multiply_base(scalar) for scalar in k]
    first = [add(base, multiply(x, H)) for base, x in zip(bases, other, strict=True)]
    clear = [
        multiply(_group.scalar_add(_group.scalar_multiply(a, r), b), H)
        for a, r, b in zip(k, blindings, m, strict=True)
    ]
    both = [add(point, base) for point, base in zip(clear, bases, strict=True)]
    return _join([*first, *_choose(bits, clear, both), multiply(nonces[-1], H)])


def _choose(bits: Sequence[int], clear: Sequence[bytes], when_set: Sequence[bytes]) -> list[bytes]:
    """Return ``when_set[i]`` where bit i is 1, else ``clear[i]``: masked, all of them at once."""
    # The byte at the front keeps every integer at its full length, whatever the bits are.
    mask = int.from_bytes(b"\x03" + b"".join(bytes((-bit & 255,)) * _SIZE for bit in bits))
    zero = int.from_bytes(b"\x01" + b"".join(clear))
    one = int.from_bytes(b"\x03" + b"".join(when_set))
    chosen = (zero ^ ((zero ^ one) & mask)).to_bytes(1 + _SIZE * len(bits))[1:]
    return _split(chosen)


def verify(proof: bytes, commitment: bytes, *, low: int, high: int, tag: bytes) -> None:
    """Raise ProofError unless the proof shows, for this tag, that low <= committed value <= high.

    Whoever makes proofs chooses ``proof`` and ``commitment``; range and tag are the verifier's own.
    """
    known = _range(low, high)
    n = len(known.weights)
    if len(proof) != 128 * n + 64:
        raise MalformedProofError("range proof", expected=f"{128 * n + 64} bytes")
    parts = _split(proof)
    points, challenge, response = parts[:n], parts[n], parts[n + 1 :]
    if not all(map(_group.is_scalar, parts[n:])):
        raise MalformedProofError("range proof", expected="canonical scalars")
    if not all(map(_group.is_element, (commitment, *points))):
        raise MalformedProofError("range proof", expected="canonical points, not the identity")
    committed = _simulated(known, commitment, points, challenge, response)
    statement = b"".join((known.statement, H, commitment, *points))
    expected = derive_challenge(_group, argument_tag(_ARGUMENT, tag), statement, committed)
    if not hmac.compare_digest(challenge, expected):
        raise ProofError("the range proof does not prove this statement")


def _simulated(
    known: _Range,
    commitment: bytes,
    points: Sequence[bytes],
    challenge: bytes,
    response: Sequence[bytes],
) -> bytes:
    """Return the map at the response, minus the challenge times the image (all public)."""
    n = len(points)
    multiply, add, subtract = _group.multiply, _group.add, _group.subtract
    first, second = [], []
    for i, point in enumerate(points):
        b, r, s = response[i], response[n + i], response[2 * n + i]
        row = add(_group.multiply_base(b), multiply(r, H))
        first.append(subtract(row, multiply(challenge, point)))
        # b*C_i - challenge*C_i in one multiplication.
        less = _group.scalar_subtract(b, challenge)
        second.append(add(multiply(less, point), multiply(s, H)))
    rest = subtract(subtract(commitment, known.low_point), weighted_sum(points, known.width))
    if rest == _group.identity:  # sigma-protocols 3.5, check 9
        raise ProofError("the range proof's last equation says nothing")
    last = subtract(multiply(response[-1], H), multiply(challenge, rest))
    return _join([*first, *second, last])


def _join(elements: Sequence[bytes]) -> bytes:
    if _group.identity in elements:  # sigma-protocols 5.5, step 7
        raise ProofError("a commitment of the range proof is the identity")
    return b"".join(elements)


def _split(octets: bytes) -> list[bytes]:
    return [octets[i : i + _SIZE] for i in range(0, len(octets), _SIZE)]


def _check_range(low: int, high: int) -> None:
    if not _LOWEST <= low < high <= _HIGHEST or high - low >= _WIDEST:
        raise RangeError(f"no range for a proof: {low} to {high}")


@lru_cache(maxsize=_RANGES)
def _range(low: int, high: int) -> _Range:
    _check_range(low, high)
    of = weights(high - low)
    # The elements come last, so that any will do to serialize what comes before them.
    whole = serialize(_group, relation(G, [G] * len(of), low, high))
    return _Range(
        width=high - low,
        weights=of,
        low_point=_group.multiply_base(_group.scalar(low)),
        statement=whole[: -_SIZE * (2 + len(of))],
    )
