"""The facts that the demo checks, and how: none of them takes anybody's word for it."""

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from device_sdk.wire.envelope import Envelope
from device_sdk.wire.errors import SealgateError

_PIECE = 8
"""Bytes: a run of twice as many leaves a whole piece in a file; chance leaves none."""


class DemoError(SealgateError):
    """A fact that does not hold, or a part of the demo that did not do its work."""


def secrets_of(envelope: bytes) -> dict[str, bytes]:
    """Return the parts of a message of which nothing may stay behind, by name."""
    decoded = Envelope.decode(envelope)
    message_id = decoded.body.header.message_id
    return {
        "ciphertext": decoded.body.ciphertext,
        **{f"{reader.reader}'s wrapped key": reader.wrapped_cek for reader in decoded.readers},
        "message id": message_id,
    }


def found_in_files(directory: Path, secrets: Mapping[str, bytes]) -> set[str]:
    """Return the names of the secrets of which any piece is in any file of a directory."""
    found: set[str] = set()
    for path in directory.rglob("*"):
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):  # may go while we look
            found |= found_in(path.read_bytes(), secrets)
    return found


def found_in(data: bytes, secrets: Mapping[str, bytes]) -> set[str]:
    """Return the names of the secrets of which any piece is in some bytes, as it is or in hex."""
    lower = data.lower()
    return {
        name
        for name, secret in secrets.items()
        if any(piece in data or piece.hex().encode() in lower for piece in _pieces(secret))
    }


def _pieces(secret: bytes) -> Iterable[bytes]:
    return (secret[start : start + _PIECE] for start in range(0, len(secret) - _PIECE + 1, _PIECE))


def becomes_true(holds: Callable[[], bool], patience: float = 10.0) -> bool:
    """Tell whether something holds within ``patience`` seconds, looking again and again."""
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
