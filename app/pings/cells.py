"""One field of N rows, as a list of what JSON held or as an Arrow array, read as the type that the field must have.

Every reader looks at the whole column first and goes through its cells one by one only if some are of another type.
None and null are a field not given.
"""

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app.pings.problems import Bools, Problems
from app.pings.rfc3339 import parse_times

Column: TypeAlias = list[Any] | pa.Array

_LOWEST = int(np.iinfo(np.int64).min)
_HIGHEST = int(np.iinfo(np.int64).max)


class Numbers(NamedTuple):
    """Numbers of N rows; what stands in a row that was not given is of no meaning."""

    values: NDArray[Any]  # (N,) float64 or int64
    is_given: Bools  # (N,), and of the right type


def read_floats(column: Column, pointer: str, problems: Problems) -> Numbers:
    """Read numbers, whole or not, as float64; one too large for that is infinite."""
    if isinstance(column, pa.Array):
        if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
            return Numbers(_to_numpy(column.cast(pa.float64(), safe=False), 0.0), _is_valid(column))
        column = _strangers(column)
    cells = _only(column, (float, int), "a number", pointer, problems)
    try:
        values = np.array(cells, np.float64)
    except OverflowError:
        values = np.array([_float(cell) for cell in cells], np.float64)
    # None has become NaN, and JSON has no NaN of its own.
    return Numbers(values, ~np.isnan(values))


def read_integers(column: Column, pointer: str, problems: Problems) -> Numbers:
    """Read whole numbers as int64; one beyond that range is the nearest end of it."""
    if isinstance(column, pa.Array):
        if pa.types.is_signed_integer(column.type):
            return Numbers(_to_numpy(column.cast(pa.int64()), 0), _is_valid(column))
        column = column.to_pylist() if pa.types.is_integer(column.type) else _strangers(column)
    cells = _only(column, (int,), "a whole number", pointer, problems)
    if None in cells:
        is_given = np.array([cell is not None for cell in cells], np.bool_)
        cells = [0 if cell is None else cell for cell in cells]
    else:
        is_given = np.ones(len(cells), np.bool_)
    try:
        values = np.array(cells, np.int64)
    except OverflowError:
        values = np.array([min(max(cell, _LOWEST), _HIGHEST) for cell in cells], np.int64)
    return Numbers(values, is_given)


def read_times(column: Column, pointer: str, problems: Problems) -> Numbers:
    """Read RFC 3339 texts, or Arrow timestamps with a zone, as microseconds since 1970-01-01 UTC."""
    if isinstance(column, pa.Array) and pa.types.is_timestamp(column.type):
        if column.type.tz is None:
            problems.add(
                _is_valid(column), pointer, "time_without_zone", "The column's timestamp type has no time zone."
            )
        return Numbers(_microseconds(column), _is_valid(column) & ~problems.at(pointer))
    texts = _texts(column, "an RFC 3339 time as text", pointer, problems)
    times_us = parse_times(texts, pointer, problems)
    return Numbers(times_us, _is_valid(texts) & ~problems.at(pointer))


class Words(NamedTuple):
    """Texts of N rows, each different one once."""

    words: list[str]
    places: NDArray[np.int32]  # (N,) in `words`, -1 where not given


def read_words(column: Column, pointer: str, problems: Problems) -> Words:
    """Read texts that repeat; of an Arrow dictionary, its words as they are."""
    if isinstance(column, pa.DictionaryArray) and _is_text(column.type.value_type) and not column.dictionary.null_count:
        return Words(column.dictionary.to_pylist(), _to_numpy(column.indices, -1).astype(np.int32))
    coded = _texts(column, "text", pointer, problems).dictionary_encode()
    return Words(coded.dictionary.to_pylist(), _to_numpy(coded.indices, -1))


def _texts(column: Column, what: str, pointer: str, problems: Problems) -> pa.StringArray:
    if isinstance(column, pa.Array):
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if _is_text(column.type):
            return column.cast(pa.string())
        column = _strangers(column)
    return pa.array(_only(column, (str,), what, pointer, problems), pa.string())


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _strangers(column: pa.Array) -> list[Any]:
    """Cells of a column whose type is none that the field has: what they are does not matter."""
    return [column.type if is_valid else None for is_valid in column.is_valid().to_pylist()]


def _only(cells: list[Any], kinds: tuple[type, ...], what: str, pointer: str, problems: Problems) -> list[Any]:
    """The cells, with None for each that is of another type than these; a bool is no int here."""
    allowed = {*kinds, type(None)}
    if set(map(type, cells)) <= allowed:
        return cells
    is_wrong = np.array([type(cell) not in allowed for cell in cells], np.bool_)
    problems.add(is_wrong, pointer, "wrong_type", f"This field takes {what}.")
    return [cell if type(cell) in allowed else None for cell in cells]


def _float(cell: float | None) -> float:
    try:
        return np.nan if cell is None else float(cell)
    except OverflowError:
        return np.inf if cell is not None and cell > 0 else -np.inf


def _microseconds(column: pa.Array) -> NDArray[np.int64]:
    """Whole microseconds, finer ones cut off as the digits of a text are; int64's nearest end if it is too narrow."""
    ticks: NDArray[np.int64] = _to_numpy(column.cast(pa.int64()), 0)
    if column.type.unit == "ns":
        return ticks // 1_000
    factor = {"us": 1, "ms": 1_000, "s": 1_000_000}[column.type.unit]
    return np.clip(ticks, -(_HIGHEST // factor), _HIGHEST // factor) * factor


def _is_valid(column: pa.Array) -> Bools:
    return np.asarray(column.is_valid().to_numpy(zero_copy_only=False), np.bool_)


def _to_numpy(column: pa.Array, where_null: float) -> NDArray[Any]:
    filled = column.fill_null(where_null) if column.null_count else column
    return np.asarray(filled.to_numpy(zero_copy_only=False))
