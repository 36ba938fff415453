"""The duplex sponge over SHAKE128 from which challenges are squeezed (fiat-shamir 3 and 5.1).

Absorbing adds no separators: what goes in must be prefix-free, so that no two transcripts agree.
"""

import hashlib

SESSION_SIZE = 32
"""Bytes of a session identifier."""
_RATE = 168
"""Bytes that SHAKE128 takes in at once; the session identifier fills the first of these blocks."""
_SESSIONS = b"irtf-cfrg-fiat-shamir/session-id"
"""The domain in which session identifiers are derived; itself of SESSION_SIZE bytes."""


class Sponge:
    """Absorbs bytes and squeezes others that depend on all of them."""

    def __init__(self, session: bytes) -> None:
        """Start from a session identifier of 32 bytes (Init)."""
        if len(session) != SESSION_SIZE:
            raise ValueError(f"a session identifier has {SESSION_SIZE} bytes, not {len(session)}")
        self._state = hashlib.shake_128(session + bytes(_RATE - SESSION_SIZE))
        self._squeezed = 0

    def absorb(self, octets: bytes) -> None:
        """Take bytes in; none at all leave everything as it is (Absorb)."""
        self._state.update(octets)
        if octets:
            self._squeezed = 0

    def squeeze(self, size: int) -> bytes:
        """Return the next bytes of the stream that follows from what was absorbed (Squeeze)."""
        # hashlib has no reader of a stream; a challenge takes one short squeeze.
        start, self._squeezed = self._squeezed, self._squeezed + size
        return self._state.digest(self._squeezed)[start:]


def derive_session(tag: bytes) -> bytes:
    """Return DeriveSessionID(tag): the 32 bytes that a sponge for this tag starts from."""
    sponge = Sponge(_SESSIONS)
    sponge.absorb(tag)
    return sponge.squeeze(SESSION_SIZE)
