"""The ledger's look-ups in SQL. Runs inside a transaction that `gateway.store.sqlite` began."""

import sqlite3
from collections.abc import Iterable
from typing import Any

from device_sdk.wire import cbor
from device_sdk.wire.anonymous import SpentToken
from device_sdk.wire.errors import WireError
from device_sdk.wire.limits import DAY
from device_sdk.wire.reading_policy import ReadingPolicy
from gateway.errors import LedgerDamagedError
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
from gateway.store.sqlite_tokens import SqliteTokenReading

_HASH_SIZE = 32
_BODY = 5
"""Columns of a body."""
_FIRST = ("", b"", "")


class SqliteReading(SqliteTokenReading):
    """`gateway.store.port.Reading` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Look up through a connection whose transaction is open."""
        super().__init__(connection)
        self._ids: dict[MessageKey, int] = {}
        self._tombstone_key = b""

    def _id(self, key: MessageKey) -> int:
        """Return a message's row number; -1, which no row has, if there is none."""
        found = self._ids.get(key)
        if found is None:
            found = -1 if (row := self._row(key)) is None else int(row[0])
        return found

    def _row(self, key: MessageKey) -> Any:
        row = self._one("message", sender=key.sender, message_id=key.message_id)
        if row is not None:
            self._ids[key] = row[0]
        return row

    # ------------------------------------------------------------ the ledger itself

    def _meta(self) -> Any:
        row = self._one("meta")
        if row is None:
            raise LedgerDamagedError("the ledger has lost its own id: restore it from a backup")
        return row

    def ledger_id(self) -> bytes:
        return bytes(self._meta()[0])

    def tombstone_key(self) -> bytes:
        self._tombstone_key = self._tombstone_key or bytes(self._meta()[1])
        return self._tombstone_key

    def high_water(self) -> int:
        return int(self._meta()[2])

    def swept_roster(self) -> int:
        return int(self._meta()[4])

    def is_empty(self) -> bool:
        return not self._number("is_used")

    # ------------------------------------------------------------ roster and reader keys

    def roster(self) -> StoredRoster | None:
        row = self._one("roster")
        if row is None:
            return None
        pages = tuple(page for (page,) in self._all("roster_pages"))
        return StoredRoster(version=row[0], head=row[1], pages=pages)

    def key_statement(self, device: str, kid: bytes) -> StoredKey | None:
        row = self._one("key_statement", device=device, kid=kid)
        return None if row is None else _stored_key(row)

    def key_statements(self, device: str) -> list[StoredKey]:
        return [_stored_key(row) for row in self._all("key_statements", device=device)]

    def key_serial(self, device: str) -> int:
        return self._number("key_serial", device=device)

    def devices_with_keys(self) -> list[str]:
        return [device for (device,) in self._all("devices_with_keys")]

    # ------------------------------------------------------------ the log

    def log_size(self) -> int:
        return self._number("log_size")

    def log_node(self, level: int, position: int) -> bytes:
        row = self._one("log_node", level=level, position=position)
        if row is None:
            raise LedgerDamagedError("the ledger's log lacks a hash that it needs")
        return bytes(row[0])

    def log_index(self, leaf: bytes) -> int | None:
        row = self._one("log_index", leaf=leaf)
        return None if row is None else int(row[0])

    # ------------------------------------------------------------ messages

    def message(self, key: MessageKey) -> Message | None:
        row = self._row(key)
        if row is None:
            return None
        _, digest, channel, reader_count, size, held_at, expires, state, ended_by = row
        return Message(
            key=key,
            digest=digest,
            channel=channel,
            reader_count=reader_count,
            size=size,
            held_at=held_at,
            expires=expires,
            state=MessageState(state),
            ended_by=ended_by,
        )

    def body(self, key: MessageKey) -> Body | None:
        row = self._one("body", id=self._id(key))
        if row is None:
            return None
        return _body(*row)

    def usage(self, sender: str) -> Usage:
        messages, size = self._one("usage", sender=sender) or (0, 0)
        return Usage(messages=messages, size=size)

    def tombstone(self, mark: bytes) -> Tombstone | None:
        row = self._one("tombstone", mark=mark)
        if row is None:
            return None
        return Tombstone(mark=row[0], digest_mark=row[1], expires=row[2])

    # ------------------------------------------------------------ slots and copies

    def slots(self, key: MessageKey) -> list[Slot]:
        return [_slot(row) for row in self._all("slots", id=self._id(key))]

    def slot(self, key: MessageKey, reader: str) -> Slot | None:
        row = self._one("slot", id=self._id(key), reader=reader)
        return None if row is None else _slot(row)

    def wrap(self, key: MessageKey, reader: str) -> Wrap | None:
        row = self._one("wrap", id=self._id(key), reader=reader)
        if row is None:
            return None
        return _wrap(*row)

    def copy(self, ref: CopyRef) -> StoredCopy | None:
        key = ref.key
        row = self._one("copy", sender=key.sender, message_id=key.message_id, reader=ref.reader)
        if row is None:
            return None
        index, state, offers, expires, *parts = row
        if None in parts:
            raise LedgerDamagedError("the ledger owes a copy but has lost a part of it")
        return StoredCopy(
            ref=ref,
            index=index,
            state=CopyState(state),
            offers=offers,
            body=_body(*parts[:_BODY]),
            wrap=_wrap(*parts[_BODY:]),
            expires=expires,
        )

    def count_slots(self, key: MessageKey) -> int:
        return self._number("count_slots", id=self._id(key))

    def is_owed(self, key: MessageKey) -> bool:
        return bool(self._number("is_owed", id=self._id(key)))

    def is_uncleared(self, key: MessageKey) -> bool:
        return bool(self._number("is_uncleared", id=self._id(key)))

    def owed_by(self, reader: str) -> int:
        return self._number("owed_by", reader=reader)

    # ------------------------------------------------------------ what is due

    def copies_due(self, until: int, limit: int) -> list[CopyRef]:
        return _refs(self._all("copies_due", until=until, limit=limit))

    def clearings_due(self, until: int, limit: int) -> list[CopyRef]:
        return _refs(self._all("clearings_due", until=until, limit=limit))

    def owed_refs(self, reader: str, limit: int) -> list[CopyRef]:
        return _refs(self._all("owed_refs", reader=reader, limit=limit))

    def owed_by_readers(self) -> dict[str, int]:
        return dict(self._all("owed_by_readers"))

    def standing_copies(self, reader: str, after: int, limit: int) -> list[tuple[int, CopyRef]]:
        rows = self._all("standing_copies", reader=reader, after=after, limit=limit)
        return [(number, CopyRef(MessageKey(sender, id_), reader)) for number, sender, id_ in rows]

    def owed_copies(self, after: CopyRef | None, limit: int) -> list[CopyRef]:
        sender, message_id, reader = (
            _FIRST if after is None else (after.key.sender, after.key.message_id, after.reader)
        )
        rows = self._all(
            "owed_copies", sender=sender, message_id=message_id, reader=reader, limit=limit
        )
        return _refs(rows)

    def expired(self, high_water: int, limit: int) -> list[MessageKey]:
        return _keys(self._all("expired", high_water=high_water, limit=limit))

    def finished_from(self, sender: str, limit: int) -> list[MessageKey]:
        return _keys(self._all("finished_from", sender=sender, limit=limit))

    def finished_until(self, expires: int, limit: int) -> list[MessageKey]:
        return _keys(self._all("finished_until", until=expires, limit=limit))

    def unfinished_from(self, sender: str, limit: int) -> list[MessageKey]:
        return _keys(self._all("unfinished_from", sender=sender, limit=limit))

    # ------------------------------------------------------------ the register of totals

    def registered(
        self, channel: str, start: int, until: int, limit: int, *, sender: str = ""
    ) -> list[Registered]:
        rows = self._all(
            "registered", channel=channel, start=start, until=until, sender=sender, limit=limit
        )
        return [_registered(row) for row in rows]

    def registered_of_each(
        self, channel: str, start: int, until: int, limit: int
    ) -> list[Registered]:
        rows = self._all(
            "registered_of_each", channel=channel, start=start, until=until, limit=limit
        )
        return [_registered(row) for row in rows]

    def registered_on(self, sender: str, time: int) -> int:
        return self._number("registered_on", sender=sender, day=time // DAY)

    def registered_channels(self) -> list[str]:
        return [channel for (channel,) in self._all("registered_channels")]

    # ------------------------------------------------------------ for people

    def summaries(self, after: MessageKey | None, limit: int) -> list[tuple[MessageKey, Summary]]:
        sender, message_id = ("", b"") if after is None else (after.sender, after.message_id)
        rows = self._all("summaries", sender=sender, message_id=message_id, limit=limit)
        return [self._summary(row) for row in rows]

    def _summary(self, row: Any) -> tuple[MessageKey, Summary]:
        sender, message_id, channel, state, reader_count, size, held_at, expires, number = row
        summary = Summary(
            sender=sender,
            id_prefix=message_id.hex()[:8],
            channel=channel,
            state=MessageState(state),
            reader_count=reader_count,
            owing=tuple(reader for (reader,) in self._all("owing", id=number)),
            size=size,
            held_at=held_at,
            expires=expires,
        )
        return MessageKey(sender, message_id), summary


def _registered(row: Any) -> Registered:
    sender, message_id, channel, sequence, issued, policy, commitment, held_at = row
    try:
        parsed = ReadingPolicy.parse(cbor.decode(policy, "policy", limit=len(policy)))
    except WireError as error:
        raise LedgerDamagedError("the ledger has a reading without its policy") from error
    return Registered(
        key=MessageKey(sender, message_id),
        channel=channel,
        sequence=int.from_bytes(sequence),
        issued=issued,
        policy=parsed,
        commitment=commitment,
        held_at=held_at,
    )


def _stored_key(row: Any) -> StoredKey:
    device, kid, serial, not_before, not_after, statement = row
    return StoredKey(
        device=device,
        kid=kid,
        serial=serial,
        not_before=not_before,
        not_after=not_after,
        statement=statement,
    )


def _body(
    protected: bytes, sign_protected: bytes, signature: bytes, ciphertext: bytes, token: bytes
) -> Body:
    spent = SpentToken(token=token[:_HASH_SIZE], mac=token[_HASH_SIZE:]) if token else None
    return Body(
        protected=protected,
        sign_protected=sign_protected,
        signature=signature,
        ciphertext=ciphertext,
        token=spent,
    )


def _wrap(kid: bytes, open_hash: bytes, wrapped_cek: bytes, path: bytes) -> Wrap:
    hashes = tuple(path[at : at + _HASH_SIZE] for at in range(0, len(path), _HASH_SIZE))
    return Wrap(kid=kid, open_hash=open_hash, wrapped_cek=wrapped_cek, path=hashes)


def _slot(row: Any) -> Slot:
    _, reader, index, state, copy, offers, act_at, ack, excuse, revoked_at = row
    return Slot(
        reader=reader,
        index=index,
        state=SlotState(state),
        copy=CopyState(copy),
        offers=offers,
        act_at=act_at,
        ack=ack or b"",
        excuse=excuse or b"",
        revoked_at=revoked_at,
    )


def _keys(rows: Iterable[Any]) -> list[MessageKey]:
    return [MessageKey(sender, message_id) for sender, message_id in rows]


def _refs(rows: Iterable[Any]) -> list[CopyRef]:
    return [CopyRef(MessageKey(sender, message_id), reader) for sender, message_id, reader in rows]
