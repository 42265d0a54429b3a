"""Which pings, and which lines between pings, of the runs that are left may meet which incidents.

Two steps. The first names the busy buckets of the grid that a ping falls into or a line touches; few do. The second
compares times and boxes of the incidents named there. The exact test is matcher.kernels' part.

The loops take their arrays out of the tuples before they start, and what they call takes numbers: a call that takes
tuples of arrays counts references to each of them, some 300 ns a call (docs/decisions/0007-the-scan.md).
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from geo.jit import kernel
from geo.wgs84 import distance_m
from matcher.index import (
    FULL_TURN_E7,
    HALF_TURN_E7,
    SHORT_E7,
    SHORT_STRAY_E7,
    SLOTS_A_SPELL,
    SPELL_BITS,
    IncidentGrid,
    bucket_of,
    middle_reach_us,
    slots_of_spell,
)
from matcher.trails import E7_PER_DEGREE, Trails

Longs = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]
Bits = npt.NDArray[np.uint32]
Box = tuple[int, int, int, int, int, int]  # first and last column, row, slot
Line = tuple[int, int, int, int, int, int]  # longitude, latitude, time of the one ping and of the other
Table = tuple[int, int]  # first bucket of a level and the bits of their number

# A line that crosses more cells than this is asked for its speed before its cells are visited, not after: one stray fix
# on the other side of the world would visit a hundred thousand.
MANY_PIECES = 4


MOST_M_AN_E7 = 0.0112


# How far a line that is straight in an incident's plane may stray from the same line in longitude and latitude, in
# 1e-7 degrees for each squared 1e-7 degree of its height and width. A line of L metres strays by its sagitta against
# the parallel, L**2 tan(lat) / (8 R), and as much again along itself; these bounds are twice that at 86 degrees.
STRAY_LON = (96e-9, 0.63e-9)
STRAY_LAT = (6.7e-9, 0.54e-9)


class Lookups(NamedTuple):
    """Buckets to look into, in the order of the pings. A line is known by its second ping."""

    ping: Longs
    bucket: Ints


class Candidates(NamedTuple):
    """Incidents that a ping or a line may meet, in the order of the pings."""

    ping: Longs
    incident: Ints


class LineRule(NamedTuple):
    """Which lines between two pings count."""

    max_gap_us: int
    max_speed_mps: float


@kernel
def name_pings(
    times: Longs,
    lons: Ints,
    lats: Ints,
    first: int,
    cell: int,
    slot: int,
    table: Table,
    busy_slots: Bits,
    n: int,
    named_ping: Longs,
    named_bucket: Ints,
) -> int:
    """Name the busy buckets of a level that pings fall into, after the n named so far; returns the new n.

    The pings are those from `first` on.
    """
    for k in range(times.size):
        at = times[k] >> slot
        bucket = bucket_of(table[0], table[1], lons[k] >> cell, lats[k] >> cell, at >> SPELL_BITS)
        named_ping[n] = first + k
        named_bucket[n] = bucket
        # Written in any case and kept only if busy: a branch would be foreseen wrongly too often.
        n += busy_slots[bucket] >> (at & (SLOTS_A_SPELL - 1)) & 1
    return n


@kernel
def near_pings(trails: Trails, grid: IncidentGrid, lookups: Lookups, near: Candidates) -> int:
    """Name the incidents in whose window and box a ping lies; returns their number."""
    times, lons, lats = trails.fixed_at_us, trails.lon_e7, trails.lat_e7
    from_us, to_us, lon_deg, lat_deg = (
        grid.incidents.from_us,
        grid.incidents.to_us,
        grid.incidents.lon_deg,
        grid.incidents.lat_deg,
    )
    half_lon_e7, half_lat_e7, bucket_starts, entries = (
        grid.half_lon_e7,
        grid.half_lat_e7,
        grid.bucket_starts,
        grid.entries,
    )
    n = 0
    for k in range(lookups.ping.size):
        ping = lookups.ping[k]
        time_us, lon_e7, lat_e7 = times[ping], lons[ping], lats[ping]
        for entry in range(bucket_starts[lookups.bucket[k]], bucket_starts[lookups.bucket[k] + 1]):
            i = entries[entry]
            if from_us[i] <= time_us <= to_us[i] and (
                abs(lat_e7 - lat_deg[i] * E7_PER_DEGREE) <= half_lat_e7[i]
                and abs(shorter_way_e7(lon_e7 - lon_deg[i] * E7_PER_DEGREE)) <= half_lon_e7[i]
            ):
                near.ping[n] = ping
                near.incident[n] = i
                n += 1
    return n


@kernel
def name_lines(
    times: Longs,
    lons: Ints,
    lats: Ints,
    first: int,
    cell: int,
    slot: int,
    max_gap_us: int,
    max_speed_mps: float,
    table: Table,
    busy_slots: Bits,
    beside_slots: Bits,
    n: int,
    named_ping: Longs,
    named_bucket: Ints,
) -> int:
    """Name the busy buckets of a level beside the lines between pings of one trail, after the n named so far.

    The pings are those from `first` on. Returns the new n, or -1 - n where there is no room.
    """
    short_us = 2 * middle_reach_us(slot)
    for k in range(times.size - 1):
        gap_us = times[k + 1] - times[k]
        if not 0 < gap_us <= max_gap_us:
            continue
        line = (lons[k], lats[k], times[k], lons[k + 1], lats[k + 1], times[k + 1])
        before = n
        if abs(line[3] - line[0]) <= SHORT_E7 and abs(line[4] - line[1]) <= SHORT_E7 and gap_us <= short_us:
            if not _is_beside(line, cell, slot, table, beside_slots):
                continue
            box = _short_lines_box(line, cell, slot)
            spell = box[4] >> SPELL_BITS
            if box[0] == box[1] and box[2] == box[3] and spell == box[5] >> SPELL_BITS and n < named_ping.size:
                # Nearly always, and a call that takes arrays counts references to them.
                bucket = bucket_of(table[0], table[1], box[0], box[2], spell)
                named_ping[n] = first + k + 1
                named_bucket[n] = bucket
                n += (busy_slots[bucket] & slots_of_spell(box[4], box[5], spell)) != 0
                continue
            n = _name_box(box, table, busy_slots, first + k + 1, n, named_ping, named_bucket)
        else:
            n = _name_long_line(
                line, cell, slot, max_speed_mps, table, busy_slots, first + k + 1, n, named_ping, named_bucket
            )
        if n < 0:
            return -1 - before
    return n


@kernel
def count_named(bucket_starts: Ints, buckets: Ints) -> int:
    """How many incidents stand in these buckets."""
    n = 0
    for bucket in buckets:
        n += bucket_starts[bucket + 1] - bucket_starts[bucket]
    return n


@kernel
def near_lines(trails: Trails, grid: IncidentGrid, lookups: Lookups, line_of: Longs, near: Candidates) -> int:
    """Name the incidents whose window and box a line touches, each once however many buckets name it.

    `line_of` (I,) keeps the line that an incident was last compared with; it holds 0 at first, which no line
    ends at.
    """
    times, lons, lats = trails.fixed_at_us, trails.lon_e7, trails.lat_e7
    from_us, to_us, lon_deg, lat_deg = (
        grid.incidents.from_us,
        grid.incidents.to_us,
        grid.incidents.lon_deg,
        grid.incidents.lat_deg,
    )
    half_lon_e7, half_lat_e7, bucket_starts, entries = (
        grid.half_lon_e7,
        grid.half_lat_e7,
        grid.bucket_starts,
        grid.entries,
    )
    n = 0
    for k in range(lookups.ping.size):
        ping = lookups.ping[k]
        lon_e7, lat_e7 = float(lons[ping - 1]), float(lats[ping - 1])
        east_e7, north_e7 = shorter_way_e7(lons[ping] - lon_e7), lats[ping] - lat_e7
        stray_lon_e7, stray_lat_e7 = stray_e7(east_e7, north_e7)
        for entry in range(bucket_starts[lookups.bucket[k]], bucket_starts[lookups.bucket[k] + 1]):
            i = entries[entry]
            if line_of[i] == ping:
                continue
            line_of[i] = ping
            if times[ping] < from_us[i] or times[ping - 1] > to_us[i]:
                continue
            from_lon_e7 = shorter_way_e7(lon_e7 - lon_deg[i] * E7_PER_DEGREE)
            from_lat_e7 = lat_e7 - lat_deg[i] * E7_PER_DEGREE
            if _meets(from_lon_e7, east_e7, half_lon_e7[i] + stray_lon_e7) and _meets(
                from_lat_e7, north_e7, half_lat_e7[i] + stray_lat_e7
            ):
                near.ping[n] = ping
                near.incident[n] = i
                n += 1
    return n


@kernel
def shorter_way_e7(lon_e7: float) -> float:
    """Bring a difference of two longitudes into [-180, 180] degrees."""
    if lon_e7 > HALF_TURN_E7:
        return lon_e7 - FULL_TURN_E7
    if lon_e7 < -HALF_TURN_E7:
        return lon_e7 + FULL_TURN_E7
    return lon_e7


@kernel
def stray_e7(east_e7: float, north_e7: float) -> tuple[float, float]:
    """By how much a line of at most this width and height may leave the box of its ends, in longitude and latitude."""
    east2, north2 = east_e7 * east_e7, north_e7 * north_e7
    return 1 + STRAY_LON[0] * north2 + STRAY_LON[1] * east2, 1 + STRAY_LAT[0] * north2 + STRAY_LAT[1] * east2


@kernel
def is_too_fast(
    lon0_e7: float, lat0_e7: float, lon1_e7: float, lat1_e7: float, gap_us: int, max_speed_mps: float
) -> bool:
    """Say whether one ping cannot be reached from the other in time."""
    # A ten-millionth of a degree is nowhere longer than this; mostly that decides, and no sine has to be taken.
    along_two_sides_m = MOST_M_AN_E7 * (abs(shorter_way_e7(lon1_e7 - float(lon0_e7))) + abs(lat1_e7 - float(lat0_e7)))
    if along_two_sides_m <= max_speed_mps * (gap_us / 1e6):
        return False
    length_m = distance_m(
        lon0_e7 / E7_PER_DEGREE, lat0_e7 / E7_PER_DEGREE, lon1_e7 / E7_PER_DEGREE, lat1_e7 / E7_PER_DEGREE
    )
    return length_m > max_speed_mps * (gap_us / 1e6)


@kernel
def _is_beside(line: Line, cell: int, slot: int, table: Table, beside_slots: Bits) -> bool:
    """Say whether a short line may meet an incident: by its middle, or by those of its halves or quarters.

    The more parts the longer it is, so that none is longer than a cell.
    """
    lon0_e7, lat0_e7, start_us, lon1_e7, lat1_e7, end_us = line
    east_e7, north_e7 = int(lon1_e7) - lon0_e7, int(lat1_e7) - lat0_e7
    at = (start_us + ((end_us - start_us) >> 1)) >> slot
    cells = max(abs(east_e7), abs(north_e7)) >> cell
    halvings = (cells > 0) + (cells > 1)
    for middle in range(1, 2 << halvings, 2):
        x = (lon0_e7 + (east_e7 * middle >> (halvings + 1))) >> cell
        y = (lat0_e7 + (north_e7 * middle >> (halvings + 1))) >> cell
        slots = beside_slots[bucket_of(table[0], table[1], x, y, at >> SPELL_BITS)]
        if (slots >> (at & (SLOTS_A_SPELL - 1))) & 1:
            return True
    return False


@kernel
def _short_lines_box(line: Line, cell: int, slot: int) -> Box:
    lon0_e7, lat0_e7, start_us, lon1_e7, lat1_e7, end_us = line
    return (
        (min(lon0_e7, lon1_e7) - SHORT_STRAY_E7) >> cell,
        (max(lon0_e7, lon1_e7) + SHORT_STRAY_E7) >> cell,
        (min(lat0_e7, lat1_e7) - SHORT_STRAY_E7) >> cell,
        (max(lat0_e7, lat1_e7) + SHORT_STRAY_E7) >> cell,
        start_us >> slot,
        end_us >> slot,
    )


@kernel
def _name_long_line(
    line: Line,
    cell: int,
    slot: int,
    max_speed_mps: float,
    table: Table,
    busy_slots: Bits,
    ping: int,
    n: int,
    named_ping: Longs,
    named_bucket: Ints,
) -> int:
    """Name the busy buckets beside a line of any length, as `_name_box` does."""
    start_us, gap_us = line[2], line[5] - line[2]
    lon_e7, lat_e7 = float(line[0]), float(line[1])
    east_e7, north_e7 = shorter_way_e7(line[3] - lon_e7), line[4] - lat_e7
    stray_lon_e7, stray_lat_e7 = stray_e7(east_e7, north_e7)
    # Cut into pieces no longer than a cell and a slot, so that a slanting line visits only what is beside it.
    pieces = 1 + max(int(max(abs(east_e7), abs(north_e7))) >> cell, gap_us >> slot)
    if pieces > MANY_PIECES and is_too_fast(lon_e7, lat_e7, line[3], line[4], gap_us, max_speed_mps):
        return n
    for piece in range(pieces):
        start, end = piece / pieces, (piece + 1) / pieces
        box = (
            _first_cell(lon_e7, east_e7, start, end, stray_lon_e7, cell),
            _last_cell(lon_e7, east_e7, start, end, stray_lon_e7, cell),
            _first_cell(lat_e7, north_e7, start, end, stray_lat_e7, cell),
            _last_cell(lat_e7, north_e7, start, end, stray_lat_e7, cell),
            (start_us + int(gap_us * start)) >> slot,
            (start_us + int(gap_us * end) + 1) >> slot,
        )
        n = _name_box(box, table, busy_slots, ping, n, named_ping, named_bucket)
        if n < 0:
            return n
    return n


@kernel
def _name_box(
    box: Box, table: Table, busy_slots: Bits, ping: int, n: int, named_ping: Longs, named_bucket: Ints
) -> int:
    """Name the buckets of all cells and spells of a box that are busy in its slots, after the n named so far.

    Returns the new n, or -1 where there is no room.
    """
    for spell in range(box[4] >> SPELL_BITS, (box[5] >> SPELL_BITS) + 1):
        slots = slots_of_spell(box[4], box[5], spell)
        for x in range(box[0], box[1] + 1):
            for y in range(box[2], box[3] + 1):
                bucket = bucket_of(table[0], table[1], x, y, spell)
                if busy_slots[bucket] & slots:
                    if n == named_ping.size:
                        return -1
                    named_ping[n] = ping
                    named_bucket[n] = bucket
                    n += 1
    return n


@kernel
def _first_cell(start_e7: float, along_e7: float, start: float, end: float, stray_e7: float, cell: int) -> int:
    """First cell that a part of a line touches in one direction."""
    return math.floor(start_e7 + min(along_e7 * start, along_e7 * end) - stray_e7) >> cell


@kernel
def _last_cell(start_e7: float, along_e7: float, start: float, end: float, stray_e7: float, cell: int) -> int:
    """Last cell that a part of a line touches in one direction."""
    return math.ceil(start_e7 + max(along_e7 * start, along_e7 * end) + stray_e7) >> cell


@kernel
def _meets(start_e7: float, along_e7: float, reach_e7: float) -> bool:
    """Say whether what lies between start and start + along comes within reach of 0."""
    end_e7 = start_e7 + along_e7
    return min(start_e7, end_e7) <= reach_e7 and max(start_e7, end_e7) >= -reach_e7
