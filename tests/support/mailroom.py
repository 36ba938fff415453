"""A gateway without its edges: the real verbs on a real SQLite ledger, driven step by step."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from device_sdk.wire.notice import Event
from gateway import admit, clear, copies
from gateway.acknowledge import Acknowledged, acknowledge
from gateway.admit import KeyTaken, announce
from gateway.adopt import Judged, judge_retained
from gateway.answer import Answer, Distrust, answer, note_seen, open_query, open_seen
from gateway.effects import Effects, merged
from gateway.expire import sweep
from gateway.hold import Held, take_in
from gateway.reading_rule import Examined
from gateway.situation import Limits, Situation
from gateway.store.port import Ledger, Reading, Transaction
from gateway.store.records import CopyRef, Message, MessageKey, Slot, Summary
from gateway.store.sqlite import SqliteLedger, read_summaries
from tests.support.envelopes import NOW, TOPICS, YEAR, Fleet, SealedMessage

T = TypeVar("T")


class Mailroom:
    """Opened by `open_mailroom`; ``situation`` may be replaced at any time."""

    def __init__(self, fleet: Fleet, path: Path, ledger: SqliteLedger) -> None:
        self.fleet = fleet
        self.path = path
        self.ledger = ledger
        self.situation = Situation(pin=fleet.pin, roster=None, now=NOW)

    def change(self, *, now: int = 0, limits: Limits | None = None, **changes: bool | None) -> None:
        """Change the situation: the time, the limits, or any of its switches."""
        self.situation = replace(
            self.situation,
            now=now or self.situation.now,
            limits=limits or self.situation.limits,
            **changes,  # type: ignore[arg-type]
        )

    async def run(self, work: Callable[[Transaction], T]) -> T:
        """One transaction."""
        return await self.ledger.run(work)

    async def read(self, work: Callable[[Reading], T]) -> T:
        """One look."""
        return await self.ledger.read(work)

    # ------------------------------------------------------------ the owner and devices

    async def new_roster(self, *, expires: int = NOW + YEAR, pages: int = 1) -> Effects:
        """Take the fleet's next roster, and sweep."""
        head, parts = self.fleet.signed_roster(expires=expires, pages=pages)
        roster = await self.run(lambda tx: admit.take_roster(tx, head, parts, self.fleet.pin))
        assert roster is not None
        self.situation = replace(self.situation, roster=roster)
        return await self.sweep()

    async def announce_all(self) -> None:
        """Let every device of the fleet announce its reader key."""
        for name in self.fleet.members:
            await self.announce(name)

    async def announce(self, device: str, statement: bytes = b"") -> KeyTaken:
        """Take a reader-key statement from a device's topic."""
        topic = TOPICS.parse(TOPICS.announce(device))
        data = statement or self.fleet.members[device].statement
        return await self.run(lambda tx: announce(tx, topic, data, self.situation))

    # ------------------------------------------------------------ a message's way

    async def send(
        self,
        message: SealedMessage,
        data: bytes = b"",
        topic: str = "",
        *,
        examined: Examined | None = None,
    ) -> Held:
        """Take in an envelope; ``examined`` is what came of looking at its proof."""
        parsed = TOPICS.parse(topic or message.topic)
        data = data or message.data
        return await self.run(lambda tx: take_in(tx, parsed, data, self.situation, examined))

    async def publish(self) -> list[tuple[CopyRef, bytes]]:
        """Publish all copies that are due, as the broker confirms them."""
        done = []
        while refs := await self.run(lambda tx: copies.due(tx, self.situation.now + 60, 100)):
            for ref in refs:
                cut = await self.read(lambda tx, ref=ref: copies.cut(tx, ref))  # type: ignore[misc]
                assert cut is not None
                done.append((ref, cut[0]))
            await self.run(lambda tx, refs=refs: copies.standing(tx, refs, self.situation.now))  # type: ignore[misc]
        return done

    async def ack(
        self, message: SealedMessage, reader: str, data: bytes = b"", topic: str = ""
    ) -> Acknowledged:
        """Take a read ack."""
        parsed = TOPICS.parse(topic or TOPICS.read(reader, message.sender, message.message_id))
        data = data or self.fleet.read_ack(message, reader)
        return await self.run(lambda tx: acknowledge(tx, parsed, data, self.situation))

    async def clear_all(self) -> list[CopyRef]:
        """Clear all that is due, as the broker confirms it."""
        done: list[CopyRef] = []
        while refs := await self.run(lambda tx: clear.due(tx, self.situation.now + 60, 100)):
            await self.run(lambda tx, refs=refs: clear.cleared(tx, refs))  # type: ignore[misc]
            done += refs
        return done

    async def found(self, message: SealedMessage, reader: str, data: bytes = b"") -> Judged:
        """Judge a retained copy found at the broker."""
        topic = TOPICS.parse(TOPICS.inbox(reader, message.sender, message.message_id))
        data = data or message.copy(reader).encode()
        return await self.run(lambda tx: judge_retained(tx, topic, data, self.situation))

    async def sweep(self) -> Effects:
        """Sweep until nothing is left to do."""
        done = []
        more = True
        while more:
            swept = await self.run(lambda tx: sweep(tx, self.situation))
            done.append(swept.effects)
            more = swept.more
        return merged(done)

    # ------------------------------------------------------------ questions

    async def query(
        self,
        device: str,
        *,
        sent: Sequence[SealedMessage] = (),
        wanted: Sequence[SealedMessage] = (),
    ) -> Answer:
        """Let a device ask."""
        topic = TOPICS.parse(TOPICS.query(device))
        query = open_query(
            topic, self.fleet.query(device, sent=sent, wanted=wanted), self.situation
        )
        assert not isinstance(query, Distrust)
        return await self.read(lambda tx: answer(tx, query, self.situation))

    async def told(self, message: SealedMessage) -> list[tuple[str, str]]:
        """Return (event, detail word) of the answer to a message's sender."""
        events = (await self.query(message.sender, sent=[message])).events
        return [(str(event.kind), event.word) for event in events]

    async def seen(self, *messages: SealedMessage) -> Effects:
        """Let a sender take note of outcomes."""
        device = messages[0].sender
        topic = TOPICS.parse(TOPICS.seen(device))
        seen = open_seen(topic, self.fleet.seen(device, *messages), self.situation)
        assert not isinstance(seen, Distrust)
        return await self.run(lambda tx: note_seen(tx, seen))

    async def forget(self, message: SealedMessage) -> None:
        """Take a message all its way: held, read by everyone, cleared, its outcome seen."""
        await self.send(message)
        await self.publish()
        for reader in message.envelope.readers:
            await self.ack(message, reader.reader)
        await self.clear_all()
        await self.seen(message)

    async def row(self, message: SealedMessage) -> Message | None:
        """Return the message's row."""
        return await self.read(lambda tx: tx.message(key_of(message)))

    async def slots(self, message: SealedMessage) -> dict[str, Slot]:
        """Return the message's slots by reader."""
        slots = await self.read(lambda tx: tx.slots(key_of(message)))
        return {slot.reader: slot for slot in slots}

    async def erase(self) -> None:
        """Erase until it is done."""
        await erased(self.ledger)

    def listed(self) -> list[Summary]:
        """Return what another process sees."""
        return list(read_summaries(self.path))

    def files(self) -> Iterator[bytes]:
        """Return the raw bytes of every file in the ledger's directory."""
        return (path.read_bytes() for path in self.path.parent.iterdir())

    def holds_bytes(self, *secrets: bytes) -> bool:
        """Tell whether any of these bytes is in any file."""
        contents = list(self.files())
        return any(secret in content for secret in secrets for content in contents)


async def erased(ledger: Ledger) -> None:
    """Wait until a ledger has erased what was dropped."""
    while not await ledger.erase():  # noqa: ASYNC110 - the port asks to be called again
        await asyncio.sleep(0.05)


def key_of(message: SealedMessage) -> MessageKey:
    """Return the message's name."""
    return MessageKey(message.sender, message.message_id)


def kinds(events: Sequence[Event]) -> list[str]:
    """Return the events' kinds."""
    return [str(event.kind) for event in events]


def told_of(effects: Effects) -> list[str]:
    """Return the kinds of the events that effects tell, in order."""
    return kinds([tell.event for tell in effects.tell])


@asynccontextmanager
async def open_mailroom(fleet: Fleet, directory: Path) -> AsyncIterator[Mailroom]:
    """Open (or reopen) a ledger in a directory; take a first roster and all reader keys if new."""
    path = directory / "ledger.sqlite"
    ledger = SqliteLedger.open(path)
    room = Mailroom(fleet, path, ledger)
    try:
        roster = await room.read(lambda tx: admit.stored_roster(tx, fleet.pin))
        if roster is None:
            await room.new_roster()
            await room.announce_all()
        else:
            room.situation = replace(room.situation, roster=roster)
        yield room
    finally:
        await ledger.close()
