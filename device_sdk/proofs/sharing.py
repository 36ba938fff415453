"""Additive shares of a commitment's opening: v = v_1 + ... + v_k and r = r_1 + ... + r_k (mod l).

    C_i = v_i * G + r_i * H,   C_1 + ... + C_k = C                              (PROTOCOL 18.4)

k - 1 of the parts look random, and any k - 1 of them say nothing about v. Parts of different
readings can be added up: the sums of all trustees are shares of the sum of the readings.
"""

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from device_sdk.proofs.errors import MalformedProofError
from device_sdk.proofs.group import RISTRETTO255
from device_sdk.proofs.pedersen import H, combine

_group = RISTRETTO255


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Part:
    """One share, or a sum of shares: two scalars of 32 bytes, little-endian, below l."""

    value: bytes
    blinding: bytes

    @classmethod
    def parse(cls, value: bytes, blinding: bytes) -> Self:
        """Take a part that came from elsewhere. Raises MalformedProofError."""
        if not (_group.is_scalar(value) and _group.is_scalar(blinding)):
            raise MalformedProofError("share", expected="two canonical scalars of 32 bytes")
        return cls(value=value, blinding=blinding)

    @property
    def commitment(self) -> bytes:
        """C_i = v_i * G + r_i * H."""
        return _group.add(_group.multiply_base(self.value), _group.multiply(self.blinding, H))

    def opens(self, commitment: bytes) -> bool:
        """Tell, in constant time, whether this is what was committed to."""
        return hmac.compare_digest(self.commitment, commitment)


def complete(value: int, blinding: bytes, parts: Sequence[Part]) -> Part:
    """Return the part that makes these k - 1 parts share out a reading and its blinding."""
    known = add_up(parts)
    return Part(
        value=_group.scalar_subtract(_group.scalar(value), known.value),
        blinding=_group.scalar_subtract(blinding, known.blinding),
    )


def add_up(parts: Iterable[Part]) -> Part:
    """Return the sum of parts: of one trustee over a set, or of all trustees."""
    value = blinding = _group.scalar(0)
    for part in parts:
        value = _group.scalar_add(value, part.value)
        blinding = _group.scalar_add(blinding, part.blinding)
    return Part(value=value, blinding=blinding)


def total_of(parts: Iterable[Part]) -> int:
    """Return the number that all trustees' parts share out, as a signed one.

    It is public by then. It is right only if it opens the sum of the commitments.
    """
    number = int.from_bytes(add_up(parts).value, "little")
    return number if number <= _group.order // 2 else number - _group.order


def shares_out(commitments: Iterable[bytes], commitment: bytes) -> bool:
    """Tell whether the commitments to all parts add up to the reading's. Never raises."""
    try:
        return combine((one, 1) for one in commitments) == commitment
    except MalformedProofError:
        return False
