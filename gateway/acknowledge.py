"""Verify a read ack and settle its reader's slot (PROTOCOL 7, 13.3)."""

from dataclasses import dataclass
from enum import StrEnum

from device_sdk.wire.topics import Topic
from gateway.effects import Effects
from gateway.situation import Situation
from gateway.store.port import Transaction
from gateway.store.records import CopyRef


class AckResult(StrEnum):
    """What became of a read ack. Nothing but READ and UNREADABLE changes the ledger."""

    READ = "read"
    UNREADABLE = "unreadable"
    NOT_OWED = "not-owed"
    """Its slot was settled before: the clear goes out again, which is the reader's answer."""
    NOT_RECONCILED = "not-reconciled"
    """No row, and the first reconcile has not ended: keep it un-PUBACKed and try again after."""
    UNKNOWN_MESSAGE = "unknown-message"
    MALFORMED = "malformed"
    CROSSED = "crossed"
    """Topic and ack name different readers, senders or messages."""
    UNKNOWN_READER = "unknown-reader"
    """The roster does not list the reader, or not with this key."""
    BAD_SIGNATURE = "bad-signature"
    WRONG_DIGEST = "wrong-digest"
    WRONG_TOKEN = "wrong-token"  # noqa: S105 - a result's name


@dataclass(frozen=True, kw_only=True, slots=True)
class Acknowledged:
    """The answer to one read ack."""

    ref: CopyRef
    result: AckResult
    effects: Effects


def acknowledge(
    tx: Transaction, topic: Topic, payload: bytes, situation: Situation
) -> Acknowledged:
    """Judge one read ack and settle its slot. It never raises over what came."""
    raise NotImplementedError
