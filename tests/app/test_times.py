from datetime import UTC, datetime

from app.times import to_datetime, to_us


def test_times_outside_a_datetime_are_infinity() -> None:
    assert to_us(to_datetime(-1)) == -1
    assert to_datetime(2**62) == datetime.max.replace(tzinfo=UTC)
