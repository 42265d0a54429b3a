"""Instants: microseconds since 1970-01-01 UTC in arrays, aware datetimes in SQL and JSON."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_datetime(us: int) -> datetime:
    """Give the instant as a datetime; outside the years 1 to 9999 the nearest end, infinity to a database."""
    try:
        return EPOCH + timedelta(microseconds=int(us))
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC) if us < 0 else datetime.max.replace(tzinfo=UTC)


def to_us(moment: datetime) -> int:
    """Give an aware datetime as microseconds, exactly."""
    return (moment - EPOCH) // _MICROSECOND
