"""A sender as a process of its own: sends to random readers, and writes down what it is told.

Started by `tests.faults.world`, and killed at any moment: what it has to know of its lives before
it reads out of its own history. After ``stop`` on its standard input it sends no more, and says
``idle`` whenever everything it ever sent is over, and the gateway knows that it knows.
"""

import contextlib
import random
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from device_sdk import Device
from device_sdk.errors import DeviceError
from device_sdk.outbox.outgoing import Outgoing, Verdict
from device_sdk.wire.reading_policy import MAX_SPAN
from tests.faults import history
from tests.faults.history import Pen, What

LIFETIME = timedelta(days=1)
BRIEF, BRIEF_LIFETIME = 0.1, timedelta(seconds=2)
"""The share of messages that end unread because nobody is there, and after how long."""
CHANNEL, READINGS = "meters", 0.02
"""A channel of all readers that takes readings only, and the share of messages that go there."""
WINDOW = 150
"""Messages that are not over: as many as a device collects that is cut off for a while."""
_ALL = 1_000_000
_LOOK = 0.2
"""Seconds between two looks at the messages that are not over."""


class Sender:
    """One life of a sender."""

    def __init__(self, device: Device, readers: list[str], absent: str, path: Path) -> None:
        self._device = device
        self._readers, self._absent = readers, absent
        self._tokens: dict[str, str] = {}
        self._open: dict[str, set[str]] = {}
        """Message id to what was written down about it: readers, and "" for held."""
        self.stopped = threading.Event()
        self._remember(path)
        self._pen = Pen(path)

    def _remember(self, path: Path) -> None:
        self._begun = ""
        self._is_first = not path.exists()
        for record in history.read(path):
            if record.what is What.SENDING:
                self._begun = record.token
            elif record.what is What.SENT:
                self._tokens[record.message] = record.token
                self._open[record.message] = set()
                self._begun = ""
            elif record.what in (What.HELD, What.READ):
                self._open[record.message].add(record.reader)
            elif record.what is What.OVER:
                del self._open[record.message]

    def run(self, pause: float) -> None:
        """Send and look until the process ends."""
        self._recognise()
        looked = 0.0
        while True:
            if not self.stopped.is_set() and len(self._open) < WINDOW:
                self._send()
                time.sleep(pause)
            else:
                time.sleep(_LOOK)
            if time.monotonic() < looked + _LOOK:
                continue
            for message_id in list(self._open):
                self._look(message_id)
            looked = time.monotonic()
            if self.stopped.is_set() and not self._open:
                self._finish()

    def _finish(self) -> None:
        if not self._has_open():
            print("idle", flush=True)
            return
        with contextlib.suppress(DeviceError):  # it would ask by itself, within a minute
            self._device.refresh(timeout=5)

    def _recognise(self) -> None:
        """Write down what was stored just before a kill, too late for its `send` to return."""
        for record in self._device.sent(_ALL) if self._begun else []:
            if record.message_id not in self._tokens:
                self._sent(record.message_id, self._begun)

    def _sent(self, message_id: str, token: str) -> None:
        self._pen.write(What.SENT, sender=self._device.name, message=message_id, token=token)
        self._tokens[message_id] = token
        self._open[message_id] = set()

    def _send(self) -> None:
        if self._absent and (self._is_first or random.random() < BRIEF):
            # One message that stays, and then some that end unread.
            self._send_to([self._absent], LIFETIME if self._is_first else BRIEF_LIFETIME)
            self._is_first = False
        elif random.random() < READINGS:
            self._send_reading()
        else:
            count = random.randint(1, len(self._readers))
            self._send_to(random.sample(self._readers, count), LIFETIME)

    def _send_to(self, readers: list[str], lifetime: timedelta) -> None:
        detail = history.BRIEF if lifetime == BRIEF_LIFETIME else ""
        with self._sending(secrets.token_hex(8), readers, detail) as token:
            sent = self._device.send(token, to=readers, lifetime=lifetime, timeout=60)
            self._sent(sent.message_id, token)

    def _send_reading(self) -> None:
        with self._sending(str(secrets.randbelow(MAX_SPAN)), self._readers) as token:
            sent = self._device.send_reading(
                int(token), channel=CHANNEL, lifetime=LIFETIME, timeout=60
            )
            self._sent(sent.message_id, token)
            assert not sent.left_out, sent.left_out

    @contextlib.contextmanager
    def _sending(self, token: str, readers: list[str], detail: str = "") -> Iterator[str]:
        name, to = self._device.name, tuple(sorted(readers))
        self._pen.write(What.SENDING, sender=name, token=token, readers=to, detail=detail)
        try:
            yield token
        except DeviceError as error:
            print(f"not sent: {error}", file=sys.stderr, flush=True)

    def _look(self, message_id: str) -> None:
        message = self._message(message_id)
        name = {
            "sender": self._device.name,
            "message": message_id,
            "token": self._tokens[message_id],
        }
        known = self._open[message_id]
        if message.held_at and "" not in known:
            known.add("")
            self._pen.write(What.HELD, **name)
        read_by = {slot.reader for slot in message.slots if slot.verdict is Verdict.READ}
        for reader in read_by - known:
            known.add(reader)
            self._pen.write(What.READ, reader=reader, **name)
        if not message.state.is_open:
            self._pen.write(What.OVER, detail=message.state, **name)
            del self._open[message_id]

    def _message(self, message_id: str) -> Outgoing:
        with self._device._courier.changed:
            message = self._device._parts.outbox.get(bytes.fromhex(message_id))
        assert message is not None
        return message

    def _has_open(self) -> bool:
        with self._device._courier.changed:
            return self._device._parts.outbox.has_open()


def main(directory: str, broker: str, where: str, pause: str, absent: str, *readers: str) -> None:
    """Run a sender.

    ``where`` is the directory of the history, ``pause`` the least seconds between two messages,
    ``absent`` a reader that is never there, or empty.
    """
    with Device.open(directory, broker=broker) as device:
        sender = Sender(
            device, list(readers), absent, Path(where) / f"{device.name}{history.SUFFIX}"
        )
        threading.Thread(target=_listen, args=[sender], daemon=True).start()
        sender.run(float(pause))


def _listen(sender: Sender) -> None:
    for line in sys.stdin:
        if line.strip() == "stop":
            sender.stopped.set()


if __name__ == "__main__":
    main(*sys.argv[1:])
