"""Keys for tokens, and what was issued and spent under them, in SQL (PROTOCOL 19)."""

from typing import Any

from device_sdk.wire.epoch_key import EpochKey
from gateway.errors import LedgerDamagedError
from gateway.store.records import StoredTokenKey
from gateway.store.sqlite_queries import SqliteQueries


class SqliteTokenReading(SqliteQueries):
    """`gateway.store.token_port.TokenReading` on SQLite."""

    def token_key(self, key_id: bytes) -> StoredTokenKey | None:
        row = self._one("token_key", key_id=key_id)
        return None if row is None else _stored(row)

    def token_keys(self) -> list[StoredTokenKey]:
        return [_stored(row) for row in self._all("token_keys")]

    def token_request(self, key_id: bytes, device: str) -> bytes | None:
        row = self._one("token_request", key_id=key_id, device=device)
        return None if row is None else bytes(row[0])

    def token_spent(self, key_id: bytes, token: bytes) -> bytes | None:
        row = self._one("token_spent", key_id=key_id, token=token)
        return None if row is None else bytes(row[0])


class SqliteTokenChanges(SqliteTokenReading):
    """`gateway.store.token_port.TokenChanges` on SQLite."""

    dropped = False
    """Whether anything was dropped whose bytes must leave the files."""

    def add_token_key(self, stored: StoredTokenKey) -> None:
        key = stored.key
        self._run(
            "add_token_key",
            key_id=key.key_id,
            channel=key.channel,
            begins=key.begins,
            ends=key.ends,
            public=key.public,
            seed=stored.seed,
            erase_at=stored.erase_at,
        )

    def add_token_request(self, key_id: bytes, device: str, request: bytes) -> None:
        self._add("add_token_request", key_id=key_id, device=device, request=request)

    def add_token_spent(self, key_id: bytes, token: bytes, digest_mark: bytes) -> None:
        self._add("add_token_spent", key_id=key_id, token=token, digest_mark=digest_mark)

    def _add(self, name: str, **values: Any) -> None:
        if self._run(name, **values).rowcount != 1:
            raise LedgerDamagedError("the ledger has no key for the token that it is to add")

    def drop_token_keys(self, until: int) -> int:
        for name in ("drop_tokens_issued", "drop_tokens_spent"):
            self._run(name, until=until)
        count = self._run("drop_token_keys", until=until).rowcount
        self.dropped = self.dropped or count > 0
        return count


def _stored(row: Any) -> StoredTokenKey:
    channel, begins, ends, public, seed, erase_at = row
    return StoredTokenKey(
        key=EpochKey(channel=channel, begins=begins, ends=ends, public=bytes(public)),
        seed=bytes(seed),
        erase_at=erase_at,
    )
