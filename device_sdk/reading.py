"""The application's side of the inbox: one message after the other, opened when its turn comes."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType

from device_sdk.asking import OwedQuestion
from device_sdk.courier import Courier
from device_sdk.inbox.hands import Hold
from device_sdk.inbox.store import Key
from device_sdk.inbox.waiting import Parcel
from device_sdk.message import Message, Missed
from device_sdk.proofs.errors import ProofsNotInstalledError
from device_sdk.readings import CommitmentMismatchError, Reading, open_reading
from device_sdk.series import Place
from device_sdk.times import as_datetime
from device_sdk.unseal import Opened, UnreadableError, open_copy
from device_sdk.wire.read_ack import KEY_GONE, MISMATCH, NOT_OPENED
from device_sdk.wire.totals_share import SHARE_TYPE

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Content:
    """What a copy held, all of it checked."""

    opened: Opened
    reading: Reading | None

    @property
    def payload(self) -> bytes:
        return self.opened.payload if self.reading is None else self.reading.text().encode()


class InboxReading:
    """One iteration over the inbox."""

    def __init__(
        self, courier: Courier, *, timeout: float | None, until_empty: bool, shares: bool = False
    ) -> None:
        """``shares``: show only trustees' shares of readings, which are else left alone: they are
        no application's, and who acknowledges one by chance takes a reading out of its sum."""
        self._courier, self._shares = courier, shares
        self._parts = courier.parts
        self._timeout = timeout
        self._until_empty = until_empty
        self._unfinished: list[Key] = []

    def messages(self) -> Iterator[Message]:
        """Yield messages, those first whose handler failed before. See `Device.inbox`."""
        with self._courier.changed:
            self._courier.check_open()
            self._courier.listening.is_reading = True
            self._unfinished = self._parts.inbox.unfinished()
            self._courier.pump()
        while (parcel := self._next()) is not None:
            if (parcel.checked.header.content_type == SHARE_TYPE) != self._shares:
                self._leave(parcel)
                continue
            opened = self._try_to_open(parcel)
            if opened is not None:
                yield from self._show(parcel, *opened)

    def _leave(self, parcel: Parcel) -> None:
        """Put a message where the next iteration finds it, without opening it."""
        with self._courier.changed:
            self._courier.check_open()
            self._parts.inbox.leave(parcel, self._parts.time.now)

    def _show(self, parcel: Parcel, opened: _Content, missed: Missed) -> Iterator[Message]:
        hands = self._parts.inbox.hands
        with self._courier.changed:
            hold = hands.hold(parcel.key)
        block = _Block(self._courier, hold, lambda: self._handled(parcel, opened.opened))
        message = _message(parcel, opened, missed, block)
        try:
            yield message
        except GeneratorExit:
            with self._courier.changed:
                hands.end(hold, message)
            raise
        with self._courier.changed:
            hands.pass_on(hold)

    def _next(self) -> Parcel | None:
        courier = self._courier
        with courier.changed:
            parcel = self._take()
            if parcel is not None:
                return parcel
            courier.pump()  # that nothing waits any more may be a reason to ask or subscribe again
            until = None if self._timeout is None else time.monotonic() + self._timeout
            question = OwedQuestion(courier) if self._until_empty else None
            while True:
                courier.check_open()
                parcel = self._take()
                if parcel is not None or (question is not None and self._is_empty(question)):
                    return parcel
                tick = time.monotonic()
                if until is not None and tick >= until:
                    return None
                alarms = [until, self._parts.inbox.held_up_until(tick)]
                if question is not None:
                    alarms.append(question.due)
                alarm = min((at for at in alarms if at is not None), default=None)
                courier.pause(None if alarm is None else alarm - tick)

    def _is_empty(self, question: OwedQuestion) -> bool:
        inbox = self._parts.inbox
        kept = len(inbox.unfinished()) + inbox.count_aside
        return inbox.is_drained and question.is_settled(kept)

    def _take(self) -> Parcel | None:
        inbox, moment = self._parts.inbox, self._courier.moment()
        roster = self._parts.rosters.roster
        if roster is None:
            return None
        trusted = self._parts.time.now
        now = self._courier.router.believed(moment)
        while self._unfinished:
            key = self._unfinished.pop(0)
            parcel = inbox.take_unfinished(key, roster=roster, now=now, trusted=trusted)
            if parcel is not None:
                return parcel
        return inbox.take(roster=roster, now=now, trusted=trusted, tick=moment.tick)

    def _try_to_open(self, parcel: Parcel) -> tuple[_Content, Missed] | None:
        """Open a copy; None if it does not open, which its sender then hears."""
        try:
            return self._open(parcel)
        except BaseException:  # such as a full disk: it is not lost with this iteration
            with self._courier.changed:
                self._parts.inbox.put_back(parcel)
            raise

    def _open(self, parcel: Parcel) -> tuple[_Content, Missed] | None:
        with self._courier.changed:
            key = self._parts.keystore.reader_key(parcel.checked.reader_kid)
            roster = self._parts.rosters.roster
        if key is None:
            self._unreadable(parcel, KEY_GONE)
            return None
        assert roster is not None  # noqa: S101  the copy was checked by one
        try:
            opened = open_copy(parcel.checked, key)
            reading = open_reading(parcel.checked.header, opened.payload, roster)
        except UnreadableError as error:
            mismatch = isinstance(error, CommitmentMismatchError)
            self._unreadable(parcel, MISMATCH if mismatch else NOT_OPENED)
            return None
        except ProofsNotInstalledError as error:
            # Whoever sent it must not keep other messages from this device.
            with self._courier.changed:
                self._parts.inbox.set_aside(parcel, str(error))
            return None
        with self._courier.changed:
            self._courier.check_open()
            return _Content(opened, reading), self._parts.inbox.show(parcel, self._parts.time.now)

    def _unreadable(self, parcel: Parcel, reason: str) -> None:
        with self._courier.changed:
            self._courier.check_open()
            moment = self._courier.moment()
            ack = self._parts.inbox.unreadable(
                parcel, reason, now=moment.now, trusted=self._parts.time.now, tick=moment.tick
            )
            self._courier.publish([ack])

    def _handled(self, parcel: Parcel, opened: Opened) -> None:
        inbox = self._parts.inbox
        self._courier.check_open()
        if not inbox.is_handled(parcel.key):  # its block may have been entered twice
            ack = inbox.handled(parcel, opened, self._courier.moment().now)
            self._courier.publish([ack])


class _Block:
    """What a message does when its block is entered and left."""

    def __init__(self, courier: Courier, hold: Hold, handled: Callable[[], None]) -> None:
        self._courier, self._hands = courier, courier.parts.inbox.hands
        self._hold, self._handled = hold, handled

    def __enter__(self) -> None:
        with self._courier.changed:
            self._hands.enter(self._hold)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._courier.changed:
            try:
                if kind is None:
                    self._handled()
            finally:
                self._hands.leave(self._hold)


def _message(
    parcel: Parcel, content: _Content, missed: Missed, block: AbstractContextManager[None]
) -> Message:
    header = parcel.checked.header
    return Message(
        message_id=header.message_id.hex(),
        sender=header.sender,
        sent_at=as_datetime(header.issued),
        expires_at=as_datetime(header.expires),
        channel=header.channel,
        content_type=header.content_type,
        sequence=Place.of(header.sequence).number,
        missed=missed,
        payload=content.payload,
        reading=content.reading,
        _block=block,
    )
