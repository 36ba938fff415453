"""A reader's inbox in a real state file, and a fleet around it."""

from pathlib import Path

from device_sdk.inbox.inbox import Inbox
from device_sdk.inbox.store import InboxStore, Key
from device_sdk.inbox.waiting import Parcel
from device_sdk.link.port import Publish
from device_sdk.seal import Sealed
from device_sdk.state.state_file import StateFile
from device_sdk.trust import Roster
from device_sdk.unseal import Opened, open_copy
from device_sdk.wire import cose
from device_sdk.wire.envelope import Copy, Envelope
from device_sdk.wire.limits import DAY
from device_sdk.wire.read_ack import ReadAck
from device_sdk.wire.topics import Topic, Topics
from tests.support.fleet import NOW, Fleet

ME, SENDER = "hub", "thermo-1"
TICK = 100.0


class Reader:
    """The reader hub, to which thermo-1 writes."""

    def __init__(self, fleet: Fleet, path: Path) -> None:
        self.fleet, self.path = fleet, path
        self.roster: Roster = fleet.roster()
        self.missed: tuple[range, ...] = ()
        """What `show` has said last."""
        self._open()

    def _open(self) -> None:
        self.state = StateFile(self.path)
        self.box = Inbox(
            InboxStore(self.state),
            name=ME,
            signer=self.fleet.identities[ME],
            aad=self.fleet.aad,
            topics=Topics(),
        )

    def restart(self) -> None:
        self.state.close()
        self._open()

    def send(
        self, payload: bytes = b"21.5", *, expires: int = NOW + DAY, sequence: int = 1
    ) -> Sealed:
        to = [ME, "phone"]
        return self.fleet.seal(payload, sender=SENDER, to=to, expires=expires, sequence=sequence)

    def copy(self, sealed: Sealed) -> Copy:
        return next(c for c in Envelope.decode(sealed.envelope).copies() if c.reader.reader == ME)

    def deliver(
        self,
        sealed: Sealed,
        data: bytes | None = None,
        *,
        topic: str = "",
        retained: bool = True,
        now: int = NOW,
        trusted: int | None = None,
    ) -> list[Publish]:
        return self.box.arrived(
            self.topic(topic or Topics().inbox(ME, SENDER, sealed.message_id)),
            self.copy(sealed).encode() if data is None else data,
            retained=retained,
            roster=self.roster,
            now=now,
            trusted=now if trusted is None else trusted,
        )

    def topic(self, topic: str) -> Topic:
        return Topics().parse(topic)

    def take(
        self, *, now: int = NOW, trusted: int | None = None, tick: float = TICK
    ) -> Parcel | None:
        trusted = now if trusted is None else trusted
        return self.box.take(roster=self.roster, now=now, trusted=trusted, tick=tick)

    def show(self) -> tuple[Parcel, Opened]:
        parcel = self.take()
        assert parcel is not None
        opened = open_copy(parcel.checked, self.fleet.reader_keys[ME])
        self.missed = self.box.show(parcel, NOW)
        return parcel, opened

    def handle(self) -> Publish:
        parcel, opened = self.show()
        return self.box.handled(parcel, opened, NOW + 1)

    def unreadable(self, parcel: Parcel, reason: str, tick: float = TICK) -> Publish:
        return self.box.unreadable(parcel, reason, now=NOW, trusted=NOW, tick=tick)

    def unfinished(self) -> list[Key]:
        return self.box.unfinished()

    def again(self, key: Key, *, now: int = NOW, trusted: int | None = None) -> Parcel | None:
        trusted = now if trusted is None else trusted
        return self.box.take_unfinished(key, roster=self.roster, now=now, trusted=trusted)

    def verified(self, publish: Publish) -> ReadAck:
        ack = cose.parse_signed(ReadAck, publish.payload)
        return ack.verify(self.fleet.identities[ME].public, self.fleet.aad)

    def wanted(self, tick: float = TICK) -> list[bytes]:
        return [want.message_id for want in self.box.wanted.due(tick)]
