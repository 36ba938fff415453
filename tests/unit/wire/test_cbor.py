"""Strict CBOR: what version 1 says in bytes it says in one way, and nothing else gets in."""

from typing import Any

import cbor2
import pytest

from device_sdk.wire import cbor
from device_sdk.wire.errors import MalformedError, TooLargeError


def decode(data: bytes) -> Any:
    return cbor.decode(data, "test", limit=1 << 20)


@pytest.mark.parametrize(
    "value",
    [
        *(0, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**64 - 1),
        *(-1, -24, -25, -256, -257, -70001, -(2**64)),
        *(b"", b"x" * 23, b"x" * 24, b"x" * 300, "", "text", "\u00e4" * 12),
        *([], [[[]]], {}, {1: 2, 24: [], -1: "", "a": {}, "aa": b""}),
    ],
)
def test_a_plain_value_comes_back_as_it_was(value: Any) -> None:
    assert decode(cbor.encode(value)) == value


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("", "a whole CBOR item"),
        ("18", "a whole CBOR item"),
        ("4401", "a whole CBOR item"),
        ("8201", "a whole CBOR item"),
        ("a101", "a whole CBOR item"),
        ("9bffffffffffffffff", "a whole CBOR item"),
        ("5bffffffffffffffff", "a whole CBOR item"),
        ("bbffffffffffffffff", "a whole CBOR item"),
        ("0000", "one CBOR item"),
        ("1817", "shortest form"),
        ("1900ff", "shortest form"),
        ("1a0000ffff", "shortest form"),
        ("1b00000000ffffffff", "shortest form"),
        ("5801ff", "shortest form"),
        ("9801ff", "shortest form"),
        ("5f4101ff", "definite lengths"),
        ("9f01ff", "definite lengths"),
        ("bf0102ff", "definite lengths"),
        ("1c", "definite lengths"),
        ("ff", "definite lengths"),
        ("a2010201ff", "bytewise order"),
        ("a202010102", "bytewise order"),
        ("a2616202616101", "bytewise order"),
        ("a201020103", "bytewise order"),
        ("a1410000", "integer or text keys"),
        ("a1800000", "integer or text keys"),
        ("a1f500", "no tags, floats"),
        ("f93c00", "no tags, floats"),
        ("f97e00", "no tags, floats"),
        ("f4", "no tags, floats"),
        ("f6", "no tags, floats"),
        ("f7", "no tags, floats"),
        ("f0", "no tags, floats"),
        ("c24101", "no tags, floats"),
        ("c249010000000000000000", "no tags, floats"),
        ("c074323031332d30332d32315432303a30343a30305a", "no tags, floats"),
        ("d818f6", "no tags, floats"),
        ("d81c81d81d00", "no tags, floats"),
        ("818181818181818180", "at most 8 levels"),
        ("61ff", "UTF-8"),
        ("63eda080", "UTF-8"),
    ],
)
def test_any_other_encoding_is_refused_with_its_reason(data: str, why: str) -> None:
    with pytest.raises(MalformedError, match=why):
        decode(bytes.fromhex(data))


def test_more_bytes_than_allowed_are_not_even_looked_at() -> None:
    with pytest.raises(TooLargeError, match="at most 8 bytes"):
        cbor.decode(b"\xff" * 9, "test", limit=8)


def shared_lists(fan_out: int) -> bytes:
    """Seven lists, each naming the one before it many times: the laughs, a billion of them."""

    def array(item: bytes) -> bytes:
        return b"\xd8\x1c\x99" + fan_out.to_bytes(2) + item * fan_out

    return b"\x87" + array(b"\0") + b"".join(array(b"\xd8\x1d" + bytes([i])) for i in range(6))


def colliding_keys(count: int) -> bytes:
    """A map of big integers that all have one hash in Python."""
    keys = [((index + 4096) * 8 * (2**61 - 1)).to_bytes(10) for index in range(count)]
    return b"\xb9" + count.to_bytes(2) + b"".join(b"\xc2\x4a" + key + b"\0" for key in keys)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(shared_lists(1000), id="values that share values"),
        pytest.param(colliding_keys(16_000), id="keys of one hash"),
        pytest.param(b"\x81" * 1_000_000, id="nested arrays"),
        pytest.param(b"\xa1\x00" * 500_000, id="nested maps"),
        pytest.param(b"\xc6" * 1_000_000, id="nested tags"),
        pytest.param(cbor2.dumps(cbor2.CBORTag(35, "(" * 900_000)), id="a regular expression"),
        pytest.param(b"\x9a\x7f\xff\xff\xff" + b"\0" * 900_000, id="a false length"),
    ],
)
def test_hostile_bytes_cost_no_more_than_their_length(data: bytes) -> None:
    # What takes years elsewhere would meet the suite's timeout here.
    with pytest.raises(MalformedError):
        decode(data)


def test_names_are_put_into_the_order_of_their_encoded_bytes() -> None:
    names = {"b": 1, "aa": 2, "a": 3}
    assert list(cbor.ordered(names)) == ["a", "b", "aa"]
    assert decode(cbor.encode(cbor.ordered(names))) == names


def test_true_does_not_pass_for_one_nor_text_for_bytes() -> None:
    for wrong in (True, "1", b"1", None, 1.0):
        with pytest.raises(MalformedError, match="an unsigned integer"):
            cbor.as_uint(wrong, "test")
    with pytest.raises(MalformedError, match="a byte string"):
        cbor.as_bytes("text", "test")
    with pytest.raises(MalformedError, match="a text string"):
        cbor.as_text(b"bytes", "test", most=9)
    with pytest.raises(MalformedError, match="an array"):
        cbor.as_array({}, "test")
    with pytest.raises(MalformedError, match="a map"):
        cbor.as_map([], "test", ())


def test_a_map_has_the_keys_it_must_have_and_no_others() -> None:
    assert cbor.as_map({1: 0, 3: 0}, "test", (1,), (3,)) == {1: 0, 3: 0}
    with pytest.raises(MalformedError, match="the key 1"):
        cbor.as_map({3: 0}, "test", (1,), (3,))
    for unknown in (2, "1"):
        with pytest.raises(MalformedError, match="only the keys"):
            cbor.as_map({1: 0, unknown: 0}, "test", (1,), (3,))


def test_sizes_are_checked_at_both_ends() -> None:
    assert cbor.as_bytes(b"12", "test", size=2) == b"12"
    for wrong in (b"1", b"123"):
        with pytest.raises(MalformedError, match="2 bytes"):
            cbor.as_bytes(wrong, "test", size=2)
    with pytest.raises(MalformedError, match="at least 2"):
        cbor.as_bytes(b"1", "test", least=2)
    with pytest.raises(TooLargeError, match="at most 2"):
        cbor.as_bytes(b"123", "test", most=2)
    with pytest.raises(TooLargeError, match="at most 1"):
        cbor.as_array([1, 2], "test", most=1)
    with pytest.raises(TooLargeError, match="at most 9"):
        cbor.as_uint(10, "test", most=9)
    with pytest.raises(MalformedError, match="an unsigned integer"):
        cbor.as_uint(-1, "test")


@pytest.mark.parametrize("text", ["", "x" * 9, "tab\t", "bell\a", "esc\x1b[2J", "na\u00efve"])
def test_texts_are_short_and_safe_to_print(text: str) -> None:
    with pytest.raises(MalformedError):
        cbor.as_text(text, "test", most=8)


def test_an_error_says_what_came_without_quoting_it() -> None:
    with pytest.raises(MalformedError) as caught:
        cbor.as_bytes(b"secret bytes", "read-ack.token", size=32)
    assert "read-ack.token" in str(caught.value)
    assert "12 bytes" in str(caught.value)
    assert "secret" not in str(caught.value)
