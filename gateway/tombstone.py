"""What is kept of a forgotten message until its expiry: keyed hashes (PROTOCOL 13.7).

Without the ledger's key they tell nothing, and with it they tell only whether a given message id
or digest is the one: nobody reads an id out of them.
"""

import hashlib
import hmac

from gateway.store.port import Reading
from gateway.store.records import Message, MessageKey, Tombstone


def tombstone_of(tx: Reading, message: Message) -> Tombstone:
    """Return the tombstone that a message leaves."""
    return Tombstone(
        mark=_mark(tx, message.key),
        digest_mark=_digest_mark(tx, message.digest),
        expires=message.expires,
    )


def find_tombstone(tx: Reading, key: MessageKey) -> Tombstone | None:
    """Return the tombstone of a message."""
    return tx.tombstone(_mark(tx, key))


def has_digest(tx: Reading, tombstone: Tombstone, digest: bytes) -> bool:
    """Tell whether the forgotten message had this digest."""
    return hmac.compare_digest(tombstone.digest_mark, _digest_mark(tx, digest))


def spent_mark(tx: Reading, digest: bytes) -> bytes:
    """Return what is kept of the message that a token was spent for, besides the token."""
    return _keyed_hash(tx, b"spent\0" + digest)


def _mark(tx: Reading, key: MessageKey) -> bytes:
    # A sender's name contains no zero byte, so no two messages share the hashed bytes.
    return _keyed_hash(tx, b"message\0" + key.sender.encode() + b"\0" + key.message_id)


def _digest_mark(tx: Reading, digest: bytes) -> bytes:
    return _keyed_hash(tx, b"digest\0" + digest)


def _keyed_hash(tx: Reading, data: bytes) -> bytes:
    return hmac.digest(tx.tombstone_key(), data, hashlib.sha256)
