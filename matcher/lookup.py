"""Looking incidents up in the index of trails: where to look, which pings may matter, and what they add up to.

Three flat loops over a block of incidents, so that the memory they wait for is fetched for many of them at a time:
`name_stretches` reads where the buckets begin, `name_pings` reads the entries there, `add_up` reads the trails about the
pings that are left and tests them exactly, as the scan does.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from geo.jit import kernel
from geo.wgs84 import ECCENTRICITY_SQUARED, RADIANS_PER_DEGREE, SEMI_MAJOR_M, distance_m
from matcher.lines import MOST_M_AN_E7, Line, LineRule, shorter_way_e7
from matcher.hits import NO_TIME_US, Hits
from matcher.incidents import Incidents
from matcher.index import BOX_MARGIN_E7
from matcher.lines import FULL_TURN_E7, HALF_TURN_E7
from matcher.kernels import Stay, stay_on_line, with_stay
from matcher.trail_index import BLOCK_BITS, CELL_BITS, REACH_E7, SLOT_BITS, TrailIndex, bits_of, bucket_of_cell
from matcher.trails import E7_PER_DEGREE

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Circle = tuple[float, float, float]  # longitude, latitude, radius
Window = tuple[int, int]
Plane = tuple[float, float, float, float, float]  # see _plane
PLANE = 5

BLOCK_INCIDENTS = 256

# An incident whose circle and window are so large that looking it up would take as long as reading all pings is left to
# the scan: a look at a cell takes as long as reading so many pings, and so does an entry that is read in vain.
PINGS_A_CELL = 16
FEWEST_PINGS = 1 << 20

# Lines whose ends are further off than this together are tested without a look in the plane about the incident.
NEARBY_M = 20_000.0


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
    found: Hits,
    hits: int,
    too_wide: Flags,
) -> tuple[int, int, int, int, int]:
    """Add to `found`, which holds `hits` rows, those of the incidents of [first, end), incident by incident.

    Returns the incident before which it stopped, the new number of rows, and the room that the next block lacks: in
    `stretches`, in `pings`, in `found` beyond its rows. An incident that should be scanned is marked and passed over.
    """
    ends, planes = np.empty(BLOCK_INCIDENTS, np.int64), np.empty((BLOCK_INCIDENTS, PLANE), np.float64)
    at = first
    while at < end:
        block_end = min(at + BLOCK_INCIDENTS, end)
        block_end, n, entries = name_stretches(index, incidents, rule, at, block_end, stretches, pings.size, too_wide)
        if block_end == at:
            return at, hits, n, entries, 0
        candidates = name_pings(index, incidents, rule, at, block_end, stretches, n, pings, ends, planes)
        if found.incident.size - hits < candidates:
            return at, hits, 0, 0, candidates
        hits = add_up(index, incidents, rule, at, block_end, pings, ends, planes, found, hits)
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
    planes: Floats,
) -> int:
    """Name the pings that may lie inside, or end a line that may, from n stretches of the incidents of [first, end).

    The candidates of incident first + k end before ends[k]; planes[k] is its plane. Returns how many there are.
    """
    lat_deg, radius_m, from_us, to_us = incidents.lat_deg, incidents.radius_m, incidents.from_us, incidents.to_us
    named, lons_e7, stretch_start, stretch_end = stretches.incident, stretches.lon_e7, stretches.start, stretches.end
    entries, tick_bits, first_tick = index.entries, index.tick_bits, index.first_us >> index.tick_bits
    reach_e7 = REACH_E7 if rule.max_gap_us else 0
    # Read once before they are needed: these loads do not wait for one another, those of the loop below do.
    read = 0
    for stretch in range(n):
        for entry in range(stretch_start[stretch], stretch_end[stretch], 4):
            read |= entries[entry, 3]
    candidates, stretch = 0, 0 if read >= 0 else n
    for i in range(first, end):
        plane = _plane(lat_deg[i])
        east_m, east_m_more, north_m, north_m_more, _ = plane
        for k in range(PLANE):
            planes[i - first, k] = plane[k]
        reach_m = radius_m[i] + reach_e7 * math.sqrt(2.0) * MOST_M_AN_E7
        limit_m = reach_m + _slack_m(reach_m)
        limit_m2, lat_e7 = limit_m * limit_m, lat_deg[i] * E7_PER_DEGREE
        start_tick = (max(from_us[i], index.first_us) >> tick_bits) - first_tick
        end_tick = (min(to_us[i] + rule.max_gap_us, index.last_us) >> tick_bits) - first_tick
        while stretch < n and named[stretch] == i:
            lon_e7 = lons_e7[stretch]
            for entry in range(stretch_start[stretch], stretch_end[stretch]):
                tick = entries[entry, 2]
                north_e7 = entries[entry, 1] - lat_e7
                x_m = (east_m + east_m_more * north_e7) * (entries[entry, 0] - lon_e7)
                y_m = (north_m + north_m_more * north_e7) * north_e7
                pings[candidates] = entries[entry, 3]
                # Written in any case and kept only if near: a branch would be foreseen wrongly too often.
                candidates += (start_tick <= tick) & (tick <= end_tick) & (x_m * x_m + y_m * y_m <= limit_m2)
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
    ends: Longs,
    planes: Floats,
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
    at = 0
    for i in range(first, end):
        row, candidates_end = planes[i - first], ends[i - first]
        plane = (row[0], row[1], row[2], row[3], row[4])
        circle = (lon_deg[i], lat_deg[i], radius_m[i])
        window = (from_us[i], to_us[i])
        if candidates_end - at > 1:
            pings[at:candidates_end].sort()
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
                    total = _with_line(total, line, circle, window, plane, max_speed_mps)
                total = _with_ping(total, time_us, lons[ping], lats[ping], circle, window, plane)
            if total.visits:
                longs[0][hits], longs[1][hits], longs[2][hits] = i, device, total.n_pings
                longs[3][hits], longs[4][hits], longs[5][hits] = total.first_us, total.last_us, total.closest_us
                others[0][hits], others[1][hits], others[2][hits] = total.near_us, total.enter_us, total.leave_us
                others[3][hits] = total.visits
                metres_and_seconds[0][hits], metres_and_seconds[1][hits] = total.closest_m, total.near_m
                metres_and_seconds[2][hits] = total.inside_s
                hits += 1
    return hits


class Total(NamedTuple):
    """What the pings and lines of one device inside one incident come to; the columns of `Hits`."""

    n_pings: int
    first_us: int
    last_us: int
    closest_m: float
    closest_us: int
    near_m: float
    near_us: int
    enter_us: int
    leave_us: int
    inside_s: float
    visits: int


NOTHING = Total(0, NO_TIME_US, NO_TIME_US, math.inf, NO_TIME_US, math.inf, NO_TIME_US, 0, 0, 0.0, 0)


@kernel
def _with_ping(
    total: Total, time_us: int, lon_e7: int, lat_e7: int, circle: Circle, window: Window, plane: Plane
) -> Total:
    """Add a ping, if it is inside.

    The exact distance is asked only where the plane about the incident, whose error is less than its slack, leaves a
    doubt: near the edge, and where the ping may be the closest.
    """
    radius_m, slack_m = circle[2], _slack_m(circle[2])
    x_m, y_m = _offset_m(plane, circle, lon_e7, lat_e7)
    away_m = math.sqrt(x_m * x_m + y_m * y_m)
    if not window[0] <= time_us <= window[1] or away_m > radius_m + slack_m:
        return total
    if away_m <= total.closest_m + slack_m or away_m > radius_m - slack_m:
        away_m = distance_m(circle[0], circle[1], lon_e7 / E7_PER_DEGREE, lat_e7 / E7_PER_DEGREE)
        if away_m > radius_m:
            return total
    visits, enter_us, leave_us = with_stay(total.visits, total.enter_us, total.leave_us, time_us, time_us)
    is_closest, is_nearest = away_m < total.closest_m, away_m < total.near_m
    return Total(
        total.n_pings + 1,
        total.first_us if total.n_pings else time_us,
        time_us,
        away_m if is_closest else total.closest_m,
        time_us if is_closest else total.closest_us,
        away_m if is_nearest else total.near_m,
        time_us if is_nearest else total.near_us,
        enter_us,
        leave_us,
        total.inside_s,
        visits,
    )


@kernel
def _with_line(total: Total, line: Line, circle: Circle, window: Window, plane: Plane, max_speed_mps: float) -> Total:
    """Add the stretch of a line that is inside, if there is one."""
    if line[5] < window[0] or line[2] > window[1]:
        return total
    is_inside, enter_us, leave_us, near_us, near_m = _stay(line, circle, window, plane, max_speed_mps, total.near_m)
    if not is_inside:
        return total
    visits, first_us, last_us = with_stay(total.visits, total.enter_us, total.leave_us, enter_us, leave_us)
    is_nearest = near_m < total.near_m
    return Total(
        total.n_pings,
        total.first_us,
        total.last_us,
        total.closest_m,
        total.closest_us,
        near_m if is_nearest else total.near_m,
        near_us if is_nearest else total.near_us,
        first_us,
        last_us,
        total.inside_s + (leave_us - enter_us) / 1e6,
        visits,
    )


@kernel
def _stay(line: Line, circle: Circle, window: Window, plane: Plane, max_speed_mps: float, near_m: float) -> Stay:
    """As `stay_on_line`, but no distance where that is no less than near_m for sure.

    That most lines lie wholly inside or outside is seen in the plane about the incident, where no sine has to be taken.
    """
    lon0_e7, lat0_e7, start_us, lon1_e7, lat1_e7, end_us = line
    slack_m = _slack_m(circle[2])
    x0_m, y0_m = _offset_m(plane, circle, lon0_e7, lat0_e7)
    x1_m, y1_m = _offset_m(plane, circle, lon1_e7, lat1_e7)
    start_m, end_m = math.sqrt(x0_m * x0_m + y0_m * y0_m), math.sqrt(x1_m * x1_m + y1_m * y1_m)
    along_m = math.sqrt((x1_m - x0_m) * (x1_m - x0_m) + (y1_m - y0_m) * (y1_m - y0_m))
    # Not nearer than this: half of what the way by the incident is longer than the line. The plane of `stay_on_line` is
    # turned at each place by up to half the convergence of the meridians, which can make the line as much longer.
    both_m = start_m + end_m
    least_m = (both_m - along_m) / 2 - both_m * both_m / SEMI_MAJOR_M * (1 + plane[4]) - slack_m
    if both_m < NEARBY_M and least_m > circle[2]:
        return False, 0, 0, 0, math.inf
    gap_s = (end_us - start_us) / 1e6
    sides_e7 = abs(shorter_way_e7(lon1_e7 - float(lon0_e7))) + abs(lat1_e7 - float(lat0_e7))
    is_slow = MOST_M_AN_E7 * sides_e7 <= max_speed_mps * gap_s
    if max(start_m, end_m) <= circle[2] - slack_m and least_m >= near_m and is_slow:
        return True, max(start_us, window[0]), min(end_us, window[1]), start_us, math.inf
    return stay_on_line(line, circle, window[0], window[1], max_speed_mps)


@kernel
def _plane(lat_deg: float) -> Plane:
    """Metres that 1e-7 degrees of longitude and of latitude are long about a parallel, how they change, and its tangent.

    Like geo.wgs84 by the radii of curvature at the mean latitude of two places, but as the first terms of a series about
    the latitude of one: of M and N cos(lat) the derivatives are 3 M e2 sin cos / (1 - e2 sin2) and -M sin.
    """
    sine, cosine = math.sin(lat_deg * RADIANS_PER_DEGREE), math.cos(lat_deg * RADIANS_PER_DEGREE)
    squared = 1 - ECCENTRICITY_SQUARED * sine * sine
    across_m = SEMI_MAJOR_M / math.sqrt(squared)
    along_m = across_m * (1 - ECCENTRICITY_SQUARED) / squared
    unit = RADIANS_PER_DEGREE / E7_PER_DEGREE
    return (
        across_m * cosine * unit,
        -along_m * sine * unit * unit / 2,
        along_m * unit,
        3 * along_m * ECCENTRICITY_SQUARED * sine * cosine / squared * unit * unit / 2,
        abs(sine) / cosine,
    )


@kernel
def _offset_m(plane: Plane, circle: Circle, lon_e7: int, lat_e7: int) -> tuple[float, float]:
    """Metres east and north of an incident by its plane."""
    east_e7, north_e7 = shorter_way_e7(lon_e7 - circle[0] * E7_PER_DEGREE), lat_e7 - circle[1] * E7_PER_DEGREE
    return (plane[0] + plane[1] * north_e7) * east_e7, (plane[2] + plane[3] * north_e7) * north_e7


@kernel
def _slack_m(away_m: float) -> float:
    """By how much a distance in an incident's plane may differ from geo.wgs84's: thirty times the next terms."""
    return 1e-6 + 4 * away_m * (away_m / SEMI_MAJOR_M) * (away_m / SEMI_MAJOR_M)


@kernel
def _half_box_e7(lat_deg: float, radius_m: float, reach_e7: int) -> tuple[float, float]:
    """Half the sides of a box that surely holds a circle (`matcher.index.boxes`), wider by a reach."""
    half_lat = radius_m / (SEMI_MAJOR_M * (1 - ECCENTRICITY_SQUARED))
    farthest = min(abs(lat_deg) * RADIANS_PER_DEGREE + half_lat / 2, 89.0 * RADIANS_PER_DEGREE)
    half_lon = radius_m / (SEMI_MAJOR_M * math.cos(farthest))
    margin_e7 = BOX_MARGIN_E7 + reach_e7
    e7_a_radian = E7_PER_DEGREE / RADIANS_PER_DEGREE
    return half_lon * e7_a_radian + margin_e7, half_lat * e7_a_radian + margin_e7


@kernel
def _columns(lon_e7: float, half_lon_e7: float) -> tuple[int, int]:
    """First and last column of what of a box lies where pings lie; the last before the first if nothing does."""
    west_e7, east_e7 = max(lon_e7 - half_lon_e7, -HALF_TURN_E7), min(lon_e7 + half_lon_e7, HALF_TURN_E7)
    if west_e7 > east_e7:
        return 0, -1
    return math.floor(west_e7) >> CELL_BITS, math.ceil(east_e7) >> CELL_BITS
