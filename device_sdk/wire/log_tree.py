"""The Merkle tree of a log, which only grows (RFC 9162 2.1.3, 2.1.4, PROTOCOL 8.6).

Whoever keeps the log stores every *complete* subtree once: node (level, position) covers the
2^level leaves from position * 2^level on, and never changes. So a root or a proof costs about
log2(n) look-ups, however long the log is.
"""

from collections.abc import Callable, Iterator, Sequence

from device_sdk.wire.errors import ConsistencyError
from device_sdk.wire.merkle import Hash, node_hash

Lookup = Callable[[int, int], Hash]
"""(level, position) to the hash of a complete subtree."""

Range = tuple[int, int]
"""The leaves of one subtree: the first one, and the one behind the last."""


def grown(size: int, leaf: Hash, node: Lookup) -> Iterator[tuple[int, int, Hash]]:
    """Yield (level, position, hash) of every subtree that one more leaf completes."""
    level, position, hashed = 0, size, leaf
    yield level, position, hashed
    while position & 1:
        hashed = node_hash(node(level, position - 1), hashed)
        level, position = level + 1, position >> 1
        yield level, position, hashed


def tree_root(size: int, node: Lookup) -> Hash:
    """Return the root over the first ``size`` leaves, at least one (RFC 9162 2.1.1)."""
    return _hash_of((0, size), node)


def inclusion_path(index: int, size: int, node: Lookup) -> list[Hash]:
    """Return the path of one leaf to the root over ``size`` leaves (RFC 9162 2.1.3.1)."""
    start, end = 0, size
    ranges: list[Range] = []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return [_hash_of(one, node) for one in reversed(ranges)]


def consistency_path(first: int, second: int, node: Lookup) -> list[Hash]:
    """Return the proof that the tree of ``second`` leaves extends that of ``first``.

    For 0 < first <= second (RFC 9162 2.1.4.1); it is empty if they are the same.
    """
    start, end = 0, second
    ranges: list[Range] = []
    while end > first:
        middle = start + _split(end - start)
        if first <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start > 0:  # else the verifier knows the hash that is left: it is the first tree's root
        ranges.append((start, end))
    return [_hash_of(one, node) for one in reversed(ranges)]


def check_consistency(
    first: int, first_root: Hash, second: int, second_root: Hash, path: Sequence[Hash]
) -> None:
    """Raise ConsistencyError unless ``path`` shows that the second tree extends the first one.

    RFC 9162 2.1.4.2, and for two trees of one size that they are the same.
    """
    if not 0 < first <= second:
        raise ConsistencyError(f"a tree of {second} leaves extends none of {first}")
    if first == second:
        if path or first_root != second_root:
            raise ConsistencyError("two trees of one size, but not the same one")
        return
    nodes = [first_root, *path] if first & (first - 1) == 0 else list(path)
    if not path or _climb(first, second, nodes) != (first_root, second_root):
        raise ConsistencyError("the larger tree is not shown to extend the smaller one")


def _climb(first: int, second: int, nodes: list[Hash]) -> tuple[Hash, Hash] | None:
    """Return the two roots that a proof leads to; None if it has a wrong length."""
    position, last = first - 1, second - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = nodes[0]
    for sibling in nodes[1:]:
        if last == 0:
            return None
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not position & 1 and position != 0:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    return (old, new) if last == 0 else None


def _hash_of(leaves: Range, node: Lookup) -> Hash:
    """Return a subtree's hash as RFC 9162 cuts it: complete ones, smaller to the right."""
    start, end = leaves
    whole: list[Hash] = []
    while start < end:
        level = (end - start).bit_length() - 1
        whole.append(node(level, start >> level))
        start += 1 << level
    hashed = whole.pop()
    while whole:
        hashed = node_hash(whole.pop(), hashed)
    return hashed


def _split(size: int) -> int:
    """Return the largest power of two below ``size``, which is at least two."""
    return 1 << ((size - 1).bit_length() - 1)
