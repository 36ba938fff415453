"""Unix seconds of the wire as datetimes for people."""

from datetime import UTC, datetime, timedelta

_LAST = int((datetime.max.replace(tzinfo=UTC, microsecond=0) - timedelta(days=1)).timestamp())
"""A day before the end of the year 9999, so that every time zone can show it."""


def as_datetime(seconds: int) -> datetime:
    """Return an aware UTC datetime; what lies beyond the year 9999 becomes the last time."""
    return datetime.fromtimestamp(min(seconds, _LAST), UTC)


def as_datetime_or_none(seconds: int) -> datetime | None:
    """Return None for 0, which stands for "not yet"."""
    return as_datetime(seconds) if seconds else None
