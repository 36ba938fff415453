"""Changes bytes in ways that the project's own code would never produce."""

from collections.abc import Callable
from typing import Any

import cbor2

from device_sdk.wire import cose
from tests.vectors.generate.fixed import FixedSigner

Change = Callable[[Any], Any]
"""Takes a decoded value and returns another one."""


def same(value: Any) -> Any:
    """Change nothing."""
    return value


def put(new: Any) -> Change:
    """Return a change that puts another value there."""
    return lambda _: new


def set_key(key: Any, value: Any) -> Change:
    """Return a change that sets a map's key, in deterministic order."""
    return lambda fields: in_order({**fields, key: value})


def drop_key(key: Any) -> Change:
    """Return a change that drops a map's key."""
    return lambda fields: {k: v for k, v in fields.items() if k != key}


def at(*path: Any, do: Change) -> Change:
    """Return a change of what stands under a path of indexes and keys."""

    def change(value: Any) -> Any:
        if not path:
            return do(value)
        inner = at(*path[1:], do=do)(value[path[0]])
        if isinstance(value, dict):
            return {**value, path[0]: inner}
        return [inner if index == path[0] else item for index, item in enumerate(value)]

    return change


def flip(data: bytes) -> bytes:
    """Flip the last bit."""
    return data[:-1] + bytes([data[-1] ^ 1])


def in_order(fields: dict[Any, Any]) -> dict[Any, Any]:
    """Return a map in deterministic order."""
    return dict(sorted(fields.items(), key=lambda item: cbor2.dumps(item[0])))


def changed(data: bytes, change: Change) -> bytes:
    """Return encoded CBOR with a change."""
    return cbor2.dumps(change(cbor2.loads(data)))


def changed_envelope(data: bytes, change: Change) -> bytes:
    """Return an envelope or copy with a change in its array of four; nothing is signed anew."""
    return data[:2] + changed(data[2:], change)


def changed_header(data: bytes, change: Change, by: FixedSigner, aad: bytes) -> bytes:
    """Return an envelope or copy with a change in its header, which its sender signs anew."""

    def resign(fields: list[Any]) -> Any:
        protected = changed(fields[0], change)
        signed = cose.countersign_structure(protected, fields[1][11][0], aad, fields[2])
        new = at(0, do=put(protected))(fields)
        return at(1, 11, 2, do=put(by.sign(signed)))(new)

    return changed_envelope(data, resign)


def changed_record(data: bytes, change: Change) -> bytes:
    """Return a COSE_Sign1 with a change in its array of four; nothing is signed anew."""
    return data[:1] + changed(data[1:], change)


def signed_anew(
    data: bytes, by: FixedSigner, aad: bytes, *, payload: Change = same, protected: Change = same
) -> bytes:
    """Return a COSE_Sign1 with changes in its payload or protected header, and a signature."""

    def resign(fields: list[Any]) -> Any:
        header, claims = changed(fields[0], protected), changed(fields[2], payload)
        signature = by.sign(cbor2.dumps(["Signature1", header, aad, claims]))
        return [header, fields[1], claims, signature]

    return changed_record(data, resign)
