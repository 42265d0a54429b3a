"""The scan: trails read once from end to end, run by run, each against the grid of incidents.

Most tags lie still most of the time, so that a box about an hour of pings is hardly larger than one ping, and a look
into the grid answers for all of them (docs/decisions/0007-the-scan.md). While the pings are at hand, the loop also sees
whether they are what `Trails` promises.

Runs go through the steps in blocks, and each step has the memory fetched that the next one reads, so that nothing waits
for one line after the other (docs/decisions/0016-fetched-before-it-is-needed.md).
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from geo.jit import inlined, kernel
from geo.uncounted import uncounted
from matcher.boxes import RUN_PINGS, Pings, box_of_run, fetch_run, widened, with_line_before
from matcher.hits import HIT, Rows
from matcher.index import Box, IncidentGrid, Tables
from matcher.kernels import add_stays
from matcher.lines import LineRule, stray_e7
from matcher.looks import LOOK, NO_ROOM, RUN, TOO_LARGE, keep_met, name_circles, put_looks
from matcher.trails import Trails, refuse_trails

Longs = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]
Records = npt.NDArray[np.void]
Sides = tuple[np.int32, np.int32, np.int32, np.int32]  # west, east, south, north

# Runs that go through the steps together, and looks that they may take: a few each.
BLOCK_RUNS = 64
BLOCK_LOOKS = 1_024

# Pings are fetched so far ahead of the run that is read.
PINGS_AHEAD = 4 * RUN_PINGS

# What fewer pings have in common with a circle is not asked before each is tested.
FEW_PINGS = 8

FIRST_ROWS = 1_024

# Circles that a block of runs may name, besides all those of one run.
NAMED_ROOM = 1_024

MOST_E7 = 2**31 - 1


def join_devices(trails: Trails, grid: IncidentGrid, rule: LineRule, device: int, end_device: int) -> Rows:
    """Join some of the devices; the hits (HIT) stand in the order in which they were found.

    Raises ValueError if a ping is not as `Trails` says.
    """
    room = Room(
        np.empty(BLOCK_RUNS, RUN),
        np.empty(BLOCK_LOOKS, LOOK),
        np.empty((2, grid.tables.circles.size + NAMED_ROOM), np.int32),
        np.zeros(grid.half_lon_e7.size, np.int64),
        np.empty(FIRST_ROWS, HIT),
    )
    hits, ping = 0, int(trails.starts[device])
    while device < end_device:
        device, ping, hits, lacking = scan(
            trails.starts,
            trails.fixed_at_us,
            trails.lon_e7,
            trails.lat_e7,
            *grid.tables,
            rule,
            (device, end_device, ping),
            room.runs,
            room.looks,
            room.named,
            room.hit_of,
            room.found,
            hits,
        )
        if lacking < 0:
            refuse_trails(trails)
        if lacking:
            room = room._replace(found=np.concatenate([room.found[:hits], np.empty(hits + lacking, HIT)]))
    return room.found[:hits]


class Room(NamedTuple):
    """Where a scan keeps what it finds."""

    runs: Records  # (BLOCK_RUNS,) RUN
    looks: Records  # (BLOCK_LOOKS,) LOOK
    named: Ints  # (2, C + NAMED_ROOM) rows of circles that runs may meet, and which of the runs
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
    runs: Records,
    looks: Records,
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
    room = Room(uncounted(runs), uncounted(looks), uncounted(named), uncounted(hit_of), uncounted(found))
    device, end_device, first = part
    while device < end_device:
        next_device, next_first, n_runs, n_looks = _gather(pings, tables, rule, room, starts, device, end_device, first)
        if n_runs < 0:
            return device, first, hits, -1
        n_looks = keep_met(room.looks, n_looks, tables)
        n_named_runs, n = name_circles(room.runs, n_runs, room.looks, n_looks, tables, room.named)
        if hits + n > room.found.size:
            return device, first, hits, n
        hits = _add_circles(pings, tables.circles, rule, room, hits, n)
        device, first = next_device, next_first
        if n_named_runs < n_runs:
            device, first = room.runs[n_named_runs]["device"], room.runs[n_named_runs]["first"]
    return device, first, hits, 0


@inlined
def _gather(
    pings: Pings,
    tables: Tables,
    rule: LineRule,
    room: Room,
    starts: Longs,
    device: int,
    end_device: int,
    first: int,
) -> tuple[int, int, int, int]:
    """Make a block of runs and the looks that each takes, and have their buckets fetched.

    Returns the device and ping to go on with, the number of runs, less than nothing if a ping is not as `Trails` says,
    and the number of looks.
    """
    n, n_looks = 0, 0
    while device < end_device:
        begin, end, length = starts[device], starts[device + 1], RUN_PINGS
        while first < end:
            if n == room.runs.size:
                return device, first, n, n_looks
            # At a multiple of the greatest length, so that a run that was cut is followed by long ones.
            stop = min(first + length, begin + ((first - begin) // RUN_PINGS + 1) * RUN_PINGS, end)
            if stop - first == RUN_PINGS:
                fetch_run(pings, first + PINGS_AHEAD)
            box, is_sound = _box_with_lines(pings, rule, (begin, first, stop), length)
            if not is_sound:
                return device, first, -1, 0
            put = put_looks(box, tables, room.looks, n_looks, n, length == 1)
            if put == TOO_LARGE:
                length = (stop - first + 1) >> 1
                continue
            if put == NO_ROOM:
                return device, first, n, n_looks
            n_looks = put
            _put_run(room.runs[n], device, (begin, first, stop), box)
            n += 1
            first = stop
            if (first - begin) % RUN_PINGS == 0:
                length = RUN_PINGS
        device += 1
    return device, first, n, n_looks


@inlined
def _box_with_lines(pings: Pings, rule: LineRule, run: tuple[int, int, int], length: int) -> tuple[Box, bool]:
    """The box of the pings of a run and of the lines that end at them, and whether the pings are as `Trails` says."""
    begin, first, _ = run
    box, is_sound = box_of_run(pings, run, length == RUN_PINGS)
    before = max(first - 1, begin)
    if 0 < pings.times[first] - pings.times[before] <= rule.max_gap_us:
        box = with_line_before(box, pings.times[before], pings.lons[before], pings.lats[before], length == 1)
    elif rule.max_gap_us > 0:
        box = widened(box)
    return box, is_sound


@inlined
def _put_run(row: np.void, device: int, run: tuple[int, int, int], box: Box) -> None:
    """Make a row of RUN of it."""
    row["device"] = device
    row["begin"], row["first"], row["stop"] = run
    row["west"], row["east"], row["south"], row["north"], row["start_us"], row["end_us"] = box


@inlined
def _add_circles(pings: Pings, circles: Records, rule: LineRule, room: Room, hits: int, n: int) -> int:
    """Add the hits of the runs and circles that were named together; returns their new number."""
    times, lons, lats = pings
    k = 0
    while k < n:
        which = room.named[1, k]
        run = room.runs[which]
        device, begin, first, stop = run["device"], run["begin"], run["first"], run["stop"]
        before, start = max(first - 1, begin), max(stop - RUN_PINGS, begin)
        is_long = stop - start == RUN_PINGS and stop - first > FEW_PINGS
        run_lons, run_lats = lons[start:stop], lats[start:stop]
        margins = (0, 0)
        if is_long and rule.max_gap_us > 0:
            margins = _bends(run_lons, run_lats, lons[before], lats[before])
        while k < n and room.named[1, k] == which:
            circle = circles[room.named[0, k]]
            k += 1
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
