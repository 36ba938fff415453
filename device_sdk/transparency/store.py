"""What a device knows of gateways' logs, in its state file: nothing that decides."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from device_sdk.state.sql_files import queries
from device_sdk.state.state_file import StateFile, storable
from device_sdk.times import as_datetime
from device_sdk.transparency.report import LogReport, ReportKind
from device_sdk.wire import cbor, cose
from device_sdk.wire.errors import WireError
from device_sdk.wire.tree_head import TreeHead

MOST_HEADS = 256
"""Heads that are remembered: each was signed by a gateway, so nobody else can make them many."""
MOST_ENTRIES = 4096
MOST_REPORTS = 16
"""Of each kind: one is enough to act, and a gateway that lies could cause any number."""
_SQL = queries("log")
logger = logging.getLogger(__name__)


class HeadState(StrEnum):
    """What the device makes of a head."""

    BELIEVED = "believed"
    """The newest one of its gateway: one of each."""
    OFFERED = "offered"
    """The gateway's own next one, to be shown to extend the believed one."""
    HEARD = "heard"
    """It came in a message, and is to be shown to belong to the same history."""
    SETTLED = "settled"
    """It belongs to the same history as those believed at its time."""
    DOUBTED = "doubted"
    """Nobody has shown that it does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A verified head."""

    gateway: str
    head: TreeHead
    signed: bytes
    state: HeadState
    shown_to: str = ""
    """The sender of the message that it came in; empty if the gateway showed it to this device."""

    @property
    def tree(self) -> tuple[int, bytes]:
        """What it says about the log: size and root."""
        return self.head.size, self.head.root

    @property
    def key(self) -> bytes:
        """Its name among the things that a gateway is asked about."""
        return cbor.encode([self.gateway, self.head.log_id, self.head.size])


@dataclass(frozen=True, kw_only=True, slots=True)
class Tries:
    """How often something was asked for in vain."""

    thing: bytes
    count: int
    """Tries that count."""
    at: int
    """When the latest of them was made, Unix seconds."""


class LogStore:
    """Reads and writes the rows."""

    def __init__(self, state: StateFile) -> None:
        self._state = state

    def heads(self, state: HeadState) -> list[Shown]:
        """Return the heads in one state, in the order of their coming."""
        rows = self._state.rows(_SQL["in_state"], (state,))
        return [shown for row in rows if (shown := _shown(row)) is not None]

    def find(self, like: Shown) -> Shown | None:
        """Return the head of the same gateway, log and size."""
        place = (like.gateway, like.head.log_id, like.head.size)
        row = self._state.row(_SQL["find"], place)
        return None if row is None else _shown(row)

    def put(self, shown: Shown) -> None:
        """Store a head, or the new state of a stored one."""
        with self._state.transaction():
            self._put(shown)

    def believe(self, shown: Shown) -> None:
        """Store a head as the believed one of its gateway."""
        with self._state.transaction():
            self._believe(shown)

    def begin_anew(self, shown: Shown) -> None:
        """Believe a head of a log that does not go on where the last one was."""
        with self._state.transaction():
            self._state.execute(_SQL["give_up"], (shown.gateway, shown.head.log_id))
            self._state.execute(_SQL["forget_entries"])
            self._believe(shown)

    def _believe(self, shown: Shown) -> None:
        self._state.execute(_SQL["no_longer_believed"], (shown.gateway,))
        self._put(replace(shown, state=HeadState.BELIEVED))

    def _put(self, shown: Shown) -> None:
        head = shown.head
        row = (shown.gateway, head.log_id, head.size, shown.state, shown.shown_to, shown.signed)
        self._state.execute(_SQL["put"], row)
        self._state.execute(_SQL["trim"], (MOST_HEADS,))

    def forget(self, shown: Shown) -> None:
        """Forget a head, as if it had not come."""
        head = shown.head
        self._state.execute(_SQL["forget"], (shown.gateway, head.log_id, head.size))

    def is_given_up(self, log_id: bytes) -> bool:
        """Tell whether a log was given up for a new one."""
        return self._state.row(_SQL["is_given_up"], (log_id,)) is not None

    def has_entry(self, leaf: bytes) -> bool:
        """Tell whether an entry was shown to be in the believed log."""
        return self._state.row(_SQL["has_entry"], (leaf,)) is not None

    def add_entries(self, leaves: Iterable[bytes]) -> None:
        """Remember entries that were shown to be there."""
        with self._state.transaction():
            self._state.execute_many(_SQL["add_entry"], ((leaf,) for leaf in leaves))
            self._state.execute(_SQL["trim_entries"], (MOST_ENTRIES,))

    def forget_entry(self, leaf: bytes) -> None:
        """Forget an entry that is not in use any more."""
        if self.has_entry(leaf):
            self._state.execute(_SQL["forget_entry"], (leaf,))

    def tries(self) -> list[Tries]:
        """Return what was asked for in vain."""
        return [
            Tries(thing=thing, count=count, at=at)
            for thing, count, at in self._state.rows(_SQL["tries"])
        ]

    def put_tries(self, tries: Iterable[Tries]) -> None:
        """Remember what was asked for in vain, instead of what was known of the same things."""
        rows = [(one.thing, one.count, storable(one.at)) for one in tries]
        if rows:
            with self._state.transaction():
                self._state.execute_many(_SQL["put_try"], rows)

    def forget_tries(self, thing: bytes) -> None:
        """Forget a thing that is not asked for any more."""
        self._state.execute(_SQL["forget_try"], (thing,))

    def report(
        self, kind: ReportKind, gateway: str, about: str, first: bytes, second: bytes, now: int
    ) -> bool:
        """Store a finding; tell whether it is a new one."""
        if self._state.row(_SQL["has_report"], (kind, gateway, about, first, second)) is not None:
            return False
        with self._state.transaction():
            self._state.execute(_SQL["add_report"], (kind, gateway, about, now, first, second))
            self._state.execute(_SQL["trim_reports"], (kind, MOST_REPORTS))
        return True

    def reports(self) -> list[LogReport]:
        """Return all findings, oldest first."""
        return [
            LogReport(
                kind=ReportKind(kind),
                gateway=gateway,
                about=about,
                at=as_datetime(at),
                first=first,
                second=second,
            )
            for kind, gateway, about, at, first, second in self._state.rows(_SQL["reports"])
        ]


def _shown(row: tuple[str, str, str, bytes]) -> Shown | None:
    gateway, state, shown_to, signed = row
    try:
        head = cose.parse_signed(TreeHead, signed).claims
    except WireError:
        logger.warning("a stored head of the log of %s is damaged, and passed over", gateway)
        return None
    return Shown(
        gateway=gateway, head=head, signed=signed, state=HeadState(state), shown_to=shown_to
    )
