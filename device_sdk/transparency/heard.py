"""Heads from other devices' messages that are still to be shown to belong to the same history."""

from collections import Counter
from dataclasses import replace

from device_sdk.transparency.proving import Proving
from device_sdk.transparency.store import MOST_HEADS, HeadState, LogStore, Shown


class HeardHeads:
    """`MOST_HEADS` at the most, also across restarts, the first first."""

    def __init__(self, store: LogStore, proving: Proving) -> None:
        self._store, self._proving = store, proving
        self._heads = store.heads(HeadState.HEARD)

    def __len__(self) -> int:
        return len(self._heads)

    def of(self, gateway: str) -> list[Shown]:
        """Return those of one gateway."""
        return [shown for shown in self._heads if shown.gateway == gateway]

    def add(self, shown: Shown) -> bool:
        """Take in a head; tell whether there was room for it."""
        if len(self._heads) >= MOST_HEADS and not self._has_made_room(shown.gateway):
            return False
        heard = replace(shown, state=HeadState.HEARD)
        self._store.put(heard)
        self._heads.append(heard)
        return True

    def remove(self, shown: Shown) -> bool:
        """Take out a head that is settled; tell whether it was one of these."""
        if shown not in self._heads:
            return False
        self._heads.remove(shown)
        return True

    def _has_made_room(self, gateway: str) -> bool:
        """Let a gateway's first heads wait, whatever another one has signed.

        Its own newer ones make no room: with them it could push aside what convicts it.
        """
        counts = Counter(shown.gateway for shown in self._heads)
        crowd, count = counts.most_common(1)[0]
        if count <= counts[gateway] + 1:
            return False
        oldest = self.of(crowd)[0]
        self._heads.remove(oldest)
        self._proving.done(oldest.key)
        self._store.forget(oldest)
        return True
