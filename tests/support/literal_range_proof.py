"""Verifies range proofs from the text alone: slow, plain, and sharing no code with the project.

Written from the docstring of `device_sdk.proofs.range_proof`, the two IRTF drafts and RFC 9496. All
constants stand here once more.
"""

import hashlib

from tests.support import ristretto
from tests.support.ristretto import GENERATOR, ORDER, Point, add, decode, encode, multiply, negate

LABEL = b"SEALGATE-V01-RANGE-CMPT-with-sigma-proofs_Shake128_ristretto255"
H = ristretto.from_hash(hashlib.sha3_512(encode(GENERATOR)).digest())


def accepts(proof: bytes, commitment: bytes, low: int, high: int, tag: bytes) -> bool:
    """Say whether the proof is valid for the statement and the tag."""
    try:
        return _holds(proof, commitment, low, high, tag)
    except ristretto.NoPointError:
        return False


def _holds(proof: bytes, commitment: bytes, low: int, high: int, tag: bytes) -> bool:
    width = high - low
    n = width.bit_length()
    if len(proof) != 32 * n + 32 + 32 * (3 * n + 1):
        return False
    pieces = [proof[i : i + 32] for i in range(0, len(proof), 32)]
    if bytes(32) in [commitment, *pieces[:n]]:
        return False
    scalars = [int.from_bytes(piece, "little") for piece in pieces[n:]]
    if any(scalar >= ORDER for scalar in scalars):
        return False
    c, b, r = scalars[0], scalars[1 : 1 + n], scalars[1 + n : 1 + 2 * n]
    s, t = scalars[1 + 2 * n : 1 + 3 * n], scalars[1 + 3 * n]
    digits = [decode(piece) for piece in pieces[:n]]
    weights = [(width + 2**i) // 2 ** (i + 1) for i in range(n)]
    rest = decode(commitment)
    rest = _minus(rest, multiply(low, GENERATOR))
    for weight, digit in zip(weights, digits, strict=True):
        rest = _minus(rest, multiply(weight, digit))
    rows = [
        _minus(add(multiply(b[i], GENERATOR), multiply(r[i], H)), multiply(c, digits[i]))
        for i in range(n)
    ]
    rows += [
        _minus(add(multiply(b[i], digits[i]), multiply(s[i], H)), multiply(c, digits[i]))
        for i in range(n)
    ]
    rows += [_minus(multiply(t, H), multiply(c, rest))]
    encoded = [encode(row) for row in rows]
    if bytes(32) in [*encoded, encode(rest)]:
        return False
    statement = _statement(low, weights) + encode(H) + commitment + b"".join(pieces[:n])
    full_tag = LABEL + len(tag).to_bytes(4, "little") + tag
    return c == _challenge(full_tag, statement + b"".join(encoded))


def _minus(left: Point, right: Point) -> Point:
    return add(left, negate(right))


def _statement(low: int, weights: list[int]) -> bytes:
    """All equations: image terms (element, coefficient), terms (scalar, element, coefficient)."""
    n = len(weights)
    ones = [([(3 + i, 1)], [(i, 0, 1), (n + i, 1, 1)]) for i in range(n)]
    twos = [([(3 + i, 1)], [(i, 3 + i, 1), (2 * n + i, 1, 1)]) for i in range(n)]
    image = [(2, 1), (0, -low)] + [(3 + i, -weight) for i, weight in enumerate(weights)]
    equations = [*ones, *twos, (image, [(3 * n, 1, 1)])]
    out = _u32(len(equations))
    for left, right in equations:
        out += _u32(len(left))
        for element, factor in left:
            out += _u32(element) + (factor % ORDER).to_bytes(32, "little")
        out += _u32(len(right))
        for scalar, element, factor in right:
            out += _u32(scalar) + _u32(element) + (factor % ORDER).to_bytes(32, "little")
    return out


def _u32(number: int) -> bytes:
    return number.to_bytes(4, "little")


def _challenge(tag: bytes, transcript: bytes) -> int:
    """SHAKE128 of the session identifier, padded to a block of 168 bytes, and the transcript."""
    session = hashlib.shake_128(b"irtf-cfrg-fiat-shamir/session-id" + bytes(136) + tag).digest(32)
    squeezed = hashlib.shake_128(session + bytes(136) + transcript).digest(48)
    return int.from_bytes(squeezed, "little") % ORDER
