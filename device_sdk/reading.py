"""The application's side of the inbox: one message after the other, opened when its turn comes."""

import logging
import time
from collections.abc import Callable, Iterator

from device_sdk.asking import OwedQuestion
from device_sdk.courier import Courier
from device_sdk.inbox import Parcel
from device_sdk.inbox_store import Key
from device_sdk.message import Message
from device_sdk.reader_key import BrokenReaderKeyError
from device_sdk.times import as_datetime
from device_sdk.unseal import Opened, UnreadableError, open_copy
from device_sdk.wire.read_ack import KEY_GONE, NOT_OPENED

logger = logging.getLogger(__name__)


class Reading:
    """One iteration over the inbox."""

    def __init__(self, courier: Courier, *, timeout: float | None, until_empty: bool) -> None:
        self._courier = courier
        self._parts = courier.parts
        self._timeout = timeout
        self._until_empty = until_empty
        self._unfinished: list[Key] = []

    def messages(self) -> Iterator[Message]:
        """Yield messages, those first whose handler failed before. See `Device.inbox`."""
        with self._courier.changed:
            self._courier.check_open()
            self._courier.router.start_reading()
            self._unfinished = self._parts.inbox.unfinished()
            self._courier.pump()
        while (parcel := self._next()) is not None:
            opened = self._open(parcel)
            if opened is None:
                continue
            try:
                yield _message(parcel, opened, self._done(parcel, opened))
            finally:
                # Handled or not, it is out of this iteration's hands.
                with self._courier.changed:
                    self._parts.inbox.let_go(parcel.key)

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
                courier.changed.wait(None if alarm is None else max(alarm - tick, 0.0))

    def _is_empty(self, question: OwedQuestion) -> bool:
        inbox = self._parts.inbox
        return inbox.is_drained and question.is_settled(len(inbox.unfinished()))

    def _take(self) -> Parcel | None:
        inbox, moment = self._parts.inbox, self._courier.moment()
        roster = self._parts.rosters.roster
        if roster is None:
            return None
        now = max(moment.now, self._parts.time.now)
        while self._unfinished:
            parcel = inbox.take_unfinished(self._unfinished.pop(0), roster=roster, now=now)
            if parcel is not None:
                return parcel
        return inbox.take(roster=roster, now=now, tick=moment.tick)

    def _open(self, parcel: Parcel) -> Opened | None:
        """Open a copy; None if it does not open, which its sender then hears."""
        with self._courier.changed:
            key = self._parts.keystore.reader_key(parcel.checked.reader_kid)
        if key is None:
            self._unreadable(parcel, KEY_GONE)
            return None
        try:
            opened = open_copy(parcel.checked, key)
        except UnreadableError:
            self._unreadable(parcel, NOT_OPENED)
            return None
        except BrokenReaderKeyError:
            with self._courier.changed:
                self._parts.inbox.put_back(parcel)
            raise
        with self._courier.changed:
            self._courier.check_open()
            self._parts.inbox.show(parcel)
        return opened

    def _unreadable(self, parcel: Parcel, reason: str) -> None:
        with self._courier.changed:
            self._courier.check_open()
            moment = self._courier.moment()
            ack = self._parts.inbox.unreadable(parcel, reason, moment.now, moment.tick)
            self._courier.publish([ack])

    def _done(self, parcel: Parcel, opened: Opened) -> Callable[[bool], None]:
        def done(succeeded: bool) -> None:
            inbox = self._parts.inbox
            with self._courier.changed:
                if not succeeded:
                    inbox.let_go(parcel.key)
                    return
                self._courier.check_open()
                if not inbox.is_handled(parcel.key):  # its block may have been entered twice
                    ack = inbox.handled(parcel, opened, self._courier.moment().now)
                    self._courier.publish([ack])

        return done


def _message(parcel: Parcel, opened: Opened, done: Callable[[bool], None]) -> Message:
    header = parcel.checked.header
    return Message(
        message_id=header.message_id.hex(),
        sender=header.sender,
        sent_at=as_datetime(header.issued),
        expires_at=as_datetime(header.expires),
        channel=header.channel,
        content_type=header.content_type,
        sequence=header.sequence,
        payload=opened.payload,
        _done=done,
    )
