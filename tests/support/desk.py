"""The gateway's side of the wire, played by hand: what a test needs to answer devices in a `Hub`.

It is no gateway: it keeps what it is told to keep, believes every device, and can be made to lie.
"""

import threading
import time
from dataclasses import replace

from device_sdk.identity import Identity
from device_sdk.trust import Pin
from device_sdk.wire import cose
from device_sdk.wire.envelope import Envelope
from device_sdk.wire.header import Header
from device_sdk.wire.key_statement import KeyStatement, encode_key_list
from device_sdk.wire.limits import DAY
from device_sdk.wire.log_proof import Prove
from device_sdk.wire.notice import FINISHED, Event, EventKind, Notice
from device_sdk.wire.query import Query, Seen
from device_sdk.wire.read_ack import ReadAck
from device_sdk.wire.roster_head import RosterHead
from device_sdk.wire.roster_page import (
    ROLE_DEVICE,
    ROLE_GATEWAY,
    ChannelEntry,
    DeviceEntry,
    RosterPage,
    page_hash,
)
from device_sdk.wire.state import ONLINE, State
from device_sdk.wire.suites import VerifyKey, load_verify_key
from device_sdk.wire.topics import Kind, Topics
from tests.support.gateway_log import GatewayLog
from tests.support.hub import Carried, Hub

TOPICS = Topics()


class Desk:
    """An owner and a gateway in one, on a `Hub`."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.root, self.gateway = Identity.generate(), Identity.generate()
        self.pin = Pin.from_spki(self.root.spki)
        self.devices: dict[str, DeviceEntry] = {}
        self.channels: dict[str, ChannelEntry] = {}
        self.version = int(time.time()) - DAY
        self.statements: dict[str, list[bytes]] = {}
        self.digests: dict[bytes, tuple[Header, bytes]] = {}
        self.events: dict[str, list[Event]] = {}
        self.seen: list[Seen] = []
        self.asked: list[Query] = []
        self.is_silent = False
        self.logs: dict[str, GatewayLog] = {}
        """Which log each device is shown; "" is for those that are not named."""
        self._counter = 0
        self._lock = threading.RLock()
        self.admit("gw-1", self.gateway.spki, ROLE_GATEWAY)
        hub.on_publish = self.take

    # The owner.

    def admit(self, name: str, spki: bytes, role: str = ROLE_DEVICE, *, revoked: int = 0) -> None:
        """List a device; `publish_roster` makes it known."""
        self.devices[name] = DeviceEntry(
            identities=(spki,),
            roles=(role,),
            not_after=int(time.time()) + 365 * DAY,
            revoked_at=revoked,
        )

    def revoke(self, name: str) -> None:
        """Revoke a device; `publish_roster` makes it known."""
        self.devices[name] = replace(self.devices[name], revoked_at=self.version + 1)

    def publish_roster(self, *, expires_in: int = 365 * DAY, version: int = 0) -> None:
        """Sign and publish the roster, one page."""
        self.version = version or self.version + 1
        page = RosterPage(devices=self.devices, channels=self.channels).encode()
        now = int(time.time())
        head = RosterHead(
            fleet_id=self.pin.fleet_id,
            version=self.version,
            issued=now - DAY,
            expires=now + expires_in,
            page_hashes=(page_hash(page),),
        )
        self.hub.put(TOPICS.roster_page(page_hash(page)), page, retain=True)
        self.hub.put(TOPICS.roster(), cose.sign(head, self.root, self.pin.aad), retain=True)

    def publish_keys(self, name: str) -> None:
        """Publish what a device announced."""
        data = encode_key_list(self.statements[name])
        self.hub.put(TOPICS.keys(name), data, retain=True)

    # The gateway.

    def publish_state(
        self, status: str = ONLINE, *, instance: bytes = bytes(16), time_ahead: int = 0
    ) -> None:
        """Publish the gateway's state, by a clock that may be so many seconds ahead."""
        state = State(
            gateway="gw-1",
            ledger_id=bytes(16),
            instance=instance,
            status=status,
            time=int(time.time()) + time_ahead,
            roster_version=self.version,
            software="desk",
            max_payload=1,
            max_readers=1,
            max_lifetime=1,
        )
        data = cose.sign(state, self.gateway, self.pin.aad)
        self.hub.put(TOPICS.state("gw-1"), data, retain=True)

    def publish_log(self, log: GatewayLog, device: str = "") -> None:
        """Show the head of a log, and from now on prove everything by it: to all, or to one."""
        self.logs[device] = log
        if not device:
            self.hub.put(TOPICS.log("gw-1"), log.head(), retain=True)

    def notice(
        self,
        device: str,
        *events: Event,
        signer: Identity | None = None,
        topic: str = "",
        nonce: bytes = b"",
        owed: int | None = None,
    ) -> bytes:
        """Sign and publish a notice; return it, so that it can be played again."""
        self._counter += 1
        notice = Notice(
            device=device,
            ledger_id=bytes(16),
            counter=self._counter,
            time=int(time.time()),
            roster_version=self.version,
            events=events,
            query_nonce=nonce,
            owed=owed,
        )
        data = cose.sign(notice, signer or self.gateway, self.pin.aad)
        self.hub.put(topic or TOPICS.notice(device), data)
        return data

    def event(self, kind: EventKind, message_id: bytes, **fields: object) -> Event:
        """Return an event about a message that came here."""
        header, digest = self.digests[message_id]
        values = {"sender": header.sender, "digest": digest, **fields}
        return Event(kind=kind, message_id=message_id, **values)  # type: ignore[arg-type]

    def tell(self, event: Event) -> None:
        """Tell a message's sender, now and whenever it asks."""
        with self._lock:
            self.events.setdefault(event.message_id.hex(), []).append(event)
        self.notice(event.sender, event)

    def owed(self, device: str) -> list[str]:
        """Return the topics of the copies that stand for a device."""
        start = f"{TOPICS.prefix}/inbox/{device}/"
        return [topic for topic in list(self.hub.retained) if topic.startswith(start)]

    def take(self, carried: Carried) -> None:
        """Do with what a device publishes as a gateway would, but without a single check."""
        topic = TOPICS.parse(carried.topic)
        with self._lock:
            if topic.kind is Kind.ANNOUNCE:
                self._announced(topic.owner, carried.payload)
            elif self.is_silent:
                return
            elif topic.kind is Kind.SEND:
                self._hold(carried.payload)
            elif topic.kind is Kind.READ:
                self._clear(carried.payload)
            elif topic.kind is Kind.QUERY:
                self._answer(cose.parse_signed(Query, carried.payload).claims)
            elif topic.kind is Kind.PROVE:
                self._prove(cose.parse_signed(Prove, carried.payload).claims)
            elif topic.kind is Kind.SEEN:
                self._forget(cose.parse_signed(Seen, carried.payload).claims)

    def _announced(self, device: str, payload: bytes) -> None:
        known = self.statements.setdefault(device, [])
        if payload not in known:
            known.append(payload)
            known.sort(key=lambda data: cose.parse_signed(KeyStatement, data).claims.serial)
            self.publish_keys(device)

    def _hold(self, payload: bytes) -> None:
        envelope = Envelope.decode(payload)
        header = envelope.body.header
        key = next(key for key in self._keys(header.sender) if key.kid == header.sender_kid)
        self.digests[header.message_id] = (header, envelope.body.verify(key, self.pin.aad))
        self.tell(self.event(EventKind.HELD, header.message_id))
        for copy in envelope.copies():
            topic = TOPICS.inbox(copy.reader.reader, header.sender, header.message_id)
            self.hub.put(topic, copy.encode(), retain=True)

    def _keys(self, name: str) -> list[VerifyKey]:
        return [load_verify_key(spki) for spki in self.devices[name].identities]

    def _clear(self, payload: bytes) -> None:
        ack = cose.parse_signed(ReadAck, payload).claims
        topic = TOPICS.inbox(ack.reader, ack.sender, ack.message_id)
        if topic in self.hub.retained:
            self.hub.put(topic, b"", retain=True)
            self.tell(self.event(EventKind(ack.verdict), ack.message_id, ack=payload))

    def _forget(self, seen: Seen) -> None:
        self.seen.append(seen)
        for item in seen.messages:
            finished = self.event(EventKind.HELD, item.message_id, word=FINISHED)
            self.events[item.message_id.hex()] = [finished]

    def _prove(self, question: Prove) -> None:
        log = self.logs.get(question.device) or self.logs.get("")
        if log is not None:
            self.hub.put(TOPICS.proof(question.device), log.answer(question).encode())

    def _answer(self, query: Query) -> None:
        self.asked.append(query)
        events: list[Event] = []
        for item in query.sent:
            known = self.events.get(item.message_id.hex())
            events += known or [
                Event(kind=EventKind.UNKNOWN, sender=query.device, message_id=item.message_id)
            ]
        for want in query.wanted:
            topic = TOPICS.inbox(query.device, want.sender, want.message_id)
            if topic in self.hub.retained:
                self.hub.put(topic, self.hub.retained[topic], retain=True)
        owed = len(self.owed(query.device))
        self.notice(query.device, *events, nonce=query.nonce, owed=owed)
