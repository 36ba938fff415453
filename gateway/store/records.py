"""What stands in the ledger, as frozen records. Times are Unix seconds, sizes bytes."""

from dataclasses import dataclass, field

from device_sdk.wire.anonymous import SpentToken
from device_sdk.wire.epoch_key import EpochKey
from device_sdk.wire.reading_policy import ReadingPolicy
from gateway.lifecycle import CopyState, MessageState, SlotState


@dataclass(frozen=True, slots=True, order=True)
class MessageKey:
    """A message's name everywhere: message ids are unique only per sender (PROTOCOL 9)."""

    sender: str
    message_id: bytes
    """16 bytes."""


@dataclass(frozen=True, slots=True, order=True)
class CopyRef:
    """Names one reader's copy of one message, and so one inbox topic."""

    key: MessageKey
    reader: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """A message without its content."""

    key: MessageKey
    digest: bytes
    """32 bytes, PROTOCOL 5.5."""
    channel: str
    reader_count: int
    """Readers that the sender signed for, known or not."""
    size: int
    """Of the envelope as received, or of the first adopted copy."""
    held_at: int
    expires: int
    state: MessageState
    ended_by: str = ""
    """Detail word of its *expired* event: empty or "sender-revoked"."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Body:
    """A message's content, sealed. It is dropped when no reader is owed a copy any more."""

    protected: bytes
    """The encoded header."""
    sign_protected: bytes
    signature: bytes
    ciphertext: bytes = field(repr=False)
    token: SpentToken | None = None
    """Of an anonymous message, which has no signature: both fields for one are empty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wrap:
    """What only one reader's copy has. It is dropped when the slot is settled."""

    kid: bytes
    """16 bytes: the reader key it is wrapped to."""
    open_hash: bytes
    """32 bytes, with which the read ack's open-token must agree."""
    wrapped_cek: bytes = field(repr=False)
    path: tuple[bytes, ...] = field(repr=False)
    """The inclusion path, kept from the commit on: dropped leaves could not be recomputed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """One reader of one message."""

    reader: str
    index: int
    """Position in the sender's reader list."""
    state: SlotState
    copy: CopyState
    offers: int = 0
    """How often the copy was offered to the broker: the back-off grows with it."""
    act_at: int = 0
    """When the copy or its clearing is to be published (again)."""
    ack: bytes = field(default=b"", repr=False)
    """The signed read ack, if one settled the slot."""
    excuse: bytes = field(default=b"", repr=False)
    """The owner's signed excuse, if one settled the slot."""
    revoked_at: int = 0
    """The roster version that revoked the reader, if a revocation settled the slot."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredCopy:
    """All that makes up one reader's copy."""

    ref: CopyRef
    index: int
    state: CopyState
    offers: int
    """See `Slot.offers`."""
    body: Body
    wrap: Wrap
    expires: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredKey:
    """A verified reader-key statement."""

    device: str
    kid: bytes
    serial: int
    not_before: int
    not_after: int
    statement: bytes
    """As its device signed it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredRoster:
    """The roster that the gateway acts on, verified before it was stored."""

    version: int
    head: bytes
    pages: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tombstone:
    """What is left of a forgotten message until its expiry: keyed hashes, against replay."""

    mark: bytes
    """Of (sender, message-id), 32 bytes."""
    digest_mark: bytes
    """Of the digest, 32 bytes."""
    expires: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What one sender's messages take up."""

    messages: int
    """Until they are forgotten: what is settled keeps its evidence till then."""
    size: int
    """Bytes of those whose content is still here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """One line of ``sealgate messages list``: metadata, and no more of it than needed."""

    sender: str
    id_prefix: str
    """The first 8 hex digits of the message id."""
    channel: str
    state: MessageState
    reader_count: int
    owing: tuple[str, ...]
    """Readers that still owe a read ack."""
    size: int
    held_at: int
    expires: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Registered:
    """A reading that was proved to be in range, as totals need it. Nobody here knows its value."""

    key: MessageKey
    channel: str
    sequence: int
    issued: int
    """The `iat` that its sender signed: it decides about the epoch."""
    policy: ReadingPolicy
    commitment: bytes
    """32 bytes."""
    held_at: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredTokenKey:
    """A key under which tokens are issued, until no message with one of them can come any more."""

    key: EpochKey
    seed: bytes = field(repr=False)
    """32 random bytes, from which the private half is derived."""
    erase_at: int
    """Unix seconds."""
