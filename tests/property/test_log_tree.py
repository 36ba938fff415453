"""A log's tree and its proofs, against RFC 9162 2.1 as it is written there."""

import hashlib
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sdk.wire import log_tree, merkle
from device_sdk.wire.errors import ConsistencyError

SIZE = st.integers(1, 300)


@cache
def leaf(index: int) -> bytes:
    return merkle.leaf_hash(index.to_bytes(4))


@cache
def mth(start: int, end: int) -> bytes:
    """MTH(D[start:end])."""
    if end - start == 1:
        return leaf(start)
    k = 2 ** ((end - start - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + mth(start, start + k) + mth(start + k, end)).digest()


def subproof(m: int, start: int, end: int, whole: bool) -> list[bytes]:
    """SUBPROOF(m, D[start:end], b), m counted from the start."""
    if m == end - start:
        return [] if whole else [mth(start, end)]
    k = 2 ** ((end - start - 1).bit_length() - 1)
    if m <= k:
        return [*subproof(m, start, start + k, whole), mth(start + k, end)]
    return [*subproof(m - k, start + k, end, False), mth(start, start + k)]


def node(level: int, position: int) -> bytes:
    return mth(position << level, (position + 1) << level)


def forked(index: int) -> log_tree.Lookup:
    """The same log, but for the leaf at ``index``."""
    changed = [leaf(i) if i != index else leaf(999) for i in range(1024)]

    def hash_of(level: int, position: int) -> bytes:
        return merkle.root(changed[position << level : (position + 1) << level])

    return hash_of


@given(size=SIZE)
def test_every_complete_subtree_is_made_once_and_together_they_give_the_root(size: int) -> None:
    nodes: dict[tuple[int, int], bytes] = {}
    for index in range(size):
        found = log_tree.grown(index, leaf(index), lambda *at: nodes[at])
        for level, position, hashed in found:
            assert (level, position) not in nodes
            nodes[level, position] = hashed
    assert nodes == {at: node(*at) for at in nodes}
    assert log_tree.tree_root(size, lambda *at: nodes[at]) == mth(0, size)
    assert mth(0, size) == merkle.root([leaf(index) for index in range(size)])


@given(size=SIZE, data=st.data())
def test_every_leaf_has_the_path_that_the_readers_tree_would_give_it(
    size: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, size - 1))
    path = log_tree.inclusion_path(index, size, node)
    assert path == merkle.paths([leaf(i) for i in range(size)])[index]
    merkle.check_inclusion(
        leaf(index), index=index, count=size, path=path, expected_root=mth(0, size)
    )


@given(sizes=st.tuples(SIZE, SIZE).map(sorted))
def test_a_proof_is_that_of_the_rfc_and_verifies(sizes: list[int]) -> None:
    first, second = sizes
    path = log_tree.consistency_path(first, second, node)
    assert path == subproof(first, 0, second, True)
    log_tree.check_consistency(first, mth(0, first), second, mth(0, second), path)


@given(sizes=st.tuples(SIZE, SIZE).map(sorted), data=st.data())
def test_a_log_that_was_rewritten_cannot_be_shown_to_extend_the_old_one(
    sizes: list[int], data: st.DataObject
) -> None:
    first, second = sizes
    other = forked(data.draw(st.integers(0, first - 1)))
    root = log_tree.tree_root(second, other)
    for path in (
        log_tree.consistency_path(first, second, other),
        log_tree.consistency_path(first, second, node),
    ):
        with pytest.raises(ConsistencyError):
            log_tree.check_consistency(first, mth(0, first), second, root, path)


@given(sizes=st.tuples(SIZE, SIZE).map(sorted), data=st.data())
def test_a_proof_with_a_node_too_many_too_few_or_changed_shows_nothing(
    sizes: list[int], data: st.DataObject
) -> None:
    first, second = sizes
    path = log_tree.consistency_path(first, second, node)
    at = data.draw(st.integers(0, len(path)))
    wrong = [[*path[:at], leaf(7777), *path[at:]]]
    if at < len(path):
        wrong += [[*path[:at], *path[at + 1 :]], [*path[:at], leaf(7777), *path[at + 1 :]]]
    for one in wrong:
        with pytest.raises(ConsistencyError):
            log_tree.check_consistency(first, mth(0, first), second, mth(0, second), one)


@given(sizes=st.tuples(SIZE, SIZE, SIZE, SIZE))
def test_a_proof_is_good_for_no_other_sizes(sizes: tuple[int, ...]) -> None:
    first, second = sorted(sizes[:2])
    path = log_tree.consistency_path(first, second, node)
    small, large = sizes[2:]
    if (small, large) != (first, second) and path != subproof_or_none(small, large):
        with pytest.raises(ConsistencyError):
            log_tree.check_consistency(small, mth(0, small), large, mth(0, large), path)


def subproof_or_none(first: int, second: int) -> list[bytes] | None:
    return subproof(first, 0, second, True) if first <= second else None


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 3), (4, 3)])
def test_nothing_extends_an_empty_tree_or_a_larger_one(first: int, second: int) -> None:
    with pytest.raises(ConsistencyError):
        log_tree.check_consistency(first, leaf(0), second, leaf(0), [])


def test_a_proof_is_short_and_costs_few_look_ups() -> None:
    looked: list[tuple[int, int]] = []

    def counting(level: int, position: int) -> bytes:
        looked.append((level, position))
        return bytes(32)

    path = log_tree.consistency_path(65_537, 100_001, counting)
    assert len(path) <= 18
    assert len(looked) <= 18 * 2
