"""How numbers and strings enter and leave the sponge (draft-irtf-cfrg-fiat-shamir 2.1, 4 and 6)."""

from device_sdk.proofs.errors import MalformedProofError

_LENGTH_SIZE = 4
"""Bytes of a length before a string, and of a count or an index of a relation."""
DECODING_MARGIN = 16
"""Bytes squeezed beyond a number's own: a bias of 2**-128 at most."""


def le(number: int, size: int = _LENGTH_SIZE) -> bytes:
    """Return LE(number, size): little-endian; OverflowError if it does not fit."""
    return number.to_bytes(size, "little")


def le2ip(octets: bytes) -> int:
    """Return LE2IP(octets)."""
    return int.from_bytes(octets, "little")


def uint_size(modulus: int) -> int:
    """Return Ns, the fewest bytes that hold every number below the modulus."""
    return ((modulus - 1).bit_length() + 7) // 8


def serialize_var_len(octets: bytes) -> bytes:
    """Return SerializeVarLenString(octets): the length in 4 bytes, then the string."""
    return le(len(octets)) + octets


def deserialize_var_len(octets: bytes) -> tuple[bytes, bytes]:
    """Return DeserializeVarLenString(octets): the string, and what follows it."""
    size = le2ip(octets[:_LENGTH_SIZE])
    if len(octets) < _LENGTH_SIZE or len(octets) - _LENGTH_SIZE < size:
        raise MalformedProofError("string", expected="all of its bytes")
    end = _LENGTH_SIZE + size
    return octets[_LENGTH_SIZE:end], octets[end:]


def serialize_uint(number: int, modulus: int) -> bytes:
    """Return SerializeUint(number, modulus); the number is 0 <= number < modulus."""
    if not 0 <= number < modulus:
        raise MalformedProofError("number", expected="one below the modulus")
    return le(number, uint_size(modulus))


def deserialize_uint(octets: bytes, modulus: int) -> tuple[int, bytes]:
    """Return DeserializeUint(octets, modulus): the canonical number, and what follows it."""
    size = uint_size(modulus)
    number = le2ip(octets[:size])
    if len(octets) < size or number >= modulus:
        raise MalformedProofError("number", expected="one below the modulus, in full")
    return number, octets[size:]


def decode_uint(octets: bytes, modulus: int) -> int:
    """Return DecodeUint(octets, modulus): a uniform number from Ns + 16 squeezed bytes."""
    if len(octets) != uint_size(modulus) + DECODING_MARGIN:
        raise MalformedProofError("squeezed bytes", expected="16 more than a number takes")
    return le2ip(octets) % modulus
