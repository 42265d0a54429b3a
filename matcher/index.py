"""The grid of incidents, which answers: what incidents may a ping at this place and time concern.

Space is cut into cells of equal degrees and time into slots, both of lengths that are powers of two, so that a shift
finds them. Thirty-two slots are a *spell*. Each (cell, spell) has a bucket, found by a hash: it holds one bit for each
slot, set where any incident touches the cell in it, and names the incidents that do. So one look tells whether anything
is near a place in any part of a spell, and most looks end there (docs/decisions/0007-the-scan.md). An incident's size
chooses its *level*, with cells and slots of a size with it, so that it lies in few (cell, spell) pairs however large it
is; incidents of towns and days are all of one level. Different cells may share a bucket: the grid names candidates, and
an exact test always follows. Near the antimeridian incidents stand on both sides, so that no lookup thinks of it.
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
Bits = npt.NDArray[np.uint32]
Box = tuple[float, float, float, float]  # middle in longitude and latitude, half its width and height; 1e-7 degrees

HALF_TURN_E7 = 180 * E7_PER_DEGREE
FULL_TURN_E7 = 360 * E7_PER_DEGREE

# A level's cells are half as high as its largest circles, and an eighth as high as the next level's; its longest window
# is four spells. Each level is a look for every run of pings, so there are few.
SMALLEST_CELL_BITS, CELL_BITS_STEP = 16, 3  # 728 m north to south
SMALLEST_SLOT_BITS, SLOT_BITS_STEP = 31, 4  # 36 minutes
SPELL_BITS = 5
SLOTS_A_SPELL = 1 << SPELL_BITS
LARGEST_SLOT_BITS = 63 - SPELL_BITS

# With sixteen buckets or more for each entry nearly all looks at a place far from everything end at an empty one. So
# large a table must fit the second-level cache to be quick; a larger one has to do with two.
BUCKETS_PER_ENTRY, FEWEST_BUCKETS_PER_ENTRY = 16, 2
CACHED_BUCKETS = 1 << 17

# In a table of few buckets every ping would meet every incident, and no test of a small scene would see a faulty grid.
FEWEST_BUCKETS = 1 << 12

HASHED_BITS = 62
MASK = (1 << HASHED_BITS) - 1

# Wider than the longest line (matcher.join.MAX_LINE_M) and the largest box are at 85 degrees, taken together.
ASTRIDE_E7 = 45 * E7_PER_DEGREE

# A line is short up to this height and width, four of the smallest cells (2.9 km north to south); by how much it may
# stray (matcher.scan.stray_e7) is less than the second.
SHORT_E7 = 4 << SMALLEST_CELL_BITS
SHORT_STRAY_E7 = 8_192

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
    busy_slots: Bits  # (all buckets,) one bit for each slot of a spell in which the bucket names anything
    beside_slots: Bits  # (all buckets,) the same, of where the middle may lie of a short line that meets an incident
    bucket_starts: Ints  # (all buckets + 1,) bucket b names entries[bucket_starts[b]:bucket_starts[b + 1]]
    entries: Ints  # (E,) rows of incidents, rising within a bucket, none twice


def incident_grid(incidents: Incidents) -> IncidentGrid:
    """Build the grid. Cost: a sort of the entries; for a million incidents in England with windows of three lengths
    7.3 entries and 286 bytes an incident, its columns included; near a pole several times that.

    Raises ValueError if the incidents are not as `Incidents` says.
    """
    check_incidents(incidents)
    incidents = Incidents._make(np.require(column, requirements=["C", "W"]) for column in incidents)
    half_lon_e7, half_lat_e7 = boxes(incidents)
    cell_bits = _bits(half_lat_e7, SMALLEST_CELL_BITS, CELL_BITS_STEP)
    window_us = incidents.to_us.astype(np.float64) - incidents.from_us.astype(np.float64)
    slot_bits = _bits(window_us / (4 * SLOTS_A_SPELL), SMALLEST_SLOT_BITS, SLOT_BITS_STEP)
    slot_bits = np.minimum(slot_bits, LARGEST_SLOT_BITS)
    kind = cell_bits << 6 | slot_bits
    kinds = np.flatnonzero(np.bincount(kind))
    no_buckets, no_slots, no_entries = (np.zeros(kinds.size, np.int64), np.zeros(0, np.uint32), np.zeros(0, np.int32))
    grid = IncidentGrid(
        incidents,
        half_lon_e7,
        half_lat_e7,
        kinds >> 6,
        kinds & 63,
        no_buckets,
        no_buckets,
        no_slots,
        no_slots,
        no_entries,
        no_entries,
    )
    return _with_buckets(grid, np.searchsorted(kinds, kind))


def boxes(incidents: Incidents) -> tuple[Floats, Floats]:
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
    wanted = np.minimum(per_level * BUCKETS_PER_ENTRY, CACHED_BUCKETS)
    wanted = np.maximum(np.maximum(wanted, per_level * FEWEST_BUCKETS_PER_ENTRY), FEWEST_BUCKETS)
    hash_bits = np.ceil(np.log2(wanted)).astype(np.int64)
    buckets = np.append(0, np.cumsum(1 << hash_bits))
    if counts.sum() > np.iinfo(np.int32).max or buckets[-1] > np.iinfo(np.int32).max:
        raise ValueError(f"{level_of.size} incidents are too many for one grid")
    busy_slots, beside_slots = (np.zeros(buckets[-1], dtype=np.uint32) for _ in range(2))
    grid = grid._replace(
        hash_bits=hash_bits, first_bucket=buckets[:-1], busy_slots=busy_slots, beside_slots=beside_slots
    )

    bucket = np.empty(counts.sum(), dtype=np.int64)
    _fill_buckets(grid, level_of, np.append(0, np.cumsum(counts)), bucket)
    # Not np.unique: in numpy 2.4.6 it takes 4.8 s for 2.8 million entries, where sorting takes 0.02.
    named = np.sort(bucket << 32 | np.repeat(np.arange(level_of.size), counts))
    named = named[np.append(True, named[1:] != named[:-1])[: named.size]]
    bucket_starts = np.empty(buckets[-1] + 1, dtype=np.int32)
    _fill_starts(named >> 32, bucket_starts)
    return grid._replace(bucket_starts=bucket_starts, entries=(named & 0xFFFFFFFF).astype(np.int32))


@kernel
def _count_cells(grid: IncidentGrid, level_of: Longs, counts: Longs) -> None:
    lon_deg, lat_deg, half_lon_e7, half_lat_e7 = (
        grid.incidents.lon_deg,
        grid.incidents.lat_deg,
        grid.half_lon_e7,
        grid.half_lat_e7,
    )
    from_us, to_us, cell_bits, slot_bits = grid.incidents.from_us, grid.incidents.to_us, grid.cell_bits, grid.slot_bits
    for i in range(level_of.size):
        spell = slot_bits[level_of[i]] + SPELL_BITS
        spells = 1 + (to_us[i] >> spell) - (from_us[i] >> spell)
        for turn in range(-1, 2):
            box = (lon_deg[i] * E7_PER_DEGREE, lat_deg[i] * E7_PER_DEGREE, half_lon_e7[i], half_lat_e7[i])
            west, east, south, north = _cells(box, turn, cell_bits[level_of[i]])
            counts[i] += (1 + east - west) * (1 + north - south) * spells


@kernel
def _fill_buckets(grid: IncidentGrid, level_of: Longs, starts: Longs, bucket: Longs) -> None:
    lon_deg, lat_deg, half_lon_e7, half_lat_e7 = (
        grid.incidents.lon_deg,
        grid.incidents.lat_deg,
        grid.half_lon_e7,
        grid.half_lat_e7,
    )
    from_us, to_us, cell_bits, slot_bits = grid.incidents.from_us, grid.incidents.to_us, grid.cell_bits, grid.slot_bits
    first_bucket, hash_bits = grid.first_bucket, grid.hash_bits
    busy_slots, beside_slots = grid.busy_slots, grid.beside_slots
    for i in range(level_of.size):
        level, k = level_of[i], starts[i]
        cell, slot = cell_bits[level], slot_bits[level]
        reach_e7, reach_us = middle_reach_e7(cell), middle_reach_us(slot)
        lon_e7, lat_e7 = lon_deg[i] * E7_PER_DEGREE, lat_deg[i] * E7_PER_DEGREE
        for turn in range(-1, 2):
            west, east, south, north = _cells((lon_e7, lat_e7, half_lon_e7[i], half_lat_e7[i]), turn, cell)
            first, last = from_us[i] >> slot, to_us[i] >> slot
            for spell in range(first >> SPELL_BITS, (last >> SPELL_BITS) + 1):
                slots = np.uint32(slots_of_spell(first, last, spell))
                for x in range(west, east + 1):
                    for y in range(south, north + 1):
                        bucket[k] = bucket_of(first_bucket[level], hash_bits[level], x, y, spell)
                        busy_slots[bucket[k]] |= slots
                        k += 1
            box = (lon_e7, lat_e7, half_lon_e7[i] + reach_e7, half_lat_e7[i] + reach_e7)
            west, east, south, north = _cells(box, turn, cell)
            first, last = (from_us[i] - reach_us) >> slot, (to_us[i] + reach_us) >> slot
            for spell in range(first >> SPELL_BITS, (last >> SPELL_BITS) + 1):
                slots = np.uint32(slots_of_spell(first, last, spell))
                for x in range(west, east + 1):
                    for y in range(south, north + 1):
                        beside_slots[bucket_of(first_bucket[level], hash_bits[level], x, y, spell)] |= slots


@kernel
def _fill_starts(bucket: Longs, bucket_starts: Ints) -> None:
    """Say at which entry each bucket begins, given the bucket of each entry, rising."""
    entry = 0
    for b in range(bucket_starts.size):
        while entry < bucket.size and bucket[entry] < b:
            entry += 1
        bucket_starts[b] = entry


@kernel
def _cells(box: Box, turn: int, cell: int) -> tuple[int, int, int, int]:
    """First and last column and row of a box a turn of the Earth further east; columns 0, -1 if it stands not there.

    Whatever lies within ASTRIDE_E7 of the antimeridian stands on both sides of it, so that a line across it needs no
    thought: its longitudes run on past 180 degrees and find there what lies beyond.
    """
    lon_e7, lat_e7, half_lon_e7, half_lat_e7 = box
    lon_e7 += turn * FULL_TURN_E7
    south, north = math.floor(lat_e7 - half_lat_e7) >> cell, math.ceil(lat_e7 + half_lat_e7) >> cell
    if abs(lon_e7) > HALF_TURN_E7 + ASTRIDE_E7:
        return 0, -1, south, north
    return math.floor(lon_e7 - half_lon_e7) >> cell, math.ceil(lon_e7 + half_lon_e7) >> cell, south, north


@kernel
def middle_reach_e7(cell: int) -> int:
    """How far, in longitude or latitude, a short line of a level reaches from its middle, its bend included."""
    return (1 << (cell - 1)) + SHORT_STRAY_E7


@kernel
def middle_reach_us(slot: int) -> int:
    """How long a short line of a level lasts from its middle."""
    return 1 << (slot - 2)


@kernel
def slots_of_spell(first: int, last: int, spell: int) -> int:
    """The bits of those slots from first to last that lie in a spell, which holds at least one of them."""
    start = spell << SPELL_BITS
    low, high = max(first - start, 0), min(last - start, SLOTS_A_SPELL - 1)
    return ((2 << (high - low)) - 1) << low


@kernel
def bucket_of(first_bucket: int, hash_bits: int, x: int, y: int, spell: int) -> int:
    """The bucket of a cell and spell: the top bits of a product (D. Knuth, TAOCP vol. 3, 6.4, multiplicative hashing).

    The mask makes Python's integers, which do not overflow, agree with compiled ones.
    """
    mixed = (int(x) * 0x1E3779B97F4A7C15 + int(y) * 0x42B2AE3D27D4EB4F + int(spell) * 0x165667B19E3779F9) & MASK
    return int(first_bucket + (mixed >> (HASHED_BITS - hash_bits)))
