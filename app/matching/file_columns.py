"""Columns of a table as arrays of the matcher's units, with what is wrong in each row that cannot be used.

A whole column of the wrong kind is a Failure; a wrong cell is a fault of its row.
"""

from datetime import UTC, datetime
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from app.failure import Failure
from app.matching.table_files import FileTable
from app.times import to_us

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

# What a fast cast can read; anything else is read, or found at fault, cell by cell.
_PLAIN_TIME: Final = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:?\d\d)$"
_PLAIN_NUMBER: Final = r"^[+-]?\d{1,15}(\.\d*)?([eE][+-]?\d{1,3})?$"


class BadRow(NamedTuple):
    """A row that was left out, and why."""

    file: str
    row: int  # from 1, a header not counted
    column: str
    code: str  # as the API says it
    message: str


class Columns:
    """Reads the columns of one file, and remembers the faults of its rows."""

    def __init__(self, file: FileTable) -> None:
        self._file = file
        self._table = file.table
        self._rows = _numbers_of_rows(file.table.num_rows, [torn.row for torn in file.torn])
        self.is_good = np.ones(file.table.num_rows, dtype=np.bool_)
        self.bad_rows = [BadRow(file.name, torn.row, "", "wrong_type", torn.message) for torn in file.torn]

    def has(self, name: str) -> bool:
        return name in self._table.column_names

    def require(self, *names: str, said: dict[str, str]) -> None:
        """Raise Failure unless there are columns of these names; `said` gives other words for one."""
        for name in names:
            if not self.has(name):
                found = ", ".join(self._file.found) or "none"
                raise Failure(f"{self._file.name} has no column {said.get(name, f'`{name}`')}; its columns: {found}")

    def labels(self, name: str) -> pa.Array:
        """A column of text or whole numbers, as it stands, with empty cells at fault."""
        column = self._column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if not (_is_text(column.type) or pa.types.is_integer(column.type)):
            raise Failure(f"{self._file.name}: column {name} holds {column.type}, expected text or whole numbers")
        self._reject(name, "missing_field", "is missing", _is_empty(column), column)
        return column

    def numbers(self, name: str, limit: float) -> Floats:
        """A column of numbers from -limit to limit."""
        column = self._column(name)
        if _is_text(column.type):
            values = self._parsed_numbers(name, column)
        elif pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_decimal(column.type):
            self._reject(name, "missing_field", "is missing", _is_empty(column), column)
            values = _floats(column)
        else:
            raise Failure(f"{self._file.name}: column {name} holds {column.type}, expected numbers")
        # Said as what must hold, so that NaN is at fault too.
        self._reject(name, "out_of_range", f"is not from -{limit:g} to {limit:g}", ~(np.abs(values) <= limit), column)
        return values

    def numbers_if_any(self, name: str, limit: float, otherwise: float) -> Floats:
        """A column of numbers from -limit to limit that may be missing, whole or in cells: `otherwise` stands there."""
        if not self.has(name):
            return np.full(len(self._rows), otherwise)
        column = self._column(name)
        is_empty = _is_empty(column)
        filled = pc.if_else(pa.array(is_empty), str(otherwise) if _is_text(column.type) else otherwise, column)
        self._table = self._table.set_column(self._table.column_names.index(name), name, filled)
        return self.numbers(name, limit)

    def codes_if_any(self, name: str, codes: dict[str, int], otherwise: int, fault: str) -> Longs:
        """A column of known words, of any case, as their codes; it may be missing, whole or in cells."""
        if not self.has(name):
            return np.full(len(self._rows), otherwise, np.int64)
        column = self._column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if not _is_text(column.type):
            raise Failure(f"{self._file.name}: column {name} holds {column.type}, expected text")
        known = {word.lower(): code for word, code in codes.items()} | {"": otherwise}
        encoded = column.fill_null("").dictionary_encode()
        words = [word.strip().lower() for word in encoded.dictionary.to_pylist()]
        is_known = np.array([word in known for word in words], np.bool_)
        word_of = np.asarray(encoded.indices, np.int64)
        self._reject(name, fault, f"is none of {', '.join(codes)}", ~is_known[word_of], column)
        return np.array([known.get(word, otherwise) for word in words], np.int64)[word_of]

    def times_us(self, name: str) -> Longs:
        """A column of instants, in microseconds since 1970-01-01 UTC; finer digits are cut off."""
        column = self._column(name)
        if _is_text(column.type):
            return self._parsed_times_us(name, column)
        if not pa.types.is_timestamp(column.type):
            raise Failure(f"{self._file.name}: column {name} holds {column.type}, expected times")
        if column.type.tz is None:
            raise Failure(f"{self._file.name}: the times in column {name} have no zone; write them as UTC")
        self._reject(name, "missing_field", "is missing", _is_empty(column), column)
        times = column.cast(pa.timestamp("us", column.type.tz), safe=False)
        return _longs(times)

    def reject(self, name: str, code: str, message: str, is_bad: npt.NDArray[np.bool_]) -> None:
        """Leave out the rows at fault, saying why."""
        self._reject(name, code, message, is_bad, None)

    def _column(self, name: str) -> pa.Array:
        return self._table[name].combine_chunks()

    def _reject(
        self, name: str, code: str, message: str, is_bad: npt.NDArray[np.bool_], values: pa.Array | None
    ) -> None:
        """Note the first fault of each row."""
        for at in np.flatnonzero(is_bad & self.is_good):
            said = f"{name} {message}"
            if values is not None and code != "missing_field":
                said += f": {str(values[int(at)].as_py())[:60]}"
            self.bad_rows.append(BadRow(self._file.name, int(self._rows[at]), name, code, said))
        self.is_good &= ~is_bad

    def _parsed_numbers(self, name: str, column: pa.Array) -> Floats:
        self._reject(name, "missing_field", "is missing", _is_empty(column), column)
        is_plain = pc.match_substring_regex(column, _PLAIN_NUMBER).fill_null(False)
        values = _floats(pc.if_else(is_plain, column, "0"))
        is_bad = np.zeros(len(column), dtype=np.bool_)
        for at in np.flatnonzero(~_bools(is_plain) & self.is_good):
            try:
                values[at] = float(column[int(at)].as_py())
            except ValueError:
                is_bad[at] = True
        self._reject(name, "wrong_type", "is not a number", is_bad, column)
        return values

    def _parsed_times_us(self, name: str, column: pa.Array) -> Longs:
        self._reject(name, "missing_field", "is missing", _is_empty(column), column)
        is_plain = pc.match_substring_regex(column, _PLAIN_TIME).fill_null(False)
        try:
            times = pc.if_else(is_plain, column, "1970-01-01T00:00:00Z").cast(pa.timestamp("us", "UTC"))
            values = _longs(times)
        except pa.ArrowInvalid:  # a thirteenth month, somewhere
            is_plain = pa.array(np.zeros(len(column), dtype=np.bool_))
            values = np.zeros(len(column), dtype=np.int64)
        is_time, has_zone = np.ones(len(column), dtype=np.bool_), np.ones(len(column), dtype=np.bool_)
        for at in np.flatnonzero(~_bools(is_plain) & self.is_good):
            try:
                moment = datetime.fromisoformat(column[int(at)].as_py())
            except ValueError:
                is_time[at] = False
            else:
                has_zone[at] = moment.tzinfo is not None
                values[at] = to_us(moment if has_zone[at] else moment.replace(tzinfo=UTC))
        self._reject(name, "wrong_type", "is not a time like 2024-01-31T12:00:00Z", ~is_time, column)
        self._reject(name, "time_without_zone", "has no zone", ~has_zone, column)
        return values


def _numbers_of_rows(rows: int, left_out: list[int]) -> Longs:
    """The number, from 1, of each row of a table in its file, from which some are left out already."""
    return np.delete(np.arange(1, rows + len(left_out) + 1), [row - 1 for row in left_out])


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_empty(column: pa.Array) -> npt.NDArray[np.bool_]:
    is_empty = pc.is_null(column)
    if _is_text(column.type):
        is_empty = pc.or_(is_empty, pc.equal(column, "").fill_null(True))
    return _bools(is_empty)


def _bools(column: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.bool_)


def _floats(column: pa.Array) -> Floats:
    return np.array(column.cast(pa.float64(), safe=False).fill_null(0), dtype=np.float64)


def _longs(column: pa.Array) -> Longs:
    return np.array(column.cast(pa.int64()).fill_null(0), dtype=np.int64)
