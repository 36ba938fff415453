"""A number from 0 to N as digits of 0 and 1, weighed so that their sums are exactly 0 to N.

With n = bit length of N, the weights are w_i = floor((N + 2**i) / 2**(i + 1)) for 0 <= i < n: half
of N rounded up, half of what is left, and so on. No second proof is needed to stay below N.
"""

from collections.abc import Sequence

from device_sdk.proofs.group import RISTRETTO255

_SIGN = 40
"""A power of two above every number here: differences of them are kept positive by it."""


def weights(width: int) -> tuple[int, ...]:
    """Return the weights for 0 to ``width``, largest first; the width is at least 1."""
    return tuple((width + (1 << i)) >> (i + 1) for i in range(width.bit_length()))


def digits(number: int, of: Sequence[int]) -> list[int]:
    """Return secret digits whose weighted sum is the number, without asking what it is."""
    result = []
    for weight in of:
        difference = number + (1 << _SIGN) - weight
        digit = difference >> _SIGN  # 1 if the weight fits in, else 0
        number -= weight * digit
        result.append(digit)
    return result


def weighted_sum(elements: Sequence[bytes], width: int) -> bytes:
    """Return sum(weights(width)[i] * elements[i]) of n public elements, by additions alone.

    With N_i = N >> i, the weight w_i is N_(i+1) + (bit i of N). Sorted by the bits of N, the sum is
    that of P_j + E_j over the bits j that are set, where P_0 = 0 and P_(j+1) = 2*P_j + E_j.
    """
    add = RISTRETTO255.add
    total, doubled = RISTRETTO255.identity, RISTRETTO255.identity
    for bit, element in enumerate(elements):
        step = add(doubled, element)
        if width >> bit & 1:
            total = add(total, step)
        doubled = add(doubled, step)
    return total
