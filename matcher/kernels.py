"""The exact test of a stretch of a trail against one incident, and what its hits add up to."""

import math

import numpy as np
import numpy.typing as npt

from geo.jit import kernel
from geo.wgs84 import distance_m, offset_and_distance_m
from matcher.hits import NO_TIME_US
from matcher.lines import Line, LineRule, is_too_fast, shorter_way_e7, stray_e7
from matcher.trails import E7_PER_DEGREE

Longs = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]
Records = npt.NDArray[np.void]
Circle = tuple[float, float, float]  # longitude, latitude, radius
Place = tuple[float, float, float]  # metres east and north of an incident, and from it
Stay = tuple[bool, int, int, int, float]  # whether there is one; when entered, left and nearest; how near

NO_STAY = (False, 0, 0, 0, math.inf)


@kernel
def add_stays(
    times: Longs,
    lons: Ints,
    lats: Ints,
    begin: int,
    first: int,
    end: int,
    device: int,
    circle: np.void,
    rule: LineRule,
    found: Records,
    hits: int,
    hit_of: Longs,
) -> int:
    """Add to the hits of an incident and a device the pings [first, end) and the lines that end at them.

    `begin` is the first ping of the device. `found` (HIT) holds `hits` rows and has room for one more; returns their
    new number. hit_of[i] is the row last opened for incident i, whatever the device. Called for later and later pings
    of a device it adds up in time order, a line before the ping that it ends at, whatever the parts.
    """
    from_us, to_us, radius_m = circle["from_us"], circle["to_us"], circle["radius_m"]
    lon_deg, lat_deg = circle["lon_deg"], circle["lat_deg"]
    lon_e7, lat_e7 = lon_deg * E7_PER_DEGREE, lat_deg * E7_PER_DEGREE
    half_lon_e7 = circle["half_lon_e7"]
    half_lat_e7 = (int(circle["north_e7"]) - circle["south_e7"]) / 2
    measured, place, away_m = -1, (0.0, 0.0, 0.0), 0.0
    for ping in range(first, end):
        at_us = times[ping]
        if at_us < from_us:
            continue
        before = max(ping - 1, begin)
        if times[before] > to_us:
            break
        east_e7, north_e7 = shorter_way_e7(lons[ping] - lon_e7), lats[ping] - lat_e7
        is_near = at_us <= to_us and abs(east_e7) <= half_lon_e7 and abs(north_e7) <= half_lat_e7
        gap_us = at_us - times[before]
        is_beside = 0 < gap_us <= rule.max_gap_us and _is_beside(
            shorter_way_e7(float(lons[before]) - lons[ping]),
            float(lats[before]) - lats[ping],
            east_e7,
            north_e7,
            half_lon_e7,
            half_lat_e7,
        )
        if is_beside:
            start = place if measured == before else place_of(lon_deg, lat_deg, lons[before], lats[before])
            place, measured = place_of(lon_deg, lat_deg, lons[ping], lats[ping]), ping
            away_m = place[2]
            stay = NO_STAY
            if not is_too_fast(lons[before], lats[before], lons[ping], lats[ping], gap_us, rule.max_speed_mps):
                stay = stay_between(start, place, times[before], at_us, radius_m, from_us, to_us)
            if stay[0]:
                hits, hit = _row(found, hits, hit_of, circle["incident"], device)
                found[hit]["inside_s"] += (stay[2] - stay[1]) / 1e6
                _add_stay(found[hit], stay[1], stay[2], stay[3], stay[4])
        elif is_near:
            away_m = distance_m(lon_deg, lat_deg, lons[ping] / E7_PER_DEGREE, lats[ping] / E7_PER_DEGREE)
        if is_near and away_m <= radius_m:
            hits, hit = _row(found, hits, hit_of, circle["incident"], device)
            _add_ping(found[hit], at_us, away_m)
    return hits


@kernel
def _is_beside(
    along_lon_e7: float,
    along_lat_e7: float,
    east_e7: float,
    north_e7: float,
    half_lon_e7: float,
    half_lat_e7: float,
) -> bool:
    """Say whether a line from an offset from the incident, so far along, may touch its box."""
    stray_lon_e7, stray_lat_e7 = stray_e7(along_lon_e7, along_lat_e7)
    return _meets(east_e7, along_lon_e7, half_lon_e7 + stray_lon_e7) and _meets(
        north_e7, along_lat_e7, half_lat_e7 + stray_lat_e7
    )


@kernel
def _meets(start_e7: float, along_e7: float, reach_e7: float) -> bool:
    """Say whether what lies between start and start + along comes within reach of 0."""
    end_e7 = start_e7 + along_e7
    return min(start_e7, end_e7) <= reach_e7 and max(start_e7, end_e7) >= -reach_e7


@kernel
def place_of(lon_deg: float, lat_deg: float, lon_e7: int, lat_e7: int) -> Place:
    return offset_and_distance_m(lon_deg, lat_deg, lon_e7 / E7_PER_DEGREE, lat_e7 / E7_PER_DEGREE)


@kernel
def _row(found: Records, hits: int, hit_of: Longs, incident: int, device: int) -> tuple[int, int]:
    """The number of hits, and the row of this incident and device, opened if there is none yet."""
    hit = hit_of[incident]
    # A row of another device, or of nobody (the memory is not cleared), fails one of these.
    if 0 <= hit < hits and found[hit]["incident"] == incident and found[hit]["device"] == device:
        return hits, hit
    hit_of[incident] = hits
    row = found[hits]
    row["incident"], row["device"] = incident, device
    row["n_pings"] = row["visits"] = 0
    row["first_us"] = row["last_us"] = row["closest_us"] = NO_TIME_US
    row["closest_m"] = row["near_m"] = math.inf
    row["inside_s"] = 0.0
    return hits + 1, hits


@kernel
def _add_ping(row: np.void, at_us: int, away_m: float) -> None:
    if row["n_pings"] == 0:
        row["first_us"] = at_us
    row["n_pings"] += 1
    row["last_us"] = at_us
    if away_m < row["closest_m"]:
        row["closest_m"], row["closest_us"] = away_m, at_us
    _add_stay(row, at_us, at_us, at_us, away_m)


@kernel
def _add_stay(row: np.void, enter_us: int, leave_us: int, near_us: int, near_m: float) -> None:
    """Add a stay that begins no earlier than any before it."""
    if near_m < row["near_m"]:
        row["near_m"], row["near_us"] = near_m, near_us
    row["visits"], row["enter_us"], row["leave_us"] = with_stay(
        row["visits"], row["enter_us"], row["leave_us"], enter_us, leave_us
    )


@kernel
def stay_on_line(line: Line, circle: Circle, from_us: int, to_us: int, max_speed_mps: float) -> Stay:
    """The stretch of a line that lies within radius and window of an incident."""
    lon0_e7, lat0_e7, start_us, lon1_e7, lat1_e7, end_us = line
    lon_deg, lat_deg, radius_m = circle
    if is_too_fast(lon0_e7, lat0_e7, lon1_e7, lat1_e7, end_us - start_us, max_speed_mps):
        return NO_STAY
    start, end = place_of(lon_deg, lat_deg, lon0_e7, lat0_e7), place_of(lon_deg, lat_deg, lon1_e7, lat1_e7)
    return stay_between(start, end, start_us, end_us, radius_m, from_us, to_us)


@kernel
def stay_between(
    start: Place, end: Place, start_us: int, end_us: int, radius_m: float, from_us: int, to_us: int
) -> Stay:
    """The stretch of a line that lies within radius and window of an incident."""
    x_m, y_m, start_m = start
    # By the rule for pings and not by the plane's rounding, so that a stretch reaches the ping that lies inside.
    starts_inside, ends_inside = start_m <= radius_m, end[2] <= radius_m
    along_x_m, along_y_m = end[0] - x_m, end[1] - y_m
    enter, closest, leave = _stretch(x_m, y_m, along_x_m, along_y_m, radius_m, starts_inside, ends_inside)

    enter_us = max(start_us + _rounded(enter * (end_us - start_us)), from_us)
    leave_us = min(start_us + _rounded(leave * (end_us - start_us)), to_us)
    if leave < enter or leave_us < enter_us:
        return NO_STAY
    near_us = min(max(start_us + _rounded(closest * (end_us - start_us)), enter_us), leave_us)
    # A ping inside speaks for itself, with its own rounding.
    if (near_us == start_us and starts_inside) or (near_us == end_us and ends_inside):
        return True, enter_us, leave_us, near_us, math.inf
    part = (near_us - start_us) / (end_us - start_us)
    near_x_m, near_y_m = x_m + part * along_x_m, y_m + part * along_y_m
    # Not math.hypot: Python's and the compiled one differ in the last bit.
    return True, enter_us, leave_us, near_us, math.sqrt(near_x_m * near_x_m + near_y_m * near_y_m)


@kernel
def _stretch(
    x_m: float,
    y_m: float,
    along_x_m: float,
    along_y_m: float,
    radius_m: float,
    starts_inside: bool,
    ends_inside: bool,
) -> tuple[float, float, float]:
    """Where a line enters a circle about the origin, is closest, and leaves, as parts of its length from 0 to 1.

    Leaves before it enters (1, 0, 0) where it never is inside.
    """
    squared_m2 = along_x_m * along_x_m + along_y_m * along_y_m
    if squared_m2 == 0:
        return (0.0, 0.0, 1.0) if starts_inside else (1.0, 0.0, 0.0)
    closest = -(x_m * along_x_m + y_m * along_y_m) / squared_m2
    # From the foot of the perpendicular, not by the roots of the quadratic: those cancel on a long line.
    passes_at_m = (x_m * along_y_m - y_m * along_x_m) / math.sqrt(squared_m2)
    half = math.sqrt(max(radius_m * radius_m - passes_at_m * passes_at_m, 0.0) / squared_m2)
    is_passing = abs(passes_at_m) <= radius_m and closest + half >= 0 and closest - half <= 1
    if not (starts_inside or ends_inside or is_passing):
        return 1.0, 0.0, 0.0
    enter = 0.0 if starts_inside else min(max(closest - half, 0.0), 1.0)
    leave = 1.0 if ends_inside else min(max(closest + half, 0.0), 1.0)
    return enter, min(max(closest, 0.0), 1.0), leave


@kernel
def _rounded(value: float) -> int:
    return math.floor(value + 0.5)


@kernel
def with_stay(visits: int, enter_us: int, leave_us: int, from_us: int, to_us: int) -> tuple[int, int, int]:
    """Visits, first and last moment inside, with one more stay that begins no earlier than any before it."""
    if visits == 0:
        return 1, from_us, to_us
    return visits + (from_us > leave_us), enter_us, max(leave_us, to_us)
