"""The Merkle tree over a message's readers (RFC 9162 2.1, PROTOCOL 5.2).

Its root stands in the signed header; a copy carries one leaf's inclusion path of log2(n) hashes.
The tree of a log, which grows, is `device_sdk.wire.log_tree`.
"""

import hashlib
from collections.abc import Sequence

from device_sdk.wire.errors import InclusionError

Hash = bytes
_LEAF, _NODE = b"\x00", b"\x01"


def leaf_hash(entry: bytes) -> Hash:
    """Return SHA-256(0x00 || entry)."""
    return hashlib.sha256(_LEAF + entry).digest()


def node_hash(left: Hash, right: Hash) -> Hash:
    """Return SHA-256(0x01 || left || right)."""
    return hashlib.sha256(_NODE + left + right).digest()


def root(leaves: Sequence[Hash]) -> Hash:
    """Return the Merkle tree hash of one or more leaf hashes (RFC 9162 2.1.1)."""
    level = list(leaves)
    while len(level) > 1:
        level = _parents(level)
    return level[0]


def paths(leaves: Sequence[Hash]) -> list[list[Hash]]:
    """Return the inclusion path of every leaf, lowest sibling first (RFC 9162 2.1.3.1)."""
    result: list[list[Hash]] = [[] for _ in leaves]
    level, height = list(leaves), 0
    while len(level) > 1:
        for index, path in enumerate(result):
            sibling = (index >> height) ^ 1
            if sibling < len(level):
                path.append(level[sibling])
        level, height = _parents(level), height + 1
    return result


def _parents(level: list[Hash]) -> list[Hash]:
    # An odd node at the end rises unchanged: pairwise levels give RFC 9162's largest-power-of-two
    # split, and in it such a node has no sibling on its way.
    parents = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
    return parents + level[-1:] if len(level) % 2 else parents


def check_inclusion(
    leaf: Hash, *, index: int, count: int, path: Sequence[Hash], expected_root: Hash
) -> None:
    """Raise InclusionError unless ``path`` leads from the leaf to the root (RFC 9162 2.1.3.2)."""
    if not 0 <= index < count:
        raise InclusionError(f"reader index {index} is outside the {count} readers signed for")
    node, position, last = leaf, index, count - 1
    for sibling in path:
        if last == 0:
            raise InclusionError("the inclusion path is longer than the tree is high")
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            while not position & 1 and position != 0:
                position, last = position >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        position, last = position >> 1, last >> 1
    if last != 0 or node != expected_root:
        raise InclusionError("the reader is not part of the reader list that the sender signed")
