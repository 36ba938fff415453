"""Strict CBOR: deterministic bytes to plain values and back, or one typed error (PROTOCOL 2).

A value is an exact ``int`` (64-bit), ``bytes``, ``str``, ``list`` or ``dict``. Everything else that
CBOR can say (floats, tags, booleans, null, dates, indefinite lengths) has no place in version 1.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import cbor2

from device_sdk.wire.deterministic import check_deterministic
from device_sdk.wire.errors import MalformedError, TooLargeError


def encode(value: Any) -> bytes:
    """Encode plain values. Maps must be given with their keys in deterministic order.

    Records write their maps in that order; maps with names as keys come through `ordered`. What
    breaks the rule is refused by our own `decode`, so that a slip cannot stay unnoticed.
    """
    return cbor2.dumps(value)


def ordered(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return the map in deterministic order: bytewise by encoded key (RFC 8949 4.2.1)."""
    return dict(sorted(mapping.items(), key=lambda item: cbor2.dumps(item[0])))


def decode(data: bytes, what: str, *, limit: int) -> Any:
    """Decode deterministic CBOR of at most ``limit`` bytes.

    Raises:
        TooLargeError: more than ``limit`` bytes.
        MalformedError: not CBOR, a type outside the list above, trailing bytes, or any encoding
            other than the deterministic one (RFC 8949 4.2.1).
    """
    if len(data) > limit:
        raise TooLargeError(what, expected=f"at most {limit} bytes", got=f"{len(data)} bytes")
    check_deterministic(data, what)
    try:
        return cbor2.loads(data)
    except Exception as error:  # only text is left to go wrong, but errors differ by version
        raise MalformedError(what, expected="UTF-8 text", got="other bytes in a text") from error


# Shapes. Each returns its argument with its type known, or raises MalformedError.


def as_map(
    value: Any, what: str, required: Collection[int], optional: Collection[int] = ()
) -> dict[int, Any]:
    """Return a map that has all required keys, and no other than the optional ones besides."""
    if type(value) is not dict:
        raise MalformedError(what, expected="a map", got=type(value).__name__)
    for key in required:
        if key not in value:
            raise MalformedError(what, expected=f"the key {key}", got="a map without it")
    if len(value) > len(required):
        for key in value:
            if key not in required and key not in optional:
                raise MalformedError(
                    what,
                    expected=f"only the keys {sorted([*required, *optional])}",
                    got=f"the key {key!r:.40}",
                )
    return value


def as_array(
    value: Any, what: str, *, length: int | None = None, least: int = 0, most: int | None = None
) -> list[Any]:
    """Return an array of exactly ``length``, or of ``least`` to ``most``, items."""
    if type(value) is not list:
        raise MalformedError(what, expected="an array", got=type(value).__name__)
    count = len(value)
    if length is not None and count != length:
        raise MalformedError(what, expected=f"{length} items", got=str(count))
    if count < least:
        raise MalformedError(what, expected=f"at least {least} items", got=str(count))
    if most is not None and count > most:
        raise TooLargeError(what, expected=f"at most {most} items", got=str(count))
    return value


def as_uint(value: Any, what: str, *, most: int = 2**64 - 1) -> int:
    """Return an unsigned integer of at most ``most``."""
    if type(value) is not int:
        raise MalformedError(what, expected="an unsigned integer", got=type(value).__name__)
    if value < 0:
        raise MalformedError(what, expected="an unsigned integer", got="a negative one")
    if value > most:
        raise TooLargeError(what, expected=f"at most {most}", got=str(value))
    return value


def as_int(value: Any, what: str, *, most: int) -> int:
    """Return an integer from ``-most`` to ``most``."""
    if type(value) is not int:
        raise MalformedError(what, expected="an integer", got=type(value).__name__)
    if abs(value) > most:
        raise TooLargeError(what, expected=f"-{most} to {most}", got=str(value))
    return value


def as_bytes(
    value: Any, what: str, *, size: int | None = None, least: int = 0, most: int | None = None
) -> bytes:
    """Return a byte string of exactly ``size``, or of ``least`` to ``most``, bytes."""
    if type(value) is not bytes:
        raise MalformedError(what, expected="a byte string", got=type(value).__name__)
    if size is not None and len(value) != size:
        raise MalformedError(what, expected=f"{size} bytes", got=f"{len(value)} bytes")
    if len(value) < least:
        raise MalformedError(what, expected=f"at least {least} bytes", got=f"{len(value)} bytes")
    if most is not None and len(value) > most:
        raise TooLargeError(what, expected=f"at most {most} bytes", got=f"{len(value)} bytes")
    return value


def as_text(value: Any, what: str, *, most: int) -> str:
    """Return a text string of 1 to ``most`` printable ASCII characters.

    Nothing else is ever needed, and texts end up on terminals and in logs.
    """
    if type(value) is not str:
        raise MalformedError(what, expected="a text string", got=type(value).__name__)
    if not 1 <= len(value) <= most:
        raise MalformedError(what, expected=f"1 to {most} characters", got=str(len(value)))
    if not value.isascii() or not value.isprintable():
        raise MalformedError(what, expected="printable ASCII", got="other text")
    return value


def as_one_of(value: Any, what: str, allowed: Iterable[str]) -> str:
    """Return a text string that is one of a closed list."""
    if type(value) is not str or value not in allowed:
        raise MalformedError(what, expected=f"one of {', '.join(allowed)}", got="something else")
    return value
