"""The grid of incidents, which answers: what incidents may a run of pings concern.

Space is cut into cells of equal degrees, eight by four of which make a *block*, and time into slots; the lengths are
powers of two, so that a shift finds them. Each (block, slot) has a bucket, found by a hash: it holds one bit for each
cell of the block, set where an incident touches it, and names the incidents that do. An incident's size chooses its
*kind*, with cells and slots of a size with it; incidents of towns and days are all of one kind. Each kind has two
*levels*: one for runs of pings that lie close together, and one of larger cells for those of a tag on the move. So a
run takes a few looks, and most end at a bucket without a bit in common (docs/decisions/0007-the-scan.md).

The grid names candidates, and an exact test always follows. Near the antimeridian incidents stand on both sides, so
that no lookup thinks of it.
"""

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo.jit import kernel
from geo.plane import FULL_TURN_E7, HALF_TURN_E7, Plane, plane_at
from geo.wgs84 import ECCENTRICITY_SQUARED, RADIANS_PER_DEGREE, SEMI_MAJOR_M
from matcher.incidents import Incidents, check_incidents
from matcher.trails import E7_PER_DEGREE

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]
Records = npt.NDArray[np.void]
Box = tuple[int, int, int, int, int, int]  # west, east, south, north in 1e-7 degrees; first and last moment

# A kind's cells are at least half as high as its largest circles, and an eighth as high as the next kind's; its longest
# window is 32 slots. Each kind is a look for every run of pings, so there are few.
SMALLEST_CELL_BITS, CELL_BITS_STEP = 16, 3  # 728 m north to south
SMALLEST_SLOT_BITS, SLOT_BITS_STEP = 33, 4  # 2.4 hours
SLOTS_A_WINDOW = 32
COLUMN_BITS, ROW_BITS = 3, 2  # of a block
LAST_COLUMN, LAST_ROW = (1 << COLUMN_BITS) - 1, (1 << ROW_BITS) - 1

# The cells of a kind's second level are so many times as wide and high.
COARSER_BITS = 3

BUCKETS_PER_KEY = 2

# In a table of few buckets every ping would meet every incident, and no test of a small scene would see a faulty grid.
FEWEST_BUCKETS = 1 << 12

HASHED_BITS = 62
MASK = (1 << HASHED_BITS) - 1

# Wider than the longest line (matcher.join.MAX_LINE_M) and the largest box are at 85 degrees, taken together.
ASTRIDE_E7 = 45 * E7_PER_DEGREE

# A circle's box is widened by this much against rounding: 2e-7 degrees, 2 cm.
BOX_MARGIN_E7 = 2
_SMALLEST_ALONG_M: Final = SEMI_MAJOR_M * (1 - ECCENTRICITY_SQUARED)  # the meridian's radius at the equator
_FARTHEST_RAD: Final = 89 * RADIANS_PER_DEGREE

# What is beyond this on the other side of the antimeridian no line reaches.
FARTHEST_E7 = 2**31 - 1

# A circle in its window and the plane about it, in two lines of the cache.
CIRCLE = np.dtype(
    [
        ("west_e7", "i4"),  # a box that surely holds the circle
        ("east_e7", "i4"),
        ("south_e7", "i4"),
        ("north_e7", "i4"),
        ("from_us", "i8"),
        ("to_us", "i8"),
        ("radius_m", "f8"),
        ("incident", "i4"),
        ("half_lon_e7", "i4"),
        *((name, "f8") for name in Plane._fields),
    ]
)
# What of a circle lies in a block and a slot, in 256ths of these (rows of cells in 128ths), so that most circles that a
# bucket names need no look at themselves.
ENTRY = np.dtype(
    [
        ("circle", "i4"),
        ("west", "u1"),
        ("east", "u1"),
        ("south", "u1"),
        ("north", "u1"),
        ("start", "u1"),
        ("end", "u1"),
        ("begins", "u2"),  # bits: 1 if the circle has no block further west, 2 further south, 4 if no slot before
        ("key", "u4"),  # of block and slot: two of one circle may share a bucket
    ]
)
PART_BITS = 8  # of a block's width and of a slot
LAST_PART = (1 << PART_BITS) - 1
BUCKET = np.dtype([("cells", "u4"), ("first", "i4")])  # bits of the cells that are touched; its first entry
LEVEL = np.dtype([("cell_bits", "i8"), ("slot_bits", "i8"), ("hash_bits", "i8"), ("first_bucket", "i8")])


class Tables(NamedTuple):
    """C circles and the buckets that name them, in L levels: of each kind a fine and a coarse one."""

    circles: Records  # (C,) CIRCLE: first the incidents, then those near the antimeridian once more, a turn further on
    levels: Records  # (L,) LEVEL
    buckets: Records  # (all buckets + 1,) BUCKET: b names entries[first of b:first of b + 1]
    entries: Records  # (E,) ENTRY


class IncidentGrid(NamedTuple):
    """I incidents with their boxes, ready to be looked up."""

    incidents: Incidents
    half_lon_e7: Floats  # (I,) half the sides of a box that surely holds the circle
    half_lat_e7: Floats  # (I,)
    tables: Tables


def incident_grid(incidents: Incidents) -> IncidentGrid:
    """Build the grid.

    Raises ValueError if the incidents are not as `Incidents` says.
    """
    check_incidents(incidents)
    half_lon_e7, half_lat_e7 = boxes(incidents)
    cell_bits = _bits(half_lat_e7, SMALLEST_CELL_BITS, CELL_BITS_STEP)
    window_us = incidents.to_us.astype(np.float64) - incidents.from_us.astype(np.float64)
    slot_bits = _bits(window_us / SLOTS_A_WINDOW, SMALLEST_SLOT_BITS, SLOT_BITS_STEP)
    kind = cell_bits << 6 | slot_bits
    kinds = np.flatnonzero(np.bincount(kind))
    circles = _circles(incidents, half_lon_e7, half_lat_e7)
    kind_of = np.searchsorted(kinds, kind)[circles["incident"]]
    return IncidentGrid(incidents, half_lon_e7, half_lat_e7, _tables(circles, kind_of, kinds))


@kernel
def boxes(incidents: Incidents) -> tuple[Floats, Floats]:
    """Half the sides, in 1e-7 degrees, of boxes outside which the metric of geo.wgs84 always exceeds the radius."""
    half_lon_e7, half_lat_e7 = np.empty(incidents.lat_deg.size), np.empty(incidents.lat_deg.size)
    for i in range(half_lon_e7.size):
        half_lon_e7[i], half_lat_e7[i] = half_sides_e7(incidents.lat_deg[i], incidents.radius_m[i])
    return half_lon_e7, half_lat_e7


@kernel
def half_sides_e7(lat_deg: float, radius_m: float) -> tuple[float, float]:
    """The same of one circle."""
    half_lat_rad = radius_m / _SMALLEST_ALONG_M
    # The mean latitude of the incident and a ping inside is at most half the box away from the incident's.
    farthest_rad = min(abs(lat_deg) * RADIANS_PER_DEGREE + half_lat_rad / 2, _FARTHEST_RAD)
    half_lon_rad = radius_m / (SEMI_MAJOR_M * math.cos(farthest_rad))
    e7_per_radian = E7_PER_DEGREE / RADIANS_PER_DEGREE
    return half_lon_rad * e7_per_radian + BOX_MARGIN_E7, half_lat_rad * e7_per_radian + BOX_MARGIN_E7


def _bits(length: Floats, smallest: int, step: int) -> Longs:
    """The least number of bits, from `smallest` in steps, whose power of two is at least the length."""
    steps = np.ceil((np.log2(np.maximum(length, 1)) - smallest) / step)
    return smallest + step * np.maximum(steps, 0).astype(np.int64)


def _circles(incidents: Incidents, half_lon_e7: Floats, half_lat_e7: Floats) -> Records:
    lon_e7, lat_e7 = incidents.lon_deg * E7_PER_DEGREE, incidents.lat_deg * E7_PER_DEGREE
    beyond = np.flatnonzero(np.abs(lon_e7) > HALF_TURN_E7 - ASTRIDE_E7)
    row = np.concatenate([np.arange(lon_e7.size), beyond])
    turned_e7 = lon_e7[row]
    turned_e7[lon_e7.size :] -= np.sign(lon_e7[beyond]) * FULL_TURN_E7
    circles = np.empty(row.size, CIRCLE)
    circles["west_e7"] = np.clip(np.floor(turned_e7 - half_lon_e7[row]), -FARTHEST_E7, FARTHEST_E7)
    circles["east_e7"] = np.clip(np.ceil(turned_e7 + half_lon_e7[row]), -FARTHEST_E7, FARTHEST_E7)
    circles["south_e7"], circles["north_e7"] = np.floor(lat_e7 - half_lat_e7)[row], np.ceil(lat_e7 + half_lat_e7)[row]
    for name in ("radius_m", "from_us", "to_us"):
        circles[name] = getattr(incidents, name)[row]
    circles["incident"] = row
    _put_planes(incidents, circles)
    circles["half_lon_e7"] = np.ceil(half_lon_e7[row])
    return circles


@kernel
def _put_planes(incidents: Incidents, circles: Records) -> None:
    for row in range(circles.size):
        incident = circles[row]["incident"]
        put_plane(circles[row], plane_at(incidents.lon_deg[incident], incidents.lat_deg[incident]))


@kernel
def put_plane(circle: np.void, plane: Plane) -> None:
    """Keep the plane about a circle with it."""
    circle["lon_e7"], circle["lat_e7"] = plane.lon_e7, plane.lat_e7
    circle["east0_m"], circle["east1_m"], circle["east2_m"] = plane.east0_m, plane.east1_m, plane.east2_m
    circle["north0_m"], circle["north1_m"], circle["north2_m"] = plane.north0_m, plane.north1_m, plane.north2_m
    circle["turn0_rad"], circle["turn1_rad"] = plane.turn0_rad, plane.turn1_rad


def _tables(circles: Records, kind_of: Longs, kinds: Longs) -> Tables:
    levels = np.zeros(2 * kinds.size, LEVEL)
    levels["cell_bits"] = np.repeat(kinds >> 6, 2)
    levels["cell_bits"][1::2] += COARSER_BITS
    levels["slot_bits"] = np.repeat(kinds & 63, 2)
    keys = np.zeros(levels.size, np.int64)
    _count_keys(circles, kind_of, levels, keys)
    levels["hash_bits"] = np.ceil(np.log2(np.maximum(keys * BUCKETS_PER_KEY, FEWEST_BUCKETS)))
    last = np.cumsum(1 << levels["hash_bits"])
    levels["first_bucket"] = last - (1 << levels["hash_bits"])
    total = int(last[-1]) if last.size else 0
    if max(keys.sum(), total) > np.iinfo(np.int32).max:
        raise ValueError(f"{circles.size} incidents are too many for one grid")
    buckets = np.zeros(total + 1, BUCKET)
    _count_entries(circles, kind_of, levels, buckets)
    buckets["first"] = np.cumsum(buckets["first"], dtype=np.int32)
    entries = np.empty(buckets["first"][-1], ENTRY)
    _fill_entries(circles, kind_of, levels, buckets, entries)
    return Tables(circles, levels, buckets, entries)


@kernel
def _count_keys(circles: Records, kind_of: Longs, levels: Records, keys: Longs) -> None:
    for row in range(circles.size):
        for level in range(2 * kind_of[row], 2 * kind_of[row] + 2):
            x0, x1, y0, y1, slot0, slot1 = _keys(circles[row], levels[level])
            keys[level] += (1 + x1 - x0) * (1 + y1 - y0) * (1 + slot1 - slot0)


@kernel
def _keys(circle: np.void, level: np.void) -> tuple[int, int, int, int, int, int]:
    """First and last column and row of blocks, and first and last slot, that a circle touches."""
    cell, slot = int(level["cell_bits"]), int(level["slot_bits"])
    return (
        int(circle["west_e7"]) >> cell + COLUMN_BITS,
        int(circle["east_e7"]) >> cell + COLUMN_BITS,
        int(circle["south_e7"]) >> cell + ROW_BITS,
        int(circle["north_e7"]) >> cell + ROW_BITS,
        int(circle["from_us"]) >> slot,
        int(circle["to_us"]) >> slot,
    )


@kernel
def _count_entries(circles: Records, kind_of: Longs, levels: Records, buckets: Records) -> None:
    """Set the bits of all buckets, and say in `first` of each how many entries it will have."""
    for row in range(circles.size):
        for k in range(2 * kind_of[row], 2 * kind_of[row] + 2):
            level = levels[k]
            box, (x0, x1, y0, y1, slot0, slot1) = box_of(circles[row]), _keys(circles[row], level)
            for x in range(x0, x1 + 1):
                for y in range(y0, y1 + 1):
                    cells = cells_of_block(box, int(level["cell_bits"]), x, y)
                    for slot in range(slot0, slot1 + 1):
                        bucket = bucket_of(int(level["first_bucket"]), int(level["hash_bits"]), x, y, slot)
                        buckets[bucket]["cells"] |= np.uint32(cells)
                        buckets[bucket]["first"] += 1


@kernel
def _fill_entries(circles: Records, kind_of: Longs, levels: Records, buckets: Records, entries: Records) -> None:
    """Name the circles of each bucket, from its last entry, which `first` says, down to its first."""
    for row in range(circles.size - 1, -1, -1):
        for k in range(2 * kind_of[row], 2 * kind_of[row] + 2):
            level = levels[k]
            box, (x0, x1, y0, y1, slot0, slot1) = box_of(circles[row]), _keys(circles[row], level)
            for x in range(x0, x1 + 1):
                for y in range(y0, y1 + 1):
                    for slot in range(slot0, slot1 + 1):
                        bucket = bucket_of(int(level["first_bucket"]), int(level["hash_bits"]), x, y, slot)
                        buckets[bucket]["first"] -= 1
                        entry = entries[buckets[bucket]["first"]]
                        entry["circle"] = row
                        part = part_of_block(box, int(level["cell_bits"]), int(level["slot_bits"]), x, y, slot)
                        entry["west"], entry["east"], entry["south"], entry["north"] = part[:4]
                        entry["start"], entry["end"] = part[4:]
                        entry["key"] = key_of(x, y, slot)
                        entry["begins"] = (x == x0) | (y == y0) << 1 | (slot == slot0) << 2


@kernel
def box_of(circle: np.void) -> Box:
    """The box and window of a circle."""
    return (
        int(circle["west_e7"]),
        int(circle["east_e7"]),
        int(circle["south_e7"]),
        int(circle["north_e7"]),
        int(circle["from_us"]),
        int(circle["to_us"]),
    )


@kernel
def part_of_block(box: Box, cell: int, slot_bits: int, x: int, y: int, slot: int) -> Box:
    """What of a box lies in a block and slot, in the units of ENTRY; it meets both."""
    side, time = cell + COLUMN_BITS - PART_BITS, slot_bits - PART_BITS
    west, south, start = x << PART_BITS, y << PART_BITS + ROW_BITS - COLUMN_BITS, slot << PART_BITS
    last_row = (1 << PART_BITS + ROW_BITS - COLUMN_BITS) - 1
    return (
        max((box[0] >> side) - west, 0),
        min((box[1] >> side) - west, LAST_PART),
        max((box[2] >> side) - south, 0),
        min((box[3] >> side) - south, last_row),
        max((box[4] >> time) - start, 0),
        min((box[5] >> time) - start, LAST_PART),
    )


@kernel
def cells_of_block(box: Box, cell: int, x: int, y: int) -> int:
    """The bits of those cells that a box touches of a block that it touches."""
    west, south = x << COLUMN_BITS, y << ROW_BITS
    column, row = max((box[0] >> cell) - west, 0), max((box[2] >> cell) - south, 0)
    columns = min((box[1] >> cell) - west, LAST_COLUMN) - column
    rows = min((box[3] >> cell) - south, LAST_ROW) - row
    return ((2 << columns) - 1 << column) * (0x01010101 & ((256 << 8 * rows) - 1)) << 8 * row


@kernel
def key_of(x: int, y: int, slot: int) -> int:
    """What tells a block and slot from all others that a circle may touch."""
    return (int(x) & 0xFF) << 24 | (int(y) & 0xFF) << 16 | int(slot) & 0xFFFF


@kernel
def bucket_of(first_bucket: int, hash_bits: int, x: int, y: int, slot: int) -> int:
    """The bucket of a block and slot: the top bits of a product (D. Knuth, TAOCP vol. 3, 6.4, multiplicative hashing).

    The mask makes Python's integers, which do not overflow, agree with compiled ones.
    """
    mixed = (int(x) * 0x1E3779B97F4A7C15 + int(y) * 0x42B2AE3D27D4EB4F + int(slot) * 0x165667B19E3779F9) & MASK
    return int(first_bucket + (mixed >> (HASHED_BITS - hash_bits)))
