"""Which runs of pings come near anything at all: the one loop that reads every ping.

Most tags lie still most of the time, so that a box about an hour of pings is hardly larger than one ping, and a look
into the grid answers for all of them (docs/decisions/0007-the-scan.md). While the pings are at hand, the loop also sees
whether they are what `Trails` promises.
"""

import math

import numpy as np
import numpy.typing as npt

from geo.jit import kernel
from matcher.candidates import LineRule, Lookups, Table, name_lines, name_pings, stray_e7
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


@kernel
def look_up(
    trails: Trails,
    grid: IncidentGrid,
    rule: LineRule,
    begin: int,
    device: int,
    first: int,
    end: int,
    of_pings: Lookups,
    of_lines: Lookups,
) -> tuple[int, int, int, bool]:
    """Name the busy buckets of the pings of [first, end) and of the lines that end at them, run by run.

    `begin` is the first ping of a device; what lies before it is not looked at. `device` is any device not after that
    of `first`. `of_pings` has room for each ping at each level and one more. Returns the ping before which it stopped
    (because `of_lines` has no room for the next run's, or at the end), how many buckets were named for pings and for
    lines, some of them perhaps of the run in which it stopped, and whether all pings are as `Trails` says.
    """
    times, lons, lats, starts = trails.fixed_at_us, trails.lon_e7, trails.lat_e7, trails.starts
    cell_bits, slot_bits, hash_bits, first_bucket = grid.cell_bits, grid.slot_bits, grid.hash_bits, grid.first_bucket
    busy_slots, beside_slots = grid.busy_slots, grid.beside_slots
    ping_named, ping_bucket, line_named, line_bucket = of_pings.ping, of_pings.bucket, of_lines.ping, of_lines.bucket
    with_lines, max_gap_us, max_speed_mps = rule.max_gap_us > 0, rule.max_gap_us, rule.max_speed_mps
    pings, lines, is_sound = 0, 0, True
    for run in range(first, end, RUN_PINGS):
        run_end, before = min(run + RUN_PINGS, end), max(run - 1, begin)
        # Slices from 0 and not indices from `run`: only so does the compiler know that none is negative.
        run_times, run_lons, run_lats = times[run:run_end], lons[run:run_end], lats[run:run_end]
        if run_end - run == RUN_PINGS:
            box, steps_back = _box_of_run(run_times, run_lons, run_lats)
        else:
            box, steps_back = _box_of_rest(run_times, run_lons, run_lats)
        steps_back += times[run] < times[before]
        while starts[device] < before:
            device += 1
        is_sound &= _is_in_range(box) and (
            steps_back == 0 or steps_back == _first_pings_that_are_earlier(times, starts, device, begin, run, run_end)
        )
        if with_lines:
            box = _with_lines(box, times[before], lons[before], lats[before])
        for level in range(cell_bits.size):
            cell, slot, table = cell_bits[level], slot_bits[level], (first_bucket[level], hash_bits[level])
            if not _meets(box, cell, slot, table, busy_slots):
                continue
            pings = name_pings(
                run_times, run_lons, run_lats, run, cell, slot, table, busy_slots, pings, ping_named, ping_bucket
            )
            at, following = before if with_lines else run_end, device
            while at < run_end:
                while starts[following] <= at:
                    following += 1
                trail_end = min(starts[following], run_end)
                lines = name_lines(
                    times[at:trail_end],
                    lons[at:trail_end],
                    lats[at:trail_end],
                    at,
                    cell,
                    slot,
                    max_gap_us,
                    max_speed_mps,
                    table,
                    busy_slots,
                    beside_slots,
                    lines,
                    line_named,
                    line_bucket,
                )
                if lines < 0:
                    return run, pings, -lines - 1, is_sound
                at = trail_end
    return end, pings, lines, is_sound


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
def _first_pings_that_are_earlier(times: Longs, starts: Longs, device: int, begin: int, first: int, end: int) -> int:
    """How many pings of [first, end) are earlier than the one before them because that is another device's."""
    n, last = 0, begin
    while starts[device] < end:
        ping = starts[device]
        n += first <= ping and ping > last and times[ping] < times[ping - 1]
        last = max(last, ping)
        device += 1
    return n


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
def _meets(box: Box, cell: int, slot: int, table: Table, busy_slots: Bits) -> bool:
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
                if busy_slots[bucket_of(table[0], table[1], x, y, spell)] & slots:
                    return True
    return False
