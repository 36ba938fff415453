"""Whom to seal to, waiting for what the broker may still tell about them."""

import time

from device_sdk.courier import Courier
from device_sdk.errors import (
    ClockError,
    NoReaderKeyError,
    NotSealedError,
    RosterUnknownError,
)
from device_sdk.seal import WrapTarget
from device_sdk.sending import Draft, check_clock, choose_targets
from device_sdk.trust import RosterExpiredError

GRACE = 1.0
"""Seconds to wait for a newer roster and newer keys than the known ones, once per connection."""
ROSTER_GRACE = 5.0
"""Seconds to wait for a roster that lists everybody: an owner who has just admitted a device writes
to it at once, and the gateway looks for new rosters only every few seconds."""


def find_targets(courier: Courier, message: Draft, timeout: float) -> list[WrapTarget]:
    """Return whom to seal to, after up to ``timeout`` seconds. With the device's lock held.

    What is known is used at once where the broker cannot be reached.

    Raises:
        RosterUnknownError: no roster has ever come.
        ClockError: as `device_sdk.sending.check_clock`.
        NotSealedError, RosterExpiredError: as `device_sdk.sending.choose_targets`.
    """
    start, router = time.monotonic(), courier.router
    until, settled = start + timeout, start + min(timeout, ROSTER_GRACE)
    courier.check_open()
    router.watch_keys(message.readers)
    courier.pump()
    courier.wait(lambda: _is_fresh(courier, message), min(until, start + GRACE))
    router.fresh_keys.update(message.readers)
    router.is_roster_awaited = True
    while True:
        try:
            return _choose(courier, message)
        except (NotSealedError, RosterExpiredError) as error:
            if isinstance(error, ClockError):
                raise  # waiting does not make this message any younger
            if isinstance(error, RosterUnknownError | NoReaderKeyError):
                limit = until
            elif courier.has_failed:
                raise  # no other roster will come soon
            else:
                limit = settled if router.is_roster_fresh else until
            remaining = limit - time.monotonic()
            if remaining <= 0:
                raise
        courier.changed.wait(remaining)
        courier.check_open()


def _is_fresh(courier: Courier, message: Draft) -> bool:
    """Tell whether what is known is as new as it gets for now."""
    router = courier.router
    if courier.has_failed:
        return True
    is_roster_fresh = router.is_roster_fresh or router.is_roster_awaited
    return is_roster_fresh and router.fresh_keys.issuperset(message.readers)


def _choose(courier: Courier, message: Draft) -> list[WrapTarget]:
    parts = courier.parts
    roster = parts.rosters.roster
    if roster is None:
        raise RosterUnknownError(f"no roster has come from the owner yet: {courier.why()}")
    heard = parts.gateways.latest()
    check_clock(message, max(roster.issued, heard.time if heard else 0))
    try:
        return choose_targets(
            message,
            sender=parts.keystore.name,
            sender_kid=parts.keystore.identity.kid,
            roster=roster,
            keys=parts.reader_keys,
        )
    except NoReaderKeyError as error:
        if courier.is_ready:
            raise
        raise NoReaderKeyError(error.reader, courier.why()) from None
