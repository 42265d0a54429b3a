"""Looks into the grid of incidents: which circles may the runs of a block meet."""

import numpy as np
import numpy.typing as npt

from geo.ahead import fetch
from geo.jit import inlined
from geo.plane import HALF_TURN_E7
from matcher.index import (
    COLUMN_BITS,
    ROW_BITS,
    Box,
    Tables,
    box_of,
    bucket_of,
    cells_of_block,
    key_of,
    part_of_block,
)

Ints = npt.NDArray[np.int32]
Records = npt.NDArray[np.void]
Looks = tuple[int, int, int, int, int, int]  # first and last column and row of blocks, first and last slot

# A run whose box meets more blocks and slots than this, of a fine and a coarse level, is looked up in parts.
MOST_FINE_LOOKS = 8
MOST_COARSE_LOOKS = 16

# A line that takes more looks than this into a level is compared with every circle. No two of so few have one key.
MOST_LINE_LOOKS = 255

TOO_LARGE, NO_ROOM = -1, -2

# A run of pings and its box.
RUN = np.dtype(
    [
        (name, "i8")
        for name in ("device", "begin", "first", "stop", "west", "east", "south", "north", "start_us", "end_us")
    ]
)
# One look of a run: into a bucket, for these cells of a block and slot.
LOOK = np.dtype(
    [
        ("run", "i4"),
        ("level", "i4"),  # EVERY: into no bucket, at every circle
        ("bucket", "i4"),
        ("cells", "u4"),
        ("x", "i4"),
        ("y", "i4"),
        ("slot", "i4"),
        ("begins", "i4"),  # as in matcher.index.ENTRY, of the run
    ]
)
EVERY = -1


@inlined
def put_looks(box: Box, tables: Tables, looks: Records, n: int, run: int, is_single: bool) -> int:
    """Put the looks that a run takes after the n that there are, and have their buckets fetched; returns the new n.

    TOO_LARGE if the run is to be looked up in parts, NO_ROOM if the looks do not fit beside those that there are.
    """
    if box[1] - box[0] > HALF_TURN_E7 and not is_single:
        return TOO_LARGE
    put = n
    for k in range(0, tables.levels.size, 2):
        level, is_coarse = tables.levels[k], False
        there = _looks(box, level)
        if _count(there) > MOST_FINE_LOOKS:
            level, is_coarse = tables.levels[k + 1], True
            there = _looks(box, level)
            if _count(there) > MOST_COARSE_LOOKS and not is_single:
                return TOO_LARGE
            if _count(there) > MOST_LINE_LOOKS:
                return _put_look_at_every(looks, n, run)
        if put + _count(there) > looks.size:
            return NO_ROOM if n else _put_look_at_every(looks, n, run)
        put = _put(box, there, k + is_coarse, level, tables.buckets, looks, put, run)
    return put


@inlined
def _put_look_at_every(looks: Records, n: int, run: int) -> int:
    if n == looks.size:
        return NO_ROOM
    looks[n]["run"], looks[n]["level"], looks[n]["bucket"], looks[n]["cells"] = run, EVERY, 0, 0
    return n + 1


@inlined
def _put(box: Box, there: Looks, k: int, level: np.void, buckets: Records, looks: Records, n: int, run: int) -> int:
    """Put the looks into one level, the k-th."""
    x0, x1, y0, y1, slot0, slot1 = there
    cell = int(level["cell_bits"])
    first_bucket, hash_bits = int(level["first_bucket"]), int(level["hash_bits"])
    for x in range(x0, x1 + 1):
        for y in range(y0, y1 + 1):
            cells = cells_of_block(box, cell, x, y)
            for slot in range(slot0, slot1 + 1):
                bucket = bucket_of(first_bucket, hash_bits, x, y, slot)
                fetch(buckets, bucket)
                look = looks[n]
                look["run"], look["level"], look["bucket"], look["cells"] = run, k, bucket, cells
                look["x"], look["y"], look["slot"] = x, y, slot
                look["begins"] = (x == x0) | (y == y0) << 1 | (slot == slot0) << 2
                n += 1
    return n


@inlined
def keep_met(looks: Records, n: int, tables: Tables) -> int:
    """Keep the looks into buckets with a cell in common, and have the entries there fetched; returns their number."""
    met = 0
    for k in range(n):
        looks[met] = looks[k]
        met += (int(tables.buckets[looks[k]["bucket"]]["cells"]) & int(looks[k]["cells"]) != 0) | (
            looks[k]["level"] == EVERY
        )
    for k in range(met):
        first, end = tables.buckets[looks[k]["bucket"]]["first"], tables.buckets[looks[k]["bucket"] + 1]["first"]
        fetch(tables.entries, first)
        fetch(tables.entries, end - 1)
    return met


@inlined
def name_circles(
    runs: Records, n_runs: int, looks: Records, n_looks: int, tables: Tables, named: Ints
) -> tuple[int, int]:
    """Name the circles that runs may meet, each once for a run, and have them fetched.

    `named` takes the rows of the circles and of the runs. Returns how many runs are done, and the number of names: of
    the runs the last are left out where room is lacking.
    """
    n, which = 0, -1
    for k in range(n_looks):
        look = looks[k]
        if look["run"] != which:
            which = look["run"]
            # One place more, which is written and not kept.
            if n + tables.circles.size + 1 > named.shape[1]:
                return which, n
        if look["level"] == EVERY:
            n = _name_of_all(_box(runs[which]), tables.circles, which, named, n)
        else:
            n = _name_of_bucket(_box(runs[which]), look, tables, named, n)
    for k in range(n):
        fetch(tables.circles, named[0, k])
    return n_runs, n


@inlined
def _name_of_all(box: Box, circles: Records, which: int, named: Ints, n: int) -> int:
    """Name those of all circles that a run may meet."""
    for row in range(circles.size):
        west, east, south, north, start_us, end_us = box_of(circles[row])
        named[0, n], named[1, n] = row, which
        n += (
            (west <= box[1])
            & (east >= box[0])
            & (south <= box[3])
            & (north >= box[2])
            & (start_us <= box[5])
            & (end_us >= box[4])
        )
    return n


@inlined
def _name_of_bucket(box: Box, look: np.void, tables: Tables, named: Ints, n: int) -> int:
    """Name the circles of a bucket that a run may meet; of the looks in which both are, the first alone names one."""
    level, entries = tables.levels[look["level"]], tables.entries
    x, y, slot, begins = int(look["x"]), int(look["y"]), int(look["slot"]), look["begins"]
    west, east, south, north, start, end = part_of_block(
        box, int(level["cell_bits"]), int(level["slot_bits"]), x, y, slot
    )
    key = key_of(x, y, slot)
    for k in range(tables.buckets[look["bucket"]]["first"], tables.buckets[look["bucket"] + 1]["first"]):
        entry = entries[k]
        named[0, n], named[1, n] = entry["circle"], look["run"]
        # Written in any case and kept only if it meets: a branch would be foreseen wrongly too often.
        n += (
            (entry["key"] == key)
            & (entry["west"] <= east)
            & (entry["east"] >= west)
            & (entry["south"] <= north)
            & (entry["north"] >= south)
            & (entry["start"] <= end)
            & (entry["end"] >= start)
            & ((entry["begins"] | begins) == 7)
        )
    return n


@inlined
def _box(run: np.void) -> Box:
    return run["west"], run["east"], run["south"], run["north"], run["start_us"], run["end_us"]


@inlined
def _looks(box: Box, level: np.void) -> Looks:
    columns, rows, slot = level["cell_bits"] + COLUMN_BITS, level["cell_bits"] + ROW_BITS, level["slot_bits"]
    return (box[0] >> columns, box[1] >> columns, box[2] >> rows, box[3] >> rows, box[4] >> slot, box[5] >> slot)


@inlined
def _count(looks: Looks) -> int:
    x0, x1, y0, y1, slot0, slot1 = looks
    return (1 + x1 - x0) * (1 + y1 - y0) * (1 + slot1 - slot0)
