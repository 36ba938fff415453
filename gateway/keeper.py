"""Keeps the present `Situation`: time, roster, whether the gateway may take anything in.

Whoever decides asks here at the moment it decides, so nobody acts on an old roster or clock.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TypeVar

import structlog

from device_sdk.identity import Identity
from device_sdk.trust import Pin, Roster
from device_sdk.wire.certificates import MemberCertificate
from gateway import admit, clock
from gateway.enrolment import admitted_name
from gateway.errors import GatewayError, LedgerUnavailableError
from gateway.group_commit import GroupCommit
from gateway.situation import Limits, Situation
from gateway.store.port import Ledger, Reading, Transaction

T = TypeVar("T")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0
"""Seconds between two tries at a disk that is full or fails."""
_CLOCK_HINT = (
    "the clock has leapt further ahead than is believed, seven days in all: nothing is taken in or "
    "expires; set it, or, if it is right, start once with --confirm-clock"
)
_BEHIND_HINT = (
    "the clock is more than a week behind what the ledger has seen: what expires before that time "
    "is refused; set it, or, if the ledger began with a wrong clock and holds nothing, start once "
    "with --confirm-clock"
)


class NoRosterError(GatewayError):
    """Neither the bundle nor the ledger has a roster yet."""


class Keeper:
    """The present situation of one gateway, and what it is called in the fleet."""

    def __init__(
        self,
        ledger: Ledger,
        pin: Pin,
        identity: Identity,
        limits: Limits,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = clock.uptime,
    ) -> None:
        self.ledger = ledger
        self.pin = pin
        self.identity = identity
        self._wall = wall
        self._monotonic = monotonic
        self._situation = Situation(
            pin=pin, roster=None, now=0, paused=True, reconciled=False, limits=limits
        )
        self._clock = clock.Clock(now=0, monotonic=0.0)
        self._disk_fails = False
        self._roster_at_broker = 0
        self._commits = GroupCommit(lambda work: self._insist(lambda: ledger.run(work)))
        self._log = structlog.get_logger("gateway.keeper")
        self.on_change: Callable[[], None] = lambda: None

    async def start(self, *, confirm_clock: bool = False) -> None:
        """Take clock and roster from the ledger.

        With ``confirm_clock`` the operator has said that the machine's clock is right.

        Raises TrustError, WireError, LedgerError.
        """
        begin = clock.confirm if confirm_clock else clock.start
        wall = int(self._wall())
        self._clock = await self.ledger.run(
            lambda tx: begin(tx, wall=wall, monotonic=self._monotonic())
        )
        if self._clock.paused:
            self._log.error("clock_leapt", hint=_CLOCK_HINT)
        if wall < self._clock.now - clock.MAX_LEAP:
            self._log.error("clock_behind", ledger=self._clock.now, hint=_BEHIND_HINT)
        roster = await self.ledger.read(lambda tx: admit.stored_roster(tx, self.pin))
        self._renew(roster=roster)

    @property
    def situation(self) -> Situation:
        """The situation now: ask for it again after every await."""
        return self._situation

    @property
    def is_paused(self) -> bool:
        """Whether nothing is taken in now: the clock leapt, or the disk is full or fails."""
        return self._situation.paused or self._disk_fails

    @property
    def wall(self) -> int:
        """Unix seconds for what is signed and for logins: the machine's clock if it is believed."""
        return clock.stated(self._clock, wall=int(self._wall()), monotonic=self._monotonic())

    @property
    def roster(self) -> Roster:
        """The newest roster. Raises NoRosterError before the first one."""
        if self._situation.roster is None:
            raise NoRosterError("there is no roster yet: give the gateway the owner's bundle")
        return self._situation.roster

    @property
    def name(self) -> str:
        """The gateway's name in the fleet. Raises NoRosterError, NotAdmittedError."""
        return admitted_name(self.roster, self.identity, self._situation.now)

    async def tick(self) -> None:
        """Look at the clocks again. Raises LedgerError."""
        paused = self._clock.paused
        self._clock = await self.write(
            lambda tx: clock.advance(
                tx, self._clock, wall=int(self._wall()), monotonic=self._monotonic()
            )
        )
        self._renew()
        if self._clock.paused and not paused:
            self._log.error("clock_leapt", hint=_CLOCK_HINT)

    def take_roster(self, roster: Roster) -> None:
        """Act on a newer roster, which the ledger has already."""
        self._renew(roster=roster)

    def note_overtaken(self, version: int) -> None:
        """The broker has a newer roster of our owner's, of this version."""
        self._roster_at_broker = max(self._roster_at_broker, version)

    @property
    def overtaken(self) -> bool:
        """The broker had a newer roster than we have: ours must not be published over it."""
        ours = self._situation.roster
        return self._roster_at_broker > (ours.version if ours is not None else 0)

    def suspend(self, devices: frozenset[str]) -> None:
        """Look at no proof of these devices, and of no others, until further notice."""
        self._situation = replace(self._situation, suspended=devices)

    def end_reconcile(self) -> None:
        """The first reconcile has ended: the ledger knows what stands at the broker."""
        self._situation = replace(self._situation, reconciled=True)

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """`Ledger.run`, again and again while the disk is full or fails; meanwhile we are paused.

        Nobody PUBACKs or publishes before this returns, so nothing is promised or refused
        meanwhile, and what arrives waits at the broker (PROTOCOL 13.2).
        """
        return await self._commits.do(work)

    async def stop(self) -> None:
        """Write nothing more."""
        await self._commits.stop()

    async def read(self, work: Callable[[Reading], T]) -> T:
        """`Ledger.read`, as insistent as `write`."""
        return await self._insist(lambda: self.ledger.read(work))

    async def erase(self) -> bool:
        """`Ledger.erase`, as insistent as `write`, but without a pause: it needs more disk."""
        return await self._insist(self.ledger.erase, pausing=False)

    async def _insist(self, attempt: Callable[[], Awaitable[T]], *, pausing: bool = True) -> T:
        pause = _FIRST_PAUSE
        while True:
            try:
                result = await attempt()
            except LedgerUnavailableError as error:
                self._log.error("ledger_unavailable", reason=str(error), retry_in=pause)
                if pausing:
                    self._note_disk(fails=True)
            else:
                if pausing:
                    self._note_disk(fails=False)
                return result
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _note_disk(self, *, fails: bool) -> None:
        if fails == self._disk_fails:
            return
        self._disk_fails = fails
        if not fails:
            self._log.info("ledger_available")
        self.on_change()

    def take_certificates(self, certificates: Mapping[str, MemberCertificate]) -> None:
        """Go by these certificates from now on."""
        self._situation = replace(self._situation, certificates=certificates)

    def _renew(self, roster: Roster | None = None) -> None:
        before = self._situation
        self._situation = replace(
            before,
            now=self._clock.now,
            paused=self._clock.paused,
            roster=roster or before.roster,
        )
        if roster is not None or before.paused != self._situation.paused:
            self.on_change()
