"""The ledger's changes in SQL. Runs inside a transaction that `gateway.store.sqlite` began."""

from device_sdk.wire.limits import DAY
from gateway.errors import LedgerDamagedError
from gateway.lifecycle import CopyState, MessageState, SlotState
from gateway.store.records import (
    Body,
    CopyRef,
    Message,
    MessageKey,
    Registered,
    Slot,
    StoredKey,
    StoredRoster,
    Tombstone,
    Wrap,
)
from gateway.store.sqlite_reading import SqliteReading
from gateway.store.sqlite_tokens import SqliteTokenChanges

_SEQUENCE_SIZE = 8


class SqliteTransaction(SqliteReading, SqliteTokenChanges):
    """`gateway.store.port.Transaction` on SQLite."""

    def _existing(self, key: MessageKey) -> int:
        found = self._id(key)
        if found < 0:
            raise LedgerDamagedError("the ledger has no row of a message that it is to change")
        return found

    # ------------------------------------------------------------ the ledger itself

    def set_high_water(self, high_water: int) -> None:
        self._run("set_high_water", high_water=high_water)

    def take_counters(self, count: int) -> int:
        first = int(self._meta()[3])
        self._run("take_counters", count=count)
        return first

    def save_roster(self, roster: StoredRoster) -> None:
        self._run("set_roster", version=roster.version, head=roster.head)
        self._run("drop_roster_pages")
        for position, page in enumerate(roster.pages):
            self._run("add_roster_page", position=position, page=page)

    def set_swept_roster(self, version: int) -> None:
        self._run("set_swept_roster", version=version)

    def add_key_statement(self, key: StoredKey) -> None:
        self._run(
            "add_key_statement",
            kid=key.kid,
            device=key.device,
            serial=key.serial,
            not_before=key.not_before,
            not_after=key.not_after,
            statement=key.statement,
        )
        self._run("remember_key_serial", device=key.device, serial=key.serial)

    def drop_key_statements(self, until: int) -> list[str]:
        devices = [device for (device,) in self._all("devices_with_old_keys", until=until)]
        if devices:
            self._run("drop_key_statements", until=until)
            self.dropped = True
        return devices

    def add_log_node(self, level: int, position: int, hashed: bytes) -> None:
        self._run("add_log_node", level=level, position=position, hash=hashed)

    # ------------------------------------------------------------ messages

    def add_message(self, message: Message) -> None:
        cursor = self._run(
            "add_message",
            sender=message.key.sender,
            message_id=message.key.message_id,
            digest=message.digest,
            channel=message.channel,
            reader_count=message.reader_count,
            size=message.size,
            held_at=message.held_at,
            expires=message.expires,
            state=message.state,
            ended_by=message.ended_by,
        )
        self._ids[message.key] = _new_id(cursor.lastrowid)
        self._run("count_message", sender=message.key.sender)

    def set_message(self, key: MessageKey, state: MessageState, *, ended_by: str = "") -> None:
        self._run("set_message", id=self._existing(key), state=state, ended_by=ended_by)

    def drop_message(self, key: MessageKey) -> None:
        self.dropped = True
        number = self._existing(key)
        self.drop_body(key)
        for name in ("wraps", "slots", "excuses"):
            self._run(f"drop_message_{name}", id=number)
        self._run("drop_message", id=number)
        for name in ("discount_message", "drop_unused"):
            self._run(name, sender=key.sender)
        del self._ids[key]

    def add_body(self, key: MessageKey, body: Body) -> None:
        number = self._existing(key)
        self._run(
            "add_body",
            id=number,
            protected=body.protected,
            sign_protected=body.sign_protected,
            signature=body.signature,
            ciphertext=body.ciphertext,
        )
        if body.token is not None:
            self._run("add_body_token", id=number, token=body.token.token + body.token.mac)
        self._run("count_body", id=number)

    def drop_body(self, key: MessageKey) -> None:
        number = self._existing(key)
        if self._run("drop_body", id=number).rowcount:
            self.dropped = True
            self._run("drop_body_token", id=number)
            self._run("discount_body", id=number)

    # ------------------------------------------------------------ slots and copies

    def add_slot(self, key: MessageKey, slot: Slot, wrap: Wrap | None) -> None:
        cursor = self._run(
            "add_slot",
            id=self._existing(key),
            reader=slot.reader,
            index=slot.index,
            state=slot.state,
            copy=slot.copy,
            offers=slot.offers,
            act_at=slot.act_at,
            revoked_at=slot.revoked_at,
        )
        if wrap is not None:
            self._run(
                "add_wrap",
                slot=_new_id(cursor.lastrowid),
                kid=wrap.kid,
                open_hash=wrap.open_hash,
                wrapped_cek=wrap.wrapped_cek,
                path=b"".join(wrap.path),
            )

    def settle(
        self,
        ref: CopyRef,
        state: SlotState,
        *,
        ack: bytes = b"",
        excuse: bytes = b"",
        revoked_at: int = 0,
    ) -> None:
        number = self._existing(ref.key)
        settled = self._run(
            "settle",
            id=number,
            reader=ref.reader,
            state=state,
            ack=ack or None,
            excuse=self._excuse_id(number, excuse) if excuse else None,
            revoked_at=revoked_at,
        )
        if settled.rowcount != 1:
            raise LedgerDamagedError("the ledger owes no copy where a slot is to be settled")
        self.dropped = True
        self._run("drop_wrap", id=number, reader=ref.reader)

    def _excuse_id(self, message: int, excuse: bytes) -> int:
        # One excuse may release a thousand readers: it is stored once.
        found = self._number("find_excuse", id=message, excuse=excuse)
        return found or _new_id(self._run("add_excuse", id=message, excuse=excuse).lastrowid)

    def set_copy(self, ref: CopyRef, state: CopyState, *, act_at: int, offers: int) -> None:
        changed = self._run(
            "set_copy",
            id=self._existing(ref.key),
            reader=ref.reader,
            copy=state,
            act_at=act_at,
            offers=offers,
        )
        if changed.rowcount != 1:
            raise LedgerDamagedError("the ledger has no row of a copy that it is to change")

    def make_all_due(self, now: int) -> None:
        self._run("make_copies_due", now=now)
        self._run("make_clearings_due", now=now)

    # ------------------------------------------------------------ tombstones

    def add_tombstone(self, tombstone: Tombstone) -> None:
        self._run(
            "add_tombstone",
            mark=tombstone.mark,
            digest_mark=tombstone.digest_mark,
            expires=tombstone.expires,
        )

    def drop_tombstones(self, until: int, limit: int) -> int:
        return self._dropped(self._run("drop_tombstones", until=until, limit=limit).rowcount)

    # ------------------------------------------------------------ the register of totals

    def add_registered(self, reading: Registered) -> None:
        self._run(
            "add_registered",
            channel=reading.channel,
            sender=reading.key.sender,
            message_id=reading.key.message_id,
            sequence=reading.sequence.to_bytes(_SEQUENCE_SIZE),
            issued=reading.issued,
            policy=reading.policy.encode(),
            commitment=reading.commitment,
            held_at=reading.held_at,
        )
        self._run("count_registered", sender=reading.key.sender, day=reading.held_at // DAY)

    def drop_registered(self, until: int, limit: int) -> int:
        self._run("drop_register_days", day=until // DAY)
        return self._dropped(self._run("drop_registered_until", until=until, limit=limit).rowcount)

    def drop_registered_channel(self, channel: str, limit: int) -> int:
        cursor = self._run("drop_registered_channel", channel=channel, limit=limit)
        return self._dropped(cursor.rowcount)

    def _dropped(self, count: int) -> int:
        self.dropped = self.dropped or count > 0
        return count


def _new_id(lastrowid: int | None) -> int:
    if lastrowid is None:
        raise LedgerDamagedError("the ledger did not say which row it added")
    return lastrowid
