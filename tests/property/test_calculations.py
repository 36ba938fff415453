"""Encoding, padding and the readers' tree, against the same rules written another way."""

from typing import Any

import cbor2
from hypothesis import example, given
from hypothesis import strategies as st

from device_sdk.wire import cbor, merkle, padding
from device_sdk.wire.errors import InclusionError, MalformedError
from device_sdk.wire.limits import MAX_PAYLOAD, MIN_PADDED
from tests.property.test_round_trips import in_order, is_deterministic
from tests.property.test_total import ANY_CBOR

PLAIN = st.recursive(
    st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=30) | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.integers(-300, 300) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=20,
)


def is_plain(value: Any, depth: int = 8) -> bool:
    """Tell whether version 1 knows the value."""
    if isinstance(value, list | dict):
        keys = list(value) if isinstance(value, dict) else []
        items = list(value.values()) if isinstance(value, dict) else value
        return (
            depth > 0
            and all(type(key) in (int, str) and is_plain(key) for key in keys)
            and all(is_plain(item, depth - 1) for item in items)
        )
    if type(value) is int:
        return -(2**64) <= value < 2**64
    return type(value) in (bytes, str)


def accepts(data: bytes) -> bool:
    try:
        cbor.decode(data, "test", limit=1 << 20)
    except MalformedError:
        return False
    return True


@given(value=PLAIN | ANY_CBOR)
def test_what_version_1_knows_is_accepted_in_deterministic_order_only(value: Any) -> None:
    data = cbor2.dumps(value)
    assert accepts(data) == (is_plain(value) and is_deterministic(data))
    if is_plain(value):
        assert accepts(cbor2.dumps(in_order(value)))


@given(value=PLAIN, data=st.data())
def test_every_value_has_one_encoding(value: Any, data: st.DataObject) -> None:
    encoded = bytearray(cbor2.dumps(in_order(value)))
    for position in data.draw(st.lists(st.integers(0, len(encoded) - 1), max_size=3)):
        encoded[position] = data.draw(st.integers(0, 255))
    if accepts(bytes(encoded)):
        assert cbor2.dumps(cbor2.loads(bytes(encoded))) == bytes(encoded)


@given(data=st.binary(max_size=3000))
def test_padding_comes_off_again(data: bytes) -> None:
    padded = padding.pad(data)
    assert padding.unpad(padded) == data
    assert padding.padded_length(len(padded) - 4) == len(padded)


@given(length=st.integers(0, MAX_PAYLOAD))
def test_padding_adds_an_eighth_at_most_above_the_floor(length: int) -> None:
    total = padding.padded_length(length)
    assert total >= max(MIN_PADDED, length + 4)
    assert total <= max(MIN_PADDED, (length + 4) * 1.125)


@given(data=st.binary(max_size=600))
@example(data=b"")
def test_what_is_not_padded_as_it_must_be_is_refused(data: bytes) -> None:
    try:
        found = padding.unpad(data)
    except MalformedError:
        return
    assert padding.pad(found) == data


@given(count=st.integers(1, 200), data=st.data())
def test_every_reader_is_proved_to_be_in_the_list_and_nowhere_else(
    count: int, data: st.DataObject
) -> None:
    leaves = [merkle.leaf_hash(index.to_bytes(2)) for index in range(count)]
    paths, root = merkle.paths(leaves), merkle.root(leaves)
    index, claimed = data.draw(st.tuples(*[st.integers(0, count - 1)] * 2))
    path = paths[index]
    assert len(path) <= (count - 1).bit_length()
    try:
        merkle.check_inclusion(
            leaves[index], index=claimed, count=count, path=path, expected_root=root
        )
    except InclusionError:
        assert claimed != index
    else:
        assert claimed == index


@given(data=st.data(), count=st.integers(1, 100))
def test_a_changed_path_leads_nowhere(data: st.DataObject, count: int) -> None:
    leaves = [merkle.leaf_hash(index.to_bytes(2)) for index in range(count)]
    index = data.draw(st.integers(0, count - 1))
    path = merkle.paths(leaves)[index]
    other = data.draw(
        st.lists(st.sampled_from([*path, *leaves[:3], bytes(32)]), max_size=10).filter(
            lambda nodes: nodes != path
        )
    )
    try:
        merkle.check_inclusion(
            leaves[index],
            index=index,
            count=count,
            path=other,
            expected_root=merkle.root(leaves),
        )
    except InclusionError:
        return
    raise AssertionError(f"{other} passed for {path}")
