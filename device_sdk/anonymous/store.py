"""Keys for tokens, and the tokens, in the state file: nothing that decides."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from device_sdk.state.sql_files import queries
from device_sdk.state.state_file import StateFile, storable
from device_sdk.wire.epoch_key import EpochKey

_SQL = queries("tokens")


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """One anonymous message's worth."""

    key: EpochKey
    token: bytes = field(repr=False)
    """32 bytes."""
    output: bytes = field(repr=False)
    """The pseudorandom function's value for it, 64 bytes."""


class TokenStore:
    """Reads and writes the rows."""

    def __init__(self, state: StateFile) -> None:
        self._state = state

    # Keys.

    def known(self, gateway: str, key: EpochKey) -> EpochKey | None:
        """Return the key that a gateway showed first for the place of another one."""
        row = self._state.row(_SQL["known"], (gateway, *_stored_place(key)))
        return None if row is None else EpochKey.decode(row[0])

    def add_key(self, gateway: str, key: EpochKey, signed: bytes) -> None:
        """Believe a key, which a gateway's signed list has shown."""
        with self._state.transaction():
            self._state.execute(_SQL["add_list"], (signed,))
            values = (key.key_id, gateway, *_stored_place(key), key.encode(), signed)
            self._state.execute(_SQL["add_key"], values)

    def list_of(self, key_id: bytes) -> bytes:
        """Return the signed list that showed a key first."""
        row = self._state.row(_SQL["list_of"], (key_id,))
        return b"" if row is None else row[0]

    def keys_of(self, channel: str) -> list[tuple[str, EpochKey]]:
        """Return (gateway, key) for all that is known of a channel, the oldest first."""
        rows = self._state.rows(_SQL["keys_of"], (channel,))
        return [(gateway, EpochKey.decode(key)) for gateway, key in rows]

    # Requests: the tokens and blinds that were drawn for a key.

    def request(self, key_id: bytes) -> bytes | None:
        """Return what was drawn for a key; empty once it is answered, None before it is drawn."""
        row = self._state.row(_SQL["request"], (key_id,))
        return None if row is None else row[0]

    def add_request(self, key_id: bytes, secrets: bytes) -> None:
        """Keep what was drawn, so that the same is asked for again after a crash."""
        self._state.execute(_SQL["add_request"], (key_id, secrets))

    def take_issue(self, key_id: bytes, issued: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep (token, output) pairs; the blinds are not needed any more."""
        with self._state.transaction():
            self._state.execute_many(
                _SQL["add_token"], [(token, key_id, output) for token, output in issued]
            )
            self._state.execute(_SQL["answer_request"], (key_id,))

    # Tokens.

    def spend(self, channel: str, now: int, length: int) -> Token | None:
        """Take out a token of the present period of this length, for good; None without one."""
        row = self._state.row(_SQL["next_token"], (channel, now, length))
        if row is None:
            return None
        self._state.execute(_SQL["spend"], (row[0],))
        return Token(key=EpochKey.decode(row[2]), token=row[0], output=row[1])

    def count(self, key_id: bytes) -> int:
        """Return how many tokens of a key are left."""
        row = self._state.row(_SQL["count"], (key_id,))
        return 0 if row is None else int(row[0])

    def forget(self, over: int, long_over: int) -> None:
        """Drop tokens of periods that ended by ``over``, and keys of those by ``long_over``."""
        with self._state.transaction():
            for name, until in (
                ("drop_tokens", over),
                ("drop_requests", long_over),
                ("drop_keys", long_over),
            ):
                self._state.execute(_SQL[name], (until,))
            self._state.execute(_SQL["drop_lists"])


def _stored_place(key: EpochKey) -> tuple[str, int, int]:
    return key.channel, storable(key.begins), storable(key.ends)
