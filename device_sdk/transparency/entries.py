"""Is what this device goes by in the log that it was shown? (PROTOCOL 8.6)"""

import logging
from itertools import islice

from device_sdk.transparency.proving import Proving, Question
from device_sdk.transparency.report import ReportKind
from device_sdk.transparency.store import LogStore, Shown
from device_sdk.wire.epoch_key import EpochKey
from device_sdk.wire.errors import InclusionError
from device_sdk.wire.log_proof import MAX_LEAVES, Included, LogProof
from device_sdk.wire.merkle import check_inclusion
from device_sdk.wire.roster_head import RosterHead
from device_sdk.wire.tree_head import Logged, leaf_of

MOST = 4096
"""Entries to be found: the roster, and the keys of a thousand readers several times over. Beyond
that, the keys used longest ago are left out."""
_AT_ONCE = 128
"""Entries that are asked for at the same time; the others wait for their turn."""

logger = logging.getLogger(__name__)


class LogEntries:
    """The roster and the reader keys in use, and which of them were not shown to be there yet."""

    def __init__(self, store: LogStore, proving: Proving) -> None:
        self._store, self._proving = store, proving
        self._in_use: dict[str, tuple[bytes, str]] = {}
        """Device to its reader key's leaf hash and what that is; the roster stands under ""."""
        self.wanted: dict[bytes, str] = {}
        """Leaf hashes that are to be shown, and what each is."""

    def use(self, record: Logged) -> None:
        """Go by something from now on, instead of what stood in its place before.

        What was replaced is not asked for any more: a gateway that came later never had it.
        """
        leaf = leaf_of(record)
        if isinstance(record, RosterHead):
            whose, about = "", f"roster version {record.version}"
        elif isinstance(record, EpochKey):
            whose = f"tokens for {record.channel}"
            about = f"the key of {whose} from {record.begins} on"
        else:
            whose = record.device
            about = f"the reader key of {whose} with serial {record.serial}"
        old = self._in_use.pop(whose, None)
        self._in_use[whose] = leaf, about
        if old is not None and old[0] == leaf:
            return
        if old is not None:
            self._forget(old[0])
        if len(self._in_use) > MOST:
            self._forget_oldest_key()
        if not self._store.has_entry(leaf):
            self.wanted[leaf] = about

    def _forget_oldest_key(self) -> None:
        oldest = next(whose for whose in self._in_use if whose)
        leaf, _ = self._in_use.pop(oldest)
        self._forget(leaf)

    def _forget(self, leaf: bytes) -> None:
        self.wanted.pop(leaf, None)
        self._proving.done(leaf)
        self._store.forget_entry(leaf)

    @property
    def open(self) -> list[bytes]:
        """What is asked for at present, the first first."""
        return list(islice(self.wanted, _AT_ONCE))

    def begin_anew(self) -> None:
        """There is another log: what is in use now is to be shown once more."""
        self.wanted = dict(self._in_use.values())
        for leaf in self.wanted:
            self._proving.done(leaf)

    def question(self, head: Shown, now: int, tick: float) -> Question | None:
        """Return what to ask for now, of the log that a head is believed to be of."""
        for leaf in [one for one in self.open if self._proving.is_given_up(one, tick)]:
            self._give_up(leaf, head, now)
        due = [leaf for leaf in self.open if self._proving.is_due(leaf, tick)][:MAX_LEAVES]
        if not due:
            return None
        return Question(
            things=tuple(due),
            gateway=head.gateway,
            first=0,
            second=head.head.size,
            leaves=tuple(due),
        )

    def take(self, asked: Question, proof: LogProof, head: Shown) -> None:
        """Take in an answer. What is not in it is asked for again: its head may come later."""
        if proof.second != head.head.size:
            return  # the log has grown meanwhile
        shown = {one.leaf for one in proof.included if _is_in(one, head)}
        found = [leaf for leaf in asked.leaves if leaf in shown and leaf in self.wanted]
        for leaf in found:
            del self.wanted[leaf]
            self._proving.done(leaf)
        if found:
            self._store.add_entries(found)
        for leaf in self.wanted.keys() & set(asked.leaves):
            self._proving.denied(leaf)

    def _give_up(self, leaf: bytes, head: Shown, now: int) -> None:
        about = self.wanted.pop(leaf)
        self._proving.done(leaf)
        kind = ReportKind.NOT_LOGGED
        if self._store.report(kind, head.gateway, about, head.signed, b"", now):
            logger.warning("%s", self._store.reports()[-1])


def _is_in(one: Included, head: Shown) -> bool:
    size, root = head.tree
    try:
        check_inclusion(one.leaf, index=one.index, count=size, path=one.path, expected_root=root)
    except InclusionError:
        return False
    return True
