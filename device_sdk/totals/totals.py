"""Totals of readings that nobody sees: what a device or trustee does for them (PROTOCOL 18).

    meter.totals.answer_bill(request)            # the total of its own readings, once
    trustee.totals.collect()                     # shares that meters have sealed to this trustee
    trustee.totals.report(request)               # what is here of a set; it tells no value
    trustee.totals.answer_sum(request, reports)  # this trustee's part of the sum, once

Requests, reports and answers are signed bytes; how they travel does not matter. Experimental until
externally reviewed.
"""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from device_sdk.courier import Courier
from device_sdk.errors import RosterUnknownError
from device_sdk.outbox.outgoing import State
from device_sdk.posting import Posting
from device_sdk.reading import InboxReading
from device_sdk.recipients import GRACE
from device_sdk.totals.bills import Billing
from device_sdk.totals.sharing import Sharing
from device_sdk.totals.trustee import Trustee
from device_sdk.trust import Roster

T = TypeVar("T")
_AT_ONCE = 20
"""Readings that are shared out with a new one: a backlog gets less, and holds no sensor up."""
_ROSTER_PATIENCE = 10.0
"""Seconds to wait for the very first roster."""


class Totals:
    """`Device.totals`."""

    def __init__(self, courier: Courier, posting: Posting) -> None:
        self._courier, self._posting = courier, posting
        self._parts = parts = courier.parts
        name, signer, aad = parts.keystore.name, parts.keystore.identity, parts.pin.aad
        mac = parts.keystore.reading_mac
        self._billing = Billing(parts.totals, name=name, signer=signer, aad=aad, mac=mac)
        self._trustee = Trustee(parts.totals, name=name, signer=signer, aad=aad, mac=mac)

    def answer_bill(self, request: bytes) -> bytes:
        """Return the signed total of this device's readings that a gateway asks for.

        It is told once for each time; the same request gets the same answer again. Keep in mind
        that a total at the edge of what is possible tells its readings.

        Raises:
            RequestError: the owner does not allow it, too few readings, or they are not this
                device's: see `device_sdk.wire.totals_errors`. Nothing was told.
            WireError, TrustError: not a request by a gateway of the fleet.
        """
        return self._locked(lambda roster, now: self._billing.answer(request, roster, now))

    def report(self, request: bytes) -> bytes:
        """Return a signed report of which shares are here of a set. Raises as `answer_bill`."""
        return self._locked(lambda roster, now: self._trustee.report(request, roster, now))

    def answer_sum(self, request: bytes, reports: Sequence[bytes]) -> bytes:
        """Return this trustee's signed part of a sum, once all trustees have reported.

        Raises:
            TotalsError: as `answer_bill`; or not every trustee has every reading, or a device has
                told them different things: then ask for a sum without its readings.
            WireError, TrustError: not signed by those who should have.
        """
        return self._locked(lambda roster, now: self._trustee.answer(request, reports, roster, now))

    def collect(self, timeout: float = 30.0) -> int:
        """Take the shares that wait for this trustee; return how many could be taken.

        Other messages stay in the inbox. Raises as `Device.inbox`.
        """
        taken = 0
        reading = InboxReading(self._courier, timeout=timeout, until_empty=True, shares=True)
        for message in reading.messages():
            with message:
                sender, payload = message.sender, message.payload
                taken += self._locked(
                    lambda roster, now, sender=sender, payload=payload: self._trustee.take(  # type: ignore[misc]
                        sender, payload, roster, now
                    )
                )
        return taken

    def share(self, timeout: float = 10.0) -> int:
        """Send trustees the shares that they have not been sent yet; return how many readings wait.

        `Device.send_reading` does so for what can go out at once. What could not be sealed, for
        want of a trustee's key or of room, is tried again with the next one.
        """
        until = time.monotonic() + timeout
        self._locked(lambda _roster, _now: None)
        with self._posting.sharing:
            waiting = self._sharing().run()
            if waiting and timeout > 0:
                self._sharing(until - time.monotonic()).run()
                waiting = self._sharing().run()  # other keys may have come while one was waited for
            return waiting

    def share_at_once(self) -> None:
        """Send what can be sent without waiting for anything, not even for another thread at it."""
        if self._posting.sharing.acquire(blocking=False):
            try:
                self._sharing().run(_AT_ONCE)
            finally:
                self._posting.sharing.release()

    def flush(self, timeout: float = 30.0) -> bool:
        """Share out what waits, and wait until the gateway holds all that this device has sent;
        tell whether it does."""
        until = time.monotonic() + timeout
        if self.share(timeout):
            return False
        with self._courier.changed:
            return self._courier.wait(self._is_sent, until)

    def _is_sent(self) -> bool:
        return not self._parts.outbox.count_open().get(State.WAITING)

    def _sharing(self, patience: float = 0.0) -> Sharing:
        return Sharing(self._courier, self._posting, patience=patience)

    def _locked(self, work: Callable[[Roster, int], T]) -> T:
        with self._courier.changed:
            self._courier.check_open()
            roster = self._newest_roster()
            return work(roster, self._courier.router.believed(self._courier.moment()))

    def _newest_roster(self) -> Roster:
        """Return what the owner says now, as far as it comes in time. With the lock held."""
        start, rosters, courier = time.monotonic(), self._parts.rosters, self._courier
        courier.wait(lambda: courier.has_failed or courier.listening.is_roster_fresh, start + GRACE)
        courier.wait(lambda: rosters.roster is not None, start + _ROSTER_PATIENCE)
        if rosters.roster is None:
            raise RosterUnknownError(f"no roster has come from the owner yet: {courier.why()}")
        return rosters.roster
