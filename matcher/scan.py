"""The scan: trails read once from end to end, run by run, each against the grid of incidents.

Most tags lie still most of the time, so that a box about an hour of pings is hardly larger than one ping, and a look
into the grid answers for all of them (docs/decisions/0007-the-scan.md). While the pings are at hand, the loop also sees
whether they are what `Trails` promises.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from geo.jit import inlined, kernel
from geo.plane import HALF_TURN_E7, shorter_way_e7
from geo.uncounted import uncounted
from matcher.hits import HIT, Rows
from matcher.index import (
    COLUMN_BITS,
    ROW_BITS,
    Box,
    IncidentGrid,
    Tables,
    bucket_of,
    cells_of_block,
    key_of,
    part_of_block,
)
from matcher.kernels import add_stays
from matcher.lines import LineRule, stray_e7
from matcher.trails import E7_PER_DEGREE, MAX_TIME_US, Trails, refuse_trails

Longs = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]
Records = npt.NDArray[np.void]
Sides = tuple[np.int32, np.int32, np.int32, np.int32]  # west, east, south, north
Looks = tuple[int, int, int, int, int, int]  # first and last column and row of blocks, first and last slot

# A loop of 64 rounds becomes vector instructions.
RUN_PINGS = 64

# A run whose box meets more blocks and slots than this, of a fine and a coarse level, is looked up in parts.
MOST_FINE_LOOKS = 8
MOST_COARSE_LOOKS = 16

# What fewer pings have in common with a circle is not asked before each is tested.
FEW_PINGS = 8

FIRST_ROWS = 1_024

MOST_E7 = 2**31 - 1
MAX_LON_E7 = 180 * E7_PER_DEGREE
MAX_LAT_E7 = 90 * E7_PER_DEGREE


def join_devices(trails: Trails, grid: IncidentGrid, rule: LineRule, device: int, end_device: int) -> Rows:
    """Join some of the devices; the hits (HIT) stand in the order in which they were found.

    Raises ValueError if a ping is not as `Trails` says.
    """
    found, hits = np.empty(FIRST_ROWS, HIT), 0
    named, hit_of = np.empty(grid.tables.circles.size + 1, np.int32), np.zeros(grid.half_lon_e7.size, np.int64)
    ping = int(trails.starts[device])
    while device < end_device:
        device, ping, hits, room = scan(
            trails.starts,
            trails.fixed_at_us,
            trails.lon_e7,
            trails.lat_e7,
            *grid.tables,
            rule,
            (device, end_device, ping),
            named,
            hit_of,
            found,
            hits,
        )
        if room < 0:
            refuse_trails(trails)
        if room:
            found = np.concatenate([found[:hits], np.empty(hits + room, HIT)])
    return found[:hits]


class Pings(NamedTuple):
    """Columns of `Trails`."""

    times: Longs
    lons: Ints
    lats: Ints


class Room(NamedTuple):
    """Where the scan keeps what it finds."""

    named: Ints  # (C + 1,) rows of circles that a run may meet
    hit_of: Longs  # (I,) the row that was opened last for an incident, whatever the device
    found: Records  # HIT


@kernel
def scan(
    starts: Longs,
    times: Longs,
    lons: Ints,
    lats: Ints,
    circles: Records,
    levels: Records,
    buckets: Records,
    entries: Records,
    rule: LineRule,
    part: tuple[int, int, int],
    named: Ints,
    hit_of: Longs,
    found: Records,
    hits: int,
) -> tuple[int, int, int, int]:
    """Join the devices of `part` (first, end), from a ping of the first on, and add to the `hits` rows of `found`.

    Returns the device and ping before which it stopped, the number of hits, and how many rows more it needs to go on:
    0 at the end, -1 if a ping is not as `Trails` says. Loose arrays, because tuples of them take Python 10 us a call.
    """
    pings = Pings(uncounted(times), uncounted(lons), uncounted(lats))
    tables = Tables(uncounted(circles), uncounted(levels), uncounted(buckets), uncounted(entries))
    room = Room(uncounted(named), uncounted(hit_of), uncounted(found))
    device, end_device, first = part
    while device < end_device:
        first, hits, lacking = _scan_trail(
            pings, tables, rule, room, hits, (device, starts[device], starts[device + 1]), first
        )
        if lacking:
            return device, first, hits, lacking
        device += 1
    return device, first, hits, 0


@inlined
def _scan_trail(
    pings: Pings, tables: Tables, rule: LineRule, room: Room, hits: int, trail: tuple[int, int, int], first: int
) -> tuple[int, int, int]:
    """Join a trail (device, its first ping and its end) from a ping on; returns where it stopped as `scan` does."""
    _, begin, end = trail
    length = RUN_PINGS
    while first < end:
        stop = min(first + length, end)
        run = (begin, first, stop)
        box, is_sound = _box_of(pings, run, length == RUN_PINGS)
        if not is_sound:
            return first, hits, -1
        before = max(first - 1, begin)
        if 0 < pings.times[first] - pings.times[before] <= rule.max_gap_us:
            box = _with_line(box, pings.times[before], pings.lons[before], pings.lats[before], length == 1)
        elif rule.max_gap_us > 0:
            box = _widened(box)
        n = _name_all(box, tables, room.named, length == 1)
        if n < 0:
            length = (stop - first + 1) >> 1
            continue
        if hits + n > room.found.size:
            return first, hits, n
        if n > 0:
            hits = _add_circles(pings, tables.circles, rule, room, hits, trail[0], run, n)
        first = stop
        if (first - begin) % RUN_PINGS == 0:
            length = RUN_PINGS
    return first, hits, 0


@inlined
def _box_of(pings: Pings, run: tuple[int, int, int], is_whole: bool) -> tuple[Box, bool]:
    """The box of the pings of a run, and whether they are as `Trails` says.

    A run is the first ping of its trail, its own first and its end. The last whole run of a trail takes in pings of the
    one before it, so that it is as long.
    """
    begin, first, stop = run
    times, lons, lats = pings
    if is_whole and stop - begin >= RUN_PINGS:
        start = stop - RUN_PINGS
        box, is_rising = _box_of_many(times[start:stop], lons[start:stop], lats[start:stop])
    else:
        box, is_rising = _box_of_few(times[first:stop], lons[first:stop], lats[first:stop])
    return box, is_rising and times[max(first - 1, begin)] <= times[first] and _is_in_range(box)


@inlined
def _add_circles(
    pings: Pings,
    circles: Records,
    rule: LineRule,
    room: Room,
    hits: int,
    device: int,
    run: tuple[int, int, int],
    n: int,
) -> int:
    """Add the hits of a run with the n circles that were named; returns their new number."""
    begin, first, stop = run
    times, lons, lats = pings
    before, start = max(first - 1, begin), max(stop - RUN_PINGS, begin)
    is_long = stop - start == RUN_PINGS and stop - first > FEW_PINGS
    run_lons, run_lats = lons[start:stop], lats[start:stop]
    margins = (0, 0)
    if is_long and rule.max_gap_us > 0:
        margins = _bends(run_lons, run_lats, lons[before], lats[before])
    for k in range(n):
        circle = circles[room.named[k]]
        if is_long:
            sides = _sides(circle, margins)
            if rule.max_gap_us > 0:
                is_near = _touches(run_lons, run_lats, lons[before], lats[before], sides)
            else:
                is_near = _holds_any(run_lons, run_lats, sides)
            if not is_near:
                continue
        hits = add_stays(times, lons, lats, begin, first, stop, device, circle, rule, room.found, hits, room.hit_of)
    return hits


@kernel
def _box_of_many(times: Longs, lons: Ints, lats: Ints) -> tuple[Box, bool]:
    """The box of RUN_PINGS pings, and whether none is earlier than the one before: in loops of constant length."""
    west = east = lons[0]
    for ping in range(RUN_PINGS):
        west, east = min(west, lons[ping]), max(east, lons[ping])
    south = north = lats[0]
    for ping in range(RUN_PINGS):
        south, north = min(south, lats[ping]), max(north, lats[ping])
    steps_back = 0
    for ping in range(RUN_PINGS - 1):
        steps_back += times[ping + 1] < times[ping]
    return (int(west), int(east), int(south), int(north), int(times[0]), int(times[RUN_PINGS - 1])), steps_back == 0


@inlined
def _sides(circle: np.void, margins: tuple[int, int]) -> Sides:
    """The box of a circle, widened; of the type of the columns it is compared with."""
    return (
        np.int32(max(circle["west_e7"] - margins[0], -MOST_E7)),
        np.int32(min(circle["east_e7"] + margins[0], MOST_E7)),
        np.int32(circle["south_e7"] - margins[1]),
        np.int32(circle["north_e7"] + margins[1]),
    )


@kernel
def _holds_any(lons: Ints, lats: Ints, box: Sides) -> bool:
    """Say whether any of RUN_PINGS pings lies in a box."""
    west, east, south, north = box
    n = 0
    for ping in range(RUN_PINGS):
        n += (lons[ping] >= west) & (lons[ping] <= east) & (lats[ping] >= south) & (lats[ping] <= north)
    return bool(n > 0)


@kernel
def _touches(lons: Ints, lats: Ints, lon_e7: int, lat_e7: int, box: Sides) -> bool:
    """Say whether any of the lines between RUN_PINGS pings, or to the first from one before, may touch a box."""
    west, east, south, north = box
    n = 0
    for ping in range(RUN_PINGS - 1):
        n += (
            (min(lons[ping], lons[ping + 1]) <= east)
            & (max(lons[ping], lons[ping + 1]) >= west)
            & (min(lats[ping], lats[ping + 1]) <= north)
            & (max(lats[ping], lats[ping + 1]) >= south)
        )
    n += (
        (min(lons[0], lon_e7) <= east)
        & (max(lons[0], lon_e7) >= west)
        & (min(lats[0], lat_e7) <= north)
        & (max(lats[0], lat_e7) >= south)
    )
    return bool(n > 0)


@kernel
def _bends(lons: Ints, lats: Ints, lon_e7: int, lat_e7: int) -> tuple[int, int]:
    """How far the lines between RUN_PINGS pings, or to the first from one before, may stray from their ends' box."""
    widest, highest = abs(lons[0] - lon_e7), abs(lats[0] - lat_e7)
    for ping in range(RUN_PINGS - 1):
        widest = max(widest, abs(int(lons[ping + 1]) - lons[ping]))
    for ping in range(RUN_PINGS - 1):
        highest = max(highest, abs(int(lats[ping + 1]) - lats[ping]))
    stray_lon_e7, stray_lat_e7 = stray_e7(float(widest), float(highest))
    return math.ceil(stray_lon_e7), math.ceil(stray_lat_e7)


@inlined
def _box_of_few(times: Longs, lons: Ints, lats: Ints) -> tuple[Box, bool]:
    """The same for fewer pings."""
    west, east, south, north = lons[0], lons[0], lats[0], lats[0]
    is_sound = True
    for ping in range(1, times.size):
        west, east = min(west, lons[ping]), max(east, lons[ping])
        south, north = min(south, lats[ping]), max(north, lats[ping])
        is_sound &= times[ping] >= times[ping - 1]
    return (int(west), int(east), int(south), int(north), int(times[0]), int(times[-1])), is_sound


@inlined
def _with_line(box: Box, time_us: int, lon_e7: int, lat_e7: int, is_single: bool) -> Box:
    """A box that also holds the lines between its pings, and the line to its first from one before.

    To a single ping the line goes by the shorter way: the box may run on past 180 degrees.
    """
    west, east, south, north, start_us, end_us = box
    lon_e7, lat_e7 = int(lon_e7), int(lat_e7)
    if is_single:
        west = east = lon_e7 + int(shorter_way_e7(float(west) - lon_e7))
    return _widened(
        (
            min(west, lon_e7),
            max(east, lon_e7),
            min(south, lat_e7),
            max(north, lat_e7),
            min(start_us, time_us),
            end_us,
        )
    )


@inlined
def _widened(box: Box) -> Box:
    """A box with as much about it as the lines between its pings may bend."""
    west, east, south, north, start_us, end_us = box
    stray_lon_e7, stray_lat_e7 = stray_e7(float(east - west), float(north - south))
    lon_margin_e7, lat_margin_e7 = math.ceil(stray_lon_e7), math.ceil(stray_lat_e7)
    return (west - lon_margin_e7, east + lon_margin_e7, south - lat_margin_e7, north + lat_margin_e7, start_us, end_us)


@inlined
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


@inlined
def _name_all(box: Box, tables: Tables, named: Ints, is_single: bool) -> int:
    """Name the circles that may meet a box; returns their number, -1 if the box is too large to look up."""
    if box[1] - box[0] > HALF_TURN_E7 and not is_single:
        return -1
    n = 0
    for k in range(0, tables.levels.size, 2):
        level = tables.levels[k]
        looks = _looks(box, level)
        if _count(looks) > MOST_FINE_LOOKS:
            level = tables.levels[k + 1]
            looks = _looks(box, level)
            if _count(looks) > MOST_COARSE_LOOKS and not is_single:
                return -1
        n = _name(box, looks, level, tables.buckets, tables.entries, named, n)
    return n


@inlined
def _looks(box: Box, level: np.void) -> Looks:
    columns, rows, slot = level["cell_bits"] + COLUMN_BITS, level["cell_bits"] + ROW_BITS, level["slot_bits"]
    return (box[0] >> columns, box[1] >> columns, box[2] >> rows, box[3] >> rows, box[4] >> slot, box[5] >> slot)


@inlined
def _count(looks: Looks) -> int:
    x0, x1, y0, y1, slot0, slot1 = looks
    return (1 + x1 - x0) * (1 + y1 - y0) * (1 + slot1 - slot0)


@inlined
def _name(box: Box, looks: Looks, level: np.void, buckets: Records, entries: Records, named: Ints, n: int) -> int:
    """Name the circles of a level that may meet a box, each once, after the n named so far; returns the new n."""
    x0, x1, y0, y1, slot0, slot1 = looks
    cell, slot_bits = int(level["cell_bits"]), int(level["slot_bits"])
    first_bucket, hash_bits = int(level["first_bucket"]), int(level["hash_bits"])
    for x in range(x0, x1 + 1):
        for y in range(y0, y1 + 1):
            cells = cells_of_block(box, cell, x, y)
            for slot in range(slot0, slot1 + 1):
                bucket = bucket_of(first_bucket, hash_bits, x, y, slot)
                if int(buckets[bucket]["cells"]) & cells == 0:
                    continue
                west, east, south, north, start, end = part_of_block(box, cell, slot_bits, x, y, slot)
                # Of the blocks and slots that both meet, the first alone names a circle.
                key = key_of(x, y, slot)
                begins = (x == x0) | (y == y0) << 1 | (slot == slot0) << 2
                for k in range(buckets[bucket]["first"], buckets[bucket + 1]["first"]):
                    entry = entries[k]
                    named[n] = entry["circle"]
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
