"""Comparable days: the same hours by the clock on the wall, on the days before."""

from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from app.times import to_datetime, to_us
from matcher.trails import Longs

# Where the tags and the crimes are. What people do at an hour follows the clock on the wall, and so do reports.
CLOCK: Final = ZoneInfo("Europe/London")


def comparable_days(start_us: int, end_us: int, days: int) -> Longs:
    """Give by how much a stretch of time is moved to each of so many days before it, (S,) microseconds, each under 0.

    By whole local days, so that its start has the same local time; over a change of the clock that is an hour more or
    less than 24 each. A day on which the stretch would still reach into itself is left out. Rising.
    """
    start = to_datetime(start_us).astimezone(CLOCK)
    moved = [to_us(start - timedelta(days=day)) - start_us for day in range(days, 0, -1)]
    return np.array([shift_us for shift_us in moved if end_us + shift_us <= start_us], np.int64)
