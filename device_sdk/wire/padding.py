"""Padding that hides how long the payload is (PROTOCOL 5.4).

plaintext = u32be(length) || data || zeros, total length max(256, Padme(4 + length)).
Padme: Nikitin et al., "Reducing Metadata Leakage from Encrypted Files", PETS 2019, algorithm 1.
"""

from device_sdk.wire.errors import MalformedError, TooLargeError
from device_sdk.wire.limits import MAX_PAYLOAD, MIN_PADDED

_PREFIX = 4


def padme(length: int) -> int:
    """Return the padded length: at most 12 % more, leaking O(log log) bits of ``length``."""
    if length < 2:
        return length
    exponent = length.bit_length() - 1
    low_bits = exponent - exponent.bit_length()
    mask = (1 << low_bits) - 1
    return (length + mask) & ~mask


def padded_length(length: int) -> int:
    """Return the total plaintext length in bytes for a payload of ``length`` bytes."""
    return max(MIN_PADDED, padme(_PREFIX + length))


def pad(data: bytes) -> bytes:
    """Return the padded plaintext. Raises TooLargeError over 256 KiB."""
    if len(data) > MAX_PAYLOAD:
        raise TooLargeError(
            "payload", expected=f"at most {MAX_PAYLOAD} bytes", got=f"{len(data)} bytes"
        )
    return (len(data).to_bytes(_PREFIX) + data).ljust(padded_length(len(data)), b"\0")


def unpad(plaintext: bytes) -> bytes:
    """Return the data. Raises MalformedError at any other total or any nonzero pad byte."""
    length = int.from_bytes(plaintext[:_PREFIX])
    end = _PREFIX + length
    if length > MAX_PAYLOAD or len(plaintext) != padded_length(length) or any(plaintext[end:]):
        raise MalformedError("plaintext", expected="padding as in PROTOCOL 5.4", got="another")
    return plaintext[_PREFIX:end]
