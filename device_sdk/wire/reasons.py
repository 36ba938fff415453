"""Why a gateway refuses a message: the closed list of reason codes (PROTOCOL 10.3)."""

from enum import StrEnum


class Reason(StrEnum):
    """A refusal's reason. A *final* one ends the message, a *retry* one asks to send it again."""

    MALFORMED = "malformed"
    """The bytes are not an envelope of version 1."""
    TOO_LARGE = "too-large"
    TOPIC_MISMATCH = "topic-mismatch"
    """Topic and header name different senders or messages."""
    SENDER_INACTIVE = "sender-inactive"
    """The roster lists the sender as revoked, expired, or without the role "device"."""
    READER_UNKNOWN = "reader-unknown"
    """A reader that the roster does not list as an active device, or not on the channel."""
    READER_KEY_EXPIRES = "reader-key-expires"
    """The message would outlive a reader key it is sealed to."""
    CHANNEL_UNKNOWN = "channel-unknown"
    NOT_PERMITTED = "not-permitted"
    """The sender may not write to the channel."""
    EXPIRED = "expired"
    LIFETIME = "lifetime"
    """exp is later than the longest lifetime allows."""
    ID_REUSED = "id-reused"
    """The sender used this message id before, for other content."""
    READING_REQUIRED = "reading-required"
    """The channel takes sealed readings only."""
    POLICY_CHANGED = "policy-changed"
    """The reading is not by the channel's present policy."""

    TOKEN_REQUIRED = "token-required"  # noqa: S105 - a reason's name
    """The channel takes anonymous messages only, and this one names its sender."""
    TOKEN_SPENT = "token-spent"  # noqa: S105
    """The sender, who alone can, has put one token into two messages."""

    BAD_SIGNATURE = "bad-signature"
    """It, or the reader list below, may have been damaged on its way: the digest covers neither."""
    READERS_CHANGED = "readers-changed"
    """Not the reader list that the sender signed."""
    PROOF_INVALID = "proof-invalid"
    """The proof that the reading is in its range is missing, or does not verify; no digest covers
    it, either."""
    POLICY_UNKNOWN = "policy-unknown"
    """The reading is by a policy that is newer than the gateway's roster."""
    TOKEN_INVALID = "token-invalid"  # noqa: S105
    """Not a token for this message under a key of its channel and time; damaged, maybe."""
    SENDER_UNKNOWN = "sender-unknown"
    """The gateway's roster does not list the sender, yet."""
    READER_KEY_UNKNOWN = "reader-key-unknown"
    """The gateway has no statement for a reader key, yet."""
    ROSTER_EXPIRED = "roster-expired"
    """The gateway holds no valid roster: the owner must renew it."""
    QUOTA = "quota"
    PAUSED = "paused"
    """The gateway's clock needs its operator (PROTOCOL 13.7)."""

    @property
    def final(self) -> bool:
        """Whether sending the same bytes again can never succeed."""
        return self not in _RETRY


_RETRY = frozenset(
    {
        Reason.BAD_SIGNATURE,
        Reason.READERS_CHANGED,
        Reason.PROOF_INVALID,
        Reason.POLICY_UNKNOWN,
        Reason.TOKEN_INVALID,
        Reason.SENDER_UNKNOWN,
        Reason.READER_KEY_UNKNOWN,
        Reason.ROSTER_EXPIRED,
        Reason.QUOTA,
        Reason.PAUSED,
    }
)
