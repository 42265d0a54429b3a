"""The clock on the wall: what people read, and which days compare."""

from datetime import UTC, datetime, timedelta

from app.matching.clock import clock_for, comparable_days
from app.times import to_us

HOUR_US = 3_600_000_000


def us(*moment: int) -> int:
    return to_us(datetime(*moment, tzinfo=UTC))  # type: ignore[arg-type,misc] # year, month, day, hour


def test_a_comparable_day_has_the_same_local_time_over_a_change_of_the_clock() -> None:
    # In 2026 clocks go forward on 29 March, at 01:00 UTC.
    start = us(2026, 3, 30, 12)
    shifts = comparable_days(start, start + HOUR_US, 3)
    assert [timedelta(microseconds=shift) for shift in shifts.tolist()] == [
        timedelta(hours=-71),
        timedelta(hours=-47),
        timedelta(hours=-24),
    ]


def test_a_day_on_which_the_window_would_reach_into_itself_is_left_out() -> None:
    start = us(2026, 6, 10, 12)
    assert len(comparable_days(start, start + 24 * HOUR_US, 90)) == 90
    assert len(comparable_days(start, start + 24 * HOUR_US + 1, 90)) == 89
    assert len(comparable_days(start, start + 100 * 24 * HOUR_US, 90)) == 0


def test_times_are_told_as_in_london_with_the_day_where_there_is_more_than_one() -> None:
    start = us(2026, 6, 10, 20)
    assert clock_for(start, start + HOUR_US)(start) == "21:00"
    # In London the day ends an hour before that of UTC.
    assert clock_for(start, start + 3 * HOUR_US)(start) == "10 June 21:00"
