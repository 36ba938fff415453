"""P-256 as a `device_sdk.proofs.group.Group`: slow, for the drafts' vectors and nothing else."""

import secrets
from typing import Final

from device_sdk.proofs.codecs import decode_uint

_P: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B: Final = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
Point = tuple[int, int] | None
"""An affine point; None is the identity."""


class P256:
    """Elements are compressed (SEC1), scalars big-endian (sigma-protocols 8.1)."""

    suite: Final = "sigma-proofs_Shake128_P256"
    order: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    element_size: Final = 33
    scalar_size: Final = 32
    identity: Final = bytes(33)
    generator: Final = bytes.fromhex(
        "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    )

    def is_element(self, encoding: bytes) -> bool:
        return len(encoding) == 33 and encoding != self.identity and _is_compressed(encoding)

    def is_scalar(self, encoding: bytes) -> bool:
        return len(encoding) == 32 and int.from_bytes(encoding) < self.order

    def add(self, left: bytes, right: bytes) -> bytes:
        return _encode(_add(_decode(left), _decode(right)))

    def subtract(self, left: bytes, right: bytes) -> bytes:
        point = _decode(right)
        return _encode(_add(_decode(left), point and (point[0], -point[1] % _P)))

    def multiply(self, scalar: bytes, element: bytes) -> bytes:
        return _encode(_multiply(int.from_bytes(scalar), _decode(element)))

    def scalar(self, number: int) -> bytes:
        return (number % self.order).to_bytes(32)

    def scalar_add(self, left: bytes, right: bytes) -> bytes:
        return self.scalar(int.from_bytes(left) + int.from_bytes(right))

    def scalar_multiply(self, left: bytes, right: bytes) -> bytes:
        return self.scalar(int.from_bytes(left) * int.from_bytes(right))

    def decode_scalar(self, squeezed: bytes) -> bytes:
        return self.scalar(decode_uint(squeezed, self.order))

    def random_scalar(self) -> bytes:
        return self.scalar(secrets.randbelow(self.order))


def _root(x: int) -> int:
    """One of the two y for this x, if there are any."""
    return pow(x**3 - 3 * x + _B, (_P + 1) // 4, _P)


def _is_compressed(encoding: bytes) -> bool:
    x = int.from_bytes(encoding[1:])
    on_curve = (_root(x) ** 2 - (x**3 - 3 * x + _B)) % _P == 0
    return encoding[0] in {2, 3} and x < _P and on_curve


def _decode(encoding: bytes) -> Point:
    if encoding == P256.identity:
        return None
    assert _is_compressed(encoding)
    x = int.from_bytes(encoding[1:])
    y = _root(x)
    return x, y if y % 2 == encoding[0] % 2 else _P - y


def _encode(point: Point) -> bytes:
    if point is None:
        return P256.identity
    return bytes((2 + point[1] % 2,)) + point[0].to_bytes(32)


def _add(left: Point, right: Point) -> Point:
    if left is None or right is None:
        return right if left is None else left
    (x1, y1), (x2, y2) = left, right
    if x1 == x2 and (y1 + y2) % _P == 0:
        return None
    if left == right:
        slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, _P)
    else:
        slope = (y2 - y1) * pow(x2 - x1, -1, _P)
    x = (slope * slope - x1 - x2) % _P
    return x, (slope * (x1 - x) - y1) % _P


def _multiply(number: int, point: Point) -> Point:
    total: Point = None
    while number:
        if number & 1:
            total = _add(total, point)
        point, number = _add(point, point), number >> 1
    return total
