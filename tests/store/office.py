"""A gateway without edges on any store: its ledger, its clocks, its roster, and its accidents."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from device_sdk.wire.limits import DAY
from gateway import admit, clock
from gateway.situation import Limits, Situation
from gateway.store.port import Ledger, Reading, Transaction
from tests.store.places import Place
from tests.store.pool import own_fleet
from tests.support.envelopes import NOW, TOPICS

T = TypeVar("T")
QUOTA = 2
LATEST = NOW + 60 * DAY
"""Nobody renews a reader key here: they must outlive the game."""


class Office:
    """Runs the verbs one by one, in an event loop of its own."""

    def __init__(self, new_place: Callable[[Path], Place]) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="sealgate-model-"))
        self._place = new_place(self._directory)
        self._runner = asyncio.Runner()
        self.fleet = own_fleet()
        self.true, self.skew = NOW, 0
        """What time it really is, and by how much the machine's clock is wrong."""
        self.mark = 0
        """The high-water mark on disk before the latest transaction."""
        self._ledger = self._open()
        limits = Limits(sender_messages=QUOTA)
        self.situation = Situation(pin=self.fleet.pin, roster=None, now=NOW, limits=limits)
        self._start_clock(confirm=False)
        self.new_roster()
        for name in self.fleet.members:
            self._announce(name)

    def do(self, work: Callable[[Transaction], T]) -> T:
        """One transaction."""
        self.mark = self.read(lambda tx: tx.high_water())
        return self._runner.run(self._ledger.run(work))

    def read(self, work: Callable[[Reading], T]) -> T:
        """One look."""
        return self._runner.run(self._ledger.read(work))

    def contents(self) -> list[bytes]:
        """Return all bytes on disk, after erasing what was dropped."""
        while not self._runner.run(self._ledger.erase()):
            pass
        return list(self._place.contents())

    def close(self) -> None:
        """End, and leave nothing behind."""
        self._runner.run(self._ledger.close())
        self._runner.close()
        shutil.rmtree(self._directory)

    def _open(self) -> Ledger:
        async def in_the_loop() -> Ledger:
            return self._place.open()

        return self._runner.run(in_the_loop())

    # ------------------------------------------------------------ the owner and devices

    def new_roster(self) -> None:
        """Take the fleet's next roster, without acting on it."""
        head, pages = self.fleet.signed_roster()
        roster = self.do(lambda tx: admit.take_roster(tx, head, pages, self.fleet.pin))
        self.situation = replace(self.situation, roster=roster)

    def _announce(self, name: str) -> None:
        topic, statement = TOPICS.parse(TOPICS.announce(name)), self.fleet.members[name].statement
        self.do(lambda tx: admit.announce(tx, topic, statement, self.situation))

    # ------------------------------------------------------------ time

    def wait(self, seconds: int, skew: int) -> None:
        """Let time pass; meanwhile the machine's clock may jump, and back."""
        self.true, self.skew = self.true + seconds, skew
        self._set(self.do(lambda tx: clock.advance(tx, self._clock, **self._clocks())))

    def _start_clock(self, *, confirm: bool) -> None:
        begin = clock.confirm if confirm else clock.start
        self._set(self.do(lambda tx: begin(tx, **self._clocks())))

    def _clocks(self) -> dict[str, int]:
        return {"wall": self.true + self.skew, "monotonic": self.true}

    def _set(self, now: clock.Clock) -> None:
        self._clock = now
        self.situation = replace(self.situation, now=now.now, paused=now.paused)

    # ------------------------------------------------------------ ends and beginnings

    def restart(self, *, killed: bool, confirm: bool) -> None:
        """End with a goodbye, or go on with what is on disk at this very moment."""
        if killed:
            self._place.save("killed")
        self._reopen("killed" if killed else "", confirm=confirm)

    def back_up(self) -> None:
        """Keep the ledger as it is."""
        self._place.save("backup")
        self._entries = dict(self.fleet.entries)

    def restore(self) -> None:
        """Go back to the backup. The roster comes back as well, until there is a newer one."""
        self.fleet.entries = dict(self._entries)
        self._reopen("backup", confirm=False)

    def _reopen(self, saved: str, *, confirm: bool) -> None:
        self._runner.run(self._ledger.close())
        if saved:
            self._place.put_back(saved)
        self._ledger = self._open()
        if confirm or self.read(lambda tx: tx.is_empty()):
            self.skew = 0  # whoever has nothing to lose believes any clock, and the game is over
        self._start_clock(confirm=confirm)
        roster = self.do(lambda tx: admit.stored_roster(tx, self.fleet.pin))
        self.situation = replace(self.situation, roster=roster)
