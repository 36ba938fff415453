"""The group that is calculated in: ristretto255 (RFC 9496), by libsodium through `rbcl`.

Elements and scalars are their canonical encodings. libsodium runs in constant time; `rbcl` discards
what it says about invalid points and answers them with the identity, so everything from outside
passes `is_element` or `is_scalar` before anything is calculated with it.
"""

import secrets
from collections.abc import Callable
from typing import Final, Protocol

from device_sdk.proofs.library import load

_rbcl = load()
_WIDE = 64
"""Bytes that libsodium reduces to a scalar."""
_Binary = Callable[[bytes, bytes], bytes]
_is_point: Callable[[bytes], bool] = _rbcl.crypto_core_ristretto255_is_valid_point
_from_hash: Callable[[bytes], bytes] = _rbcl.crypto_core_ristretto255_from_hash
_reduce: Callable[[bytes], bytes] = _rbcl.crypto_core_ristretto255_scalar_reduce
_base: Callable[[bytes], bytes] = _rbcl.crypto_scalarmult_ristretto255_base_allow_scalar_zero
_multiply: _Binary = _rbcl.crypto_scalarmult_ristretto255_allow_scalar_zero
_add: _Binary = _rbcl.crypto_core_ristretto255_add
_subtract: _Binary = _rbcl.crypto_core_ristretto255_sub
_scalar_add: _Binary = _rbcl.crypto_core_ristretto255_scalar_add
_scalar_subtract: _Binary = _rbcl.crypto_core_ristretto255_scalar_sub
_scalar_multiply: _Binary = _rbcl.crypto_core_ristretto255_scalar_mul
_scalar_invert: Callable[[bytes], bytes] = _rbcl.crypto_core_ristretto255_scalar_invert


class Group(Protocol):
    """A group of prime order, written additively (sigma-protocols 2.3)."""

    @property
    def suite(self) -> str:
        """Name the group, its codecs and the sponge, as a ciphersuite of the draft."""

    @property
    def order(self) -> int:
        """Return p, the prime number of elements."""

    @property
    def element_size(self) -> int:
        """Return Ne, the bytes of an element."""

    @property
    def scalar_size(self) -> int:
        """Return Ns, the bytes of a scalar."""

    @property
    def identity(self) -> bytes:
        """Return the neutral element, which never stands in a proof or a statement."""

    @property
    def generator(self) -> bytes:
        """Return G."""

    def is_element(self, encoding: bytes) -> bool:
        """Say whether these are a canonical encoding of an element, and not of the identity."""

    def is_scalar(self, encoding: bytes) -> bool:
        """Say whether these are a canonical encoding of a scalar."""

    def add(self, left: bytes, right: bytes) -> bytes:
        """Return the sum of two elements."""

    def subtract(self, left: bytes, right: bytes) -> bytes:
        """Return the difference of two elements."""

    def multiply(self, scalar: bytes, element: bytes) -> bytes:
        """Return scalar * element."""

    def scalar(self, number: int) -> bytes:
        """Return a number modulo p."""

    def scalar_add(self, left: bytes, right: bytes) -> bytes:
        """Return the sum of two scalars."""

    def scalar_multiply(self, left: bytes, right: bytes) -> bytes:
        """Return the product of two scalars."""

    def decode_scalar(self, squeezed: bytes) -> bytes:
        """Return DecodeField(squeezed, p, 1): a uniform scalar of Ns + 16 uniform bytes."""

    def random_scalar(self) -> bytes:
        """Return a fresh scalar that nobody can guess."""


class Ristretto255:
    """ristretto255: elements and scalars of 32 bytes, scalars little-endian (RFC 9496 4)."""

    suite: Final = "sigma-proofs_Shake128_ristretto255"
    order: Final = 2**252 + 27742317777372353535851937790883648493
    element_size: Final = 32
    scalar_size: Final = 32
    identity: Final = bytes(32)
    generator: Final = _base((1).to_bytes(32, "little"))

    @staticmethod
    def is_element(encoding: bytes) -> bool:
        """Say whether these are 32 bytes, canonical, a point, and not the identity."""
        return len(encoding) == 32 and encoding != Ristretto255.identity and _is_point(encoding)

    @staticmethod
    def is_scalar(encoding: bytes) -> bool:
        """Say whether these are 32 bytes below the order."""
        return len(encoding) == 32 and int.from_bytes(encoding, "little") < Ristretto255.order

    @staticmethod
    def add(left: bytes, right: bytes) -> bytes:
        """Return the sum of two points."""
        return _add(left, right)

    @staticmethod
    def subtract(left: bytes, right: bytes) -> bytes:
        """Return the difference of two points."""
        return _subtract(left, right)

    @staticmethod
    def multiply(scalar: bytes, element: bytes) -> bytes:
        """Return scalar * element in a time that depends on neither."""
        return _multiply(scalar, element)

    @staticmethod
    def multiply_base(scalar: bytes) -> bytes:
        """Return scalar * G, three times as fast as `multiply`."""
        return _base(scalar)

    @staticmethod
    def scalar(number: int) -> bytes:
        """Return a number of less than 252 bits, of any sign, modulo the order."""
        # Secret numbers come here too: every one becomes an integer of the same size first.
        return _reduce((number + Ristretto255.order).to_bytes(_WIDE, "little"))

    @staticmethod
    def scalar_add(left: bytes, right: bytes) -> bytes:
        """Return the sum of two scalars."""
        return _scalar_add(left, right)

    @staticmethod
    def scalar_subtract(left: bytes, right: bytes) -> bytes:
        """Return the difference of two scalars."""
        return _scalar_subtract(left, right)

    @staticmethod
    def scalar_multiply(left: bytes, right: bytes) -> bytes:
        """Return the product of two scalars."""
        return _scalar_multiply(left, right)

    @staticmethod
    def scalar_invert(scalar: bytes) -> bytes:
        """Return the inverse of a scalar that is not 0."""
        return _scalar_invert(scalar)

    @staticmethod
    def decode_scalar(squeezed: bytes) -> bytes:
        """Return the scalar of 48 squeezed bytes, taken as a little-endian number."""
        return _reduce(squeezed + bytes(_WIDE - len(squeezed)))

    @staticmethod
    def reduce(wide: bytes) -> bytes:
        """Return the scalar of 64 bytes, taken as a little-endian number."""
        return _reduce(wide)

    @staticmethod
    def random_scalar() -> bytes:
        """Return 64 random bytes reduced: a straight line, unlike libsodium's own drawing."""
        return _reduce(secrets.token_bytes(_WIDE))

    @staticmethod
    def from_hash(digest: bytes) -> bytes:
        """Return the element for 64 hashed bytes, whose logarithm nobody knows (RFC 9496 4.3.4)."""
        return _from_hash(digest)


RISTRETTO255: Final = Ristretto255()
"""The group of every proof that Sealgate makes; tests run the same code over others."""
