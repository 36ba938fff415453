"""Rosters and reader-key statements into the ledger, after verifying them (PROTOCOL 8)."""

from dataclasses import dataclass
from enum import StrEnum

from device_sdk.trust import Pin, Roster
from device_sdk.wire.topics import Topic
from gateway.effects import Effects
from gateway.situation import Situation
from gateway.store.port import Reading, Transaction


def stored_roster(tx: Reading, pin: Pin) -> Roster | None:
    """Return the ledger's roster, verified again. Raises TrustError, WireError."""
    raise NotImplementedError


def take_roster(tx: Transaction, head: bytes, pages: list[bytes], pin: Pin) -> Roster | None:
    """Verify and store a newer roster; return None if it is the one that is stored.

    Publish it, make a new `Situation`, then `expire.sweep`: it acts on what the roster revokes.

    Raises:
        RollbackError: older than the stored one.
        ForkError: the stored version with other bytes.
        TrustError: a page is missing or not the one the owner signed.
        WireError: malformed, or not signed by the fleet's root.
    """
    raise NotImplementedError


class KeyResult(StrEnum):
    """What became of a reader-key statement."""

    NEW = "new"
    KNOWN = "known"
    MALFORMED = "malformed"
    CROSSED = "crossed"
    """Another device's than its topic or list is for."""
    UNKNOWN_DEVICE = "unknown-device"
    """The roster does not list the device, not with this identity, or no longer."""
    BAD_SIGNATURE = "bad-signature"
    EXPIRED = "expired"
    OLDER = "older"
    """A lower serial than the highest one remembered (or the same with other content)."""
    FOREIGN_KEY = "foreign-key"
    """The reader key is another device's."""
    TOO_MANY = "too-many"


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyTaken:
    """The answer to one statement."""

    device: str
    result: KeyResult
    effects: Effects
    """With NEW: the device's key list is to be published again."""


def announce(tx: Transaction, topic: Topic, payload: bytes, situation: Situation) -> KeyTaken:
    """Take one statement from ``announce/{device}``. It never raises over what came."""
    raise NotImplementedError


def take_key_list(
    tx: Transaction, device: str, payload: bytes, situation: Situation
) -> list[KeyTaken]:
    """Take a list from the bundle or from retained ``keys/{device}``, lowest serial first."""
    raise NotImplementedError


def key_list(tx: Reading, device: str, now: int) -> bytes:
    """Return what belongs under ``keys/{device}``; empty bytes (clear it) if nothing does."""
    raise NotImplementedError
