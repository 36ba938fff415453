"""Rosters and reader-key statements into the ledger, after verifying them (PROTOCOL 8)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from device_sdk import trust
from device_sdk.trust import Pin, Roster, TrustError
from device_sdk.wire import cose
from device_sdk.wire.errors import MalformedError, SignatureError, WireError
from device_sdk.wire.key_statement import KeyStatement, decode_key_list, encode_key_list
from device_sdk.wire.limits import MAX_KEY_STATEMENTS
from device_sdk.wire.roster_page import page_hash
from device_sdk.wire.topics import Topic
from gateway import transparency
from gateway.effects import NOTHING, Effects
from gateway.situation import Situation
from gateway.store.port import Reading, Transaction
from gateway.store.records import StoredKey, StoredRoster

_MAX_NUMBER = 2**63 - 1
"""What every ledger can store; versions, serials and times come nowhere near it by honest means."""


def stored_roster(tx: Reading, pin: Pin) -> Roster | None:
    """Return the ledger's roster, verified again. Raises TrustError, WireError."""
    stored = tx.roster()
    return None if stored is None else _verify(pin, stored.head, stored.pages)


def take_roster(tx: Transaction, head: bytes, pages: Sequence[bytes], pin: Pin) -> Roster | None:
    """Verify and store a newer roster; return None if it is the one that is stored.

    Publish it, make a new `Situation`, then `expire.sweep`: it acts on what the roster revokes.

    Raises:
        RollbackError: older than the stored one.
        ForkError: the stored version with other content.
        TrustError: a page is missing or not the one the owner signed.
        WireError: malformed, or not signed by the fleet's root.
    """
    roster = _verify(pin, head, pages)
    stored = tx.roster()
    current = None if stored is None else trust.verify_head(pin, stored.head)
    if not trust.check_successor(current, roster.head):
        return None
    tx.save_roster(StoredRoster(version=roster.version, head=head, pages=roster.pages))
    transparency.enter(tx, roster.head.head)
    return roster


def _verify(pin: Pin, head: bytes, pages: Sequence[bytes]) -> Roster:
    verified = trust.verify_head(pin, head)
    roster = trust.complete_roster(verified, {page_hash(page): page for page in pages})
    versions = [roster.version, *(entry.revoked_at for entry in roster.devices.values())]
    if max(versions) > _MAX_NUMBER:
        raise MalformedError("roster.version", expected="less than 2^63", got="more")
    return roster


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
    IDENTITY_KEY = "identity-key"
    """The reader key is an identity key of the device."""
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
    return _take(tx, topic.owner, payload, situation)


def take_key_list(
    tx: Transaction, device: str, payload: bytes, situation: Situation
) -> list[KeyTaken]:
    """Take a list from the bundle or from retained ``keys/{device}``, lowest serial first."""
    try:
        statements = decode_key_list(payload)
    except WireError:
        return [KeyTaken(device=device, result=KeyResult.MALFORMED, effects=NOTHING)]
    statements.sort(key=_serial)
    return [_take(tx, device, statement, situation) for statement in statements]


def _serial(statement: bytes) -> int:
    try:
        return cose.parse_signed(KeyStatement, statement).claims.serial
    except WireError:
        return 0  # refused when its turn comes


def key_list(tx: Reading, device: str, now: int) -> bytes:
    """Return what belongs under ``keys/{device}``; empty bytes (clear it) if nothing does."""
    statements = [key.statement for key in tx.key_statements(device) if key.not_after > now]
    return encode_key_list(statements) if statements else b""


def _take(tx: Transaction, device: str, payload: bytes, situation: Situation) -> KeyTaken:
    statement = _verify_statement(device, payload, situation)
    if isinstance(statement, KeyResult):
        return KeyTaken(device=device, result=statement, effects=NOTHING)
    result = _compare(tx, statement, situation.now)
    if result is not KeyResult.NEW:
        return KeyTaken(device=device, result=result, effects=NOTHING)
    tx.add_key_statement(_stored(statement, payload))
    transparency.enter(tx, statement)
    return KeyTaken(device=device, result=result, effects=Effects(keys=(device,)))


def _verify_statement(
    device: str, payload: bytes, situation: Situation
) -> KeyStatement | KeyResult:
    try:
        claims = cose.parse_signed(KeyStatement, payload).claims
    except WireError:
        return KeyResult.MALFORMED
    if claims.device != device:
        return KeyResult.CROSSED
    if max(claims.serial, claims.not_before, claims.not_after) > _MAX_NUMBER:
        return KeyResult.MALFORMED
    roster = situation.roster
    if roster is None or not roster.is_active(device, situation.now):
        return KeyResult.UNKNOWN_DEVICE
    try:
        statement = trust.verify_key_statement(payload, device, roster)
    except TrustError:
        return KeyResult.UNKNOWN_DEVICE
    except SignatureError:
        return KeyResult.BAD_SIGNATURE
    is_identity = statement.spki in roster.devices[device].identities
    return KeyResult.IDENTITY_KEY if is_identity else statement


def _compare(tx: Reading, statement: KeyStatement, now: int) -> KeyResult:
    kid = statement.wrap_key.kid
    if statement.not_after <= now:
        return KeyResult.EXPIRED
    known = tx.key_statement(statement.device, kid)
    if known is not None and _stored(statement, known.statement) == known:
        return KeyResult.KNOWN
    if statement.serial <= tx.key_serial(statement.device):
        return KeyResult.OLDER
    if known is None and len(tx.key_statements(statement.device)) >= MAX_KEY_STATEMENTS:
        return KeyResult.TOO_MANY
    return KeyResult.NEW


def _stored(statement: KeyStatement, payload: bytes) -> StoredKey:
    return StoredKey(
        device=statement.device,
        kid=statement.wrap_key.kid,
        serial=statement.serial,
        not_before=statement.not_before,
        not_after=statement.not_after,
        statement=payload,
    )
