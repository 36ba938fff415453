"""Is anything retained at the broker that the ledger does not say should stand there?"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

from device_sdk.wire.errors import TopicError
from device_sdk.wire.topics import Kind, Topic, Topics
from gateway import copies
from gateway.audit import Finding
from gateway.link.port import Arrival, Connection
from gateway.replay import PLENTY
from gateway.situation import Situation
from gateway.standing import copy_topic, standing
from gateway.store.port import Reading
from gateway.store.records import CopyRef

QUIET = 1.5
"""Seconds without another retained message after which a replay has ended. The audit may not be
allowed to publish, so it cannot wait for a marker of its own."""
_BATCH = 500
_MOST_SHOWN = 120
_DIGITS = 32
_RECONCILES = "let the gateway reconcile: it clears this at every connection and in each sweep"
_JUDGES = "the gateway takes it in or clears it once it can judge it, at the latest at its expiry"
_PUBLISHES = "the gateway publishes it again when it serves"


@dataclass(frozen=True, kw_only=True, slots=True)
class Retained:
    """What stands under a topic, without its content."""

    size: int
    digest: bytes


async def retained(
    connection: Connection, topics: Topics, quiet: float = QUIET
) -> dict[str, Retained]:
    """Return what the broker replays of all that is retained below the prefix.

    Raises LinkLostError, BrokerRefusedError.
    """
    found: dict[str, Retained] = {}
    loop = asyncio.get_running_loop()
    await connection.subscribe([f"{topics.prefix}/#"])
    until = loop.time() + quiet
    while loop.time() < until:
        try:
            async with asyncio.timeout_at(until):
                arrivals = await connection.batch()
        except TimeoutError:
            break
        connection.ack(arrivals)
        if replayed := [arrival for arrival in arrivals if arrival.retained]:
            found |= {arrival.topic: _retained(arrival) for arrival in replayed}
            until = loop.time() + quiet
    await connection.unsubscribe([f"{topics.prefix}/#"])
    return found


def _retained(arrival: Arrival) -> Retained:
    return Retained(size=len(arrival.payload), digest=sha256(arrival.payload).digest())


def judge(
    tx: Reading, topics: Topics, situation: Situation, found: Mapping[str, Retained]
) -> Iterator[Finding]:
    """Yield what should not stand there, or not so, and what is missing."""
    for topic, thing in found.items():
        if (word := _judge_one(tx, topics, situation, topic, thing)) is not None:
            what, todo, leftover = word
            yield Finding(
                what=what,
                where=shown(topic),
                size=thing.size,
                todo=todo,
                leftover=leftover,
                mark=hash((topic, thing.digest)),
            )
    for ref in _owed(lambda after: tx.owed_copies(after, _BATCH)):
        if copy_topic(topics, ref) not in found:
            yield Finding(
                what="an owed copy does not stand at the broker",
                where=topics.inbox_of(ref.reader),
                todo=_PUBLISHES,
                leftover=False,
                mark=hash(ref),
            )


def notes(found: Mapping[str, Retained]) -> tuple[str, ...]:
    """Return what limits such a look."""
    note = (
        f"{len(found):,} retained messages were seen: a broker that limits its queues may have "
        "replayed fewer than it has"
    )
    return (note,) if len(found) >= PLENTY else ()


def _judge_one(
    tx: Reading, topics: Topics, situation: Situation, topic: str, thing: Retained
) -> tuple[str, str, bool] | None:
    """Return (what, what to do, whether it should be gone) unless all is well."""
    try:
        parsed = topics.parse(topic)
    except TopicError:
        return "a retained message under no topic of the protocol", _RECONCILES, True
    if parsed.kind in (Kind.STATE, Kind.LOG, Kind.TOKENS) or (
        parsed.kind is Kind.ROSTER and situation.roster is None
    ):
        return None
    if parsed.kind is Kind.CERT and situation.certificates is None:
        return None
    expected = standing(tx, topics, topic, situation).payload
    if expected and sha256(expected).digest() == thing.digest:
        return None
    if parsed.kind is Kind.INBOX:
        return _judge_copy(tx, parsed, owed=bool(expected))
    if parsed.kind is Kind.CERT:
        return _judge_certificate(situation, parsed)
    if expected:
        return f"another {parsed.kind} than the ledger's", _RECONCILES, False
    if parsed.kind is Kind.KEYS:
        return "reader keys of a device that has none", _RECONCILES, True
    if parsed.kind is Kind.ROSTER:
        return "a page of another roster", _RECONCILES, True
    return f"a retained message under {parsed.kind}", _RECONCILES, True


def _judge_certificate(situation: Situation, topic: Topic) -> tuple[str, str, bool]:
    roster = situation.roster
    if roster is None or not roster.is_member(topic.owner, situation.now):
        return "the certificate of somebody who is no member", _RECONCILES, True
    return "another certificate than the bundle's", _RECONCILES, False


def _judge_copy(tx: Reading, topic: Topic, *, owed: bool) -> tuple[str, str, bool]:
    ref = copies.ref_of(topic)
    if owed:
        return "a retained copy with other bytes than the ledger's", _RECONCILES, True
    if tx.slot(ref.key, ref.reader) is None:
        return "a retained copy that the ledger does not know", _JUDGES, True
    return "a retained copy that is no longer owed", _RECONCILES, True


def _owed(page: Callable[[CopyRef | None], list[CopyRef]]) -> Iterable[CopyRef]:
    after = None
    while refs := page(after):
        yield from refs
        after = refs[-1]


def shown(topic: str) -> str:
    """Return a topic with shortened ids, fit for a terminal whatever it is made of."""
    levels = [
        level[:8] if len(level) >= _DIGITS and not set(level) - set("0123456789abcdef") else level
        for level in topic.split("/")
    ]
    return ascii("/".join(levels))[1:-1][:_MOST_SHOWN]
