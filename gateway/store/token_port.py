"""What the ledger port has for tokens (PROTOCOL 19). The rules of `gateway.store.port` hold.

Nothing here ties what was issued to what was spent: the one has devices and blinded requests, the
other has tokens and messages, and nobody can calculate one from the other.
"""

from typing import Protocol

from gateway.store.records import StoredTokenKey


class TokenReading(Protocol):
    """What can be looked up."""

    def token_key(self, key_id: bytes) -> StoredTokenKey | None:
        """Return a key that is not erased yet."""

    def token_keys(self) -> list[StoredTokenKey]:
        """Return every key, those of the latest period first."""

    def token_request(self, key_id: bytes, device: str) -> bytes | None:
        """Return the digest of the request for which a device was given tokens of a key."""

    def token_spent(self, key_id: bytes, token: bytes) -> bytes | None:
        """Return the mark of the digest that a token was spent for; None if it was not."""


class TokenChanges(Protocol):
    """What can be changed."""

    def add_token_key(self, stored: StoredTokenKey) -> None:
        """Add a key."""

    def add_token_request(self, key_id: bytes, device: str, request: bytes) -> None:
        """Remember for which request a device was given tokens of a key."""

    def add_token_spent(self, key_id: bytes, token: bytes, digest_mark: bytes) -> None:
        """Remember that a token was spent, and for which digest by its mark."""

    def drop_token_keys(self, until: int) -> int:
        """Drop keys with ``erase_at`` <= ``until``, with all that was issued and spent under them.

        Return how many.
        """
