"""Looking incidents up in the index of trails: where to look, which pings may matter, and what they add up to.

Three flat loops over a block of incidents, so that the memory they wait for is fetched for many of them at a time:
`name_stretches` reads where the buckets begin, `name_pings` reads the entries there, `add_up` reads the trails about
the pings that are left and tests them exactly, as the scan does.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from geo.jit import kernel
from geo.wgs84 import ECCENTRICITY_SQUARED, RADIANS_PER_DEGREE, SEMI_MAJOR_M
from matcher.hits import Hits
from matcher.incidents import Incidents
from matcher.index import BOX_MARGIN_E7
from matcher.lines import FULL_TURN_E7, HALF_TURN_E7, MOST_M_AN_E7, LineRule
from matcher.runs import sort_runs
from matcher.totals import NOTHING, plane_about, slack_m, with_line, with_ping
from matcher.trail_index import BLOCK_BITS, CELL_BITS, REACH_E7, SLOT_BITS, TrailIndex, bits_of, bucket_of_cell
from matcher.trails import E7_PER_DEGREE, Trails

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

BLOCK_INCIDENTS = 128

# An incident whose circle and window are so large that looking it up would take as long as reading all pings is left to
# the scan: a look at a cell takes as long as reading so many pings, and so does an entry that is read in vain.
PINGS_A_CELL = 16
FEWEST_PINGS = 1 << 20


class Stretches(NamedTuple):
    """Stretches of entries to be read, those of one incident one after the other."""

    incident: Ints
    lon_e7: Floats  # longitude of the incident, a turn further where the stretch lies beyond the antimeridian
    start: Ints
    end: Ints


@kernel
def look_up(
    index: TrailIndex,
    incidents: Incidents,
    rule: LineRule,
    first: int,
    end: int,
    stretches: Stretches,
    pings: Longs,
    scratch: Longs,
    found: Hits,
    hits: int,
    too_wide: Flags,
) -> tuple[int, int, int, int, int]:
    """Add to `found`, which holds `hits` rows, those of the incidents of [first, end), incident by incident.

    Returns the incident before which it stopped, the new number of rows, and the room that the next block lacks: in
    `stretches`, in `pings`, in `found` beyond its rows. An incident that should be scanned is marked and passed over.
    """
    ends = np.empty(BLOCK_INCIDENTS, np.int64)
    at = first
    while at < end:
        block_end = min(at + BLOCK_INCIDENTS, end)
        block_end, n, entries = name_stretches(index, incidents, rule, at, block_end, stretches, pings.size, too_wide)
        if block_end == at:
            return at, hits, n, entries, 0
        candidates = name_pings(index, incidents, rule, at, block_end, stretches, n, pings, ends)
        if found.incident.size - hits < candidates:
            return at, hits, 0, 0, candidates
        hits = add_up(index, incidents, rule, at, block_end, pings, scratch, ends, found, hits)
        at = block_end
    return at, hits, 0, 0, 0


@kernel
def name_stretches(
    index: TrailIndex,
    incidents: Incidents,
    rule: LineRule,
    first: int,
    end: int,
    stretches: Stretches,
    most_entries: int,
    too_wide: Flags,
) -> tuple[int, int, int]:
    """Name the stretches of entries in which pings and lines may lie that the incidents of [first, end) concern.

    Returns the incident before which it stopped, because there was no room for its stretches or they hold too many
    entries together; the number of stretches and of entries. If it stopped at `first`, these are what that one needs.
    """
    lon_deg, lat_deg, radius_m = incidents.lon_deg, incidents.lat_deg, incidents.radius_m
    from_us, to_us, starts = incidents.from_us, incidents.to_us, index.starts
    named, lons_e7, stretch_start, stretch_end = stretches.incident, stretches.lon_e7, stretches.start, stretches.end
    bits, mask, size = bits_of(starts.size - 1), starts.size - 2, index.entries.shape[0]
    most_pings = FEWEST_PINGS + index.trails.fixed_at_us.size
    n, entries = 0, 0
    for i in range(first, end):
        start_us = max(from_us[i], index.first_us)
        end_us = min(to_us[i] + rule.max_gap_us, index.last_us)
        if end_us < start_us:
            continue
        half_lon_e7, half_lat_e7 = _half_box_e7(lat_deg[i], radius_m[i], REACH_E7 if rule.max_gap_us else 0)
        lon_e7, lat_e7 = lon_deg[i] * E7_PER_DEGREE, lat_deg[i] * E7_PER_DEGREE
        south, north = math.floor(lat_e7 - half_lat_e7) >> CELL_BITS, math.ceil(lat_e7 + half_lat_e7) >> CELL_BITS
        slot, slots = start_us >> SLOT_BITS, min(1 + (end_us >> SLOT_BITS) - (start_us >> SLOT_BITS), mask + 1)
        cells = (2 + (math.ceil(2 * half_lon_e7) >> CELL_BITS)) * (1 + north - south)
        if cells * (PINGS_A_CELL + slots * size / (mask + 1)) > most_pings:
            too_wide[i] = True
            continue
        # On both sides of the antimeridian and beyond, and most cells' slots may run over the last bucket.
        if n + 4 * cells > named.size:
            return (i, n, entries) if i > first else (i, 4 * cells, 0)
        n_before, entries_before = n, entries
        for turn in range(-1, 2):
            there_e7 = lon_e7 + turn * FULL_TURN_E7
            west, east = _columns(there_e7, half_lon_e7)
            for x in range(west, east + 1):
                for y in range(south, north + 1):
                    bucket = (bucket_of_cell(x, y, bits) + slot) & mask
                    last = bucket + slots - 1
                    named[n], named[n + 1] = i, i
                    lons_e7[n], lons_e7[n + 1] = there_e7, there_e7
                    stretch_start[n], stretch_start[n + 1] = starts[bucket], 0
                    stretch_end[n] = starts[min(last, mask) + 1]
                    entries += stretch_end[n] - stretch_start[n]
                    n += 1
                    if last > mask:
                        stretch_end[n] = starts[last - mask]
                        entries += stretch_end[n]
                        n += 1
        if entries > most_entries:
            return (i, n_before, entries_before) if i > first else (i, n, entries)
    return end, n, entries


@kernel
def name_pings(
    index: TrailIndex,
    incidents: Incidents,
    rule: LineRule,
    first: int,
    end: int,
    stretches: Stretches,
    n: int,
    pings: Longs,
    ends: Longs,
) -> int:
    """Name the pings that may lie inside, or end a line that may, from n stretches of the incidents of [first, end).

    The candidates of incident first + k end before ends[k]. Returns how many there are.
    """
    lat_deg, radius_m, from_us, to_us = incidents.lat_deg, incidents.radius_m, incidents.from_us, incidents.to_us
    named, lons_e7, stretch_start, stretch_end = stretches.incident, stretches.lon_e7, stretches.start, stretches.end
    entries, tick_bits, first_tick = index.entries, index.tick_bits, index.first_us >> index.tick_bits
    reach_e7 = REACH_E7 if rule.max_gap_us else 0
    # Read once before they are needed: these loads do not wait for one another, those of the loop below do.
    read = 0
    for stretch in range(n):
        there = entries[stretch_start[stretch] : stretch_end[stretch]]
        for k in range(0, there.shape[0], 4):
            read |= there[k, 3]
    candidates, stretch = 0, 0 if read >= 0 else n
    for i in range(first, end):
        plane = plane_about(lat_deg[i], radius_m[i])
        # An entry is within the reach in both directions of a place in the circle; at most half as long again is what
        # is as many degrees of longitude further from the pole.
        reach_m = radius_m[i] + 2 * reach_e7 * MOST_M_AN_E7
        limit_m = reach_m + slack_m(reach_m)
        limit_m2, lat_e7 = limit_m * limit_m, lat_deg[i] * E7_PER_DEGREE
        start_tick = (max(from_us[i], index.first_us) >> tick_bits) - first_tick
        end_tick = (min(to_us[i] + rule.max_gap_us, index.last_us) >> tick_bits) - first_tick
        while stretch < n and named[stretch] == i:
            lon_e7 = lons_e7[stretch]
            # A slice, so that the compiler knows that no index is negative.
            there = entries[stretch_start[stretch] : stretch_end[stretch]]
            for k in range(there.shape[0]):
                north_e7 = there[k, 1] - lat_e7
                x_m = (plane.east_m + plane.east_more_m * north_e7) * (there[k, 0] - lon_e7)
                y_m = (plane.north_m + plane.north_more_m * north_e7) * north_e7
                pings[candidates] = there[k, 3]
                # Written in any case and kept only if near: a branch would be foreseen wrongly too often.
                is_timely = (start_tick <= there[k, 2]) & (there[k, 2] <= end_tick)
                candidates += is_timely & (x_m * x_m + y_m * y_m <= limit_m2)
            stretch += 1
        ends[i - first] = candidates
    return candidates


@kernel
def add_up(
    index: TrailIndex,
    incidents: Incidents,
    rule: LineRule,
    first: int,
    end: int,
    pings: Longs,
    scratch: Longs,
    ends: Longs,
    found: Hits,
    hits: int,
) -> int:
    """Test candidates exactly, in the order of devices and times, and add up what is inside; the new number of hits."""
    times, lons, lats, starts = (
        index.trails.fixed_at_us,
        index.trails.lon_e7,
        index.trails.lat_e7,
        index.trails.starts,
    )
    lon_deg, lat_deg, radius_m = incidents.lon_deg, incidents.lat_deg, incidents.radius_m
    from_us, to_us, device_of_block = incidents.from_us, incidents.to_us, index.device_of_block
    longs = (found.incident, found.device, found.n_pings, found.first_us, found.last_us, found.closest_us)
    others = (found.near_us, found.enter_us, found.leave_us, found.visits)
    metres_and_seconds = (found.closest_m, found.near_m, found.inside_s)
    max_gap_us, max_speed_mps = rule.max_gap_us, rule.max_speed_mps
    # Read once before they are needed, as the entries were; all that are named are in time.
    at, named = 0, 0
    for k in range(ends[end - first - 1]):
        ping = pings[k]
        named += (times[ping] <= index.last_us) & (lons[ping] <= HALF_TURN_E7) & (lats[ping] <= HALF_TURN_E7)
    for i in range(first, end if named else first):
        candidates_end, plane = ends[i - first], plane_about(lat_deg[i], radius_m[i])
        circle = (lon_deg[i], lat_deg[i], radius_m[i])
        window = (from_us[i], to_us[i])
        if candidates_end - at > 1:
            sort_runs(pings, scratch, at, candidates_end)
        while at < candidates_end:
            device = device_of_block[pings[at] >> BLOCK_BITS]
            while starts[device + 1] <= pings[at]:
                device += 1
            trail_start, trail_end, last, total = starts[device], starts[device + 1], -1, NOTHING
            while at < candidates_end and pings[at] < trail_end:
                ping = pings[at]
                at += 1
                if ping == last:
                    continue
                last, time_us = ping, times[ping]
                before_us = times[ping - 1] if ping > trail_start else time_us
                if 0 < time_us - before_us <= max_gap_us:
                    line = (lons[ping - 1], lats[ping - 1], before_us, lons[ping], lats[ping], time_us)
                    total = with_line(total, line, circle, window, plane, max_speed_mps)
                total = with_ping(total, time_us, lons[ping], lats[ping], circle, window, plane)
            if total.visits:
                longs[0][hits], longs[1][hits], longs[2][hits] = i, device, total.n_pings
                longs[3][hits], longs[4][hits], longs[5][hits] = total.first_us, total.last_us, total.closest_us
                others[0][hits], others[1][hits], others[2][hits] = total.near_us, total.enter_us, total.leave_us
                others[3][hits] = total.visits
                metres_and_seconds[0][hits], metres_and_seconds[1][hits] = total.closest_m, total.near_m
                metres_and_seconds[2][hits] = total.inside_s
                hits += 1
    return hits


@kernel
def _half_box_e7(lat_deg: float, radius_m: float, reach_e7: int) -> tuple[float, float]:
    """Half the sides of a box that surely holds a circle (`matcher.index.boxes`), wider by a reach."""
    half_lat = radius_m / (SEMI_MAJOR_M * (1 - ECCENTRICITY_SQUARED))
    farthest = min(abs(lat_deg) * RADIANS_PER_DEGREE + half_lat, 89.0 * RADIANS_PER_DEGREE)
    half_lon = radius_m / (SEMI_MAJOR_M * math.cos(farthest))
    e7_a_radian = E7_PER_DEGREE / RADIANS_PER_DEGREE
    half_lon_e7 = half_lon * e7_a_radian + reach_e7 / math.cos(farthest) + BOX_MARGIN_E7
    return half_lon_e7, half_lat * e7_a_radian + reach_e7 + BOX_MARGIN_E7


@kernel
def _columns(lon_e7: float, half_lon_e7: float) -> tuple[int, int]:
    """First and last column of what of a box lies where pings lie; the last before the first if nothing does."""
    west_e7, east_e7 = max(lon_e7 - half_lon_e7, -HALF_TURN_E7), min(lon_e7 + half_lon_e7, HALF_TURN_E7)
    if west_e7 > east_e7:
        return 0, -1
    return math.floor(west_e7) >> CELL_BITS, math.ceil(east_e7) >> CELL_BITS


@kernel
def look_up_one(
    lon_deg: Floats,
    lat_deg: Floats,
    radius_m: Floats,
    from_us: Longs,
    to_us: Longs,
    max_gap_us: int,
    max_speed_mps: float,
    device_id: Longs,
    trail_starts: Longs,
    fixed_at_us: Longs,
    lon_e7: Ints,
    lat_e7: Ints,
    first_us: int,
    last_us: int,
    tick_bits: int,
    device_of_block: Ints,
    starts: Ints,
    entries: Ints,
    named: Ints,
    there_e7: Floats,
    stretch_start: Ints,
    stretch_end: Ints,
    pings: Longs,
    scratch: Longs,
    too_wide: Flags,
    incident: Longs,
    device: Longs,
    n_pings: Longs,
    first_ping_us: Longs,
    last_ping_us: Longs,
    closest_m: Floats,
    closest_us: Longs,
    near_m: Floats,
    near_us: Longs,
    enter_us: Longs,
    leave_us: Longs,
    inside_s: Floats,
    visits: Longs,
) -> int:
    """`look_up` for the first incident alone; the number of its hits, less than nothing if room is lacking.

    The arrays come one by one: given in tuples to a compiled function from Python, each costs 0.34 us and not 0.06.
    """
    rule = LineRule(max_gap_us, max_speed_mps)
    trails = Trails(device_id, trail_starts, fixed_at_us, lon_e7, lat_e7)
    index = TrailIndex(trails, rule, first_us, last_us, tick_bits, device_of_block, starts, entries)
    incidents = Incidents(lon_deg, lat_deg, radius_m, from_us, to_us)
    stretches = Stretches(named, there_e7, stretch_start, stretch_end)
    found = Hits(
        incident,
        device,
        n_pings,
        first_ping_us,
        last_ping_us,
        closest_m,
        closest_us,
        near_m,
        near_us,
        enter_us,
        leave_us,
        inside_s,
        visits,
    )
    done, hits, _, _, _ = look_up(index, incidents, rule, 0, 1, stretches, pings, scratch, found, 0, too_wide)
    return hits if done == 1 else -1
