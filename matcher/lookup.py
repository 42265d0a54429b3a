"""Looking incidents up in the index of trails: where to look, which pings may matter, and what they add up to.

Three flat loops over a block of incidents, so that the memory they wait for is fetched for many of them at a time:
`name_stretches` reads where the buckets begin, `name_pings` reads the entries there, `add_up` reads the trails about
the pings that are left and tests them exactly, as the scan does.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from geo.jit import inlined, kernel
from geo.plane import FULL_TURN_E7, HALF_TURN_E7, Plane, place_in, plane_at
from geo.uncounted import uncounted
from geo.wgs84 import ECCENTRICITY_SQUARED, RADIANS_PER_DEGREE, SEMI_MAJOR_M
from matcher.incidents import Incidents
from matcher.index import BOX_MARGIN_E7
from matcher.lines import MOST_M_AN_E7, LineRule, is_too_fast
from matcher.runs import sort_runs
from matcher.totals import NOTHING, Total, put_total, with_line, with_ping
from matcher.trail_index import BLOCK_BITS, CELL_BITS, REACH_E7, SLOT_BITS, TrailIndex, bits_of, bucket_of_cell
from matcher.trails import E7_PER_DEGREE, Trails

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Records = npt.NDArray[np.void]

BLOCK_INCIDENTS = 128

# An incident whose circle and window are so large that looking it up would take as long as reading all pings is left to
# the scan: a look at a cell takes as long as reading so many pings, and so does an entry that is read in vain.
PINGS_A_CELL = 16
FEWEST_PINGS = 1 << 20

# What is asked about one incident: from_us, to_us; max_gap_us; first_us, last_us, tick_bits of the index; as floats
# longitude, latitude, radius; max_speed_mps; and in answer, whether it should be scanned.
ASKED = 11


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
    found: Records,
    hits: int,
    too_wide: Flags,
) -> tuple[int, int, int, int, int]:
    """Add to `found`, which holds `hits` rows, those of the incidents of [first, end), incident by incident.

    Returns the incident before which it stopped, the new number of rows, and the room that the next block lacks: in
    `stretches`, in `pings`, in `found` beyond its rows. An incident that should be scanned is marked and passed over.
    """
    ends = np.empty(min(BLOCK_INCIDENTS, end - first), np.int64)
    at = first
    while at < end:
        block_end = min(at + BLOCK_INCIDENTS, end)
        block_end, n, entries = name_stretches(index, incidents, rule, at, block_end, stretches, pings.size, too_wide)
        if block_end == at:
            return at, hits, n, entries, 0
        candidates = name_pings(index, incidents, rule, at, block_end, stretches, n, pings, ends)
        if found.size - hits < candidates:
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
    lon_deg, lat_deg, radius_m = incidents.lon_deg, incidents.lat_deg, incidents.radius_m
    from_us, to_us = incidents.from_us, incidents.to_us
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
        plane = plane_at(lon_deg[i], lat_deg[i])
        # An entry is within the reach in both directions of a place in the circle; at most half as long again is what
        # is as many degrees of longitude further from the pole.
        reach_m = radius_m[i] + 2 * reach_e7 * MOST_M_AN_E7
        # More than what the terms left out come to at 100 km.
        limit_m = reach_m * (1 + 1e-4) + 0.01
        limit_m2, lat_e7 = limit_m * limit_m, plane.lat_e7
        start_tick = (max(from_us[i], index.first_us) >> tick_bits) - first_tick
        end_tick = (min(to_us[i] + rule.max_gap_us, index.last_us) >> tick_bits) - first_tick
        while stretch < n and named[stretch] == i:
            lon_e7 = lons_e7[stretch]
            # A slice, so that the compiler knows that no index is negative.
            there = entries[stretch_start[stretch] : stretch_end[stretch]]
            for k in range(there.shape[0]):
                north_e7 = there[k, 1] - lat_e7
                x_m = (plane.east0_m + plane.east1_m * north_e7) * (there[k, 0] - lon_e7)
                y_m = (plane.north0_m + plane.north1_m * north_e7) * north_e7
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
    found: Records,
    hits: int,
) -> int:
    """Test candidates exactly, in the order of devices and times, and add up what is inside; the new number of hits."""
    trails, starts, pings = index.trails, index.trails.starts, uncounted(pings)
    columns = uncounted(trails.fixed_at_us), uncounted(trails.lon_e7), uncounted(trails.lat_e7)
    lon_deg, lat_deg, radius_m = incidents.lon_deg, incidents.lat_deg, incidents.radius_m
    from_us, to_us, device_of_block = incidents.from_us, incidents.to_us, index.device_of_block
    # Read once before they are needed, as the entries were; all that are named are in time.
    at, named = 0, 0
    for k in range(ends[end - first - 1]):
        ping = pings[k]
        named += (columns[0][ping] <= index.last_us) & (columns[1][ping] <= HALF_TURN_E7)
        named += columns[2][ping] <= HALF_TURN_E7
    for i in range(first, end if named else first):
        candidates_end, plane = ends[i - first], plane_at(lon_deg[i], lat_deg[i])
        if candidates_end - at > 1:
            sort_runs(pings, scratch, at, candidates_end)
        while at < candidates_end:
            device = device_of_block[pings[at] >> BLOCK_BITS]
            while starts[device + 1] <= pings[at]:
                device += 1
            at, total = _add_device(
                columns,
                (starts[device], starts[device + 1]),
                pings,
                at,
                candidates_end,
                plane,
                radius_m[i],
                (from_us[i], to_us[i]),
                rule,
            )
            if total.visits:
                put_total(found[hits], i, device, total)
                hits += 1
    return hits


@inlined
def _add_device(
    columns: tuple[Longs, Ints, Ints],
    trail: tuple[int, int],
    pings: Longs,
    at: int,
    end: int,
    plane: Plane,
    radius_m: float,
    window: tuple[int, int],
    rule: LineRule,
) -> tuple[int, Total]:
    """What the candidates from `at` on come to that are of one trail (its first ping and its end), and where they end.

    `columns` are times, longitudes and latitudes.
    """
    times, lons, lats = columns
    total, last, place = NOTHING, -1, (0.0, 0.0, 0.0)
    while at < end and pings[at] < trail[1]:
        ping, at = pings[at], at + 1
        if ping == last:
            continue
        before, start, time_us = max(ping - 1, trail[0]), place, times[ping]
        place = place_in(plane, lons[ping], lats[ping])
        gap_us = time_us - times[before]
        if (
            0 < gap_us <= rule.max_gap_us
            and times[before] <= window[1]
            and not is_too_fast(lons[before], lats[before], lons[ping], lats[ping], gap_us, rule.max_speed_mps)
        ):
            if last != before:
                start = place_in(plane, lons[before], lats[before])
            total = with_line(total, start, place, (times[before], time_us), radius_m, window)
        if window[0] <= time_us <= window[1] and place[2] <= radius_m:
            total = with_ping(total, time_us, place[2])
        last = ping
    return at, total


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
    room: Longs,
    trail_starts: Longs,
    fixed_at_us: Longs,
    lon_e7: Ints,
    lat_e7: Ints,
    device_of_block: Ints,
    starts: Ints,
    entries: Ints,
    found: Records,
) -> int:
    """`look_up` for one incident; the number of its hits, less than nothing if room is lacking.

    `room` begins with what is asked, in the order of `ASKED`; all else is put there. Few arguments and no tuples,
    because from Python each array costs 0.09 us, and 0.34 in a tuple.
    """
    asked, floats = room[:ASKED], room[:ASKED].view(np.float64)
    rule = LineRule(asked[2], floats[9])
    trails = Trails(trail_starts, trail_starts, fixed_at_us, lon_e7, lat_e7)  # ids of devices are not looked at
    index = TrailIndex(trails, rule, asked[3], asked[4], asked[5], device_of_block, starts, entries)
    incidents = Incidents(floats[6:7], floats[7:8], floats[8:9], asked[:1], asked[1:2])
    too_wide = room[10:ASKED].view(np.bool_)[:1]
    # Of the room a tenth is for the stretches, 20 bytes of it for each, the rest for pings.
    places = (room.size - ASKED) // 30
    at = ASKED + 3 * places
    ints = room[ASKED + places : at].view(np.int32)
    stretches = Stretches(
        ints[:places], room[ASKED : ASKED + places].view(np.float64), ints[places : 2 * places], ints[2 * places :]
    )
    half = at + (room.size - at) // 2
    done, hits, _, _, _ = look_up(
        index, incidents, rule, 0, 1, stretches, room[at:half], room[half:], found, 0, too_wide
    )
    return hits if done == 1 else -1
