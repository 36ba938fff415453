"""Bytes from ``send/{sender}/{message-id}`` to an accepted envelope or a typed refusal.

Pure: every check of PROTOCOL 13.1 that needs no message row. `hold` does the rest.
"""

from collections.abc import Callable
from dataclasses import dataclass

from device_sdk.wire.envelope import Envelope
from device_sdk.wire.reasons import Reason
from device_sdk.wire.topics import Topic
from gateway.situation import Situation
from gateway.store.records import MessageKey, StoredKey

KeyLookup = Callable[[str, bytes], StoredKey | None]
"""(device, kid) to that device's verified statement for the key."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """An envelope that may be held."""

    key: MessageKey
    envelope: Envelope
    digest: bytes
    """32 bytes, PROTOCOL 5.5; the countersignature over it verified."""
    size: int
    """Of the envelope in bytes."""
    excused: dict[str, int]
    """Readers that the owner has revoked, with the roster version that did it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """Why an envelope is not held."""

    key: MessageKey
    """By its topic, which the broker ties to the client that published it."""
    reason: Reason
    digest: bytes
    """Of what came, so that nobody else's bytes end the sender's message; empty if undecodable."""


def receive_envelope(
    topic: Topic, payload: bytes, situation: Situation, find_key: KeyLookup
) -> Accepted | Refused:
    """Decide whether an envelope may be held; the first check that fails is the reason."""
    raise NotImplementedError
