"""Bytes from ``send/{sender}/{message-id}`` to an accepted envelope or a typed refusal.

Pure: every check of PROTOCOL 13.1 that needs no row of a message. `hold` does the rest.
"""

from collections.abc import Callable
from dataclasses import dataclass

from device_sdk.trust import Roster, TrustError
from device_sdk.wire import envelope as wire
from device_sdk.wire.anonymous import (
    AnonymousBody,
    AnonymousEnvelope,
    AnyCopy,
    AnyEnvelope,
    AnyHeader,
)
from device_sdk.wire.anonymous_header import AnonymousHeader
from device_sdk.wire.envelope import Envelope
from device_sdk.wire.errors import InclusionError, SignatureError, TooLargeError, WireError
from device_sdk.wire.limits import ANONYMOUS_STEP, CLOCK_SKEW, TAG_SIZE
from device_sdk.wire.names import ANONYMOUS, DIRECT
from device_sdk.wire.padding import padded_length
from device_sdk.wire.reasons import Reason
from device_sdk.wire.roster_page import ROLE_DEVICE
from device_sdk.wire.topics import Topic
from gateway.errors import GatewayError
from gateway.situation import Situation
from gateway.store.records import MessageKey, StoredKey

KeyLookup = Callable[[str, bytes], StoredKey | None]
"""(device, kid) to that device's verified statement for the key."""
TokenCheck = Callable[[AnonymousBody, bytes], bool]
"""(body, digest) to whether an anonymous message's token is one for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unpacked:
    """An envelope that agrees with its topic. Who made it is not known yet."""

    key: MessageKey
    envelope: AnyEnvelope
    digest: bytes
    """32 bytes, PROTOCOL 5.5, 19.4."""
    size: int
    """Of the envelope in bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """An envelope that may be held."""

    key: MessageKey
    header: AnyHeader
    digest: bytes
    """The countersignature over it verified, or the token for it."""
    size: int
    copies: tuple[AnyCopy, ...]
    """One a reader, by reader id."""
    excused: dict[str, int]
    """Readers that the owner has revoked, with the roster version that did it."""
    proof: bytes
    """Of the reading that the header names; nobody has looked at it. Empty if there is none."""
    anonymous: AnonymousBody | None = None
    """With a token that is for this message, and may have been spent for another one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """Why an envelope is not held."""

    key: MessageKey
    """By its topic, which the broker ties to the client that published it."""
    reason: Reason
    digest: bytes = b""
    """Of what came, so that nobody else's bytes end the sender's message; empty if undecodable."""


class _RefusedError(GatewayError):
    """Leaves the checks at the first one that fails."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def unpack(topic: Topic, payload: bytes, situation: Situation) -> Unpacked | Refused:
    """Decode an envelope and compare it with its topic."""
    key = MessageKey(topic.owner, topic.message_id)
    try:
        envelope = _decode(topic, payload)
    except TooLargeError:
        return Refused(key=key, reason=Reason.TOO_LARGE)
    except WireError:
        return Refused(key=key, reason=Reason.MALFORMED)
    digest = _digest(envelope, situation.pin.aad)
    header = envelope.body.header
    if MessageKey(header.sender, header.message_id) != key:
        return Refused(key=key, reason=Reason.TOPIC_MISMATCH, digest=digest)
    return Unpacked(key=key, envelope=envelope, digest=digest, size=len(payload))


def _decode(topic: Topic, payload: bytes) -> AnyEnvelope:
    # Nobody is called so: what comes from no device must be of the kind that names none.
    decoder = AnonymousEnvelope if topic.owner == ANONYMOUS else Envelope
    return decoder.decode(payload)


def _digest(envelope: AnyEnvelope, aad: bytes) -> bytes:
    if isinstance(envelope, AnonymousEnvelope):
        return envelope.body.digest(aad)
    return wire.digest(envelope.body.signed_bytes(aad))


def _no_token(_body: AnonymousBody, _digest: bytes) -> bool:
    return False


def check(
    unpacked: Unpacked,
    situation: Situation,
    find_key: KeyLookup,
    is_genuine: TokenCheck = _no_token,
) -> Accepted | Refused:
    """Check all that follows decoding, in the order of PROTOCOL 13.1: the first failure counts."""
    try:
        return _check(unpacked, situation, find_key, is_genuine)
    except _RefusedError as refusal:
        return Refused(key=unpacked.key, reason=refusal.reason, digest=unpacked.digest)


def _check(
    unpacked: Unpacked, situation: Situation, find_key: KeyLookup, is_genuine: TokenCheck
) -> Accepted:
    envelope, header = unpacked.envelope, unpacked.envelope.body.header
    _check_size(envelope, situation)
    if situation.paused:
        raise _RefusedError(Reason.PAUSED)
    roster = situation.roster
    if roster is None or situation.now >= roster.expires:
        raise _RefusedError(Reason.ROSTER_EXPIRED)
    _check_sender(header, roster, situation.now)
    _check_anonymity(header, roster)
    if isinstance(envelope, AnonymousEnvelope) and not is_genuine(envelope.body, unpacked.digest):
        # Before anything that takes longer: whoever has no token may send what it likes.
        raise _RefusedError(Reason.TOKEN_INVALID)
    copies = _cut(envelope)
    excused = _check_readers(envelope, roster, situation.now, find_key)
    _check_expiry(header, situation)
    if isinstance(envelope, Envelope):
        _check_signature(envelope, roster, situation)
    return Accepted(
        key=unpacked.key,
        header=header,
        digest=unpacked.digest,
        size=unpacked.size,
        copies=copies,
        excused=excused,
        proof=envelope.proof,
        anonymous=envelope.body if isinstance(envelope, AnonymousEnvelope) else None,
    )


def _check_size(envelope: AnyEnvelope, situation: Situation) -> None:
    longest = padded_length(situation.limits.max_payload) + TAG_SIZE
    too_many = len(envelope.readers) > situation.limits.max_readers
    if too_many or len(envelope.body.ciphertext) > longest:
        raise _RefusedError(Reason.TOO_LARGE)


def _check_sender(header: AnyHeader, roster: Roster, now: int) -> None:
    if isinstance(header, AnonymousHeader):
        return  # it is known by its token that there is one
    entry = roster.devices.get(header.sender)
    if entry is None:
        raise _RefusedError(Reason.SENDER_UNKNOWN)
    if not roster.is_active(header.sender, now):
        raise _RefusedError(Reason.SENDER_INACTIVE)
    if header.channel == DIRECT:
        return  # any active device may write to any other
    channel = roster.channels.get(header.channel)
    if channel is None:
        raise _RefusedError(Reason.CHANNEL_UNKNOWN)
    if header.sender not in channel.senders:
        raise _RefusedError(Reason.NOT_PERMITTED)


def _check_anonymity(header: AnyHeader, roster: Roster) -> None:
    channel = roster.channels.get(header.channel)
    if isinstance(header, AnonymousHeader):
        if channel is None:
            raise _RefusedError(Reason.CHANNEL_UNKNOWN)
        if channel.anonymous is None:
            raise _RefusedError(Reason.NOT_PERMITTED)
        # The key is erased when no message that lives as long as the channel's can come any more.
        if header.expires - header.issued > channel.lifetime + 2 * ANONYMOUS_STEP:
            raise _RefusedError(Reason.LIFETIME)
    elif channel is not None and channel.anonymous is not None:
        raise _RefusedError(Reason.TOKEN_REQUIRED)


def _cut(envelope: AnyEnvelope) -> tuple[AnyCopy, ...]:
    try:
        return tuple(envelope.copies())
    except InclusionError:
        raise _RefusedError(Reason.READERS_CHANGED) from None


def _check_readers(
    envelope: AnyEnvelope, roster: Roster, now: int, find_key: KeyLookup
) -> dict[str, int]:
    """Return the revoked readers: they are excused, which is no fault of the sender's."""
    header = envelope.body.header
    channel = roster.channels.get(header.channel)
    excused: dict[str, int] = {}
    for reader in envelope.readers:
        entry = roster.devices.get(reader.reader)
        if entry is not None and entry.revoked_at and ROLE_DEVICE in entry.roles:
            excused[reader.reader] = entry.revoked_at
            continue
        if not roster.is_active(reader.reader, now):
            raise _RefusedError(Reason.READER_UNKNOWN)
        if channel is not None and reader.reader not in channel.readers:
            raise _RefusedError(Reason.READER_UNKNOWN)
        stated = find_key(reader.reader, reader.kid)
        if stated is None or stated.not_before > now + CLOCK_SKEW:
            raise _RefusedError(Reason.READER_KEY_UNKNOWN)
        if header.expires > stated.not_after:
            raise _RefusedError(Reason.READER_KEY_EXPIRES)
    return excused


def _check_expiry(header: AnyHeader, situation: Situation) -> None:
    if header.expires <= situation.now:
        raise _RefusedError(Reason.EXPIRED)
    if header.expires > situation.now + situation.limits.max_lifetime + CLOCK_SKEW:
        raise _RefusedError(Reason.LIFETIME)


def _check_signature(envelope: Envelope, roster: Roster, situation: Situation) -> None:
    header = envelope.body.header
    try:
        key = roster.identity(header.sender, header.sender_kid)
    except TrustError:
        # The owner may have admitted another identity of the device in a roster still to come.
        raise _RefusedError(Reason.SENDER_UNKNOWN) from None
    try:
        envelope.body.verify(key, situation.pin.aad)
    except SignatureError:
        raise _RefusedError(Reason.BAD_SIGNATURE) from None
