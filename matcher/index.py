"""The grid of incidents: which incidents may a ping at this place and time concern?

Space is cut into cells of equal degrees and time into slots, both of lengths that are powers of two, so that a shift
finds them. An incident's size chooses its *level*: cells at least twice as wide as its circle and slots at least as
long as its window, so that it lies in few (cell, slot) pairs however large it is. Each level has a table of buckets;
an incident stands in the bucket of every (cell, slot) that it touches, and a ping looks into one bucket of each level.
Different cells may share a bucket: the grid names candidates, and an exact test always follows.
"""

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

# The cells of one level are a quarter as wide as the next one's and its slots an eighth as long: few levels, each a
# lookup for every ping, against few incidents in a bucket that are too far away.
SMALLEST_CELL_BITS, CELL_BITS_STEP = 14, 2  # 182 m north to south
SMALLEST_SLOT_BITS, SLOT_BITS_STEP = 30, 3  # 18 minutes
LARGEST_SLOT_BITS = 63

# With four to eight buckets for each entry most lookups of a ping far from everything end at an empty one.
BUCKETS_PER_ENTRY = 4

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
    """Build the grid. Cost: some 10 entries of 4 bytes and 40 buckets of 4 bytes an incident at most, and a sort.

    Raises ValueError if the incidents are not as `Incidents` says.
    """
    check_incidents(incidents)
    incidents = Incidents(*(np.require(column, requirements=["C", "W"]) for column in incidents))
    half_lon_e7, half_lat_e7 = _boxes(incidents)
    cell_bits = _bits(4 * half_lat_e7, SMALLEST_CELL_BITS, CELL_BITS_STEP)
    window_us = incidents.to_us.astype(np.float64) - incidents.from_us.astype(np.float64)
    slot_bits = np.minimum(_bits(window_us, SMALLEST_SLOT_BITS, SLOT_BITS_STEP), LARGEST_SLOT_BITS)
    levels, level_of = np.unique(np.stack([cell_bits, slot_bits]), axis=1, return_inverse=True)
    grid = IncidentGrid(
        incidents, half_lon_e7, half_lat_e7, *np.ascontiguousarray(levels), *_no_buckets(levels.shape[1])
    )
    return _with_buckets(grid, level_of.reshape(-1))


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


def _no_buckets(levels: int) -> tuple[Longs, Longs, Ints, Ints]:
    empty = np.zeros(levels, dtype=np.int64)
    return empty, empty.copy(), np.zeros(1, dtype=np.int32), np.empty(0, dtype=np.int32)


def _with_buckets(grid: IncidentGrid, level_of: Longs) -> IncidentGrid:
    counts = np.zeros(level_of.size, dtype=np.int64)
    _count_cells(grid, level_of, counts)
    per_level = np.bincount(level_of, weights=counts, minlength=grid.cell_bits.size)
    hash_bits = np.ceil(np.log2(np.maximum(per_level * BUCKETS_PER_ENTRY, 2))).astype(np.int64)
    buckets = np.append(0, np.cumsum(1 << hash_bits))
    if counts.sum() > np.iinfo(np.int32).max or buckets[-1] > np.iinfo(np.int32).max:
        raise ValueError(f"{level_of.size} incidents are too many for one grid")
    grid = grid._replace(hash_bits=hash_bits, first_bucket=buckets[:-1])

    bucket = np.empty(counts.sum(), dtype=np.int64)
    _fill_buckets(grid, level_of, np.append(0, np.cumsum(counts)), bucket)
    named = np.unique((bucket << 32) | np.repeat(np.arange(level_of.size), counts))
    sizes = np.bincount(named >> 32, minlength=buckets[-1])
    bucket_starts = np.append(0, np.cumsum(sizes)).astype(np.int32)
    return grid._replace(bucket_starts=bucket_starts, entries=(named & 0xFFFFFFFF).astype(np.int32))


@kernel
def _count_cells(grid: IncidentGrid, level_of: Longs, counts: Longs) -> None:
    for i in range(level_of.size):
        level = level_of[i]
        west, south, east, north = _box_e7(grid, i)
        slots = 1 + _slot(grid, level, grid.incidents.to_us[i]) - _slot(grid, level, grid.incidents.from_us[i])
        rows = 1 + (north >> grid.cell_bits[level]) - (south >> grid.cell_bits[level])
        for turn in range(-1, 2):
            first, last = lon_cells(grid.cell_bits[level], west, east, turn)
            counts[i] += max(0, 1 + last - first) * rows * slots


@kernel
def _fill_buckets(grid: IncidentGrid, level_of: Longs, starts: Longs, bucket: Longs) -> None:
    for i in range(level_of.size):
        level = level_of[i]
        bits = grid.cell_bits[level]
        west, south, east, north = _box_e7(grid, i)
        k = starts[i]
        for turn in range(-1, 2):
            first, last = lon_cells(bits, west, east, turn)
            for x in range(first, last + 1):
                for y in range(south >> bits, (north >> bits) + 1):
                    for slot in range(
                        _slot(grid, level, grid.incidents.from_us[i]), _slot(grid, level, grid.incidents.to_us[i]) + 1
                    ):
                        bucket[k] = bucket_of(grid, level, x, y, slot)
                        k += 1


@kernel
def _box_e7(grid: IncidentGrid, i: int) -> tuple[int, int, int, int]:
    lon, lat = grid.incidents.lon_deg[i] * E7_PER_DEGREE, grid.incidents.lat_deg[i] * E7_PER_DEGREE
    return (
        int(np.floor(lon - grid.half_lon_e7[i])),
        int(np.floor(lat - grid.half_lat_e7[i])),
        int(np.ceil(lon + grid.half_lon_e7[i])),
        int(np.ceil(lat + grid.half_lat_e7[i])),
    )


@kernel
def _slot(grid: IncidentGrid, level: int, time_us: int) -> int:
    return int(time_us) >> int(grid.slot_bits[level])


@kernel
def lon_cells(bits: int, west_e7: int, east_e7: int, turn: int) -> tuple[int, int]:
    """First and last cell of a stretch of longitudes that may reach past the antimeridian.

    Turns -1, 0 and 1 give the parts west of, within and east of [-180, 180] degrees as cells within; last < first
    where there is no such part.
    """
    west = max(west_e7 - turn * FULL_TURN_E7, -HALF_TURN_E7)
    east = min(east_e7 - turn * FULL_TURN_E7, HALF_TURN_E7)
    if east < west:
        return 0, -1
    return west >> bits, east >> bits


@kernel
def bucket_of(grid: IncidentGrid, level: int, x: int, y: int, slot: int) -> int:
    """The bucket of a cell and slot: the top bits of a product (D. Knuth, TAOCP vol. 3, 6.4, multiplicative hashing).

    The mask makes Python's integers, which do not overflow, agree with compiled ones.
    """
    mixed = (x * 0x1E3779B97F4A7C15 + y * 0x42B2AE3D27D4EB4F + slot * 0x165667B19E3779F9) & 0x3FFFFFFFFFFFFFFF
    return grid.first_bucket[level] + (mixed >> (62 - grid.hash_bits[level]))
