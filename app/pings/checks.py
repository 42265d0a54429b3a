"""From the columns of a body to pings that can be stored, and what is wrong with every other row."""

from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from app.pings.cells import Column, Numbers, Words, read_floats, read_integers, read_times, read_words
from app.pings.fixed_point import QUANTITIES, SOURCES, UNKNOWN, Quantity, to_fixed_point
from app.pings.payload import PING, Pings
from app.pings.problems import Bools, Problems, RowProblem

FIELDS: Final = ("device_id", "fixed_at", "fixed_at_us", *(each.name for each in QUANTITIES), "source")

_DAY_US: Final = 86_400_000_000
_MAX_AHEAD_US: Final = 5 * 60 * 1_000_000
SERIAL_LIMIT: Final = 200  # characters
# PostgreSQL stores no NUL, and people read serials off a screen.
_CONTROL: Final = r"[\x00-\x1f\x7f-\x{9f}]"
# The last microsecond of the year 9999, which ISO 8601 and every reader of ours can still write.
_LAST_US: Final = 253_402_300_799_999_999


class TimeBounds(NamedTuple):
    """What a ping's time may be, in microseconds since 1970-01-01 UTC, both inclusive."""

    oldest_us: int  # retention's; 0 without any
    newest_us: int


def time_bounds(now_us: int, retention_days: int | None) -> TimeBounds:
    """What it may be now: from retention's first moment, or 1970 without retention, to five minutes ahead."""
    oldest_us = 0 if retention_days is None else now_us - retention_days * _DAY_US
    return TimeBounds(oldest_us, now_us + _MAX_AHEAD_US)


class Checked(NamedTuple):
    """N rows of a body, K of them acceptable."""

    pings: Pings  # (K,), in the body's order; device_id is an index of `serials`
    serials: list[str]
    rows: NDArray[np.int64]  # (K,), where each ping stood, from 0
    problems: list[RowProblem]  # by line; a row has at most one for each field


def check(columns: dict[str, Column], bounds: TimeBounds, problems: Problems) -> Checked:
    """Check the rows of a body; rows that `problems` names already are left as they are.

    `columns` holds those of FIELDS that any row has, each with a cell for every row.
    """
    words = _device(columns.get("device_id"), problems)
    pings = np.zeros(problems.is_bad.size, PING)
    pings["device_id"] = words.places
    pings["fixed_at_us"] = _fixed_at(columns, bounds, problems)
    for quantity in QUANTITIES:
        pings[quantity.column] = _quantity(quantity, columns.get(quantity.name), problems)
    pings["source"] = _source(columns.get("source"), problems)
    is_null_island = (pings["lon_e7"] == 0) & (pings["lat_e7"] == 0) & ~problems.at("/lon") & ~problems.at("/lat")
    problems.add(is_null_island, "", "null_island", "The position is exactly (0, 0), where nobody is tagged.")
    rows = np.flatnonzero(~problems.is_bad)
    return Checked(pings if rows.size == pings.size else pings[rows], words.words, rows, problems.listed())


def _device(column: Column | None, problems: Problems) -> Words:
    if column is None:
        _require(np.zeros_like(problems.is_bad), "/device_id", problems)
        return Words([], np.full(problems.is_bad.size, -1, np.int32))
    words = read_words(column, "/device_id", problems)
    _require(words.places >= 0, "/device_id", problems)
    texts = pa.array(words.words, pa.string())
    length = np.asarray(pc.utf8_length(texts))
    is_serial = (length >= 1) & (length <= SERIAL_LIMIT) & ~np.asarray(pc.match_substring_regex(texts, _CONTROL))
    # The last one is for rows without a word, whose place is -1.
    is_serial = np.append(is_serial, True)
    message = f"A device is named by 1 to {SERIAL_LIMIT} characters, none of them a control character."
    problems.add(~is_serial[words.places], "/device_id", "out_of_range", message)
    return words


def _fixed_at(columns: dict[str, Column], bounds: TimeBounds, problems: Problems) -> NDArray[np.int64]:
    count = problems.is_bad.size
    written = counted = Numbers(np.zeros(count, np.int64), np.zeros(count, np.bool_))
    if "fixed_at" in columns:
        written = read_times(columns["fixed_at"], "/fixed_at", problems)
    if "fixed_at_us" in columns:
        counted = read_integers(columns["fixed_at_us"], "/fixed_at_us", problems)
    is_given = written.is_given | counted.is_given
    _require(is_given | problems.at("/fixed_at_us"), "/fixed_at", problems)
    _refuse_times(written, "/fixed_at", bounds, problems)
    are_two = written.is_given & counted.is_given & (written.values != counted.values) & ~problems.at("/fixed_at")
    problems.add(are_two, "/fixed_at_us", "two_times", "fixed_at and fixed_at_us say different times.")
    _refuse_times(counted, "/fixed_at_us", bounds, problems)
    return np.where(written.is_given, written.values, counted.values)


def _refuse_times(times: Numbers, pointer: str, bounds: TimeBounds, problems: Problems) -> None:
    times_us, is_given = times
    is_impossible = (times_us < 0) | (times_us > _LAST_US)
    problems.add(is_given & is_impossible, pointer, "out_of_range", "A ping's time lies between 1970 and 9999.")
    is_ahead = times_us > bounds.newest_us
    problems.add(is_given & is_ahead, pointer, "in_future", "The time is more than 5 minutes ahead of our clock.")
    is_too_old = times_us < bounds.oldest_us
    problems.add(is_given & is_too_old, pointer, "before_retention", "The time is before the first that is kept.")


def _quantity(quantity: Quantity, column: Column | None, problems: Problems) -> NDArray[np.int32]:
    pointer = f"/{quantity.name}"
    if column is None:
        _require(np.full(problems.is_bad.size, quantity.is_optional), pointer, problems)
        return np.full(problems.is_bad.size, UNKNOWN, np.int32)
    values, is_given = read_floats(column, pointer, problems)
    if not quantity.is_optional:
        _require(is_given, pointer, problems)
    # Written so that what is not a number is outside.
    is_inside = (values >= quantity.low) & (values <= quantity.high)
    if quantity.is_never_negative:
        problems.add(is_given & (values < 0.0), pointer, "negative", f"{quantity.name} cannot be negative.")
    message = f"{quantity.name} lies between {quantity.low:,.10g} and {quantity.high:,.10g}."
    problems.add(is_given & ~is_inside, pointer, "out_of_range", message)
    fixed = to_fixed_point(quantity, np.where(is_given & is_inside, values, 0.0))
    return np.where(is_given, fixed, np.int32(UNKNOWN)).astype(np.int32)


def _source(column: Column | None, problems: Problems) -> NDArray[np.int16]:
    if column is None:
        return np.full(problems.is_bad.size, SOURCES["unknown"], np.int16)
    words, places = read_words(column, "/source", problems)
    codes = [SOURCES.get(word.lower(), -1) for word in words]
    numbers = np.array([*codes, SOURCES["unknown"]], np.int16)[places]
    message = f"A source is one of {', '.join(SOURCES)}."
    problems.add(numbers < 0, "/source", "unknown_source", message)
    return numbers


def _require(is_given: Bools, pointer: str, problems: Problems) -> None:
    problems.add(~is_given, pointer, "missing_field", "A ping needs this field; it is missing or null.")
