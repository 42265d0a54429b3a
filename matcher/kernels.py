"""The exact test of the join's candidates, and what their hits add up to."""

import math

import numpy as np
import numpy.typing as npt

from geo.jit import kernel
from geo.wgs84 import distance_m, offset_and_distance_m
from matcher.candidates import Candidates, Line, LineRule, is_too_fast
from matcher.hits import NO_TIME_US, Hits
from matcher.incidents import Incidents
from matcher.trails import E7_PER_DEGREE, Trails

Longs = npt.NDArray[np.int64]
Circle = tuple[float, float, float]  # longitude, latitude, radius
Stay = tuple[bool, int, int, int, float]  # whether there is one; when entered, left and nearest; how near


@kernel
def add_hits(
    trails: Trails,
    incidents: Incidents,
    rule: LineRule,
    pings: Candidates,
    lines: Candidates,
    found: Hits,
    hit_of: Longs,
    device: int,
    hits: int,
) -> int:
    """Add to `found`, which holds `hits` rows and has room for one more for each candidate; returns its new number.

    Tuples of arrays are taken apart here: given to a function for each candidate they cost 300 ns of reference counts.

    Candidates come in time order within a device: a line before the ping that it ends at. `device` is any device not
    after the first candidate's. hit_of[i] is the row last opened for incident i, whatever the device.
    """
    starts, times, lons, lats = trails.starts, trails.fixed_at_us, trails.lon_e7, trails.lat_e7
    lon_deg, lat_deg, radius_m = incidents.lon_deg, incidents.lat_deg, incidents.radius_m
    from_us, to_us = incidents.from_us, incidents.to_us
    ping_at = line_at = 0
    while ping_at < pings.ping.size or line_at < lines.ping.size:
        is_line = line_at < lines.ping.size and (
            ping_at == pings.ping.size or lines.ping[line_at] <= pings.ping[ping_at]
        )
        if is_line:
            ping, incident = lines.ping[line_at], lines.incident[line_at]
            line_at += 1
            line = (lons[ping - 1], lats[ping - 1], times[ping - 1], lons[ping], lats[ping], times[ping])
            circle = (lon_deg[incident], lat_deg[incident], radius_m[incident])
            stay = stay_on_line(line, circle, from_us[incident], to_us[incident], rule.max_speed_mps)
        else:
            ping, incident = pings.ping[ping_at], pings.incident[ping_at]
            ping_at += 1
            away_m = distance_m(
                lon_deg[incident], lat_deg[incident], lons[ping] / E7_PER_DEGREE, lats[ping] / E7_PER_DEGREE
            )
            stay = (away_m <= radius_m[incident], times[ping], times[ping], times[ping], away_m)
        if not stay[0]:
            continue
        while starts[device + 1] <= ping:
            device += 1
        hit = hit_of[incident]
        # A row of another device, or of nobody (the memory is not cleared), fails one of these.
        if not (0 <= hit < hits and found.incident[hit] == incident and found.device[hit] == device):
            hit = hit_of[incident] = hits
            hits += 1
            _open_hit(found, hit, incident, device)
        _, enter_us, leave_us, near_us, near_m = stay
        if is_line:
            found.inside_s[hit] += (leave_us - enter_us) / 1e6
        else:
            if found.n_pings[hit] == 0:
                found.first_us[hit] = near_us
            found.n_pings[hit] += 1
            found.last_us[hit] = near_us
            if near_m < found.closest_m[hit]:
                found.closest_m[hit], found.closest_us[hit] = near_m, near_us
        if near_m < found.near_m[hit]:
            found.near_m[hit], found.near_us[hit] = near_m, near_us
        found.visits[hit], found.enter_us[hit], found.leave_us[hit] = with_stay(
            found.visits[hit], found.enter_us[hit], found.leave_us[hit], enter_us, leave_us
        )
    return hits


@kernel
def _open_hit(found: Hits, hit: int, incident: int, device: int) -> None:
    found.incident[hit] = incident
    found.device[hit] = device
    found.n_pings[hit] = 0
    found.first_us[hit] = found.last_us[hit] = found.closest_us[hit] = NO_TIME_US
    found.closest_m[hit] = found.near_m[hit] = math.inf
    found.inside_s[hit] = 0
    found.visits[hit] = 0


@kernel
def stay_on_line(line: Line, circle: Circle, from_us: int, to_us: int, max_speed_mps: float) -> Stay:
    """The stretch of a line that lies within radius and window of an incident."""
    lon0_e7, lat0_e7, start_us, lon1_e7, lat1_e7, end_us = line
    lon_deg, lat_deg, radius_m = circle
    if is_too_fast(lon0_e7, lat0_e7, lon1_e7, lat1_e7, end_us - start_us, max_speed_mps):
        return False, 0, 0, 0, math.inf
    x_m, y_m, start_m = offset_and_distance_m(lon_deg, lat_deg, lon0_e7 / E7_PER_DEGREE, lat0_e7 / E7_PER_DEGREE)
    end_x_m, end_y_m, end_m = offset_and_distance_m(lon_deg, lat_deg, lon1_e7 / E7_PER_DEGREE, lat1_e7 / E7_PER_DEGREE)
    # By the rule for pings and not by the plane's rounding, so that a stretch reaches the ping that lies inside.
    starts_inside, ends_inside = start_m <= radius_m, end_m <= radius_m
    along_x_m, along_y_m = end_x_m - x_m, end_y_m - y_m
    enter, closest, leave = _stretch(x_m, y_m, along_x_m, along_y_m, radius_m, starts_inside, ends_inside)

    enter_us = max(start_us + _rounded(enter * (end_us - start_us)), from_us)
    leave_us = min(start_us + _rounded(leave * (end_us - start_us)), to_us)
    if leave < enter or leave_us < enter_us:
        return False, 0, 0, 0, math.inf
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
