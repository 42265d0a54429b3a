"""The index of trails by cell and time, which answers: which pings and lines may this incident concern.

Space is cut into cells of equal degrees and time into slots, both of lengths that are powers of two. Entries of 16
bytes stand in the order of their buckets. The bucket of a cell and slot is a hash of the cell plus the slot's number:
the slots of a cell follow one another, so that a window of any length is one stretch of the entries. Different cells
may share buckets; what is found there is compared with place and time, which stand in the entry.

Every ping has an entry. A line between two pings that is short is found by the ping that it ends at, a little further
from the incident. A longer one is covered with squares, and has an entry for the middle of each
(docs/decisions/0010-the-index-of-trails.md).
"""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from geo.jit import kernel
from geo.plane import HALF_TURN_E7, shorter_way_e7
from geo.wgs84 import RADIANS_PER_DEGREE
from matcher.between import Between, line_rule
from matcher.lines import LineRule, is_too_fast
from matcher.trails import E7_PER_DEGREE, MAX_TIME_US, Trails, check_shapes, refuse_trails

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

CELL_BITS = 16  # 728 m north to south
SLOT_BITS = 31  # 36 minutes

# How far from the place of its entry a ping's line, or a part of a longer one, may be: a line that stays this near to
# the ping that it ends at, all that it may bend included, has no other entry, and the squares are twice as wide. In
# longitude it is as many metres.
REACH_E7 = 1 << 13  # 91 m

# Lines that begin and end nearer to a pole than this are far from every incident.
MAX_LINE_LAT_DEG = 87.0

# Two to four pings a bucket: 1 to 2 bytes a ping. Fewer buckets than the second would let every lookup of a small scene
# find every ping by chance, and no test would see a faulty index.
PINGS_A_BUCKET = 2
FEWEST_BUCKET_BITS = 12

# A tick is the shortest power of two of microseconds of which the trails last fewer than 2**31.
TICKS_BITS = 31

# The device is known of every so manieth ping, and counted on from there.
BLOCK_BITS = 8

HASHED_BITS = 62
MASK = (1 << HASHED_BITS) - 1

MAX_LON_E7 = HALF_TURN_E7
MAX_LAT_E7 = HALF_TURN_E7 // 2


class TrailIndex(NamedTuple):
    """Trails with E entries for their pings and lines in the order of 2**b buckets of cells and slots."""

    trails: Trails
    rule: LineRule  # of the lines that have entries; no gap: none has
    first_us: int  # the first and
    last_us: int  # the last ping of all; the first after the last if there is none
    tick_bits: int  # a tick is 2**tick_bits us
    device_of_block: Ints  # (N / 2**BLOCK_BITS,) device of the first ping of each block
    starts: Ints  # (2**b + 1,) bucket k holds entries[starts[k]:starts[k + 1]]
    entries: Ints  # (E, 4) longitude and latitude in 1e-7 degrees, tick, ping; a line is known by the ping it ends at


def trail_index(trails: Trails, between: Between | None = None, threads: int = 1) -> TrailIndex:
    """Build the index; with `between`, lines that it allows, and stricter ones, can be asked for too.

    The same whatever the number of threads. It refers to the trails and does not copy them. Memory: 17 to 18 bytes a
    ping, and 16 for each square of a line that moves on; while it is built 1 to 2 bytes a ping more for each thread.
    Cost: two passes over the pings (docs/decisions/0010-the-index-of-trails.md).

    Raises ValueError if the trails are not as `Trails` says, or need more than 2**31 entries.
    """
    check_shapes(trails)
    rule = line_rule(between)
    if threads < 1:
        raise ValueError(f"the index needs at least one thread, not {threads}")
    trails = Trails._make(np.require(column, requirements=["C", "W"]) for column in trails)
    times, starts = trails.fixed_at_us, trails.starts
    first_us, last_us = (int(times.min()), int(times.max())) if times.size else (0, -1)
    tick_bits = max(0, (last_us - first_us).bit_length() - TICKS_BITS + 1)
    blocks = np.arange(0, times.size, 1 << BLOCK_BITS)
    index = TrailIndex(
        trails,
        rule,
        first_us,
        last_us,
        tick_bits,
        (np.searchsorted(starts, blocks, side="right") - 1).astype(np.int32),
        np.empty(_buckets(times.size) + 1, dtype=np.int32),
        np.empty((0, 4), dtype=np.int32),
    )
    return _with_entries(index, threads)


def _buckets(pings: int) -> int:
    return 1 << max(FEWEST_BUCKET_BITS, max(pings // PINGS_A_BUCKET, 1).bit_length() - 1)


def _with_entries(index: TrailIndex, threads: int) -> TrailIndex:
    """Count by bucket, then put in place; each thread has its part of the pings and its own counts."""
    trails = index.trails
    edges = np.linspace(0, trails.fixed_at_us.size, threads + 1).astype(np.int64)
    counts = np.zeros((threads, index.starts.size - 1), dtype=np.int32)

    def count(part: int) -> int:
        faults = _count_pings(trails, edges[part], edges[part + 1], counts[part])
        _put_lines(index, edges[part], edges[part + 1], counts[part], index.entries)
        return faults

    def put(part: int) -> None:
        _put_pings(index, edges[part], edges[part + 1], counts[part], entries)
        _put_lines(index, edges[part], edges[part + 1], counts[part], entries)

    with ThreadPoolExecutor(threads) as pool:
        if sum(pool.map(count, range(threads))) != _first_pings_that_are_earlier(trails):
            refuse_trails(trails)
        size = int(counts.sum(dtype=np.int64))
        if size > np.iinfo(np.int32).max:
            raise ValueError(f"{size} pings and squares of lines are too many for one index: divide the devices")
        _counts_to_places(counts, index.starts)
        entries = np.empty((size, 4), dtype=np.int32)
        list(pool.map(put, range(threads)))
    return index._replace(entries=entries)


def _first_pings_that_are_earlier(trails: Trails) -> int:
    """How many pings are earlier than the one before them because that is another device's."""
    first = np.unique(trails.starts[(trails.starts > 0) & (trails.starts < trails.fixed_at_us.size)])
    return int(np.count_nonzero(trails.fixed_at_us[first] < trails.fixed_at_us[first - 1]))


@kernel
def bucket_of_cell(x: int, y: int, bits: int) -> int:
    """The bucket of a cell's slot 0: the top bits of a product (D. Knuth, TAOCP vol. 3, 6.4, multiplicative hashing).

    The mask makes Python's integers, which do not overflow, agree with compiled ones.
    """
    return int(((int(x) * 0x1E3779B97F4A7C15 + int(y) * 0x42B2AE3D27D4EB4F) & MASK) >> (HASHED_BITS - bits))


@kernel
def bits_of(buckets: int) -> int:
    """The b of 2**b."""
    bits = 0
    while 1 << bits < buckets:
        bits += 1
    return bits


@kernel
def _count_pings(trails: Trails, first: int, end: int, counts: Ints) -> int:
    """Count the pings of [first, end) by bucket.

    Returns how many are earlier than the one before, whosever that is; less than nothing if one is out of range.
    """
    times, lons, lats = trails.fixed_at_us, trails.lon_e7, trails.lat_e7
    bits, mask = bits_of(counts.size), counts.size - 1
    steps_back, outside = 0, False
    for ping in range(first, end):
        lon_e7, lat_e7, time_us = lons[ping], lats[ping], times[ping]
        bucket = (bucket_of_cell(lon_e7 >> CELL_BITS, lat_e7 >> CELL_BITS, bits) + (time_us >> SLOT_BITS)) & mask
        counts[bucket] += 1
        steps_back += time_us < times[max(ping - 1, 0)]
        outside |= abs(int(lon_e7)) > MAX_LON_E7 or abs(int(lat_e7)) > MAX_LAT_E7 or abs(time_us) > MAX_TIME_US
    return -times.size - 1 if outside else steps_back


@kernel
def _counts_to_places(counts: Ints, starts: Ints) -> None:
    """Turn each part's count of a bucket into the place of its first entry there; say where the buckets start."""
    at = 0
    for bucket in range(counts.shape[1]):
        starts[bucket] = at
        for part in range(counts.shape[0]):
            count = counts[part, bucket]
            counts[part, bucket] = at
            at += count
    starts[counts.shape[1]] = at


@kernel
def _put_pings(index: TrailIndex, first: int, end: int, places: Ints, entries: Ints) -> None:
    """Put the pings of [first, end) in their places."""
    times, lons, lats = index.trails.fixed_at_us, index.trails.lon_e7, index.trails.lat_e7
    tick_bits, first_tick = index.tick_bits, index.first_us >> index.tick_bits
    bits, mask = bits_of(places.size), places.size - 1
    for ping in range(first, end):
        lon_e7, lat_e7, time_us = lons[ping], lats[ping], times[ping]
        bucket = (bucket_of_cell(lon_e7 >> CELL_BITS, lat_e7 >> CELL_BITS, bits) + (time_us >> SLOT_BITS)) & mask
        at = places[bucket]
        places[bucket] = at + 1
        entries[at, 0] = lon_e7
        entries[at, 1] = lat_e7
        entries[at, 2] = (time_us >> tick_bits) - first_tick
        entries[at, 3] = ping


@kernel
def _put_lines(index: TrailIndex, first: int, end: int, places: Ints, entries: Ints) -> None:
    """Put the squares of the lines that end at the pings of [first, end) in their places; without entries, count them.

    A line that is too fast has none. One that is short needs none.
    """
    starts, times, lons, lats = (
        index.trails.starts,
        index.trails.fixed_at_us,
        index.trails.lon_e7,
        index.trails.lat_e7,
    )
    max_gap_us, max_speed_mps, tick_bits = index.rule.max_gap_us, index.rule.max_speed_mps, index.tick_bits
    bits, mask, first_tick, device = bits_of(places.size), places.size - 1, index.first_us >> tick_bits, 0
    for ping in range(first if max_gap_us else end, end):
        while starts[device + 1] <= ping:
            device += 1
        if ping == starts[device] or not 0 < times[ping] - times[ping - 1] <= max_gap_us:
            continue
        lon_e7, lat_e7 = float(lons[ping - 1]), float(lats[ping - 1])
        east_e7, north_e7 = shorter_way_e7(lons[ping] - lon_e7), lats[ping] - lat_e7
        low_deg, high_deg = _least_and_greatest(lats[ping - 1], lats[ping])
        reach_lon_e7 = REACH_E7 / math.cos(low_deg * RADIANS_PER_DEGREE)
        bend_lon_e7, bend_lat_e7 = _bend_e7(east_e7, north_e7, low_deg, high_deg)
        if abs(east_e7) + bend_lon_e7 <= reach_lon_e7 and abs(north_e7) + bend_lat_e7 <= REACH_E7:
            continue
        if low_deg > MAX_LINE_LAT_DEG:
            continue
        if is_too_fast(lon_e7, lat_e7, lons[ping], lats[ping], times[ping] - times[ping - 1], max_speed_mps):
            continue
        # Cut into pieces of which each fits into a square, or into several side by side if the line may bend far.
        pieces = max(_pieces(east_e7, bend_lon_e7, reach_lon_e7), _pieces(north_e7, bend_lat_e7, REACH_E7))
        across_e7, along_e7 = east_e7 / pieces, north_e7 / pieces
        columns, rows = _squares(across_e7, bend_lon_e7, reach_lon_e7), _squares(along_e7, bend_lat_e7, REACH_E7)
        slot, tick = times[ping] >> SLOT_BITS, (times[ping] >> tick_bits) - first_tick
        for square in range(pieces * columns * rows):
            piece, column, row = square // (columns * rows), square // rows % columns, square % rows
            x = lon_e7 + across_e7 * (piece + 0.5) + reach_lon_e7 * (2 * column + 1 - columns)
            y = lat_e7 + along_e7 * (piece + 0.5) + REACH_E7 * (2 * row + 1 - rows)
            x_e7, y_e7 = math.floor(shorter_way_e7(x)), math.floor(y)
            bucket = (bucket_of_cell(x_e7 >> CELL_BITS, y_e7 >> CELL_BITS, bits) + slot) & mask
            at = places[bucket]
            places[bucket] = at + 1
            if entries.size:
                entries[at, 0] = x_e7
                entries[at, 1] = y_e7
                entries[at, 2] = tick
                entries[at, 3] = ping


@kernel
def _least_and_greatest(lat0_e7: int, lat1_e7: int) -> tuple[float, float]:
    """How far from the equator, in degrees, a line comes at least and at most; at most MAX_LINE_LAT_DEG + 2."""
    one, other = abs(int(lat0_e7)) / E7_PER_DEGREE, abs(int(lat1_e7)) / E7_PER_DEGREE
    least = 0.0 if (lat0_e7 < 0) != (lat1_e7 < 0) else min(one, other)
    return least, min(max(one, other), MAX_LINE_LAT_DEG + 2)


@kernel
def _bend_e7(east_e7: float, north_e7: float, low_deg: float, high_deg: float) -> tuple[float, float]:
    """How far a line that is straight in an incident's plane may be beside one straight in longitude and latitude.

    Twice what a geodesic is, e n tan(lat) / 4 in longitude and e^2 sin(lat) cos(lat) / 8 in latitude (the second
    derivatives of the geodesic's equations), and what a plane about a place 100 km beside the line adds to that.
    """
    tangent, cosine = math.tan(high_deg * RADIANS_PER_DEGREE), math.cos(low_deg * RADIANS_PER_DEGREE)
    sine = math.sin(high_deg * RADIANS_PER_DEGREE)
    beside = 1 + 1e-10 * (north_e7 * north_e7 + east_e7 * east_e7 * cosine * cosine)
    unit = RADIANS_PER_DEGREE / E7_PER_DEGREE
    across_e7 = 2 * unit * abs(east_e7 * north_e7) * tangent / 4
    along_e7 = 2 * unit * east_e7 * east_e7 * sine * cosine / 8
    return across_e7 + beside * (1 + tangent), along_e7 + beside


@kernel
def _pieces(length_e7: float, bend_e7: float, reach_e7: float) -> int:
    """Into how many pieces a line is cut so that each fits into a square, or into two if it bends much."""
    return math.ceil(abs(length_e7) / (2 * reach_e7 - 2 * min(bend_e7 + 1, reach_e7 / 2)))


@kernel
def _squares(length_e7: float, bend_e7: float, reach_e7: float) -> int:
    """How many squares beside one another cover a piece, what it may bend to both sides, and the rounding."""
    return math.ceil((abs(length_e7) + 2 * (bend_e7 + 1)) / (2 * reach_e7))
