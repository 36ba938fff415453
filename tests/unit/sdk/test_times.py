"""Times on the wire as people see them."""

from datetime import timedelta, timezone

from device_sdk.times import as_datetime


def test_the_farthest_time_on_the_wire_can_be_shown_in_every_time_zone() -> None:
    for hours in range(-12, 15):
        zone = timezone(timedelta(hours=hours))
        assert as_datetime(2**64 - 1).astimezone(zone).year >= 9999
