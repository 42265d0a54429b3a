"""Times as RFC 3339 writes them, to microseconds since 1970-01-01 UTC.

An offset is asked for (`Z` or ±hh:mm). Digits finer than a microsecond are cut off, not rounded, so that a fix never
moves into the next second. `t`, `z` and a blank for the `T` are taken, as RFC 3339 allows.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from app.pings.problems import Bools, Code, Problems

# What Arrow's parser is trusted with: it takes more than RFC 3339 in some places, and less in others.
_PLAIN: Final = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)$"
_ANY: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d)|())", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class NotATime(Exception):  # noqa: N818 - it says what the text is, as the codes do
    """The text is no time that can be stored."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def parse_times(texts: pa.StringArray, pointer: str, problems: Problems) -> NDArray[np.int64]:
    """Parse texts, (N,), into microseconds, (N,); 0 where a text is null or no time, and `problems` says of which.

    0.07 µs a text if all are plain, 2 µs if any is not.
    """
    if pc.all(pc.match_substring_regex(texts, _PLAIN), min_count=0).as_py():
        try:
            times = texts.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        except pa.ArrowInvalid:  # such as the 30th of February, somewhere
            return _parse_one_by_one(texts, pointer, problems)
        return np.asarray(pc.fill_null(times, 0))
    return _parse_one_by_one(texts, pointer, problems)


def parse_time(text: str) -> int:
    """Microseconds of one time. Raises NotATime."""
    parts = _ANY.fullmatch(text)
    if parts is None:
        raise NotATime("wrong_type", "This is no RFC 3339 time, such as 2024-03-01T09:30:00Z.")
    year, month, day, hour, minute, second = (int(part) for part in parts.groups()[:6])
    fraction, sign, offset_hours, offset_minutes, without_zone = parts.groups()[6:]
    if without_zone is not None:
        raise NotATime("time_without_zone", "The time has no offset from UTC; end it with Z or ±hh:mm.")
    if second == 60:
        raise NotATime("out_of_range", "A leap second cannot be stored; send the second before or after it.")
    try:
        at = datetime(year, month, day, hour, minute, second, int(f"{fraction or '':0<6}"[:6]), UTC)
    except ValueError:
        raise NotATime("out_of_range", "There is no such date or time of day.") from None
    return (at - _EPOCH) // _MICROSECOND - _offset_us(sign, offset_hours, offset_minutes)


def _offset_us(sign: str | None, hours: str | None, minutes: str | None) -> int:
    if sign is None or hours is None or minutes is None:
        return 0
    if int(hours) > 23 or int(minutes) > 59:
        raise NotATime("out_of_range", "There is no such offset from UTC.")
    offset_us = (int(hours) * 60 + int(minutes)) * 60_000_000
    return -offset_us if sign == "-" else offset_us


class _Refusal(NamedTuple):
    code: Code
    message: str


def _parse_one_by_one(texts: pa.StringArray, pointer: str, problems: Problems) -> NDArray[np.int64]:
    times_us = np.zeros(len(texts), np.int64)
    refused: dict[_Refusal, Bools] = {}
    for row, text in enumerate(texts.to_pylist()):
        if text is None:
            continue
        try:
            times_us[row] = parse_time(text)
        except NotATime as error:
            refusal = _Refusal(error.code, error.message)
            refused.setdefault(refusal, np.zeros(len(texts), np.bool_))[row] = True
    for refusal, is_bad in refused.items():
        problems.add(is_bad, pointer, refusal.code, refusal.message)
    return times_us
