"""Records of integers and one field of any length, as PostgreSQL sends them in binary, into arrays.

A record is the number of its fields (2 bytes), then for each field its length (4 bytes) and its bytes, all big-endian.
No field is NULL, and all but the last have the same width in every record: so the integers of all records are columns,
and of the last field it is enough to know where it lies. Two passes: one counts and checks, one fills.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo.jit import kernel

Bytes = npt.NDArray[np.uint8]
Longs = npt.NDArray[np.int64]

_LENGTH_BYTES: Final = 4
_COUNT_BYTES: Final = 2


class Records(NamedTuple):
    """R records of K integers and one field of any length."""

    integers: Longs  # (K, R)
    starts: Longs  # (R,) first byte of the last field in the buffer
    ends: Longs  # (R,) byte after it


def read_records(buffer: Bytes, start: int, end: int, widths: tuple[int, ...]) -> Records:
    """Read the records between two bytes of a buffer; their integers are signed and so many bytes wide.

    20 ns a record of eight fields. Raises ValueError if the bytes are not such records.
    """
    wide = np.array(widths, np.int64)
    count = _count(buffer, start, end, wide)
    if count < 0:
        raise ValueError(f"these {end - start} bytes are not records of {len(widths)} integers and a last field")
    records = Records(np.empty((wide.size, count), np.int64), np.empty(count, np.int64), np.empty(count, np.int64))
    _fill(buffer, start, wide, records.integers, records.starts, records.ends)
    return records


@kernel
def _count(buffer: Bytes, start: int, end: int, widths: Longs) -> int:
    """The number of records, or -1 if they are not as they should be."""
    fixed = _COUNT_BYTES + _LENGTH_BYTES * (widths.size + 1) + widths.sum()
    count, at = 0, start
    while at < end:
        if at + fixed > end or _integer(buffer, at, _COUNT_BYTES) != widths.size + 1:
            return -1
        at += _COUNT_BYTES
        for field in range(widths.size):
            if _integer(buffer, at, _LENGTH_BYTES) != widths[field]:
                return -1
            at += _LENGTH_BYTES + widths[field]
        length = _integer(buffer, at, _LENGTH_BYTES)
        at += _LENGTH_BYTES + length
        if length < 0 or at > end:
            return -1
        count += 1
    return count


@kernel
def _fill(buffer: Bytes, start: int, widths: Longs, integers: Longs, starts: Longs, ends: Longs) -> None:
    at = start
    for record in range(starts.size):
        at += _COUNT_BYTES
        for field in range(widths.size):
            integers[field, record] = _integer(buffer, at + _LENGTH_BYTES, widths[field])
            at += _LENGTH_BYTES + widths[field]
        starts[record] = at + _LENGTH_BYTES
        at += _LENGTH_BYTES + _integer(buffer, at, _LENGTH_BYTES)
        ends[record] = at


@kernel
def _integer(buffer: Bytes, at: int, width: int) -> int:
    value = -1 if buffer[at] & 0x80 else 0
    for byte in range(width):
        value = (value << 8) | int(buffer[at + byte])
    return value
