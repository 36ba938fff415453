"""Pedersen commitments: C = value*G + blinding*H, which can be added up (PROTOCOL 20.1).

H is hashed from G, so that nobody knows its logarithm: whoever did could open a commitment to any
value. With a fresh uniform blinding, C says nothing about the value, not even to unlimited
computing power. Using one blinding for two values gives their difference away.
"""

import hashlib
import hmac
from collections.abc import Iterable

from device_sdk.proofs.errors import MalformedProofError
from device_sdk.proofs.group import RISTRETTO255

_group = RISTRETTO255
G = _group.generator
"""ristretto255's own generator: values count in it."""
H = _group.from_hash(hashlib.sha3_512(G).digest())
"""The generator of blindings (RFC 9496 4.3.4, from SHA3-512 of G's encoding)."""
COMMITMENT_SIZE = 32
BLINDING_SIZE = 32
_MOST = 2**251
"""Values and weights are of a smaller size than this; sums of honest ones by far."""


def random_blinding() -> bytes:
    """Return a fresh blinding from the operating system's randomness."""
    return _group.random_scalar()


def blinding_of(uniform: bytes) -> bytes:
    """Return the blinding that is made of 64 bytes which look random to everybody else."""
    return _group.reduce(uniform)


def is_blinding(blinding: bytes) -> bool:
    """Say whether these are a canonical scalar of 32 bytes."""
    return _group.is_scalar(blinding)


def is_commitment(commitment: bytes) -> bool:
    """Say whether these are a canonical point of 32 bytes and not the identity."""
    return _group.is_element(commitment)


def commit(value: int, blinding: bytes) -> bytes:
    """Return value*G + blinding*H; the value may be negative.

    Raises:
        MalformedProofError: the blinding is not canonical, or the value has more than 251 bits.
    """
    _check_blinding(blinding)
    hidden = _group.multiply(blinding, H)
    return _group.add(_group.multiply_base(_scalar(value)), hidden)


def opens(commitment: bytes, value: int, blinding: bytes) -> bool:
    """Say, in constant time, whether the commitment is to the value with this blinding."""
    if not is_blinding(blinding) or not -_MOST < value < _MOST:
        return False
    return hmac.compare_digest(commit(value, blinding), commitment)


def combine(parts: Iterable[tuple[bytes, int]]) -> bytes:
    """Return sum(weight * commitment): it opens to the same sums of values and of blindings.

    Weights are public. No parts, or weights of nothing, give the identity, which opens to 0.

    Raises:
        MalformedProofError: a commitment is not canonical, or is the identity.
    """
    total = _group.identity
    for commitment, weight in parts:
        if not is_commitment(commitment):
            raise MalformedProofError("commitment", expected="a canonical point of 32 bytes")
        weighed = commitment if weight == 1 else _group.multiply(_scalar(weight), commitment)
        total = _group.add(total, weighed)
    return total


def blinding_sum(parts: Iterable[tuple[bytes, int]]) -> bytes:
    """Return sum(weight * blinding), which opens what `combine` returns for the same weights.

    Raises:
        MalformedProofError: a blinding is not canonical.
    """
    total = _group.scalar(0)
    for blinding, weight in parts:
        _check_blinding(blinding)
        total = _group.scalar_add(total, _group.scalar_multiply(_scalar(weight), blinding))
    return total


def _scalar(number: int) -> bytes:
    if not -_MOST < number < _MOST:
        raise MalformedProofError("number", expected="at most 251 bits")
    return _group.scalar(number)


def _check_blinding(blinding: bytes) -> None:
    if not is_blinding(blinding):
        raise MalformedProofError("blinding", expected="a canonical scalar of 32 bytes")
