"""Tokens for anonymous messages: which keys there are, who is given some, which are spent.

Pure but for the transaction and the drawing of keys. A key is entered into the log in the very
transaction that stores it, so that none is shown that is not there (PROTOCOL 19).
"""

import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass

from device_sdk.trust import Roster
from device_sdk.wire.anonymous import AnonymousBody, token_mac
from device_sdk.wire.anonymous_rule import AnonymousRule
from device_sdk.wire.epoch_key import EpochKey
from device_sdk.wire.limits import ANONYMOUS_STEP, CLOCK_SKEW, MAX_LIFETIME, MAX_TOKEN_KEYS
from device_sdk.wire.token_request import Denial, TokenRequest
from gateway import oprf, transparency
from gateway.situation import Situation
from gateway.store.port import Reading, Transaction
from gateway.store.records import StoredTokenKey
from gateway.tombstone import spent_mark

_SEED_SIZE = 32
_LONGEST = MAX_LIFETIME + 2 * ANONYMOUS_STEP
_MOST_CHANNELS = MAX_TOKEN_KEYS // 2


# ------------------------------------------------------------------ keys


def due_keys(tx: Reading, situation: Situation) -> list[tuple[str, int, int, int]]:
    """Return (channel, begins, ends, erase_at) of the keys that are to be drawn by now.

    Of each anonymous channel this period's and the next one's, so that devices have tokens before
    a period begins.
    """
    roster = situation.roster
    if roster is None or situation.paused:
        return []
    known = {stored.key.place for stored in tx.token_keys()}
    due = []
    for channel, rule in _rules(roster).items():
        for ahead in (0, 1):
            begins, ends = rule.period(situation.now, ahead)
            if (channel, begins, ends) not in known:
                lifetime = roster.channels[channel].lifetime
                erase_at = ends + lifetime + CLOCK_SKEW + 2 * ANONYMOUS_STEP
                due.append((channel, begins, ends, erase_at))
    return due


def _rules(roster: Roster) -> dict[str, AnonymousRule]:
    """Return the rules of the anonymous channels; beyond 500 of them nobody gets tokens."""
    rules = {name: entry.anonymous for name, entry in sorted(roster.channels.items())}
    found = [(name, rule) for name, rule in rules.items() if rule is not None]
    return dict(found[:_MOST_CHANNELS])


def draw(tx: Transaction, situation: Situation) -> bool:
    """Draw the keys that are due, and enter them into the log; tell whether there were any."""
    due = due_keys(tx, situation)
    for channel, begins, ends, erase_at in due:
        seed = os.urandom(_SEED_SIZE)
        key = EpochKey(channel=channel, begins=begins, ends=ends, public=oprf.public_of(seed))
        tx.add_token_key(StoredTokenKey(key=key, seed=seed, erase_at=erase_at))
        transparency.enter(tx, key)
    return bool(due)


def shown(tx: Reading, situation: Situation) -> tuple[EpochKey, ...]:
    """Return the keys that everybody is to see: of the periods that are not over."""
    roster = situation.roster
    channels = {} if roster is None else _rules(roster)
    keys = [stored.key for stored in tx.token_keys()]
    alive = [one for one in keys if one.ends > situation.now and _is_of(one, channels)]
    return tuple(alive[:MAX_TOKEN_KEYS])


def _is_of(key: EpochKey, rules: Mapping[str, AnonymousRule]) -> bool:
    """Whether a key's period is one of its channel's rule, and not of an earlier one."""
    rule = rules.get(key.channel)
    return rule is not None and rule.has_period(key.begins, key.ends)


# ------------------------------------------------------------------ issuing


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """A request that is to be answered, and with what."""

    request: TokenRequest
    seed: bytes = b""
    denial: str = ""
    """Why not; then there is no seed."""


def grant(tx: Transaction, request: TokenRequest, situation: Situation) -> Grant:
    """Decide about a request that its device has signed, and remember it.

    The same request is answered again: its device may not have got the answer.
    """
    stored = tx.token_key(request.key_id)
    denial = _denial(tx, request, stored, situation)
    if denial is not None or stored is None:
        return Grant(request=request, denial=denial or Denial.UNKNOWN_KEY)
    if tx.token_request(request.key_id, request.device) is None:
        tx.add_token_request(request.key_id, request.device, request.digest)
    return Grant(request=request, seed=stored.seed)


def _denial(
    tx: Reading, request: TokenRequest, stored: StoredTokenKey | None, situation: Situation
) -> Denial | None:
    roster = situation.roster
    if roster is None or situation.now >= roster.expires:
        return Denial.ROSTER_EXPIRED
    if stored is None or stored.key.ends <= situation.now:
        return Denial.UNKNOWN_KEY
    entry = roster.channels.get(stored.key.channel)
    if entry is None or entry.anonymous is None or request.device not in entry.senders:
        return Denial.NOT_PERMITTED
    if not roster.is_active(request.device, situation.now):
        return Denial.NOT_PERMITTED
    if not entry.anonymous.has_period(stored.key.begins, stored.key.ends):
        return Denial.UNKNOWN_KEY
    before = tx.token_request(request.key_id, request.device)
    if before is not None:
        return None if before == request.digest else Denial.TAKEN
    return Denial.TOO_MANY if len(request.blinded) > entry.anonymous.tokens else None


# ------------------------------------------------------------------ spending


def key_for(tx: Reading, body: AnonymousBody) -> StoredTokenKey | None:
    """Return the key of a message's token if it is one for the message's channel and time."""
    stored = tx.token_key(body.header.key_id)
    if stored is None or stored.key.channel != body.header.channel:
        return None
    return stored if stored.key.is_for(body.header.issued) else None


def is_genuine(tx: Reading, body: AnonymousBody, digest: bytes) -> bool:
    """Tell whether a token was issued for the message's channel and time, and is for it."""
    stored = key_for(tx, body)
    if stored is None:
        return False
    output = oprf.output_of(stored.seed, body.token.token)
    expected = token_mac(output, body.header.message_id, digest)
    return hmac.compare_digest(expected, body.token.mac)


def is_acceptable(tx: Reading, body: AnonymousBody, digest: bytes, roster: Roster | None) -> bool:
    """Tell whether a message that comes now has a genuine token of a period that the present rule
    has: by a new rule the owner ends what was issued by the old one."""
    stored = key_for(tx, body)
    if roster is None or stored is None or not _is_of(stored.key, _rules(roster)):
        return False
    return is_genuine(tx, body, digest)


def may_have_lost_key(tx: Reading, body: AnonymousBody, now: int) -> bool:
    """Tell whether the ledger cannot have known the key of a copy that names none of its own.

    It draws one key for each period. So one that has a key for the copy's period has never had
    another; one that was lost, or was put back from long ago, has none until its first reconcile
    has ended, which is when it draws.
    """
    header = body.header
    if header.issued > now + CLOCK_SKEW or header.expires - header.issued > _LONGEST:
        return False
    own = (stored.key for stored in tx.token_keys() if stored.key.channel == header.channel)
    return not any(key.begins <= header.issued < key.ends for key in own)


def is_spent_elsewhere(tx: Reading, body: AnonymousBody, digest: bytes) -> bool:
    """Tell whether a genuine token was spent for another message."""
    mark = tx.token_spent(body.header.key_id, body.token.token)
    return mark is not None and not hmac.compare_digest(mark, spent_mark(tx, digest))


def spend(tx: Transaction, body: AnonymousBody, digest: bytes) -> None:
    """Remember that a genuine token is spent; nothing happens if it is known to be."""
    if tx.token_spent(body.header.key_id, body.token.token) is None:
        tx.add_token_spent(body.header.key_id, body.token.token, spent_mark(tx, digest))
