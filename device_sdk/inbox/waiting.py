"""Copies in memory that no application has seen yet: bounded, and shared between their senders."""

from collections.abc import Iterator
from dataclasses import dataclass

from device_sdk.inbox.store import Key
from device_sdk.unseal import CheckedCopy

MOST_WAITING = 1000
MOST_WAITING_BYTES = 32 * 1024 * 1024
"""What is kept for an application that does not read: the broker keeps the rest."""
MOST_OF_ONE, MOST_OF_ONE_BYTES = 500, 16 * 1024 * 1024
"""The share of one sender, who must not keep the others' mail away."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parcel:
    """A copy on its way to the application. Whoever takes it returns it in one of five ways:
    `Inbox.handled`, `Inbox.unreadable`, `Inbox.put_back`, `Inbox.set_aside`, or out of its `hands`.
    """

    key: Key
    checked: CheckedCopy
    data: bytes
    """The copy as it came."""
    is_unfinished: bool = False
    """Whether it is stored, as it was shown before."""


class WaitingCopies:
    """Copies in the order in which they came."""

    def __init__(self) -> None:
        self._parcels: dict[Key, Parcel] = {}
        self._bytes = 0

    def __contains__(self, key: Key) -> bool:
        return key in self._parcels

    def __len__(self) -> int:
        return len(self._parcels)

    def __iter__(self) -> Iterator[Parcel]:
        """Iterate over those that wait now, whatever is taken out meanwhile."""
        return iter(list(self._parcels.values()))

    def has_room(self, sender: str, size: int) -> bool:
        """Tell whether a copy of so many bytes may be added."""
        sizes = [len(one.data) for key, one in self._parcels.items() if key[0] == sender]
        return (
            len(sizes) < MOST_OF_ONE
            and sum(sizes) + size <= MOST_OF_ONE_BYTES
            and len(self._parcels) < MOST_WAITING
            and self._bytes + size <= MOST_WAITING_BYTES
        )

    def add(self, parcel: Parcel) -> None:
        """Let a copy wait behind the others; one that comes back may exceed the bounds."""
        self._parcels[parcel.key] = parcel
        self._bytes += len(parcel.data)

    def remove(self, parcel: Parcel) -> None:
        """Take out a copy that waits."""
        del self._parcels[parcel.key]
        self._bytes -= len(parcel.data)
