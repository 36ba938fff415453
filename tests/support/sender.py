"""A sender's outbox in a real state file, and a fleet around it that can be made to lie."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from device_sdk.identity import Identity
from device_sdk.outbox.evidence import Court
from device_sdk.outbox.limits import OutboxLimits
from device_sdk.outbox.outbox import Outbox
from device_sdk.outbox.outgoing import Outgoing, State, Verdict
from device_sdk.outbox.store import OutboxStore
from device_sdk.seal import Sealed
from device_sdk.state.state_file import StateFile
from device_sdk.trust import Roster
from device_sdk.unseal import check_copy, open_copy
from device_sdk.wire import cose
from device_sdk.wire.envelope import Envelope
from device_sdk.wire.limits import DAY
from device_sdk.wire.notice import Event, EventKind
from device_sdk.wire.read_ack import NOT_OPENED, READ, UNREADABLE, ReadAck
from device_sdk.wire.topics import Kind, Topic, Topics
from tests.support.fleet import NOW, Fleet

ME, HUB, PHONE = "thermo-1", "hub", "phone"
NOT_ASKED: Mapping[bytes, State] = MappingProxyType({})
TICK = 100.0


class Sender:
    """The sender thermo-1, which writes to hub and phone."""

    def __init__(self, fleet: Fleet, path: Path) -> None:
        self.fleet, self.path = fleet, path
        self.roster: Roster = fleet.roster()
        self.tokens: dict[bytes, dict[str, bytes]] = {}
        self.limits = OutboxLimits()
        self._open()

    def _open(self) -> None:
        self.state = StateFile(self.path)
        self.box = Outbox(
            OutboxStore(self.state),
            name=ME,
            signer=self.fleet.identities[ME],
            aad=self.fleet.aad,
            topics=Topics(),
            limits=self.limits,
        )

    def restart(self) -> None:
        self.state.close()
        self._open()

    def send(self, *readers: str, expires: int = NOW + DAY, sequence: int = 1) -> Sealed:
        sealed = self.fleet.seal(
            b"21.5", sender=ME, to=list(readers or [HUB]), expires=expires, sequence=sequence
        )
        self.box.add(sealed)
        return sealed

    def get(self, sealed: Sealed) -> Outgoing:
        message = self.box.get(sealed.message_id)
        assert message is not None
        return message

    def event(self, kind: EventKind, sealed: Sealed, **fields: object) -> Event:
        values = {"sender": ME, "message_id": sealed.message_id, "digest": sealed.digest, **fields}
        return Event(kind=kind, **values)  # type: ignore[arg-type]

    def hear(
        self, *events: Event, asked: Mapping[bytes, State] = NOT_ASKED, now: int = NOW
    ) -> None:
        court = Court(sender=ME, roster=self.roster, aad=self.fleet.aad, now=now)
        self.box.take_events(events, court, asked)

    def held(self, *readers: str, **options: int) -> Sealed:
        sealed = self.send(*readers, **options)
        self.hear(self.event(EventKind.HELD, sealed))
        return sealed

    def ack(
        self, sealed: Sealed, reader: str, *, signer: Identity | None = None, **fields: object
    ) -> bytes:
        """Sign what the reader of ``reader`` would, with its real open-token."""
        verdict = fields.get("verdict", READ)
        values: dict[str, object] = {
            "verdict": verdict,
            "sender": ME,
            "message_id": sealed.message_id,
            "digest": sealed.digest,
            "reader": reader,
            "time": NOW + 5,
            "open_token": b"",
            "reason": NOT_OPENED if verdict == UNREADABLE else "",
            **fields,
        }
        if verdict == READ and not values["open_token"]:
            values["open_token"] = self.token(sealed, reader)
        ack = ReadAck(**values)  # type: ignore[arg-type]
        return cose.sign(ack, signer or self.fleet.identities[reader], self.fleet.aad)

    def token(self, sealed: Sealed, reader: str) -> bytes:
        """Open the copy as the reader would."""
        copy = next(
            c for c in Envelope.decode(sealed.envelope).copies() if c.reader.reader == reader
        )
        topic = Topic(kind=Kind.INBOX, owner=reader, sender=ME, message_id=sealed.message_id)
        checked = check_copy(
            copy.encode(),
            topic=topic,
            reader=reader,
            roster=self.roster,
            aad=self.fleet.aad,
            now=NOW,
        )
        return open_copy(checked, self.fleet.reader_keys[reader]).open_token

    def read(self, sealed: Sealed, reader: str, ack: bytes | None = None) -> Event:
        return self.event(EventKind.READ, sealed, ack=ack or self.ack(sealed, reader))

    def verdict(self, sealed: Sealed, reader: str) -> Verdict:
        slot = self.get(sealed).slot(reader)
        assert slot is not None
        return slot.verdict

    def envelopes(self, tick: float = TICK) -> list[bytes]:
        return [publish.payload for publish in self.box.due(tick)]
