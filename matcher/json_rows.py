"""Flat JSON objects in an array, each with the same few fields, read straight into columns.

This is what machines send by the thousand. Whatever is not as plain as that is left to a reader of all of JSON: a null,
an escape, a sign that is not ASCII, an exponent, a number of more than fifteen digits, a field of another name or kind.
Such a number is a whole one below 2^53 over a power of ten below 10^22, both exact, so that one division gives the very
double that reading its digits gives (Clinger, How to Read Floating Point Numbers Accurately, 1990).
"""

from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo.jit import inlined, kernel

Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]


class Kind(IntEnum):
    """What a field holds."""

    TEXT = 0
    NUMBER = 1
    WHOLE = 2


class Columns(NamedTuple):
    """N objects with at most K fields."""

    is_given: Bools  # (K, N)
    numbers: Floats  # (K, N), of fields that are numbers
    wholes: Longs  # (K, N), of fields that are whole numbers
    starts: Longs  # (K, N), where the text of a field begins in the buffer
    ends: Longs  # (K, N), and the byte after it


class _Names(NamedTuple):
    signs: Bytes  # all names, one after the other
    ends: Longs  # (K,)
    kinds: Longs  # (K,)


def read_rows(buffer: Bytes, fields: dict[str, Kind]) -> Columns | None:
    """Read an array of objects with these fields, any of which may be missing; None if it is not as plain as that.

    10 ns a byte, and no interpreter.
    """
    at_most = int(np.count_nonzero(buffer == _OPEN))
    shape = len(fields), at_most
    columns = Columns(np.zeros(shape, np.bool_), np.zeros(shape), *(np.zeros(shape, np.int64) for _ in range(3)))
    signs = "".join(fields).encode()
    names = _Names(
        np.frombuffer(signs, np.uint8),
        np.cumsum([len(name.encode()) for name in fields]),
        np.array(list(fields.values()), np.int64),
    )
    count = _read(buffer, names, columns)
    return None if count < 0 else Columns._make(column[:, :count] for column in columns)


def texts_of(buffer: Bytes, starts: Longs, ends: Longs) -> tuple[npt.NDArray[np.int32], Bytes]:
    """Put texts side by side: where each begins and the last one ends, (N + 1,), and their bytes."""
    offsets = np.zeros(starts.size + 1, np.int32)
    np.cumsum(ends - starts, out=offsets[1:])
    texts = np.empty(int(offsets[-1]), np.uint8)
    _copy(buffer, starts, ends, texts)
    return offsets, texts


_OPEN: Final = ord("{")
_CLOSE: Final = ord("}")
_BEGIN: Final = ord("[")
_END: Final = ord("]")
_COMMA: Final = ord(",")
_COLON: Final = ord(":")
_QUOTE: Final = ord('"')
_BACKSLASH: Final = ord("\\")
_MINUS: Final = ord("-")
_POINT: Final = ord(".")
_ZERO: Final = ord("0")
_BLANK: Final = 0x20
_LAST_PLAIN: Final = 0x7E
_MOST_DIGITS: Final = 15
_MOST_WHOLE_DIGITS: Final = 18


@kernel
def _read(buffer: Bytes, names: _Names, columns: Columns) -> int:
    """The number of objects, or -1."""
    at = _expect(buffer, _blanks(buffer, 0), _BEGIN)
    if at < 0:
        return -1
    row = 0
    at = _blanks(buffer, at)
    if at < buffer.size and buffer[at] == _END:
        return 0 if _blanks(buffer, at + 1) == buffer.size else -1
    while True:
        at = _read_object(buffer, at, names, columns, row)
        if at < 0:
            return -1
        row += 1
        at = _blanks(buffer, at)
        if at >= buffer.size:
            return -1
        if buffer[at] == _END:
            return row if _blanks(buffer, at + 1) == buffer.size else -1
        if buffer[at] != _COMMA:
            return -1
        at = _blanks(buffer, at + 1)


@inlined
def _read_object(buffer: Bytes, at: int, names: _Names, columns: Columns, row: int) -> int:
    """The byte after the object that begins here, or -1."""
    at = _expect(buffer, at, _OPEN)
    field = -1
    while at >= 0:
        at = _expect(buffer, _blanks(buffer, at), _QUOTE)
        if at < 0:
            return -1
        end = _end_of_text(buffer, at)
        if end < 0:
            return -1
        field = _find(buffer, at, end, names, field + 1)
        if field < 0:
            return -1
        at = _expect(buffer, _blanks(buffer, end + 1), _COLON)
        if at < 0:
            return -1
        at = _read_value(buffer, _blanks(buffer, at), names.kinds[field], columns, field, row)
        if at < 0:
            return -1
        columns.is_given[field, row] = True
        at = _blanks(buffer, at)
        if at < buffer.size and buffer[at] == _CLOSE:
            return at + 1
        at = _expect(buffer, at, _COMMA)
    return -1


@inlined
def _read_value(buffer: Bytes, at: int, kind: int, columns: Columns, field: int, row: int) -> int:
    """The byte after the value that begins here, or -1."""
    if kind != Kind.TEXT.value:
        return _read_number(buffer, at, kind == Kind.WHOLE.value, columns, field, row)
    at = _expect(buffer, at, _QUOTE)
    if at < 0:
        return -1
    end = _end_of_text(buffer, at)
    columns.starts[field, row] = at
    columns.ends[field, row] = end
    return end + 1 if end >= 0 else -1


@inlined
def _read_number(buffer: Bytes, at: int, is_whole: bool, columns: Columns, field: int, row: int) -> int:
    """The byte after the number that begins here, or -1."""
    is_negative = at < buffer.size and buffer[at] == _MINUS
    begin = at + is_negative
    digits, at = _digits(buffer, begin, 0)
    length = at - begin
    # No digit, or a zero before another one: no JSON.
    if length == 0 or length > _MOST_WHOLE_DIGITS or (length > 1 and buffer[begin] == _ZERO):
        return -1
    scale = 1.0
    if not is_whole and at < buffer.size and buffer[at] == _POINT:
        point = at
        digits, at = _digits(buffer, point + 1, digits)
        if at == point + 1:
            return -1
        length += at - point - 1
        for _ in range(min(at - point - 1, _MOST_DIGITS)):
            scale *= 10.0
    # An exponent, or the end of everything: no plain number.
    if at >= buffer.size or not (buffer[at] == _COMMA or buffer[at] == _CLOSE or buffer[at] <= _BLANK):
        return -1
    if is_whole:
        columns.wholes[field, row] = -digits if is_negative else digits
        return at
    columns.numbers[field, row] = -(digits / scale) if is_negative else digits / scale
    return at if length <= _MOST_DIGITS else -1


@inlined
def _digits(buffer: Bytes, at: int, value: int) -> tuple[int, int]:
    """Append the digits that stand here to a whole number; and the byte after them. Of very many it keeps the last."""
    while at < buffer.size and 0x30 <= buffer[at] <= 0x39:
        value = value * 10 + int(np.int64(buffer[at]) - _ZERO)
        at += 1
    return value, at


@inlined
def _find(buffer: Bytes, start: int, end: int, names: _Names, guess: int) -> int:
    """Which field these bytes name, most likely the one after the last, or -1."""
    count = names.ends.size
    for step in range(count):
        field = (guess + step) % count
        begin = names.ends[field - 1] if field else 0
        if names.ends[field] - begin != end - start:
            continue
        same = 0
        while same < end - start and buffer[start + same] == names.signs[begin + same]:
            same += 1
        if same == end - start:
            return field
    return -1


@inlined
def _expect(buffer: Bytes, at: int, sign: int) -> int:
    """The byte after this one if it is the sign, or -1."""
    return at + 1 if at < buffer.size and buffer[at] == sign else -1


@inlined
def _blanks(buffer: Bytes, at: int) -> int:
    """The first byte from here on that is no white space."""
    while at < buffer.size and (buffer[at] == 0x20 or buffer[at] == 0x0A or buffer[at] == 0x0D or buffer[at] == 0x09):
        at += 1
    return at


@inlined
def _end_of_text(buffer: Bytes, at: int) -> int:
    """Where the quote after a plain text stands, or -1."""
    while at < buffer.size:
        sign = buffer[at]
        if sign == _QUOTE:
            return at
        if sign < _BLANK or sign > _LAST_PLAIN or sign == _BACKSLASH:
            return -1
        at += 1
    return -1


@kernel
def _copy(buffer: Bytes, starts: Longs, ends: Longs, texts: Bytes) -> None:
    at = 0
    for row in range(starts.size):
        for byte in range(starts[row], ends[row]):
            texts[at] = buffer[byte]
            at += 1
