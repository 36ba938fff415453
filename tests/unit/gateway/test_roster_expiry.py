"""The operator hears in time that the roster is about to expire."""

from dataclasses import replace

from structlog.testing import capture_logs

from device_sdk.wire.limits import DAY, ROSTER_WARNING
from gateway.roster_expiry import RosterExpiry
from gateway.situation import Situation
from tests.support.envelopes import Fleet


def test_an_expiring_roster_is_named_once_a_day_and_a_renewed_one_is_not(fleet: Fleet) -> None:
    roster = fleet.roster()
    expiry = RosterExpiry()

    def said(now: int) -> list[str]:
        with capture_logs() as logs:
            expiry.say(Situation(pin=fleet.pin, roster=roster, now=now))
        return [entry["event"] for entry in logs]

    end = roster.expires
    assert said(end - ROSTER_WARNING - 1) == []
    assert said(end - ROSTER_WARNING) == ["roster_expires_soon"]
    assert said(end - ROSTER_WARNING) == []
    assert said(end - ROSTER_WARNING + DAY) == ["roster_expires_soon"]
    assert said(end) == ["roster_expired"]
    head = replace(roster.head.head, version=roster.version + 1, expires=end + 365 * DAY)
    roster = replace(roster, head=replace(roster.head, head=head))
    assert said(end + DAY) == []
