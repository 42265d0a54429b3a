"""Packed pings: an hour of one device in about 12 bytes a ping, lossless, and back into arrays.

A chunk holds the pings of one device in one hour, in the order of (time, source). Its bytes:

    1   version, 1
    4   CRC-32 (as zlib's) of the device's number (4 bytes), the hour (8 bytes) and all bytes after this field
    …   number of pings n, as an unsigned number
    …   the columns of COLUMNS one after the other

All integers are little-endian. An unsigned number is written seven bits to a byte, lowest first, the highest bit of a
byte telling that another follows; of a signed one the lowest bit of the first byte is the sign, and negative x is
written as −x − 1. A column is

    1   form in the two highest bits, width w in the six lowest
    …   plain (0) or steps (1):  base, signed; scale, unsigned, if w > 0; for steps the first value, signed;
        then w bits for each value (for steps: for each but the first), lowest first, filled up to a whole byte
    8n  whole (2):               the values as they are

A plain value is base + scale · bits; a step, the difference to the value before, likewise. So what stays the same takes
no room, whole seconds are counted in seconds, and a trail costs what its steps do, not where on Earth it lies. Scale is
the greatest common divisor, and whichever of plain and steps is shorter is taken. Frame of reference: J. Goldstein,
R. Ramakrishnan, U. Shaft, Compressing Relations and Indexes, ICDE 1998. docs/decisions/0005-trail-store.md has sizes.

The kernels work on the chunks of many hours in one call. A ping of all columns takes 30 ns to unpack, 160 ns to pack.
"""

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo.jit import kernel

Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Longs = npt.NDArray[np.int64]

COLUMNS: Final = (
    "fixed_at_us",
    "source",
    "lon_e7",
    "lat_e7",
    "accuracy_cm",
    "speed_cmps",
    "direction_cdeg",
    "batch_id",
)
# After the last payload of a buffer so many bytes have to be readable: values are read by whole words.
SPARE_BYTES: Final = 24

_VERSION: Final = 1
_PLAIN, _STEPS, _WHOLE = 0, 1, 2
# A value is read from the eight bytes that begin at its first bit: seven bits may be its neighbour's.
_WIDEST: Final = 56
_HEADER_BYTES: Final = 5
_NUMBER_BYTES: Final = 10  # the longest number
_LARGEST_COLUMN_HEADER: Final = 1 + 3 * _NUMBER_BYTES


class Chunks(NamedTuple):
    """Where C payloads lie in a buffer, and whose they are."""

    device_id: Longs  # (C,)
    hour_us: Longs  # (C,) start of the hour, microseconds since 1970-01-01 UTC
    starts: Longs  # (C,) first byte of the payload
    ends: Longs  # (C,) byte after its last


def pack_chunks(device_id: Longs, hour_us: Longs, first_ping: Longs, values: Longs) -> tuple[Bytes, Chunks]:
    """Pack pings into chunks; returns a buffer and where each payload lies in it.

    Chunk c holds the pings first_ping[c] to first_ping[c + 1], at least one; `values` is (8, N), a row for each of
    COLUMNS, the pings of a chunk in the order of (time, source). Any int64 is packed without loss.
    """
    chunks = device_id.size
    assert first_ping.size == chunks + 1
    assert np.all(first_ping[1:] > first_ping[:-1])
    per_chunk = _HEADER_BYTES + _NUMBER_BYTES + len(COLUMNS) * _LARGEST_COLUMN_HEADER
    buffer = np.zeros(chunks * per_chunk + values.size * 8 + SPARE_BYTES, np.uint8)
    bounds = np.zeros(chunks + 1, np.int64)
    _pack(device_id, hour_us, first_ping, values, _CRC_TABLES, buffer, bounds)
    return buffer[: bounds[-1] + SPARE_BYTES], Chunks(device_id, hour_us, bounds[:-1], bounds[1:])


def count_pings(buffer: Bytes, chunks: Chunks) -> Longs:
    """Check the chunks and say how many pings each holds, (C,). Cost: 0.6 ns a byte.

    Raises ValueError that names the first chunk whose checksum is wrong or whose version is another.
    """
    counts = np.zeros(chunks.starts.size, np.int64)
    damaged = _count(
        buffer, _words(buffer), chunks.device_id, chunks.hour_us, chunks.starts, chunks.ends, _CRC_TABLES, counts
    )
    if damaged >= 0:
        raise ValueError(_trouble(buffer, chunks, damaged))
    return counts


def unpack_chunks(
    buffer: Bytes, chunks: Chunks, first_ping: Longs, values: Longs, columns: tuple[str, ...] = COLUMNS
) -> None:
    """Unpack chunks that `count_pings` has counted: chunk c into values[:, first_ping[c]] and what follows there.

    `values` has a row for each of `columns`, which are some of COLUMNS, in any order.

    Raises ValueError that names a chunk whose columns do not end where it ends.
    """
    rows = np.array([columns.index(name) if name in columns else -1 for name in COLUMNS], np.int64)
    damaged = _unpack(buffer, _words(buffer), chunks.hour_us, chunks.starts, chunks.ends, first_ping, rows, values)
    if damaged >= 0:
        raise ValueError(_trouble(buffer, chunks, damaged))


def _words(buffer: Bytes) -> Longs:
    return buffer[: buffer.size & ~7].view("<i8")


def _trouble(buffer: Bytes, chunks: Chunks, chunk: int) -> str:
    start, end = int(chunks.starts[chunk]), int(chunks.ends[chunk])
    hour_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(chunks.hour_us[chunk]))
    whose = f"the chunk of device {chunks.device_id[chunk]}, hour {hour_at:%Y-%m-%d %H}:00 UTC"
    if start < end and buffer[start] != _VERSION:
        return f"{whose} is of version {buffer[start]}; this program reads version {_VERSION}"
    return f"{whose} is damaged: {end - start} bytes do not agree with their checksum"


def _crc_tables() -> Longs:
    """Tables for eight bytes at a step, (8, 256): M. Kounavis, F. Berry, Novel Table Lookup-Based Algorithms, 2008."""
    tables = np.zeros((8, 256), np.int64)
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xEDB88320 if crc & 1 else 0)
        tables[0, byte] = crc
    for row in range(1, 8):
        tables[row] = (tables[row - 1] >> 8) ^ tables[0][tables[row - 1] & 0xFF]
    return tables


_CRC_TABLES: Final = _crc_tables()


@kernel
def _pack(
    device_id: Longs, hour_us: Longs, first_ping: Longs, values: Longs, tables: Longs, buffer: Bytes, bounds: Longs
) -> None:
    at = 0
    column = np.empty(values.shape[1], np.int64)
    for chunk in range(device_id.size):
        start, first, n = at, first_ping[chunk], first_ping[chunk + 1] - first_ping[chunk]
        buffer[start] = _VERSION
        at = _put_number(buffer, start + _HEADER_BYTES, n)
        for row in range(values.shape[0]):
            origin = hour_us[chunk] if row == 0 else 0
            for i in range(n):
                column[i] = values[row, first + i] - origin
            at = _put_column(buffer, at, column, n)
        _put_bits(
            buffer,
            start + 1,
            0,
            32,
            _checksum(buffer, start + _HEADER_BYTES, at, device_id[chunk], hour_us[chunk], tables),
        )
        bounds[chunk + 1] = at


@kernel
def _put_column(buffer: Bytes, at: int, column: Longs, n: int) -> int:
    """Write one column of n values in its shortest form; returns the byte after it."""
    lowest, highest = int(column[0]), int(column[0])
    for i in range(1, n):
        lowest, highest = min(lowest, int(column[i])), max(highest, int(column[i]))
    # Halves, because the difference of two int64 may be none.
    if (highest >> 1) - (lowest >> 1) >= 1 << (_WIDEST - 2):
        return _put_whole(buffer, at, column, n)
    scale, width = _scale_and_width(column, n, lowest, highest, 0)
    low_step, high_step = 0, 0
    for i in range(1, n):
        step = int(column[i]) - int(column[i - 1])
        low_step = step if i == 1 else min(low_step, step)
        high_step = step if i == 1 else max(high_step, step)
    step_scale, step_width = _scale_and_width(column, n, low_step, high_step, 1)
    # A number of a steps column's header, and a scale, are four bytes as a rule.
    if (n - 1) * step_width + 32 < n * width:
        buffer[at] = (_STEPS << 6) | step_width
        at = _put_signed(buffer, at + 1, low_step)
        at = _put_number(buffer, at, step_scale) if step_width else at
        at = _put_signed(buffer, at, int(column[0]))
        for i in range(1, n):
            _put_bits(
                buffer,
                at,
                (i - 1) * step_width,
                step_width,
                (int(column[i]) - int(column[i - 1]) - low_step) // step_scale,
            )
        return at + (((n - 1) * step_width + 7) >> 3)
    buffer[at] = (_PLAIN << 6) | width
    at = _put_signed(buffer, at + 1, lowest)
    at = _put_number(buffer, at, scale) if width else at
    for i in range(n):
        _put_bits(buffer, at, i * width, width, (int(column[i]) - lowest) // scale)
    return at + ((n * width + 7) >> 3)


@kernel
def _put_whole(buffer: Bytes, at: int, column: Longs, n: int) -> int:
    buffer[at] = _WHOLE << 6
    for i in range(n):
        for byte in range(8):
            buffer[at + 1 + 8 * i + byte] = (int(column[i]) >> (8 * byte)) & 0xFF
    return at + 1 + 8 * n


@kernel
def _scale_and_width(column: Longs, n: int, lowest: int, highest: int, is_steps: int) -> tuple[int, int]:
    """The greatest common divisor of all values' (or steps') distances from the lowest, and the bits of the longest."""
    scale = highest - lowest
    for i in range(is_steps, n):
        if scale <= 1:
            break
        distance = int(column[i]) - (int(column[i - 1]) if is_steps else 0) - lowest
        while distance:
            scale, distance = distance, scale % distance
    if scale == 0:
        return 1, 0
    longest, width = (highest - lowest) // scale, 0
    while longest >> width:
        width += 1
    return scale, width


@kernel
def _put_number(buffer: Bytes, at: int, number: int) -> int:
    number = int(number)
    while number > 0x7F:
        buffer[at] = (number & 0x7F) | 0x80
        number >>= 7
        at += 1
    buffer[at] = number
    return at + 1


@kernel
def _put_signed(buffer: Bytes, at: int, number: int) -> int:
    number = int(number)
    sign = 0
    if number < 0:
        number, sign = -(number + 1), 1
    rest = number >> 6
    buffer[at] = sign | ((number & 0x3F) << 1) | (0x80 if rest else 0)
    return _put_number(buffer, at + 1, rest) if rest else at + 1


@kernel
def _put_bits(buffer: Bytes, at: int, bit: int, width: int, value: int) -> None:
    """Write the lowest bits of a value, so many bits after the start of a byte; what follows there is still zero."""
    place, used, left = at + (bit >> 3), int(bit) & 7, width
    while left > 0:
        buffer[place] |= (value << used) & 0xFF
        value >>= 8 - used
        left -= 8 - used
        place += 1
        used = 0


@kernel
def _checksum(buffer: Bytes, start: int, end: int, device_id: int, hour_us: int, tables: Longs) -> int:
    crc = 0xFFFFFFFF
    for byte in range(4):
        crc = (crc >> 8) ^ tables[0, (crc ^ (int(device_id) >> (8 * byte))) & 0xFF]
    for byte in range(8):
        crc = (crc >> 8) ^ tables[0, (crc ^ (int(hour_us) >> (8 * byte))) & 0xFF]
    at = start
    while at + 8 <= end:
        crc = (
            tables[7, (crc ^ buffer[at]) & 0xFF]
            ^ tables[6, ((crc >> 8) ^ buffer[at + 1]) & 0xFF]
            ^ tables[5, ((crc >> 16) ^ buffer[at + 2]) & 0xFF]
            ^ tables[4, ((crc >> 24) ^ buffer[at + 3]) & 0xFF]
            ^ tables[3, buffer[at + 4]]
            ^ tables[2, buffer[at + 5]]
            ^ tables[1, buffer[at + 6]]
            ^ tables[0, buffer[at + 7]]
        )
        at += 8
    for place in range(at, end):
        crc = (crc >> 8) ^ tables[0, (crc ^ buffer[place]) & 0xFF]
    return int(crc ^ 0xFFFFFFFF)


@kernel
def _count(
    buffer: Bytes,
    words: Longs,
    device_id: Longs,
    hour_us: Longs,
    starts: Longs,
    ends: Longs,
    tables: Longs,
    counts: Longs,
) -> int:
    """Fill in the counts; returns the first damaged chunk, or -1."""
    for chunk in range(starts.size):
        start, end = starts[chunk], ends[chunk]
        if end - start <= _HEADER_BYTES or buffer[start] != _VERSION:
            return chunk
        stated = _get_bits(words, 8 * start + 8, 32)
        if stated != _checksum(buffer, start + _HEADER_BYTES, end, device_id[chunk], hour_us[chunk], tables):
            return chunk
        counts[chunk], _ = _get_number(buffer, start + _HEADER_BYTES)
    return -1


@kernel
def _unpack(
    buffer: Bytes,
    words: Longs,
    hour_us: Longs,
    starts: Longs,
    ends: Longs,
    first_ping: Longs,
    rows: Longs,
    values: Longs,
) -> int:
    """Fill in the values; returns the first chunk that is malformed, or -1."""
    for chunk in range(starts.size):
        n, at = _get_number(buffer, starts[chunk] + _HEADER_BYTES)
        for column in range(rows.size):
            row, end = rows[column], ends[chunk]
            if at >= end or _column_end(buffer, at, n) > end:
                return chunk
            if row >= 0:
                origin = hour_us[chunk] if column == 0 else 0
                at = _get_column(buffer, words, at, values[row, first_ping[chunk] : first_ping[chunk] + n], origin)
            else:
                at = _column_end(buffer, at, n)
        if at != ends[chunk]:
            return chunk
    return -1


@kernel
def _column_end(buffer: Bytes, at: int, n: int) -> int:
    """The byte after a column of n values."""
    form, width = int(buffer[at]) >> 6, int(buffer[at]) & 0x3F
    if form == _WHOLE:
        return at + 1 + 8 * n
    _, at = _get_signed(buffer, at + 1)
    if width:
        _, at = _get_number(buffer, at)
    if form == _STEPS:
        _, at = _get_signed(buffer, at)
        n -= 1
    return at + ((n * width + 7) >> 3)


@kernel
def _get_column(buffer: Bytes, words: Longs, at: int, out: Longs, origin: int) -> int:
    """Read a column and add an origin to each value; returns the byte after it."""
    n, form, width = out.size, int(buffer[at]) >> 6, int(buffer[at]) & 0x3F
    if form == _WHOLE:
        return _get_whole(words, at + 1, out, origin)
    base, at = _get_signed(buffer, at + 1)
    scale = 0
    if width:
        scale, at = _get_number(buffer, at)
    if form == _PLAIN:
        base += int(origin)
        for i in range(n):
            out[i] = base + scale * _get_bits(words, 8 * at + i * width, width)
        return at + ((n * width + 7) >> 3)
    value, at = _get_signed(buffer, at)
    value += int(origin)
    out[0] = value
    for i in range(1, n):
        value += base + scale * _get_bits(words, 8 * at + (i - 1) * width, width)
        out[i] = value
    return at + (((n - 1) * width + 7) >> 3)


@kernel
def _get_whole(words: Longs, at: int, out: Longs, origin: int) -> int:
    for i in range(out.size):
        low = _get_bits(words, 8 * at + 64 * i, 32)
        high = _get_bits(words, 8 * at + 64 * i + 32, 32)
        high -= (high >> 31) << 32
        out[i] = (high << 32) + low + int(origin)
    return at + 8 * out.size


@kernel
def _get_bits(words: Longs, bit: int, width: int) -> int:
    """Read up to 56 bits that begin at this bit of the buffer, taken as words of 64 bits.

    Without a branch: a shift by 64, which there is not, is done in two, and masks take off what a signed shift adds.
    """
    word, used = int(bit) >> 6, int(bit) & 63
    low = (int(words[word]) >> used) & (((1 << (63 - used)) << 1) - 1)
    high = (int(words[word + 1]) << 1) << (63 - used)
    return (low | high) & ((1 << width) - 1)


@kernel
def _get_number(buffer: Bytes, at: int) -> tuple[int, int]:
    number, shift = 0, 0
    while buffer[at] > 0x7F and shift < 63:
        number |= (int(buffer[at]) & 0x7F) << shift
        shift += 7
        at += 1
    return number | (int(buffer[at]) << shift), at + 1


@kernel
def _get_signed(buffer: Bytes, at: int) -> tuple[int, int]:
    first = int(buffer[at])
    number, at = (first >> 1) & 0x3F, at + 1
    if first & 0x80:
        rest, at = _get_number(buffer, at)
        number |= rest << 6
    return (-number - 1, at) if first & 1 else (number, at)
