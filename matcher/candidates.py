"""Which pings, and which lines between pings, may meet which incidents: the loops over every ping.

Two steps. The first names the buckets of the grid that a ping or a line falls into and that hold anything; few do. The
second compares times and boxes of the incidents named there. The exact test is matcher.kernels' part.

The loops take their arrays out of the tuples before they start, and what they call takes numbers: a call that takes
tuples of arrays counts references to each of them, some 700 ns a ping (docs/decisions/0001-the-join.md).
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from geo.jit import kernel
from geo.wgs84 import distance_m
from matcher.index import FULL_TURN_E7, HALF_TURN_E7, IncidentGrid, bucket_of
from matcher.trails import E7_PER_DEGREE, Trails

Longs = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]
Box = tuple[int, int, int, int, int, int]  # first and last column, row, slot
Bools = npt.NDArray[np.bool_]

# A line that crosses more cells than this is asked for its speed before its cells are visited, not after: one stray fix
# on the other side of the world would visit a hundred thousand.
MANY_PIECES = 4

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
def look_up_pings(trails: Trails, grid: IncidentGrid, first: int, end: int, lookups: Lookups) -> int:
    """Name the bucket of each ping at each level; returns how many were named (at most pings times levels)."""
    times, lons, lats = trails.fixed_at_us, trails.lon_e7, trails.lat_e7
    cell_bits, slot_bits, hash_bits, first_bucket = grid.cell_bits, grid.slot_bits, grid.hash_bits, grid.first_bucket
    bucket_starts, named_ping, named_bucket = grid.bucket_starts, lookups.ping, lookups.bucket
    n = 0
    for ping in range(first, end):
        for level in range(cell_bits.size):
            x, y, slot = lons[ping] >> cell_bits[level], lats[ping] >> cell_bits[level], times[ping] >> slot_bits[level]
            bucket = bucket_of(first_bucket[level], hash_bits[level], x, y, slot)
            if bucket_starts[bucket] < bucket_starts[bucket + 1]:
                named_ping[n] = ping
                named_bucket[n] = bucket
                n += 1
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
def look_up_lines(
    trails: Trails, grid: IncidentGrid, rule: LineRule, begins: Bools, first: int, lookups: Lookups
) -> tuple[int, int]:
    """Name the buckets of the lines that end at the pings from `first`, of which begins[0], begins[1] ... say whether
    they are the first of their trail.

    Returns the ping before which it stopped (because `lookups` has no room for the next line's buckets, or at the end)
    and how many buckets were named.
    """
    times, lons, lats, bucket_starts = trails.fixed_at_us, trails.lon_e7, trails.lat_e7, grid.bucket_starts
    cell_bits, slot_bits, hash_bits, first_bucket = grid.cell_bits, grid.slot_bits, grid.hash_bits, grid.first_bucket
    named_ping, named_bucket = lookups.ping, lookups.bucket
    n = 0
    for ping in range(first, first + begins.size):
        if begins[ping - first] or not 0 < times[ping] - times[ping - 1] <= rule.max_gap_us:
            continue
        before = n
        time_us, gap_us = times[ping - 1], times[ping] - times[ping - 1]
        lon_e7, lat_e7 = float(lons[ping - 1]), float(lats[ping - 1])
        east_e7, north_e7 = shorter_way_e7(lons[ping] - lon_e7), lats[ping] - lat_e7
        stray_lon_e7, stray_lat_e7 = stray_e7(east_e7, north_e7)
        for level in range(cell_bits.size):
            cell, slot = cell_bits[level], slot_bits[level]
            # Cut into pieces no longer than a cell and a slot, so that a slanting line visits only what is beside it.
            pieces = 1 + max(int(max(abs(east_e7), abs(north_e7))) >> cell, gap_us >> slot)
            if pieces > MANY_PIECES and is_too_fast(lon_e7, lat_e7, lons[ping], lats[ping], gap_us, rule.max_speed_mps):
                break
            for piece in range(pieces):
                start, end = piece / pieces, (piece + 1) / pieces
                box = (
                    _first_cell(lon_e7, east_e7, start, end, stray_lon_e7, cell),
                    _last_cell(lon_e7, east_e7, start, end, stray_lon_e7, cell),
                    _first_cell(lat_e7, north_e7, start, end, stray_lat_e7, cell),
                    _last_cell(lat_e7, north_e7, start, end, stray_lat_e7, cell),
                    (time_us + int(gap_us * start)) >> slot,
                    (time_us + int(gap_us * end) + 1) >> slot,
                )
                n = _name_box(
                    box, first_bucket[level], hash_bits[level], bucket_starts, ping, n, named_ping, named_bucket
                )
                if n < 0:
                    return ping, before
    return first + begins.size, n


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
    """By how much the line may leave the box of its ends, in longitude and in latitude."""
    east2, north2 = east_e7 * east_e7, north_e7 * north_e7
    return 1 + STRAY_LON[0] * north2 + STRAY_LON[1] * east2, 1 + STRAY_LAT[0] * north2 + STRAY_LAT[1] * east2


@kernel
def is_too_fast(
    lon0_e7: float, lat0_e7: float, lon1_e7: float, lat1_e7: float, gap_us: int, max_speed_mps: float
) -> bool:
    """Say whether one ping cannot be reached from the other in time."""
    length_m = distance_m(
        lon0_e7 / E7_PER_DEGREE, lat0_e7 / E7_PER_DEGREE, lon1_e7 / E7_PER_DEGREE, lat1_e7 / E7_PER_DEGREE
    )
    return length_m > max_speed_mps * (gap_us / 1e6)


@kernel
def _name_box(
    box: Box,
    first_bucket: int,
    hash_bits: int,
    bucket_starts: Ints,
    ping: int,
    n: int,
    named_ping: Longs,
    named_bucket: Ints,
) -> int:
    """Name the buckets of all cells and slots of a box that hold anything, after the n named so far.

    Returns the new n, or -1 where there is no room.
    """
    for x in range(box[0], box[1] + 1):
        for y in range(box[2], box[3] + 1):
            for slot in range(box[4], box[5] + 1):
                bucket = bucket_of(first_bucket, hash_bits, x, y, slot)
                if bucket_starts[bucket] < bucket_starts[bucket + 1]:
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
