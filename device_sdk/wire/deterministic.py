"""Deterministic CBOR (RFC 8949 4.2.1), checked on the bytes before anything is built (PROTOCOL 2).

A CBOR library builds whatever the bytes ask for: regular expressions, integers of any size, values
that contain each other. Looking at the result comes too late: two hundred bytes of shared values
take a second to walk, and twenty thousand take years. So the bytes are looked at first.
"""

from device_sdk.wire.errors import MalformedError

_MAX_DEPTH = 8
"""Deeper than any structure of PROTOCOL."""

_NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP = 1, 2, 3, 4, 5
"""Major types (RFC 8949 3.1); 6 and 7 are tags, floats and simple values."""

_WIDTHS = {24: 1, 25: 2, 26: 4, 27: 8}
_LEAST = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}
"""The bytes of a long argument, and the least one that needs so many."""


def check_deterministic(data: bytes, what: str) -> None:
    """Accept one item of integers, byte and text strings, arrays and maps; the time is linear.

    Raises:
        MalformedError: truncated or trailing bytes, an argument of indefinite length or longer than
            it need be, map keys that are not integers or text in bytewise order, each once, more
            than eight levels, or a tag, float or simple value.
    """
    try:
        end = _end_of_item(data, 0, what, _MAX_DEPTH)
    except IndexError:
        end = len(data) + 1
    if end > len(data):
        raise MalformedError(what, expected="a whole CBOR item", got=f"only {len(data)} bytes")
    if end < len(data):
        raise MalformedError(what, expected="one CBOR item", got=f"{len(data) - end} bytes more")


def _end_of_item(data: bytes, at: int, what: str, depth: int) -> int:
    # A string may seem to end behind the data; whoever reads on from there meets an IndexError.
    major, argument = data[at] >> 5, data[at] & 31
    at += 1
    if argument > 23:
        argument, at = _long_argument(data, at, argument, what)
    if major <= _NEGATIVE:
        return at
    if major <= _TEXT:
        return at + argument
    if major > _MAP:
        raise MalformedError(
            what, expected="no tags, floats or simple values", got=f"major type {major}"
        )
    if depth == 0:
        raise MalformedError(what, expected=f"at most {_MAX_DEPTH} levels", got="deeper nesting")
    if major == _MAP:
        return _end_of_map(data, at, argument, what, depth - 1)
    for _ in range(argument):
        at = _end_of_item(data, at, what, depth - 1)
    return at


def _long_argument(data: bytes, at: int, code: int, what: str) -> tuple[int, int]:
    if code not in _WIDTHS:
        raise MalformedError(what, expected="definite lengths", got="an indefinite or reserved one")
    end = at + _WIDTHS[code]
    if end > len(data):
        raise IndexError
    argument = int.from_bytes(data[at:end])
    if argument < _LEAST[code]:
        raise MalformedError(what, expected="the shortest form of a number", got="a longer one")
    return argument, end


def _end_of_map(data: bytes, at: int, pairs: int, what: str, depth: int) -> int:
    previous = b""
    for _ in range(pairs):
        if data[at] >> 5 in (_BYTES, _ARRAY, _MAP):
            raise MalformedError(what, expected="integer or text keys", got="another key")
        value_at = _end_of_item(data, at, what, depth)
        key = data[at:value_at]
        if key <= previous:
            raise MalformedError(
                what, expected="map keys in bytewise order, each once", got="another order"
            )
        previous = key
        at = _end_of_item(data, value_at, what, depth)
    return at
