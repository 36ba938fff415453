"""What one arrival leads to: dispatches it to the verb that knows, inside a transaction.

Pure but for the transaction: many arrivals share one, and what is decided here happens after its
commit. No decision raises over what came; the bytes may be anybody's.
"""

from dataclasses import dataclass, field, replace

from device_sdk.trust import verify_head
from device_sdk.wire.errors import SealgateError, TopicError
from device_sdk.wire.log_proof import Prove
from device_sdk.wire.names import ANONYMOUS
from device_sdk.wire.query import AnonymousQuery, Query
from device_sdk.wire.reasons import Reason
from device_sdk.wire.topics import FROM_DEVICES, Kind, Topic, Topics
from gateway import acknowledge, admit, adopt, answer, certificates, hold, reading_rule, tokens
from gateway.acknowledge import AckResult
from gateway.adopt import Found
from gateway.effects import NOTHING, Effects, merged
from gateway.fault_points import reached
from gateway.link.port import Arrival
from gateway.logs import short_id
from gateway.reading_rule import Question
from gateway.situation import Situation
from gateway.standing import standing
from gateway.store.port import Transaction
from gateway.tokens import Grant


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """To be carried out once the transaction is committed."""

    effects: Effects = NOTHING
    visit: tuple[str, ...] = ()
    """Topics at which something else stands than should."""
    query: Query | None = None
    anonymous_query: AnonymousQuery | None = None
    prove: Prove | None = None
    question: Question | None = None
    """A proof to be verified before the message that it is of is decided again."""
    reading: reading_rule.Found | None = None
    """What was found out about a message on a channel with a rule for readings."""
    refused: Reason | None = None
    """Why a message is not held."""
    grant: Grant | None = None
    """A request for tokens that is to be answered."""
    wait: bool = False
    """A read ack to be looked at again when the first reconcile has ended."""
    left: int = 0
    """Nobody can tell yet what to make of it; Unix seconds at which it is cleared all the same."""
    found: Found | None = None
    """With copies: what it turned out to be."""
    stray_page: bool = False
    """A page of a roster that is not ours; another one may stand beside it."""
    done: str = ""
    """The work of `gateway.fault_points.ARRIVING` that was written into the ledger."""
    overtaken: int = 0
    """The version of a roster of our owner's at the broker that is newer than ours."""
    is_request: bool = False
    """A join request, to be kept for the owner."""
    log: dict[str, str] = field(default_factory=dict)
    """What the operator should know: ids only in short."""


_NOTHING = Decision()
_STANDING = Decision(found=Found.STANDING)


def decide(tx: Transaction, arrival: Arrival, topics: Topics, situation: Situation) -> Decision:
    """Decide about anything but states."""
    decision = _decide(tx, arrival, topics, situation)
    if decision.done:
        reached(f"{decision.done}-written")
    return decision


def _decide(tx: Transaction, arrival: Arrival, topics: Topics, situation: Situation) -> Decision:
    try:
        topic = topics.parse(arrival.topic)
    except TopicError:
        # Somebody retained something where nothing can ever stand; what is not ours stays.
        is_stray = arrival.retained and topics.may_stand(arrival.topic)
        return Decision(visit=(arrival.topic,)) if is_stray else _NOTHING
    if not arrival.payload:
        return _NOTHING  # the echo of a clear
    if topic.kind in FROM_DEVICES:
        decision = _from_device(tx, topic, arrival.payload, situation)
        return replace(decision, visit=(arrival.topic,)) if arrival.retained else decision
    return _retained(tx, arrival, topic, topics, situation) if arrival.retained else _NOTHING


def _from_device(tx: Transaction, topic: Topic, payload: bytes, situation: Situation) -> Decision:
    if topic.kind is Kind.SEND:
        return _send(tx, topic, payload, situation)
    if topic.kind is Kind.JOIN:
        return Decision(is_request=True)
    if topic.kind is Kind.READ:
        return _read(tx, topic, payload, situation)
    if topic.kind in (Kind.QUERY, Kind.PROVE, Kind.BLIND):
        return _question(tx, topic, payload, situation)
    if topic.kind is Kind.SEEN:
        seen = answer.open_seen(topic, payload, situation)
        if isinstance(seen, answer.Distrust):
            return _distrust(topic, seen)
        return Decision(effects=answer.note_seen(tx, seen), done="seen")
    taken = admit.announce(tx, topic, payload, situation)
    if taken.result in (admit.KeyResult.NEW, admit.KeyResult.KNOWN):
        return Decision(effects=taken.effects, done="announce")
    return _distrust(topic, taken.result)


def _question(tx: Transaction, topic: Topic, payload: bytes, situation: Situation) -> Decision:
    if topic.kind is Kind.QUERY and topic.owner == ANONYMOUS:
        asked = answer.open_anonymous_query(payload)
        if isinstance(asked, answer.Distrust):
            return _distrust(topic, asked)
        return Decision(anonymous_query=asked)
    if topic.kind is Kind.BLIND:
        request = answer.open_token_request(topic, payload, situation)
        if isinstance(request, answer.Distrust):
            return _distrust(topic, request)
        return Decision(grant=tokens.grant(tx, request, situation), done="blind")
    if topic.kind is Kind.PROVE:
        prove = answer.open_prove(topic, payload, situation)
        return Decision(prove=prove) if isinstance(prove, Prove) else _distrust(topic, prove)
    query = answer.open_query(topic, payload, situation)
    return Decision(query=query) if isinstance(query, Query) else _distrust(topic, query)


def decide_examined(
    tx: Transaction,
    arrival: Arrival,
    topics: Topics,
    situation: Situation,
    examined: reading_rule.Examined,
) -> Decision:
    """Decide again about a message, now that its proof was looked at."""
    decision = _send(tx, topics.parse(arrival.topic), arrival.payload, situation, examined)
    if decision.done:
        reached(f"{decision.done}-written")
    return decision


def _send(
    tx: Transaction,
    topic: Topic,
    payload: bytes,
    situation: Situation,
    examined: reading_rule.Examined | None = None,
) -> Decision:
    held = hold.take_in(tx, topic, payload, situation, examined)
    if held.question is not None:
        return Decision(question=held.question)
    if held.reason is None:
        return Decision(effects=held.effects, reading=held.found, done="send")
    if held.reason is Reason.QUOTA and topic.owner in situation.suspended:
        # That it is suspended was said once: a flood must not become one of lines.
        return Decision(effects=held.effects, refused=held.reason)
    log = {
        "event": "refused",
        "sender": topic.owner,
        "message": short_id(topic.message_id),
        "reason": str(held.reason),
    }
    return Decision(effects=held.effects, reading=held.found, refused=held.reason, log=log)


def _read(tx: Transaction, topic: Topic, payload: bytes, situation: Situation) -> Decision:
    acked = acknowledge.acknowledge(tx, topic, payload, situation)
    if acked.result is AckResult.NOT_RECONCILED:
        return Decision(wait=True)
    if acked.result in (AckResult.READ, AckResult.UNREADABLE, AckResult.NOT_OWED):
        return Decision(effects=acked.effects, done="read")
    return _distrust(topic, acked.result, effects=acked.effects)


def _distrust(topic: Topic, reason: str, *, effects: Effects = NOTHING) -> Decision:
    log = {"event": "disregarded", "kind": topic.kind, "device": topic.owner, "reason": reason}
    return Decision(effects=effects, log=log)


# What stands at the broker: a hint, judged against the current row (PROTOCOL 13.6).


def _retained(
    tx: Transaction, arrival: Arrival, topic: Topic, topics: Topics, situation: Situation
) -> Decision:
    if topic.kind is Kind.INBOX:
        judged = adopt.judge_retained(tx, topic, arrival.payload, situation)
        if judged.found is Found.STANDING:
            return _STANDING
        done = "adoption" if judged.found is Found.ADOPTED else ""
        return Decision(effects=judged.effects, found=judged.found, left=judged.until, done=done)
    if topic.kind is Kind.KEYS:
        return _keys(tx, arrival, topic, topics, situation)
    if topic.kind is Kind.CERT:
        visit, left = certificates.judge(situation, topic.owner, arrival.payload)
        return Decision(visit=(arrival.topic,) if visit else (), left=left)
    if topic.kind is Kind.ROSTER:
        return _roster(tx, arrival, topic, topics, situation)
    return Decision(visit=(arrival.topic,))  # a notice or proof, which is for now or never


def _keys(
    tx: Transaction, arrival: Arrival, topic: Topic, topics: Topics, situation: Situation
) -> Decision:
    taken = admit.take_key_list(tx, topic.owner, arrival.payload, situation)
    effects = merged(one.effects for one in taken)
    if any(one.result is admit.KeyResult.UNKNOWN_DEVICE for one in taken):
        return Decision(effects=effects)  # a newer roster may list it
    right = standing(tx, topics, arrival.topic, situation).payload == arrival.payload
    return Decision(effects=effects, visit=() if right else (arrival.topic,))


def _roster(
    tx: Transaction, arrival: Arrival, topic: Topic, topics: Topics, situation: Situation
) -> Decision:
    if standing(tx, topics, arrival.topic, situation).payload == arrival.payload:
        return _NOTHING
    if topic.page_hash:
        return Decision(stray_page=True)
    if situation.roster is not None:
        try:
            head = verify_head(situation.pin, arrival.payload).head
        except SealgateError:
            return Decision(visit=(arrival.topic,))
        if head.version > situation.roster.version:
            # Publishing ours over it would look like a rollback to every device.
            return Decision(overtaken=head.version)
    return Decision(visit=(arrival.topic,))
