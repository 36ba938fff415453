"""Commit once per message: an accepted envelope becomes rows, whatever happens afterwards.

The caller's order is fixed (PROTOCOL 13.2): commit, PUBACK, publish the copies, tell *held*.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from device_sdk.wire.anonymous import AnonymousBody, AnyCopy
from device_sdk.wire.anonymous_header import AnonymousHeader
from device_sdk.wire.envelope import Body as WireBody
from device_sdk.wire.header import Header
from device_sdk.wire.names import ANONYMOUS
from device_sdk.wire.notice import Event
from device_sdk.wire.reasons import Reason
from device_sdk.wire.topics import Topic
from gateway import events, reading_rule, tokens, totals_register
from gateway.copies import RETRY
from gateway.effects import NOTHING, Effects, Tell
from gateway.lifecycle import (
    CopyState,
    MessageEvent,
    MessageState,
    SlotState,
    message_after,
)
from gateway.reading_rule import Examined, Found, Question
from gateway.receive import Accepted, Refused, Unpacked, check, unpack
from gateway.settle import close_if_settled
from gateway.situation import Situation
from gateway.store.port import Reading, Transaction
from gateway.store.records import Body, CopyRef, Message, MessageKey, Slot, Wrap
from gateway.tombstone import find_tombstone, has_digest


class Holding(StrEnum):
    """What became of an arrival. Every one of them is PUBACKed, after the commit."""

    NEW = "new"
    COMPLETED = "completed"
    """It was held partially, from copies found at the broker; now it is whole."""
    AGAIN = "again"
    """The same message was held before: it is answered, and nothing changes."""
    FINISHED = "finished"
    """The same message has ended and been forgotten; only its tombstone is left."""
    UNPROVED = "unproved"
    """The proof of its reading is to be verified first. Nothing is stored."""
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """The answer to one arrival."""

    key: MessageKey
    holding: Holding
    effects: Effects
    reason: Reason | None = None
    """With REFUSED only."""
    question: Question | None = None
    """With UNPROVED only."""
    found: Found | None = None
    """On a channel with a rule for readings."""


def take_in(
    tx: Transaction,
    topic: Topic,
    payload: bytes,
    situation: Situation,
    examined: Examined | None = None,
) -> Held:
    """Receive and hold one envelope. It never raises over what came, so batches may share a ``tx``.

    ``examined`` is what came of the question that was asked about this very envelope.

    A message that is known with the same digest is answered before any other check (PROTOCOL
    13.8): it was accepted once, and what has changed since is not its sender's doing.
    """
    unpacked = unpack(topic, payload, situation)
    if isinstance(unpacked, Refused):
        return _refuse(unpacked, quietly=topic.owner == ANONYMOUS)
    known = _known(tx, unpacked.key, unpacked.digest)
    if known is not None and known.holding is not Holding.REFUSED:
        return known
    is_examined = examined in (Examined.RIGHT, Examined.WRONG)
    if not is_examined and _is_suspended(tx, unpacked, situation):
        return _refuse_for(unpacked.key, unpacked.digest, Reason.QUOTA)
    accepted = check(
        unpacked,
        situation,
        tx.key_statement,
        lambda body, digest: tokens.is_acceptable(tx, body, digest, situation.roster),
    )
    if isinstance(accepted, Refused):
        return _refuse(accepted, quietly=_has_unknown_key(tx, unpacked))
    return known or _hold(tx, accepted, situation, examined)


def _is_suspended(tx: Reading, unpacked: Unpacked, situation: Situation) -> bool:
    """Whether it would be refused after all other checks, which a flood is not worth."""
    header, roster = unpacked.envelope.body.header, situation.roster
    return (
        unpacked.key.sender in situation.suspended
        and bool(unpacked.envelope.proof)
        and roster is not None
        and reading_rule.is_required(header, roster)
        and not _is_partial(tx, unpacked.key)  # which is not judged again
    )


def _has_unknown_key(tx: Reading, unpacked: Unpacked) -> bool:
    """Whether an anonymous message names no key of ours, as what anybody can make up does."""
    header = unpacked.envelope.body.header
    return isinstance(header, AnonymousHeader) and tx.token_key(header.key_id) is None


def _is_partial(tx: Reading, key: MessageKey) -> bool:
    message = tx.message(key)
    return message is not None and message.state is MessageState.PARTIAL


def _hold(
    tx: Transaction, accepted: Accepted, situation: Situation, examined: Examined | None
) -> Held:
    token = accepted.anonymous
    if token is not None and tokens.is_spent_elsewhere(tx, token, accepted.digest):
        return _refuse_for(accepted.key, accepted.digest, Reason.TOKEN_SPENT)
    partial = tx.message(accepted.key)
    if partial is not None:  # it was judged when it came first (PROTOCOL 17.3)
        return _complete(tx, partial, accepted, situation.now)
    if _is_over_quota(tx, accepted, situation):
        return _refuse_for(accepted.key, accepted.digest, Reason.QUOTA)
    roster, header = situation.roster, accepted.header
    if (
        roster is None
        or not isinstance(header, Header)  # an anonymous message is no reading
        or not reading_rule.has_rule(header, roster)
    ):
        return _hold_new(tx, accepted, situation.now)
    if examined is None and accepted.key.sender in situation.suspended:
        examined = Examined.SKIPPED
    finding = reading_rule.find(accepted, roster, examined)
    if finding is None:
        return _ask(accepted, header)
    reason = reading_rule.refusal(finding, header, roster)
    if reason is None:
        held = _hold_new(tx, accepted, situation.now)
        totals_register.enter(tx, accepted, finding, situation)
    else:
        held = _refuse_for(accepted.key, accepted.digest, reason)
    return replace(held, found=Found(channel=header.channel, finding=finding))


def _is_over_quota(tx: Reading, accepted: Accepted, situation: Situation) -> bool:
    usage, limits = tx.usage(accepted.key.sender), situation.limits
    return (
        usage.messages >= limits.sender_messages or usage.size + accepted.size > limits.sender_size
    )


def _ask(accepted: Accepted, header: Header) -> Held:
    question = Question(
        key=accepted.key, header=header, digest=accepted.digest, proof=accepted.proof
    )
    return Held(key=accepted.key, holding=Holding.UNPROVED, effects=NOTHING, question=question)


def _known(tx: Reading, key: MessageKey, digest: bytes) -> Held | None:
    """Answer what needs no more checks; None for a new message, and for one to be completed."""
    message = tx.message(key)
    if message is not None:
        if message.digest != digest:
            return _refuse_for(key, digest, Reason.ID_REUSED)
        if message.state is MessageState.PARTIAL:
            return None
        return _tell(key, Holding.AGAIN, events.held(message))
    tombstone = find_tombstone(tx, key)
    if tombstone is None:
        return None
    if not has_digest(tx, tombstone, digest):
        return _refuse_for(key, digest, Reason.ID_REUSED)
    return _tell(key, Holding.FINISHED, events.finished(key, digest))


def _hold_new(tx: Transaction, accepted: Accepted, now: int) -> Held:
    message = Message(
        key=accepted.key,
        digest=accepted.digest,
        channel=accepted.header.channel,
        reader_count=len(accepted.copies),
        size=accepted.size,
        held_at=now,
        expires=accepted.header.expires,
        state=MessageState.HELD,
    )
    tx.add_message(message)
    if accepted.anonymous is not None:
        tokens.spend(tx, accepted.anonymous, accepted.digest)
    return _add_readers(tx, message, accepted, accepted.copies, now, Holding.NEW)


def _complete(tx: Transaction, partial: Message, accepted: Accepted, now: int) -> Held:
    known = {slot.reader for slot in tx.slots(partial.key)}
    missing = [copy for copy in accepted.copies if copy.reader.reader not in known]
    message = replace(partial, state=message_after(partial.state, MessageEvent.COMPLETED))
    tx.set_message(message.key, message.state)
    if accepted.anonymous is not None:
        tokens.spend(tx, accepted.anonymous, accepted.digest)
    return _add_readers(tx, message, accepted, missing, now, Holding.COMPLETED)


def _add_readers(
    tx: Transaction,
    message: Message,
    accepted: Accepted,
    copies: Iterable[AnyCopy],
    now: int,
    holding: Holding,
) -> Held:
    owed: list[CopyRef] = []
    excused: dict[int, list[str]] = {}
    for copy in copies:
        reader = copy.reader.reader
        revoked_at = accepted.excused.get(reader, 0)
        tx.add_slot(message.key, new_slot(copy, now, revoked_at), new_wrap(copy, revoked_at))
        if revoked_at:
            excused.setdefault(revoked_at, []).append(reader)
        else:
            owed.append(CopyRef(message.key, reader))
    if owed and tx.body(message.key) is None:
        tx.add_body(message.key, new_body(accepted.copies[0].body))
    if not owed:
        close_if_settled(tx, message)
    told = [events.held(message)]
    told += [events.excused(message, names, revoked_at=at) for at, names in excused.items()]
    return _tell(message.key, holding, *told, publish=tuple(owed))


def new_slot(copy: AnyCopy, now: int, revoked_at: int = 0) -> Slot:
    """Return the slot of a reader that owes a read ack, or is revoked and does not."""
    return Slot(
        reader=copy.reader.reader,
        index=copy.inclusion.index,
        state=SlotState.EXCUSED if revoked_at else SlotState.OWED,
        copy=CopyState.CLEARED if revoked_at else CopyState.DUE,
        act_at=now + RETRY,
        revoked_at=revoked_at,
    )


def new_wrap(copy: AnyCopy, revoked_at: int = 0) -> Wrap | None:
    """Return what only this copy has; nothing is kept for a revoked reader."""
    if revoked_at:
        return None
    return Wrap(
        kid=copy.reader.kid,
        open_hash=copy.reader.open_hash,
        wrapped_cek=copy.reader.wrapped_cek,
        path=copy.inclusion.path,
    )


def new_body(body: WireBody | AnonymousBody) -> Body:
    """Return a message's content as it is stored."""
    if isinstance(body, AnonymousBody):
        return Body(
            protected=body.protected,
            sign_protected=b"",
            signature=b"",
            ciphertext=body.ciphertext,
            token=body.token,
        )
    return Body(
        protected=body.protected,
        sign_protected=body.countersignature.protected,
        signature=body.countersignature.signature,
        ciphertext=body.ciphertext,
    )


def _refuse_for(key: MessageKey, digest: bytes, reason: Reason) -> Held:
    return _refuse(Refused(key=key, reason=reason, digest=digest))


def _refuse(refused: Refused, *, quietly: bool = False) -> Held:
    """Refuse a message; ``quietly`` if the whole fleet would be told about anybody's rubbish."""
    if quietly:
        return Held(
            key=refused.key, holding=Holding.REFUSED, effects=NOTHING, reason=refused.reason
        )
    event = events.refused(refused.key, refused.digest, refused.reason)
    return replace(_tell(refused.key, Holding.REFUSED, event), reason=refused.reason)


def _tell(
    key: MessageKey, holding: Holding, *told: Event, publish: tuple[CopyRef, ...] = ()
) -> Held:
    tell = tuple(Tell(device=key.sender, event=event) for event in told)
    return Held(key=key, holding=holding, effects=Effects(publish=publish, tell=tell))
