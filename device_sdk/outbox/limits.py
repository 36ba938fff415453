"""How much an outbox may keep, each limit with its reason."""

from dataclasses import dataclass

KIB = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class OutboxLimits:
    """What `Device.send` may store before it raises `OutboxFullError`.

    There is no limit of age: a message that nobody confirms ends at its own expiry, 30 days at
    most, and its sealed bytes go then. A device that does not know what time it is lets nothing
    expire; then these limits bound what waits.
    """

    messages: int = 10_000
    """Messages that the gateway has not confirmed yet: nearly three hours of one a second, and some
    megabytes of memory."""
    bytes: int = 64 * KIB * KIB
    """Their sealed bytes: 256 of the largest payloads; on a small memory card it hurts nobody."""
    records: int = 50_000
    """Readers in the records of all messages, also of those that are over, about 600 bytes each on
    disk. Records of messages that are over make room for new ones, the oldest first; only those of
    messages that are not over can make an outbox full."""
