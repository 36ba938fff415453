"""One ciphertext that two keys open to two texts, each with a valid AES-GCM tag.

Nothing is broken here: GCM does not promise that a ciphertext belongs to one key. Both keystreams
are fixed by key and nonce, and the tag is a polynomial in the ciphertext's blocks over GF(2^128),
so one free block can be solved for to make the tags of both keys equal (Dodis, Grubbs, Ristenpart,
Woodage: "Fast Message Franking", CRYPTO 2018).
"""

import hashlib
from itertools import count

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

TOTAL, LENGTH = 256, 252
"""Bytes of plaintext, and of payload in it: no byte is left over for padding."""
_FREE = 15
"""The block that is solved for, the last one."""


def find_keys(nonce: bytes) -> tuple[bytes, bytes]:
    """Return two keys whose keystreams begin with the same four bytes.

    Those encrypt the length, which must be the same in both texts. A birthday: about 2^16 tries.
    """
    seen: dict[bytes, bytes] = {}
    for attempt in count():
        key = hashlib.sha256(b"sealgate salamander" + attempt.to_bytes(4)).digest()
        start = _keystream(key, nonce, 16)[:4]
        if start in seen:
            return seen[start], key
        seen[start] = key
    raise AssertionError


def make(keys: tuple[bytes, bytes], nonce: bytes, aad: bytes, texts: tuple[str, str]) -> bytes:
    """Return ciphertext and tag that open with each key to a payload with that key's text.

    Each text takes 64 bytes of the payload; the rest is noise.
    """
    streams = [_keystream(key, nonce, TOTAL) for key in keys]
    ciphertext = bytearray(_xor(streams[0], LENGTH.to_bytes(4).ljust(TOTAL, b"\0")))
    for index, text in enumerate(texts):
        part = slice(16 + 64 * index, 80 + 64 * index)
        ciphertext[part] = _xor(streams[index][part], text.encode().ljust(64))
    ciphertext[16 * _FREE :] = bytes(16)
    hash_keys = [_block(key, bytes(16)) for key in keys]
    masks = [_block(key, nonce + b"\0\0\0\1") for key in keys]
    first, second = (
        _ghash(h, aad, bytes(ciphertext)) ^ mask for h, mask in zip(hash_keys, masks, strict=True)
    )
    # The free block is the last one, so the hash key has the exponent 2 there: the length follows.
    factor = _multiply(hash_keys[0], hash_keys[0]) ^ _multiply(hash_keys[1], hash_keys[1])
    free = _multiply(first ^ second, _inverse(factor))
    ciphertext[16 * _FREE :] = free.to_bytes(16)
    tag = _ghash(hash_keys[0], aad, bytes(ciphertext)) ^ masks[0]
    return bytes(ciphertext) + tag.to_bytes(16)


def _keystream(key: bytes, nonce: bytes, size: int) -> bytes:
    mode = modes.CTR(nonce + b"\0\0\0\2")
    return Cipher(algorithms.AES(key), mode).encryptor().update(bytes(size))


def _block(key: bytes, block: bytes) -> int:
    # One block of CTR mode is the block cipher itself.
    return int.from_bytes(
        Cipher(algorithms.AES(key), modes.CTR(block)).encryptor().update(bytes(16))
    )


def _ghash(key: int, aad: bytes, ciphertext: bytes) -> int:
    lengths = (8 * len(aad)).to_bytes(8) + (8 * len(ciphertext)).to_bytes(8)
    data = aad + bytes(-len(aad) % 16) + ciphertext + lengths
    total = 0
    for start in range(0, len(data), 16):
        total = _multiply(total ^ int.from_bytes(data[start : start + 16]), key)
    return total


def _multiply(left: int, right: int) -> int:
    """Multiply in GF(2^128) with GCM's order of bits (NIST SP 800-38D 6.3)."""
    product = 0
    for bit in range(127, -1, -1):
        if left >> bit & 1:
            product ^= right
        right = right >> 1 ^ (0xE1 << 120 if right & 1 else 0)
    return product


def _inverse(value: int) -> int:
    """Return value^(2^128 - 2)."""
    result, power = 1 << 127, value
    for _ in range(127):
        power = _multiply(power, power)
        result = _multiply(result, power)
    return result


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
