"""Unix seconds of the wire as datetimes for people."""

from datetime import UTC, datetime

_LAST = int(datetime.max.replace(tzinfo=UTC, microsecond=0).timestamp())


def as_datetime(seconds: int) -> datetime:
    """Return an aware UTC datetime; what lies beyond the year 9999 becomes its last second."""
    return datetime.fromtimestamp(min(seconds, _LAST), UTC)


def as_datetime_or_none(seconds: int) -> datetime | None:
    """Return None for 0, which stands for "not yet"."""
    return as_datetime(seconds) if seconds else None
