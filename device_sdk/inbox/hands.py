"""Which messages are in the application's hands, and so are not shown to anybody else.

In ``with next(device.inbox()) as message`` the iteration ends before the block is entered. So it is
the message, not the iteration, that says when it is out of hands. Guarded by the device's lock.
"""

import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field

from device_sdk.inbox.store import Key
from device_sdk.message import Message


@dataclass(eq=False, kw_only=True, slots=True)
class Hold:
    """One message in somebody's hands."""

    key: Key
    thread: int = field(default_factory=threading.get_ident)
    """Whose iteration took it."""
    is_in_block: bool = False
    left: weakref.ref[Message] | None = None
    """The message, if its iteration ended before its block was entered."""

    @property
    def is_over(self) -> bool:
        """Whether no block will follow: the message is gone, or its thread looks for another."""
        if self.left is None or self.is_in_block:
            return False
        return self.left() is None or self.thread == threading.get_ident()


class Hands:
    """The messages that are in hands, by their keys."""

    def __init__(self) -> None:
        self._holds: dict[Key, Hold] = {}

    def __contains__(self, key: Key) -> bool:
        hold = self._holds.get(key)
        return hold is not None and not hold.is_over

    def __iter__(self) -> Iterator[Key]:
        return iter([key for key in self._holds if key in self])

    def take(self, key: Key) -> None:
        """Take a message for this thread; forget those that are out of hands."""
        self._holds = {held: hold for held, hold in self._holds.items() if not hold.is_over}
        self._holds[key] = Hold(key=key)

    def hold(self, key: Key) -> Hold:
        """Return the hold of a message that was taken."""
        return self._holds[key]

    def let_go(self, key: Key) -> None:
        """A message is out of hands, whosever they were."""
        self._holds.pop(key, None)

    def enter(self, hold: Hold) -> None:
        """The block of a message is entered, perhaps not for the first time."""
        hold.is_in_block = True
        self._holds.setdefault(hold.key, hold)

    def leave(self, hold: Hold) -> None:
        """The block of a message is left."""
        hold.is_in_block = False
        self._drop(hold)

    def pass_on(self, hold: Hold) -> None:
        """An iteration goes on; unless the message's block is entered, nobody handles it."""
        if not hold.is_in_block:
            self._drop(hold)

    def end(self, hold: Hold, message: Message) -> None:
        """An iteration ends at a message; its block may follow, as long as somebody has it."""
        hold.left = weakref.ref(message)

    def _drop(self, hold: Hold) -> None:
        if self._holds.get(hold.key) is hold:  # not what somebody else has taken since
            del self._holds[hold.key]
