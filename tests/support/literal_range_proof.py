"""Proves and verifies ranges from the text alone: slow, plain, sharing no code with the project.

Written from PROTOCOL 20, the two IRTF drafts and RFC 9496. All constants stand here once more.
"""

import hashlib

from tests.support import ristretto
from tests.support.ristretto import GENERATOR, ORDER, Point, add, decode, encode, multiply, negate

LABEL = b"SEALGATE-V01-RANGE-CMPT-with-sigma-proofs_Shake128_ristretto255"
OPENING_LABEL = LABEL.replace(b"RANGE", b"PEDERSEN_OPENING")
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
    mapped = _map(digits, b, r, s, t)
    images = [*digits, *digits, rest]
    rows = [_minus(row, multiply(c, image)) for row, image in zip(mapped, images, strict=True)]
    encoded = [encode(row) for row in rows]
    if bytes(32) in [*encoded, encode(rest)]:
        return False
    statement = _statement(low, weights) + encode(H) + commitment + b"".join(pieces[:n])
    return c == _challenge(LABEL, tag, statement + b"".join(encoded))


def commit(value: int, blinding: int) -> bytes:
    """Return the encoded commitment."""
    return encode(add(multiply(value, GENERATOR), multiply(blinding, H)))


def prove(value: int, blinding: int, low: int, high: int, tag: bytes, draws: list[int]) -> bytes:
    """Return the proof from 4n + 1 numbers: the digits' blindings, then the nonces."""
    width = high - low
    n = width.bit_length()
    weights = [(width + 2**i) // 2 ** (i + 1) for i in range(n)]
    left, b = value - low, []
    for weight in weights:
        b.append(1 if left >= weight else 0)
        left -= weight * b[-1]
    r, nonces = draws[:n], draws[n:]
    encoded = [commit(b[i], r[i]) for i in range(n)]
    digits = [decode(point) for point in encoded]
    s = [r[i] * (1 - b[i]) for i in range(n)]
    t = blinding - sum(weight * r[i] for i, weight in enumerate(weights))
    rows = _map(digits, nonces[:n], nonces[n : 2 * n], nonces[2 * n : 3 * n], nonces[3 * n])
    statement = _statement(low, weights) + encode(H) + commit(value, blinding) + b"".join(encoded)
    c = _challenge(LABEL, tag, statement + b"".join(encode(row) for row in rows))
    response = [k + c * w for k, w in zip(nonces, [*b, *r, *s, t], strict=True)]
    return b"".join(encoded) + b"".join(_scalar(number) for number in [c, *response])


def prove_opening(value: int, blinding: int, tag: bytes, draws: list[int]) -> bytes:
    """Return Okamoto's proof from two nonces."""
    one = _scalar(1)
    terms = _u32(2) + _u32(0) + _u32(0) + one + _u32(1) + _u32(1) + one
    statement = _u32(1) + _u32(1) + _u32(2) + one + terms + encode(H) + commit(value, blinding)
    c = _challenge(OPENING_LABEL, tag, statement + commit(*draws))
    response = [draws[0] + c * value, draws[1] + c * blinding]
    return b"".join(_scalar(number) for number in [c, *response])


def _map(digits: list[Point], b: list[int], r: list[int], s: list[int], t: int) -> list[Point]:
    """The right-hand sides of all equations."""
    ones = [add(multiply(b[i], GENERATOR), multiply(r[i], H)) for i in range(len(digits))]
    twos = [add(multiply(b[i], digit), multiply(s[i], H)) for i, digit in enumerate(digits)]
    return [*ones, *twos, multiply(t, H)]


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
            out += _u32(element) + _scalar(factor)
        out += _u32(len(right))
        for scalar, element, factor in right:
            out += _u32(scalar) + _u32(element) + _scalar(factor)
    return out


def _u32(number: int) -> bytes:
    return number.to_bytes(4, "little")


def _scalar(number: int) -> bytes:
    return (number % ORDER).to_bytes(32, "little")


def _challenge(label: bytes, tag: bytes, transcript: bytes) -> int:
    """SHAKE128 of the session identifier, padded to a block of 168 bytes, and the transcript."""
    full = b"irtf-cfrg-fiat-shamir/session-id" + bytes(136) + label + _u32(len(tag)) + tag
    session = hashlib.shake_128(full).digest(32)
    squeezed = hashlib.shake_128(session + bytes(136) + transcript).digest(48)
    return int.from_bytes(squeezed, "little") % ORDER
