"""What is to be done after a verb's transaction is committed.

Effects are hints, never the only memory of a duty: whatever is not done by then (the process ends,
the broker goes away) comes back from the ledger through `copies.due`, `clear.due` and the answers
to queries.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from device_sdk.wire.notice import Event
from gateway.store.records import CopyRef


@dataclass(frozen=True, kw_only=True, slots=True)
class Tell:
    """An event for a device's next notice."""

    device: str
    event: Event


@dataclass(frozen=True, kw_only=True, slots=True)
class Effects:
    """To be carried out in this order."""

    publish: tuple[CopyRef, ...] = ()
    """Copies to publish with RETAIN; cut them with `copies.cut`."""
    clear: tuple[CopyRef, ...] = ()
    """Copies to remove with a zero-length RETAIN publish."""
    keys: tuple[str, ...] = ()
    """Devices whose key list is to be published again."""
    certificates: tuple[str, ...] = ()
    """Members whose certificate is to be published again, or cleared."""
    tell: tuple[Tell, ...] = ()
    erase: bool = False
    """Something was dropped: let `Ledger.erase` remove its bytes from the files soon."""


NOTHING = Effects()


def merged(effects: Iterable[Effects]) -> Effects:
    """Return several verbs' effects as one, in their order."""
    every = list(effects)
    return Effects(
        publish=tuple(ref for one in every for ref in one.publish),
        clear=tuple(ref for one in every for ref in one.clear),
        keys=tuple(dict.fromkeys(device for one in every for device in one.keys)),
        certificates=tuple(dict.fromkeys(name for one in every for name in one.certificates)),
        tell=tuple(tell for one in every for tell in one.tell),
        erase=any(one.erase for one in every),
    )
