"""A reader as a process of its own: handles what it is shown, fails now and then, and says so.

Started by `tests.faults.world`, and killed at any moment.
"""

import random
import sys
from pathlib import Path

from device_sdk import Device, Message
from tests.faults.history import SUFFIX, Pen, What

FAILURES = 0.03
"""The share of messages whose handling fails at the first try."""


class HandlingError(Exception):
    """What goes wrong in an application."""


class Reader:
    """One life of a reader."""

    def __init__(self, device: Device, pen: Pen) -> None:
        self._device = device
        self._pen = pen

    def run(self) -> None:
        """Read until the process ends. What failed comes first in the next iteration."""
        while True:
            for message in self._device.inbox(timeout=1.0):
                self._handle(message)

    def _handle(self, message: Message) -> None:
        name = {
            "reader": self._device.name,
            "sender": message.sender,
            "message": message.message_id,
            "token": message.text(),
        }
        self._pen.write(What.SHOWN, **name)
        try:
            with message:
                if random.random() < FAILURES:
                    raise HandlingError
                self._pen.write(What.HANDLED, **name)
        except HandlingError:
            self._pen.write(What.FAILED, **name)
        else:
            self._pen.write(What.DONE, **name)


def main(directory: str, broker: str, where: str) -> None:
    """Run a reader; ``where`` is the directory of the history."""
    with Device.open(directory, broker=broker) as device:
        Reader(device, Pen(Path(where) / f"{device.name}{SUFFIX}")).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
