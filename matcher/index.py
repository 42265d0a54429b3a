"""The grid of incidents, which answers: what incidents may a ping at this place and time concern.

Space is cut into cells of equal degrees and time into slots, both of lengths that are powers of two, so that a shift
finds them. An incident's size chooses its *level*: cells at least twice as wide as its circle and slots at least as
long as its window, so that it lies in few (cell, slot) pairs however large it is. Each level has a table of buckets;
an incident stands in the bucket of every (cell, slot) that it touches, and a ping looks into one bucket of each level.
Different cells may share a bucket: the grid names candidates, and an exact test always follows.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from geo.jit import kernel
from geo.wgs84 import ECCENTRICITY_SQUARED, SEMI_MAJOR_M
from matcher.incidents import Incidents, check_incidents
from matcher.trails import E7_PER_DEGREE

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]

HALF_TURN_E7 = 180 * E7_PER_DEGREE
FULL_TURN_E7 = 360 * E7_PER_DEGREE

# The cells of one level are a quarter as wide as the next one's as are its slots: few levels, each a
# lookup for every ping, against few incidents in a bucket that are too far away.
SMALLEST_CELL_BITS, CELL_BITS_STEP = 14, 2  # 182 m north to south
SMALLEST_SLOT_BITS, SLOT_BITS_STEP = 31, 2  # 36 minutes
LARGEST_SLOT_BITS = 63

# With four to eight buckets for each entry most lookups of a ping far from everything end at an empty one.
BUCKETS_PER_ENTRY = 4

# In a table of few buckets every ping would meet every incident, and no test of a small scene would see a faulty grid.
FEWEST_BUCKETS = 1 << 12

HASHED_BITS = 62
MASK = (1 << HASHED_BITS) - 1

# Wider than the longest line (matcher.join.MAX_LINE_M) and the largest box are at 85 degrees, taken together.
ASTRIDE_E7 = 45 * E7_PER_DEGREE

# A circle's box is widened by this much against rounding: 2e-7 degrees, 2 cm.
BOX_MARGIN_E7 = 2


class IncidentGrid(NamedTuple):
    """I incidents with their boxes, and the buckets that name them, in L levels."""

    incidents: Incidents
    half_lon_e7: Floats  # (I,) half the sides of a box that surely holds the circle
    half_lat_e7: Floats  # (I,)
    cell_bits: Longs  # (L,) a level's cells are 2**cell_bits times 1e-7 degrees wide and high
    slot_bits: Longs  # (L,) and its slots 2**slot_bits microseconds long
    hash_bits: Longs  # (L,) it has 2**hash_bits buckets
    first_bucket: Longs  # (L,)
    bucket_starts: Ints  # (all buckets + 1,) bucket b names entries[bucket_starts[b]:bucket_starts[b + 1]]
    entries: Ints  # (E,) rows of incidents, rising within a bucket, none twice


def incident_grid(incidents: Incidents) -> IncidentGrid:
    """Build the grid. Cost: a sort of the entries; for a million incidents in England with windows of three lengths
    2.8 entries and 134 bytes an incident, its columns included; near a pole three times that.

    Raises ValueError if the incidents are not as `Incidents` says.
    """
    check_incidents(incidents)
    incidents = Incidents._make(np.require(column, requirements=["C", "W"]) for column in incidents)
    half_lon_e7, half_lat_e7 = _boxes(incidents)
    cell_bits = _bits(4 * half_lat_e7, SMALLEST_CELL_BITS, CELL_BITS_STEP)
    window_us = incidents.to_us.astype(np.float64) - incidents.from_us.astype(np.float64)
    slot_bits = np.minimum(_bits(window_us, SMALLEST_SLOT_BITS, SLOT_BITS_STEP), LARGEST_SLOT_BITS)
    kind = cell_bits << 6 | slot_bits
    kinds = np.flatnonzero(np.bincount(kind))
    no_buckets, no_entries = np.zeros(kinds.size, dtype=np.int64), np.zeros(0, dtype=np.int32)
    grid = IncidentGrid(
        incidents, half_lon_e7, half_lat_e7, kinds >> 6, kinds & 63, no_buckets, no_buckets, no_entries, no_entries
    )
    return _with_buckets(grid, np.searchsorted(kinds, kind))


def _boxes(incidents: Incidents) -> tuple[Floats, Floats]:
    """Half the sides, in 1e-7 degrees, of boxes outside which the metric of geo.wgs84 always exceeds the radius."""
    smallest_along_m = SEMI_MAJOR_M * (1 - ECCENTRICITY_SQUARED)  # the meridian's radius at the equator
    half_lat = incidents.radius_m / smallest_along_m
    # The mean latitude of the incident and a ping inside is at most half the box away from the incident's.
    farthest = np.minimum(np.abs(np.radians(incidents.lat_deg)) + half_lat / 2, np.radians(89.0))
    half_lon = incidents.radius_m / (SEMI_MAJOR_M * np.cos(farthest))
    e7_per_radian = E7_PER_DEGREE * 180 / np.pi
    return half_lon * e7_per_radian + BOX_MARGIN_E7, half_lat * e7_per_radian + BOX_MARGIN_E7


def _bits(length: Floats, smallest: int, step: int) -> Longs:
    """The least number of bits, from `smallest` in steps, whose power of two is at least the length."""
    steps = np.ceil((np.log2(np.maximum(length, 1)) - smallest) / step)
    return smallest + step * np.maximum(steps, 0).astype(np.int64)


def _with_buckets(grid: IncidentGrid, level_of: Longs) -> IncidentGrid:
    counts = np.zeros(level_of.size, dtype=np.int64)
    _count_cells(grid, level_of, counts)
    per_level = np.bincount(level_of, weights=counts, minlength=grid.cell_bits.size)
    hash_bits = np.ceil(np.log2(np.maximum(per_level * BUCKETS_PER_ENTRY, FEWEST_BUCKETS))).astype(np.int64)
    buckets = np.append(0, np.cumsum(1 << hash_bits))
    if counts.sum() > np.iinfo(np.int32).max or buckets[-1] > np.iinfo(np.int32).max:
        raise ValueError(f"{level_of.size} incidents are too many for one grid")
    grid = grid._replace(hash_bits=hash_bits, first_bucket=buckets[:-1])

    bucket = np.empty(counts.sum(), dtype=np.int64)
    _fill_buckets(grid, level_of, np.append(0, np.cumsum(counts)), bucket)
    # Not np.unique: in numpy 2.4.6 it takes 4.8 s for 2.8 million entries, where sorting takes 0.02.
    named = np.sort(bucket << 32 | np.repeat(np.arange(level_of.size), counts))
    named = named[np.append(True, named[1:] != named[:-1])[: named.size]]
    sizes = np.bincount(named >> 32, minlength=buckets[-1])
    bucket_starts = np.append(0, np.cumsum(sizes)).astype(np.int32)
    return grid._replace(bucket_starts=bucket_starts, entries=(named & 0xFFFFFFFF).astype(np.int32))


@kernel
def _count_cells(grid: IncidentGrid, level_of: Longs, counts: Longs) -> None:
    for i in range(level_of.size):
        for turn in range(-1, 2):
            west, east, south, north, first, last = _cells(grid, level_of[i], i, turn)
            counts[i] += (1 + east - west) * (1 + north - south) * (1 + last - first)


@kernel
def _fill_buckets(grid: IncidentGrid, level_of: Longs, starts: Longs, bucket: Longs) -> None:
    for i in range(level_of.size):
        level, k = level_of[i], starts[i]
        for turn in range(-1, 2):
            west, east, south, north, first, last = _cells(grid, level, i, turn)
            for x in range(west, east + 1):
                for y in range(south, north + 1):
                    for slot in range(first, last + 1):
                        bucket[k] = bucket_of(grid.first_bucket[level], grid.hash_bits[level], x, y, slot)
                        k += 1


@kernel
def _cells(grid: IncidentGrid, level: int, i: int, turn: int) -> tuple[int, int, int, int, int, int]:
    """First and last column, row and slot that an incident touches, a turn of the Earth further east; columns 0, -1
    where it does not stand there.

    Whatever lies within ASTRIDE_E7 of the antimeridian stands on both sides of it, so that a line across it needs no
    thought: its longitudes run on past 180 degrees and find there what lies beyond.
    """
    cell, slot, half_lon_e7, half_lat_e7 = (
        grid.cell_bits[level],
        grid.slot_bits[level],
        grid.half_lon_e7[i],
        grid.half_lat_e7[i],
    )
    lon_e7, lat_e7 = (
        grid.incidents.lon_deg[i] * E7_PER_DEGREE + turn * FULL_TURN_E7,
        grid.incidents.lat_deg[i] * E7_PER_DEGREE,
    )
    west, east = math.floor(lon_e7 - half_lon_e7) >> cell, math.ceil(lon_e7 + half_lon_e7) >> cell
    south, north = math.floor(lat_e7 - half_lat_e7) >> cell, math.ceil(lat_e7 + half_lat_e7) >> cell
    if abs(lon_e7) > HALF_TURN_E7 + ASTRIDE_E7:
        west, east = 0, -1
    return west, east, south, north, grid.incidents.from_us[i] >> slot, grid.incidents.to_us[i] >> slot


@kernel
def bucket_of(first_bucket: int, hash_bits: int, x: int, y: int, slot: int) -> int:
    """The bucket of a cell and slot: the top bits of a product (D. Knuth, TAOCP vol. 3, 6.4, multiplicative hashing).

    The mask makes Python's integers, which do not overflow, agree with compiled ones.
    """
    mixed = (int(x) * 0x1E3779B97F4A7C15 + int(y) * 0x42B2AE3D27D4EB4F + int(slot) * 0x165667B19E3779F9) & MASK
    return int(first_bucket + (mixed >> (HASHED_BITS - hash_bits)))
