"""Vectors of padding, of the readers' tree and of what is derived from a content key.

They are calculated once more, from their sources and by other ways than the project does it.
"""

import hashlib
import hmac
import math

from tests.vectors.generate.fixed import fixed_bytes
from tests.vectors.generate.vector import Vector, bad, good


def _padme(length: int) -> int:
    exponent = math.floor(math.log2(length))
    step = 1 << (exponent - (math.floor(math.log2(exponent)) + 1))
    return math.ceil(length / step) * step


def _padded(length: int) -> int:
    return max(256, _padme(4 + length))


def padded_length_vectors() -> list[Vector]:
    """PROTOCOL 5.4."""
    lengths = [0, 1, 252, 253, 260, 261, 508, 509, 1000, 1020, 4096, 65_532, 100_000, 262_143]
    vectors = [
        good(f"{length}-bytes", {"length": length}, {"total": _padded(length)})
        for length in [*lengths, 262_144]
    ]
    return [*vectors, bad("one-byte-more-than-allowed", {"length": 262_145}, "too-large")]


def unpad_vectors() -> list[Vector]:
    """PROTOCOL 5.4."""

    def plaintext(data: bytes, total: int = 0, *, length: int | None = None) -> str:
        prefix = (len(data) if length is None else length).to_bytes(4)
        return (prefix + data).ljust(total or _padded(len(data)), b"\0").hex()

    payloads = {
        "empty": b"",
        "one-byte": b"1",
        "a-reading": b"21.5",
        "as-long-as-the-floor-allows": fixed_bytes("payload 252", 252),
        "one-byte-longer": fixed_bytes("payload 253", 253),
        "ends-in-zeros": b"\0\0\0",
    }
    goods = [
        good(name, {"plaintext": plaintext(data)}, {"data": data.hex()})
        for name, data in payloads.items()
    ]
    bads = {
        "nothing": "",
        "shorter-than-the-prefix": "000000",
        "without-padding": plaintext(b"21.5", 8),
        "one-byte-short": plaintext(b"21.5", 255),
        "one-byte-long": plaintext(b"21.5", 257),
        "the-next-bucket": plaintext(b"21.5", 272),
        "last-pad-byte-not-zero": plaintext(b"21.5")[:-2] + "01",
        "first-pad-byte-not-zero": plaintext(b"21.5\x01", length=4),
        "length-beyond-the-end": plaintext(b"21.5", length=253),
        "length-over-the-limit": plaintext(b"21.5", length=262_145),
        "largest-length": plaintext(b"21.5", length=2**32 - 1),
    }
    return goods + [bad(name, {"plaintext": text}, "malformed") for name, text in bads.items()]


# ------------------------------------------------------------- the tree


def _entry(index: int) -> bytes:
    return index.to_bytes(4)


def _leaf(index: int) -> bytes:
    return hashlib.sha256(b"\0" + _entry(index)).digest()


def _tree(start: int, end: int) -> bytes:
    """RFC 9162 2.1.1, as it is written there."""
    if end - start == 1:
        return _leaf(start)
    split = start + 2 ** ((end - start - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + _tree(start, split) + _tree(split, end)).digest()


def _path(index: int, start: int, end: int) -> list[bytes]:
    """RFC 9162 2.1.3.1."""
    if end - start == 1:
        return []
    split = start + 2 ** ((end - start - 1).bit_length() - 1)
    if index < split:
        return [*_path(index, start, split), _tree(split, end)]
    return [*_path(index, split, end), _tree(start, split)]


def merkle_tree_vectors() -> list[Vector]:
    """PROTOCOL 5.2."""
    vectors = []
    for count in [*range(1, 9), 100, 1000]:
        shown = range(count) if count <= 8 else (0, 1, 63, 64, count - 2, count - 1)
        paths = {str(i): [node.hex() for node in _path(i, 0, count)] for i in shown}
        expect = {"root": _tree(0, count).hex(), "paths": paths}
        vectors.append(good(f"{count}-entries", {"entries": count}, expect))
    return vectors


def merkle_inclusion_vectors() -> list[Vector]:
    """PROTOCOL 5.2."""

    def claim(index: int, count: int, path: list[bytes], *, entry: int | None = None) -> Vector:
        return {
            "entry": _entry(index if entry is None else entry).hex(),
            "index": index,
            "count": count,
            "path": [node.hex() for node in path],
            "root": _tree(0, count).hex(),
        }

    path = _path(5, 0, 7)
    cases = {
        "another-entry": claim(5, 7, path, entry=4),
        "another-index": claim(4, 7, path, entry=5),
        "index-outside": claim(7, 7, path, entry=5),
        "another-count": {**claim(5, 6, path), "root": _tree(0, 7).hex()},
        "a-node-changed": claim(5, 7, [path[0], path[2], path[2]]),
        "nodes-swapped": claim(5, 7, [path[1], path[0], path[2]]),
        "path-too-short": claim(5, 7, path[:-1]),
        "path-too-long": claim(5, 7, [*path, path[0]]),
        "no-path": claim(5, 7, []),
        "a-path-in-a-tree-of-one": claim(0, 1, [_leaf(0)]),
        "another-root": {**claim(5, 7, path), "root": _tree(0, 6).hex()},
        # Dishonest roots, which the hashes alone would lead to.
        "index-1-of-1": {**claim(0, 1, []), "index": 1},
        "count-2-of-a-tree-of-one": {**claim(0, 1, []), "count": 2},
        "a-path-that-a-tree-of-one-cannot-have": {
            **claim(0, 1, [_leaf(1)]),
            "root": hashlib.sha256(b"\x01" + _leaf(1) + _leaf(0)).hexdigest(),
        },
    }
    # An inner node must not pass for an entry: 32 + 32 bytes hash differently as leaf and as node.
    inner = {**claim(0, 1, []), "entry": (_leaf(0) + _leaf(1)).hex(), "root": _tree(0, 2).hex()}
    goods = [
        good(f"entry-{index}-of-{count}", claim(index, count, _path(index, 0, count)), {})
        for index, count in [(0, 1), (0, 2), (1, 2), (2, 3), (5, 7), (6, 7), (999, 1000)]
    ]
    bads = [bad(name, given, "inclusion") for name, given in cases.items()]
    return [*goods, *bads, bad("an-inner-node-as-an-entry", inner, "inclusion")]


# ------------------------------------------------------------- derivations


def _expand(key: bytes, info: bytes) -> bytes:
    """HKDF-Expand (RFC 5869 2.3) for exactly one block of output."""
    return hmac.digest(key, info + b"\x01", "sha256")


def content_key_vectors() -> list[Vector]:
    """PROTOCOL 5.3."""
    vectors = []
    for name, cek, reader in (
        ("zero-key", bytes(32), "hub"),
        ("a-key", fixed_bytes("derivation cek", 32), "hub"),
        ("another-reader-another-token", fixed_bytes("derivation cek", 32), "phone"),
        ("longest-name", fixed_bytes("derivation cek", 32), "n" * 64),
    ):
        message_id, kid = fixed_bytes("derivation id", 16), fixed_bytes("derivation kid", 16)
        token = _expand(cek, b"sealgate 1 open" + message_id + kid + reader.encode())
        given = {
            "cek": cek.hex(),
            "message_id": message_id.hex(),
            "reader_kid": kid.hex(),
            "reader": reader,
        }
        expect = {
            "commitment": _expand(cek, b"sealgate 1 commit" + message_id).hex(),
            "open_token": token.hex(),
            "open_hash": hashlib.sha256(token).hexdigest(),
        }
        vectors.append(good(name, given, expect))
    return vectors
