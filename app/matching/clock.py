"""The clock on the wall where tags and crimes are: what people read, and what makes two days comparable."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from app.times import to_datetime, to_us
from matcher.trails import Longs

_WALL: Final = ZoneInfo("Europe/London")


def clock_for(from_us: int, to_us: int) -> Callable[[int], str]:
    """Give what tells the time of moments in a stretch of time, with the day where that holds more than one."""
    has_days = _local(from_us).date() != _local(to_us).date()

    def tell(us: int) -> str:
        moment = _local(us)
        return f"{moment.day} {moment:%B %H:%M}" if has_days else f"{moment:%H:%M}"

    return tell


@lru_cache(maxsize=4096)
def comparable_days(start_us: int, end_us: int, days: int) -> Longs:
    """Give by how much a stretch of time is moved to each of so many days before it, (S,) microseconds, each under 0.

    By whole local days, because what people do at an hour follows the clock on the wall, and so do reports: its start
    has the same local time, which over a change of the clock is an hour more or less than 24 each. A day on which the
    stretch would still reach into itself is left out. Rising.
    """
    start = _local(start_us)
    # The same for all wearers near one crime.
    moved = [to_us(start - timedelta(days=day)) - start_us for day in range(days, 0, -1)]
    shifts_us = np.array([shift_us for shift_us in moved if end_us + shift_us <= start_us], np.int64)
    shifts_us.flags.writeable = False
    return shifts_us


def _local(us: int) -> datetime:
    return to_datetime(us).astimezone(_WALL)
