"""Unsealing: a reader's copy in, the payload out, in the one safe order (PROTOCOL 6.2). Pure.

`check_copy` is everything up to the private key: a failure there is not the sender's doing, nothing
is signed about it and the copy is asked for again. `open_copy` is everything after: a failure there
is the sender's, has one uniform error, and is answered *unreadable*.
"""

import hmac
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from device_sdk.keys.reader_key import UnwrapError
from device_sdk.keys.vault import PrivateReaderKey
from device_sdk.trust import Roster, UnknownDeviceError
from device_sdk.wire import cose
from device_sdk.wire.anonymous import AnonymousCopy, AnyCopy, AnyHeader
from device_sdk.wire.content_key import cek_commitment, open_hash, open_token
from device_sdk.wire.envelope import Copy
from device_sdk.wire.errors import MalformedError, SealgateError, WireError
from device_sdk.wire.header import Header
from device_sdk.wire.limits import CEK_SIZE
from device_sdk.wire.names import ANONYMOUS, DIRECT
from device_sdk.wire.padding import unpad
from device_sdk.wire.topics import Topic


class CopyDamagedError(SealgateError):
    """A copy that is not, or no longer, what its sender made: ask the gateway for it again."""


class CopyDroppedError(SealgateError):
    """A copy that is not to be read any more: it has expired, or its sender was revoked."""


class CopyExpiredError(CopyDroppedError):
    """A copy whose time, ``expires`` in Unix seconds, is over by the clock that was asked."""

    def __init__(self, expires: int) -> None:
        super().__init__("the message has expired")
        self.expires = expires


class UnreadableError(SealgateError):
    """A genuine copy that does not open: its sender made it so. Says no more on purpose."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedCopy:
    """A copy that its sender made, for this reader, in time."""

    copy: AnyCopy
    digest: bytes
    aad: bytes

    @property
    def header(self) -> AnyHeader:
        """What the sender signed, or sealed without saying who it is."""
        return self.copy.body.header

    @property
    def reader_kid(self) -> bytes:
        """Which of our reader keys opens it."""
        return self.copy.reader.kid


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """The payload, and the token that goes into the read ack."""

    payload: bytes
    open_token: bytes


def check_copy(
    data: bytes, *, topic: Topic, reader: str, roster: Roster, aad: bytes, now: int
) -> CheckedCopy:
    """Check a copy that arrived on ``topic`` for ``reader`` at ``now`` (Unix seconds).

    Raises:
        CopyDamagedError: it is not what a listed sender made for this reader and topic.
        CopyDroppedError: it has expired, or the owner revoked its sender.
    """
    if topic.sender == ANONYMOUS:
        return _check_anonymous_copy(data, topic, reader, roster, aad, now)
    try:
        copy = Copy.decode(data)
        header = copy.body.header
        identity = roster.identity(header.sender, copy.body.countersignature.kid)
        digest = copy.body.verify(identity, aad)
        if copy.reader.reader != reader:
            raise MalformedError("copy.reader-id", expected="this device", got="another")
        copy.check_inclusion()
        _check_topic(header, topic, reader)
        _check_channel(header, roster)
    except (WireError, UnknownDeviceError) as error:
        raise CopyDamagedError(f"a copy was not accepted: {error}") from error
    if roster.is_revoked(header.sender):
        # The gateway ends such messages as expired; one that does not must not get them read.
        raise CopyDroppedError(f"the owner revoked {header.sender}, the sender")
    if header.expires <= now:
        raise CopyExpiredError(header.expires)
    return CheckedCopy(copy=copy, digest=digest, aad=aad)


def _check_anonymous_copy(
    data: bytes, topic: Topic, reader: str, roster: Roster, aad: bytes, now: int
) -> CheckedCopy:
    """Check what can be checked where nobody has signed: the token is the gateway's to judge."""
    try:
        copy = AnonymousCopy.decode(data)
        header = copy.body.header
        if copy.reader.reader != reader:
            raise MalformedError("copy.reader-id", expected="this device", got="another")
        copy.check_inclusion()
        _check_topic(header, topic, reader)
        channel = roster.channels.get(header.channel)
        # Not that it is anonymous still: what was held before the rule went stays readable.
        if channel is None or reader not in channel.readers:
            raise MalformedError("copy.channel", expected="a channel of this reader", got="another")
    except WireError as error:
        raise CopyDamagedError(f"a copy was not accepted: {error}") from error
    if header.expires <= now:
        raise CopyExpiredError(header.expires)
    return CheckedCopy(copy=copy, digest=copy.body.digest(aad), aad=aad)


def open_copy(checked: CheckedCopy, key: PrivateReaderKey) -> Opened:
    """Open a checked copy with the reader key that it names.

    Raises:
        UnreadableError: it does not open, for whatever reason.
        BrokenReaderKeyError: nor would anything else: our own key is damaged.
    """
    try:
        return _open(checked, key)
    except (UnwrapError, InvalidTag, MalformedError, _MismatchError):
        key.check()
        raise UnreadableError("the copy does not open with this reader's key") from None


class _MismatchError(Exception):
    """A value derived from the content key is not the one that the sender published."""


def _open(checked: CheckedCopy, key: PrivateReaderKey) -> Opened:
    header, reader = checked.header, checked.copy.reader
    cek = key.unwrap(reader.wrapped_cek)
    # A 16-byte key and the same key with 16 zero bytes commit alike: HMAC pads keys with zeros.
    if len(cek) != CEK_SIZE:
        raise _MismatchError
    # AES-GCM does not commit to its key, so the commitment is compared before decrypting: otherwise
    # two readers could be sent different texts in one ciphertext.
    if not hmac.compare_digest(cek_commitment(cek, header.message_id), header.cek_commitment):
        raise _MismatchError
    token = open_token(cek, header.message_id, reader.kid, reader.reader)
    if not hmac.compare_digest(open_hash(token), reader.open_hash):
        raise _MismatchError
    additional = cose.encrypt_structure(checked.copy.body.protected, checked.aad)
    plaintext = AESGCM(cek).decrypt(header.iv, checked.copy.body.ciphertext, additional)
    return Opened(payload=unpad(plaintext), open_token=token)


def _check_topic(header: AnyHeader, topic: Topic, reader: str) -> None:
    expected = (reader, header.sender, header.message_id)
    if (topic.owner, topic.sender, topic.message_id) != expected:
        raise MalformedError(
            "copy", expected="the reader, sender and message of its topic", got="another message"
        )


def _check_channel(header: Header, roster: Roster) -> None:
    if header.channel == DIRECT:
        return
    channel = roster.channels.get(header.channel)
    if channel is None or header.sender not in channel.senders:
        raise MalformedError(
            "copy.channel", expected="a channel its sender may write to", got="another"
        )
