"""The ledger port: what the gateway's verbs need of a durable store, and nothing about SQL.

All work is a plain function that runs inside one transaction, in the ledger's own thread. When
`Ledger.run` returns, what the function wrote is on disk; when it raises, none of it is. A function
must not keep its transaction, wait for anything, or write where it was called through `read`.

Unless a method says otherwise, what it names must exist, and not exist before it is added: anything
else is a defect and raises LedgerDamagedError.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from gateway.lifecycle import CopyState, MessageState, SlotState
from gateway.store.records import (
    Body,
    CopyRef,
    Message,
    MessageKey,
    Registered,
    Slot,
    StoredCopy,
    StoredKey,
    StoredRoster,
    Summary,
    Tombstone,
    Usage,
    Wrap,
)
from gateway.store.token_port import TokenChanges, TokenReading

T = TypeVar("T")


class Reading(TokenReading, Protocol):
    """What can be looked up. Lists have a limit, so that a full ledger need not fit in memory."""

    def ledger_id(self) -> bytes:
        """Return the 16 random bytes that this ledger got when it was made."""

    def tombstone_key(self) -> bytes:
        """Return the 32 random bytes that key the tombstones' hashes."""

    def high_water(self) -> int:
        """Return the high-water mark of wall time; 0 in a new ledger (PROTOCOL 13.7)."""

    def is_empty(self) -> bool:
        """Tell whether there is neither a message nor a tombstone: nothing that time could end."""

    def roster(self) -> StoredRoster | None:
        """Return the roster last stored."""

    def swept_roster(self) -> int:
        """Return the version whose revocations have all been acted on; 0 before the first."""

    def key_statement(self, device: str, kid: bytes) -> StoredKey | None:
        """Return one reader-key statement."""

    def key_statements(self, device: str) -> list[StoredKey]:
        """Return a device's statements, lowest serial first."""

    def key_serial(self, device: str) -> int:
        """Return the highest serial ever stored for a device, also of dropped statements; or 0."""

    def devices_with_keys(self) -> list[str]:
        """Return every device that has a statement, sorted."""

    def message(self, key: MessageKey) -> Message | None:
        """Return a message's row."""

    def body(self, key: MessageKey) -> Body | None:
        """Return a message's content; None once no reader is owed a copy."""

    def slots(self, key: MessageKey) -> list[Slot]:
        """Return the slots of a message, by index."""

    def slot(self, key: MessageKey, reader: str) -> Slot | None:
        """Return one reader's slot."""

    def wrap(self, key: MessageKey, reader: str) -> Wrap | None:
        """Return what only this reader's copy has; None once its slot is settled."""

    def copy(self, ref: CopyRef) -> StoredCopy | None:
        """Return everything of one copy; None unless its slot is owed."""

    def count_slots(self, key: MessageKey) -> int:
        """Return how many readers of a message are known."""

    def is_owed(self, key: MessageKey) -> bool:
        """Tell whether any reader still owes a read ack for a message."""

    def is_uncleared(self, key: MessageKey) -> bool:
        """Tell whether any copy of a message is not cleared."""

    def owed_by(self, reader: str) -> int:
        """Return how many read acks a reader owes."""

    def usage(self, sender: str) -> Usage:
        """Return what a sender's messages take up, settled ones included."""

    def tombstone(self, mark: bytes) -> Tombstone | None:
        """Return what is left of a forgotten message."""

    def copies_due(self, until: int, limit: int) -> list[CopyRef]:
        """Return owed copies to publish whose ``act_at`` is at most ``until``, soonest first."""

    def clearings_due(self, until: int, limit: int) -> list[CopyRef]:
        """Return clearings whose ``act_at`` is at most ``until``, soonest first."""

    def expired(self, high_water: int, limit: int) -> list[MessageKey]:
        """Return partial and held messages with exp <= ``high_water``."""

    def owed_refs(self, reader: str, limit: int) -> list[CopyRef]:
        """Return slots that a reader owes."""

    def unfinished_from(self, sender: str, limit: int) -> list[MessageKey]:
        """Return a sender's partial and held messages."""

    def finished_from(self, sender: str, limit: int) -> list[MessageKey]:
        """Return a sender's finished messages."""

    def finished_until(self, expires: int, limit: int) -> list[MessageKey]:
        """Return finished messages with exp <= ``expires``."""

    def owed_by_readers(self) -> dict[str, int]:
        """Return how many read acks each reader owes, for those that owe any."""

    def standing_copies(self, reader: str, after: int, limit: int) -> list[tuple[int, CopyRef]]:
        """Return a reader's owed copies that stand as far as the broker has confirmed it.

        Each has a number to go on ``after``; begin with 0.
        """

    def owed_copies(self, after: CopyRef | None, limit: int) -> list[CopyRef]:
        """Return every copy that should stand at the broker, in order, from after ``after``."""

    def log_size(self) -> int:
        """Return how many entries the log has."""

    def log_node(self, level: int, position: int) -> bytes:
        """Return the hash of a complete subtree of the log, which must be there."""

    def log_index(self, leaf: bytes) -> int | None:
        """Return where an entry stands first in the log, by its leaf hash."""

    def summaries(self, after: MessageKey | None, limit: int) -> list[tuple[MessageKey, Summary]]:
        """Return the messages that have a row, in the order of their keys, from after ``after``."""

    def registered(
        self, channel: str, start: int, until: int, limit: int, *, sender: str = ""
    ) -> list[Registered]:
        """Return readings with start <= iat < until, of one sender or all, by sender and id."""

    def registered_of_each(
        self, channel: str, start: int, until: int, limit: int
    ) -> list[Registered]:
        """Return readings with start <= iat < until, up to ``limit`` of each sender, by sender and
        id."""

    def registered_on(self, sender: str, time: int) -> int:
        """Return how many readings of a sender were entered on the day of a time, UTC."""

    def registered_channels(self) -> list[str]:
        """Return the channels that have readings in the register, sorted."""


class Transaction(Reading, TokenChanges, Protocol):
    """What can be changed. Reads see what the same transaction wrote."""

    def set_high_water(self, high_water: int) -> None:
        """Store the high-water mark of wall time."""

    def take_counters(self, count: int) -> int:
        """Reserve ``count`` notice counters and return the first; they count up from 1."""

    def save_roster(self, roster: StoredRoster) -> None:
        """Replace the roster."""

    def set_swept_roster(self, version: int) -> None:
        """Remember that all revocations of a roster version have been acted on."""

    def add_key_statement(self, key: StoredKey) -> None:
        """Add a statement, in place of an older one for the same key, and remember its serial."""

    def drop_key_statements(self, until: int) -> list[str]:
        """Drop statements with not-after <= ``until``; return the devices that had one, sorted."""

    def add_log_node(self, level: int, position: int, hashed: bytes) -> None:
        """Add the hash of a complete subtree of the log; those of level 0 are its entries."""

    def add_message(self, message: Message) -> None:
        """Add a message's row, without content and slots; it counts towards its sender's usage."""

    def set_message(self, key: MessageKey, state: MessageState, *, ended_by: str = "") -> None:
        """Change a message's state, and the detail of its end if one is given."""

    def drop_message(self, key: MessageKey) -> None:
        """Remove a message with its content, slots and evidence."""

    def add_body(self, key: MessageKey, body: Body) -> None:
        """Store a message's content; its size counts towards its sender's usage."""

    def drop_body(self, key: MessageKey) -> None:
        """Erase a message's content; nothing happens if it is gone."""

    def add_slot(self, key: MessageKey, slot: Slot, wrap: Wrap | None) -> None:
        """Add a reader; with ``wrap`` unless the slot is settled from the start."""

    def settle(
        self,
        ref: CopyRef,
        state: SlotState,
        *,
        ack: bytes = b"",
        excuse: bytes = b"",
        revoked_at: int = 0,
    ) -> None:
        """Store a slot's outcome with its evidence, and erase what only its copy needed."""

    def set_copy(self, ref: CopyRef, state: CopyState, *, act_at: int, offers: int) -> None:
        """Change where a copy is, and when it is to be acted on next."""

    def make_all_due(self, now: int) -> None:
        """Let every copy not confirmed as standing, and every clearing, be acted on at ``now``."""

    def add_tombstone(self, tombstone: Tombstone) -> None:
        """Add a tombstone."""

    def drop_tombstones(self, until: int, limit: int) -> int:
        """Drop tombstones with exp <= ``until``; return how many."""

    def add_registered(self, reading: Registered) -> None:
        """Enter a reading; nothing happens if its name is there: a message id counts once."""

    def drop_registered(self, until: int, limit: int) -> int:
        """Drop readings that were held at ``until`` or before; return how many."""

    def drop_registered_channel(self, channel: str, limit: int) -> int:
        """Drop readings of a channel; return how many."""


class Ledger(Protocol):
    """A durable store. One process at a time has it open for writing."""

    async def run(self, work: Callable[[Transaction], T]) -> T:
        """Do ``work`` in one transaction and return its result once that is on disk.

        Raises:
            LedgerUnavailableError: the disk is full or fails; nothing was kept.
            LedgerDamagedError: the ledger contradicts itself.
            Exception: whatever ``work`` raises, after undoing what it wrote.
        """

    async def read(self, work: Callable[[Reading], T]) -> T:
        """Do ``work`` on one consistent view of the ledger. Raises as `run`."""

    async def erase(self) -> bool:
        """Remove the bytes of what was dropped from the files.

        Returns:
            False if that is not finished, because another process was just reading, or a large
            ledger was rebuilt only a moment ago: call again a little later.

        Raises:
            LedgerUnavailableError: the disk is full or fails.
        """

    async def close(self) -> None:
        """Finish the work under way and let go of the files."""
