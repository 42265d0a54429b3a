"""Which runs of pings come near anything at all: the one loop that reads every ping.

Most tags lie still most of the time, so that a box about an hour of pings is hardly larger than one ping, and a look
into the grid answers for all of them (docs/decisions/0007-the-scan.md). While the pings are at hand, the loop also sees
whether they are what `Trails` promises.
"""

import math

import numpy as np
import numpy.typing as npt

from geo.jit import kernel
from matcher.index import SPELL_BITS, IncidentGrid, bucket_of, slots_of_spell
from matcher.trails import E7_PER_DEGREE, MAX_TIME_US, Trails

Longs = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]
Bits = npt.NDArray[np.uint32]
Box = tuple[int, int, int, int, int, int]  # west, east, south, north in 1e-7 degrees; first and last moment

# A loop of 64 rounds becomes vector instructions. One of 16 or 32 is unrolled before it can, and takes twice as long.
RUN_PINGS = 64

# A box of more cells and spells than this is passed on without a look.
MOST_LOOKS = 16

MAX_LON_E7 = 180 * E7_PER_DEGREE
MAX_LAT_E7 = 90 * E7_PER_DEGREE

# How far a line that is straight in an incident's plane may stray from the same line in longitude and latitude, in
# 1e-7 degrees for each squared 1e-7 degree of its height and width. A line of L metres strays by its sagitta against
# the parallel, L**2 tan(lat) / (8 R), and as much again along itself; these bounds are twice that at 86 degrees.
STRAY_LON = (96e-9, 0.63e-9)
STRAY_LAT = (6.7e-9, 0.54e-9)


@kernel
def look_at_runs(
    trails: Trails, grid: IncidentGrid, with_lines: bool, begin: int, device: int, first: int, end: int, runs: Longs
) -> tuple[int, bool]:
    """Name the first pings of those runs of [first, end) that may meet an incident, lines to the pings included where
    asked. A run is RUN_PINGS long, or ends at `end`.

    `begin` is the first ping of a device; what lies before it is not looked at. `device` is any device not after that
    of `first`. Returns how many runs were named, and whether all pings are as `Trails` says.
    """
    times, lons, lats, busy_slots = trails.fixed_at_us, trails.lon_e7, trails.lat_e7, grid.busy_slots
    cell_bits, slot_bits, hash_bits, first_bucket = grid.cell_bits, grid.slot_bits, grid.hash_bits, grid.first_bucket
    starts = trails.starts
    n, is_sound = 0, True
    for run in range(first, end, RUN_PINGS):
        run_end, before = min(run + RUN_PINGS, end), max(run - 1, begin)
        # Slices from 0 and not indices from `run`: only so does the compiler know that none is negative.
        if run_end == run + RUN_PINGS:
            box, steps_back = _box_of_run(times[run:run_end], lons[run:run_end], lats[run:run_end])
        else:
            box, steps_back = _box_of_rest(times[run:run_end], lons[run:run_end], lats[run:run_end])
        steps_back += times[run] < times[before]
        if steps_back:
            while starts[device] < run:
                device += 1
            while starts[device] < run_end:
                ping = starts[device]
                steps_back -= ping > begin and times[ping] < times[ping - 1]
                while starts[device] == ping:
                    device += 1
        is_sound &= steps_back == 0 and _is_in_range(box)
        if with_lines:
            box = _with_lines(box, times[before], lons[before], lats[before])
        for level in range(cell_bits.size):
            if _meets(box, cell_bits[level], slot_bits[level], first_bucket[level], hash_bits[level], busy_slots):
                runs[n] = run
                n += 1
                break
    return n, is_sound


@kernel
def _box_of_run(times: Longs, lons: Ints, lats: Ints) -> tuple[Box, int]:
    """The box of RUN_PINGS pings, and how many are earlier than the one before: in loops of constant length."""
    west = east = lons[0]
    for ping in range(RUN_PINGS):
        west, east = min(west, lons[ping]), max(east, lons[ping])
    south = north = lats[0]
    for ping in range(RUN_PINGS):
        south, north = min(south, lats[ping]), max(north, lats[ping])
    start_us = end_us = times[0]
    for ping in range(RUN_PINGS):
        start_us, end_us = min(start_us, times[ping]), max(end_us, times[ping])
    steps_back = 0
    for ping in range(RUN_PINGS - 1):
        steps_back += times[ping + 1] < times[ping]
    return (int(west), int(east), int(south), int(north), int(start_us), int(end_us)), steps_back


@kernel
def _box_of_rest(times: Longs, lons: Ints, lats: Ints) -> tuple[Box, int]:
    """The same for fewer pings."""
    west, east, south, north, start_us, end_us = lons[0], lons[0], lats[0], lats[0], times[0], times[0]
    steps_back = 0
    for ping in range(1, times.size):
        west, east = min(west, lons[ping]), max(east, lons[ping])
        south, north = min(south, lats[ping]), max(north, lats[ping])
        start_us, end_us = min(start_us, times[ping]), max(end_us, times[ping])
        steps_back += times[ping] < times[ping - 1]
    return (int(west), int(east), int(south), int(north), int(start_us), int(end_us)), steps_back


@kernel
def _with_lines(box: Box, time_us: int, lon_e7: int, lat_e7: int) -> Box:
    """A box that also holds the lines between its pings, and the line to its first from one before."""
    west, east, south, north = min(box[0], lon_e7), max(box[1], lon_e7), min(box[2], lat_e7), max(box[3], lat_e7)
    stray_lon_e7, stray_lat_e7 = stray_e7(float(east - west), float(north - south))
    lon_margin_e7, lat_margin_e7 = math.ceil(stray_lon_e7), math.ceil(stray_lat_e7)
    return (
        west - lon_margin_e7,
        east + lon_margin_e7,
        south - lat_margin_e7,
        north + lat_margin_e7,
        min(box[4], time_us),
        box[5],
    )


@kernel
def stray_e7(east_e7: float, north_e7: float) -> tuple[float, float]:
    """By how much a line of at most this width and height may leave the box of its ends, in longitude and latitude."""
    east2, north2 = east_e7 * east_e7, north_e7 * north_e7
    return 1 + STRAY_LON[0] * north2 + STRAY_LON[1] * east2, 1 + STRAY_LAT[0] * north2 + STRAY_LAT[1] * east2


@kernel
def _is_in_range(box: Box) -> bool:
    west, east, south, north, start_us, end_us = box
    return (
        west >= -MAX_LON_E7
        and east <= MAX_LON_E7
        and south >= -MAX_LAT_E7
        and north <= MAX_LAT_E7
        and start_us >= -MAX_TIME_US
        and end_us <= MAX_TIME_US
    )


@kernel
def _meets(box: Box, cell: int, slot: int, first_bucket: int, hash_bits: int, busy_slots: Bits) -> bool:
    """Say whether a box may meet an incident of a level."""
    west, east, south, north, start_us, end_us = box
    x0, x1, y0, y1 = west >> cell, east >> cell, south >> cell, north >> cell
    slot0, slot1 = start_us >> slot, end_us >> slot
    spell0, spell1 = slot0 >> SPELL_BITS, slot1 >> SPELL_BITS
    if (1 + x1 - x0) * (1 + y1 - y0) * (1 + spell1 - spell0) > MOST_LOOKS:
        return True
    for spell in range(spell0, spell1 + 1):
        slots = slots_of_spell(slot0, slot1, spell)
        for x in range(x0, x1 + 1):
            for y in range(y0, y1 + 1):
                if busy_slots[bucket_of(first_bucket, hash_bits, x, y, spell)] & slots:
                    return True
    return False
