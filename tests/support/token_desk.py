"""The gateway's side of anonymous messages, by hand beside a `Desk`; it can be made to lie."""

import os
import time

from device_sdk.wire import cose
from device_sdk.wire.anonymous import AnonymousEnvelope, token_mac
from device_sdk.wire.anonymous_rule import AnonymousRule
from device_sdk.wire.epoch_key import EpochKey, TokenKeys
from device_sdk.wire.limits import DAY
from device_sdk.wire.names import ANONYMOUS
from device_sdk.wire.notice import Event, EventKind
from device_sdk.wire.query import AnonymousQuery
from device_sdk.wire.roster_page import ChannelEntry
from device_sdk.wire.token_request import TokenIssue, TokenRequest
from device_sdk.wire.topics import Kind
from gateway import oprf
from tests.support.desk import TOPICS, Desk
from tests.support.hub import Carried

CHANNEL = "box"
RULE = AnonymousRule(epoch=30 * DAY, tokens=3)


class TokenDesk:
    """Draws keys, issues tokens, takes anonymous messages."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.seeds: dict[bytes, bytes] = {}
        self.requests: list[TokenRequest] = []
        self.envelopes: list[AnonymousEnvelope] = []
        self.asked: list[AnonymousQuery] = []
        self.denial = ""
        self.cheat_with = b""
        """A seed with which to evaluate, instead of that of the key that is shown."""
        self.is_silent = False
        self._take = desk.take
        desk.hub.on_publish = self.take
        desk.channels[CHANNEL] = ChannelEntry(
            readers=("hub",), senders=("phone", "thermo-1"), lifetime=7 * DAY, anonymous=RULE
        )
        desk.publish_roster()
        self.keys = [self.draw(ahead) for ahead in (0, 1)]
        self.show(self.keys)

    def draw(self, ahead: int = 0) -> EpochKey:
        """Draw a key for this period, or a later one."""
        seed = os.urandom(32)
        begins, ends = RULE.period(int(time.time()), ahead)
        key = EpochKey(channel=CHANNEL, begins=begins, ends=ends, public=oprf.public_of(seed))
        self.seeds[key.key_id] = seed
        return key

    def show(self, keys: list[EpochKey]) -> bytes:
        """Publish a signed list of keys, and return it."""
        record = TokenKeys(gateway="gw-1", time=int(time.time()), keys=tuple(keys))
        data = cose.sign(record, self.desk.gateway, self.desk.pin.aad)
        self.desk.hub.put(TOPICS.tokens("gw-1"), data, retain=True)
        return data

    def take(self, carried: Carried) -> None:
        """Do what a gateway would."""
        topic = TOPICS.parse(carried.topic)
        if topic.kind is Kind.BLIND:
            self._issue(cose.parse_signed(TokenRequest, carried.payload).claims)
        elif topic.kind is Kind.READ and topic.sender == ANONYMOUS:
            self.desk.hub.put(
                TOPICS.inbox(topic.owner, ANONYMOUS, topic.message_id), b"", retain=True
            )
        elif topic.owner != ANONYMOUS:
            self._take(carried)
        elif topic.kind is Kind.QUERY:
            self.asked.append(AnonymousQuery.decode(carried.payload))
        else:
            self._hold(AnonymousEnvelope.decode(carried.payload))

    def _issue(self, request: TokenRequest) -> None:
        self.requests.append(request)
        if self.is_silent:
            return
        issue = TokenIssue(key_id=request.key_id, request=request.digest, denial=self.denial)
        if not self.denial:
            seed = self.cheat_with or self.seeds[request.key_id]
            evaluated, proof = oprf.issue(seed, request.blinded)
            issue = TokenIssue(
                key_id=request.key_id, request=request.digest, evaluated=evaluated, proof=proof
            )
        self.desk.hub.put(TOPICS.issue(request.device), issue.encode())

    def _hold(self, envelope: AnonymousEnvelope) -> None:
        self.envelopes.append(envelope)
        if self.is_silent:
            return
        self.tell(EventKind.HELD, envelope)
        for copy in envelope.copies():
            topic = TOPICS.inbox(copy.reader.reader, ANONYMOUS, copy.body.header.message_id)
            self.desk.hub.put(topic, copy.encode(), retain=True)

    def tell(self, kind: EventKind, envelope: AnonymousEnvelope, **fields: object) -> None:
        """Tell everybody something about a message."""
        event = Event(
            kind=kind,
            sender=ANONYMOUS,
            message_id=envelope.body.header.message_id,
            digest=envelope.body.digest(self.desk.pin.aad),
            **fields,  # type: ignore[arg-type]
        )
        self.desk.notice(ANONYMOUS, event)

    def is_genuine(self, envelope: AnonymousEnvelope) -> bool:
        """Tell whether a message's token is one of ours, and for it."""
        header, token = envelope.body.header, envelope.body.token
        output = oprf.output_of(self.seeds[header.key_id], token.token)
        digest = envelope.body.digest(self.desk.pin.aad)
        return token_mac(output, header.message_id, digest) == token.mac
