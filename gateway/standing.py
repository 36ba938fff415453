"""What should stand under a topic right now, decided against the ledger's current row.

Nothing else decides what is published with RETAIN, so that whoever asks, however late, and for
whatever reason, publishes the right thing (PROTOCOL 13.5, 13.6). The state is `gateway.presence`'s,
the head of the log `gateway.log_head`'s.
"""

from dataclasses import dataclass

from device_sdk.wire.errors import TopicError
from device_sdk.wire.topics import Kind, Topic, Topics
from gateway import admit, certificates, copies
from gateway.situation import Situation
from gateway.store.port import Reading
from gateway.store.records import CopyRef


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """What a topic should hold."""

    topic: str
    payload: bytes
    """Empty: nothing, so a zero-length publish clears it."""
    expires: int | None = None
    """Unix seconds, for copies."""
    ref: CopyRef | None = None
    """For copies and their clearings."""


def copy_topic(topics: Topics, ref: CopyRef) -> str:
    """Return the inbox topic of a copy."""
    return topics.inbox(ref.reader, ref.key.sender, ref.key.message_id)


def standing(tx: Reading, topics: Topics, topic: str, situation: Situation) -> Standing:
    """Return what should stand under a topic below our prefix, well-formed or not."""
    try:
        parsed = topics.parse(topic)
    except TopicError:
        return Standing(topic=topic, payload=b"")
    if parsed.kind is Kind.INBOX:
        ref = copies.ref_of(parsed)
        cut = copies.cut(tx, ref)
        if cut is None:
            return Standing(topic=topic, payload=b"", ref=ref)
        return Standing(topic=topic, payload=cut[0], expires=cut[1], ref=ref)
    if parsed.kind is Kind.KEYS:
        return Standing(topic=topic, payload=admit.key_list(tx, parsed.owner, situation.now))
    if parsed.kind is Kind.CERT:
        return Standing(topic=topic, payload=certificates.payload(situation, parsed.owner))
    if parsed.kind is Kind.ROSTER:
        return Standing(topic=topic, payload=_roster_part(parsed, situation))
    return Standing(topic=topic, payload=b"")


def _roster_part(topic: Topic, situation: Situation) -> bytes:
    if situation.roster is None:
        return b""
    if not topic.page_hash:
        return situation.roster.head.data
    hashes = situation.roster.head.head.page_hashes
    pages = dict(zip(hashes, situation.roster.pages, strict=True))
    return pages.get(topic.page_hash, b"")
