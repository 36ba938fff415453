"""The operator hears in time that the owner must renew the roster (PROTOCOL 8.7)."""

from datetime import UTC, datetime

import structlog

from device_sdk.wire.limits import DAY, ROSTER_WARNING
from gateway.situation import Situation

_HINT = "the owner must renew it: by an expired roster nothing new is taken in"


class RosterExpiry:
    """Says so in the log: at the start, and once a day while the gateway runs."""

    def __init__(self) -> None:
        self._said: tuple[int, int] | None = None
        self._log = structlog.get_logger("gateway.roster")

    def say(self, situation: Situation) -> None:
        """Look at the roster that counts now."""
        roster, now = situation.roster, situation.now
        if roster is None or now < roster.expires - ROSTER_WARNING:
            return
        day = (roster.version, now // DAY)
        if day == self._said:
            return
        self._said = day
        expires = f"{datetime.fromtimestamp(roster.expires, UTC):%Y-%m-%d %H:%M} UTC"
        facts = {"version": roster.version, "expires": expires}
        if now >= roster.expires:
            self._log.error("roster_expired", **facts, hint=_HINT)
        else:
            self._log.warning("roster_expires_soon", **facts, hint=_HINT)
