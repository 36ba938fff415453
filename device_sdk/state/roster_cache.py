"""The fleet's roster as this device last verified it, kept across restarts (PROTOCOL 8.3).

A head comes first and names its pages; once all of them are there, the new roster replaces the old
one in a single transaction. Whatever does not verify changes nothing.
"""

import logging
from collections.abc import Sequence

from device_sdk.state.state_file import StateFile
from device_sdk.trust import (
    Pin,
    Roster,
    TrustError,
    VerifiedHead,
    check_successor,
    complete_roster,
    verify_head,
)
from device_sdk.wire.errors import WireError
from device_sdk.wire.roster_page import page_hash

_HEAD = "roster-head"
logger = logging.getLogger(__name__)


class RosterCache:
    """The current roster, and the next one while its pages are still coming."""

    def __init__(self, state: StateFile, pin: Pin) -> None:
        self._state = state
        self._pin = pin
        self._next: VerifiedHead | None = None
        self._pages: dict[bytes, bytes] = {
            digest: page
            for digest, page in state.rows("SELECT hash, page FROM roster_page")
            if page_hash(page) == digest
        }
        self.roster: Roster | None = self._load()
        """The newest complete roster, which may have expired; None before the first one."""

    def _load(self) -> Roster | None:
        data = self._state.fact(_HEAD)
        if data is None:
            return None
        try:
            return complete_roster(verify_head(self._pin, data), self._pages)
        except (TrustError, WireError) as error:
            # The broker has it, retained: a damaged cache costs a download, nothing else.
            logger.warning("the cached roster is damaged and will be fetched again: %s", error)
            return None

    @property
    def missing_pages(self) -> Sequence[bytes]:
        """Hashes of the pages that the next roster still lacks."""
        if self._next is None:
            return ()
        return [page for page in self._next.head.page_hashes if page not in self._pages]

    @property
    def next_version(self) -> int:
        """The version of a newer roster whose head is here, and not all its pages; else 0."""
        return 0 if self._next is None else self._next.head.version

    def take_head(self, data: bytes) -> bool:
        """Take in a head; tell whether a new roster is complete.

        Raises:
            WireError: no roster head, or not signed by the fleet's root.
            RollbackError, ForkError: see `device_sdk.trust.check_successor`.
        """
        head = verify_head(self._pin, data)
        newest = self._next or (self.roster.head if self.roster else None)
        if not check_successor(newest, head):
            return False
        self._next = head
        return self._complete()

    def take_page(self, digest: bytes, data: bytes) -> bool:
        """Take in a page if it is missing; tell whether a new roster is complete.

        Raises:
            TrustError: the page is not the one that its topic and the head name.
            WireError: the pages are the owner's, but malformed.
        """
        if digest not in self.missing_pages:
            return False
        if page_hash(data) != digest:
            raise TrustError("a page of the roster is not the one that its topic names")
        self._pages[digest] = data
        return self._complete()

    def _complete(self) -> bool:
        if self._next is None or self.missing_pages:
            return False
        head, self._next = self._next, None
        roster = complete_roster(head, self._pages)
        with self._state.transaction():
            self._state.put_fact(_HEAD, head.data)
            self._state.execute("DELETE FROM roster_page")
            self._state.execute_many(
                "INSERT OR REPLACE INTO roster_page VALUES (?, ?)",
                zip(head.head.page_hashes, roster.pages, strict=True),
            )
        self.roster = roster
        self._pages = dict(zip(head.head.page_hashes, roster.pages, strict=True))
        logger.info("roster version %d with %d devices", roster.version, len(roster.devices))
        return True
