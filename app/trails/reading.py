"""Chunks, rows and late pings of one answer, put together: each ping once, by device and time."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.trails.transport import EPOCH_US, Answer
from matcher.packed import Chunks, count_pings, pack_chunks, unpack_chunks
from matcher.records import read_records

Bools = NDArray[np.bool_]
Longs = NDArray[np.int64]

# What a row of an answer is. Of one key the late ping counts.
ROW, LATE, CHUNK = 0, 1, 2
# Before the columns of a ping each row has these: kind, place of its stretch among those asked for, device.
_BEFORE: Final = (2, 4, 4)
_WIDTHS: Final = {
    "fixed_at_us": 8,
    "source": 2,
    "lon_e7": 4,
    "lat_e7": 4,
    "accuracy_cm": 4,
    "speed_cmps": 4,
    "direction_cdeg": 4,
    "batch_id": 8,
}
_LAST_US: Final = 3_600_000_000 - 1  # from the start of an hour to its last microsecond
TRAIL_COLUMNS: Final = ("fixed_at_us", "source", "lon_e7", "lat_e7")
FIX_COLUMNS: Final = (*TRAIL_COLUMNS, "accuracy_cm")
ALL_COLUMNS: Final = tuple(_WIDTHS)


class Found(NamedTuple):
    """N pings, by device and time."""

    device_id: Longs  # (N,)
    values: Longs  # (K, N), a row for each column asked for


def put_together(received: bytearray, columns: tuple[str, ...], from_us: Longs, to_us: Longs) -> Found:
    """Give the pings of an answer that lie in the stretch for which they were read, both ends included.

    A row of the answer has kind, stretch, device, then `columns`, of which `fixed_at_us` and `source` are the first,
    and a payload: of a chunk its time is the hour and its other columns mean nothing. 60 ns a ping of all columns.

    Raises ValueError that names a chunk that is damaged.
    """
    answer = Answer(received, (*_BEFORE, *(_WIDTHS[name] for name in columns)))
    kind, stretch, device_id, *_ = answer.records.integers
    own = answer.records.integers[len(_BEFORE) :]
    own[0] += EPOCH_US
    chunk = np.flatnonzero(kind == CHUNK)
    chunks = Chunks(device_id[chunk], own[0, chunk], answer.records.starts[chunk], answer.records.ends[chunk])
    sizes = np.ones(kind.size, np.int64)
    sizes[chunk] = count_pings(answer.bytes, chunks)
    # Whole hours come as one chunk or as rows, so pings are in order as soon as chunks and rows are.
    # Of one time by source, as in chunks: in what order rows come from the server is not said.
    order = np.lexsort((own[1], own[0], device_id))
    first = np.empty(kind.size, np.int64)
    first[order] = np.cumsum(sizes[order]) - sizes[order]
    values = np.empty((len(columns), int(sizes.sum())), np.int64)
    row = np.flatnonzero(kind != CHUNK)
    values[:, first[row]] = own[:, row]
    unpack_chunks(answer.bytes, chunks, first[chunk], values, columns)
    sizes = sizes[order]
    found = Found(np.repeat(device_id[order], sizes), values)
    is_late = kind == LATE
    is_cut = (own[0, chunk] < from_us[stretch[chunk]]) | (own[0, chunk] + _LAST_US > to_us[stretch[chunk]])
    if not is_cut.any() and not is_late.any():
        return found
    asked = np.repeat(stretch[order], sizes)
    is_wanted = (values[0] >= from_us[asked]) & (values[0] <= to_us[asked])
    # Before late ones are compared: a chunk that two stretches share comes twice, and is wanted in part each time.
    found = Found(found.device_id[is_wanted], found.values[:, is_wanted])
    return _late_first(found, np.repeat(is_late[order], sizes)[is_wanted]) if is_late.any() else found


def _late_first(found: Found, is_late: Bools) -> Found:
    """Put pings in order of their keys, and keep of one key the late one only."""
    time, source = found.values[0], found.values[1]
    order = np.lexsort((~is_late, source, time, found.device_id))
    key = np.stack([found.device_id, found.values[0], found.values[1]])[:, order]
    is_overtaken = np.append(False, np.all(key[:, 1:] == key[:, :-1], axis=0)) & ~is_late[order]
    kept = order[~is_overtaken]
    return Found(found.device_id[kept], found.values[:, kept])


def warm_up_packing() -> None:
    """Compile the kernels that pack and unpack, or load them from the cache, by a ping that goes there and back."""
    values = np.zeros((len(ALL_COLUMNS), 1), np.int64)
    one = np.zeros(1, np.int64)
    buffer, chunks = pack_chunks(one, one, np.array([0, 1], np.int64), values)
    assert count_pings(buffer, chunks).tolist() == [1]
    unpack_chunks(buffer, chunks, one, values)
    assert read_records(buffer, 0, 0, (8,)).starts.size == 0
