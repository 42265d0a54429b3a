"""The exact test of the join's candidates, and what their hits add up to."""

import math

import numpy as np
import numpy.typing as npt

from geo.jit import kernel
from geo.wgs84 import distance_m, offset_m
from matcher.candidates import Candidates, LineRule, is_too_fast
from matcher.hits import NO_TIME_US, Hits
from matcher.incidents import Incidents
from matcher.trails import E7_PER_DEGREE, Trails

Longs = npt.NDArray[np.int64]


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

    Candidates come in time order within a device: a line before the ping that it ends at. `device` is any device not
    after the first candidate's. hit_of[i] is the row last opened for incident i, whatever the device.
    """
    ping_at = line_at = 0
    while ping_at < pings.ping.size or line_at < lines.ping.size:
        is_line = line_at < lines.ping.size and (
            ping_at == pings.ping.size or lines.ping[line_at] <= pings.ping[ping_at]
        )
        ping = lines.ping[line_at] if is_line else pings.ping[ping_at]
        incident = lines.incident[line_at] if is_line else pings.incident[ping_at]
        while trails.starts[device + 1] <= ping:
            device += 1
        hit = hit_of[incident]
        # A row of another device, or of nobody (the memory is not cleared), fails one of these.
        is_open = 0 <= hit < hits and found.incident[hit] == incident and found.device[hit] == device
        if not is_open:
            hit = hits
            _open_hit(found, hit, incident, device)
        if is_line:
            line_at += 1
            is_met = _add_line(trails, incidents, rule, found, hit, ping, incident)
        else:
            ping_at += 1
            is_met = _add_ping(trails, incidents, found, hit, ping, incident)
        if is_met and not is_open:
            hit_of[incident] = hit
            hits += 1
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
def _add_ping(trails: Trails, incidents: Incidents, found: Hits, hit: int, ping: int, incident: int) -> bool:
    """Add a ping, whose time is in the window, to a hit; says whether it lies in the circle."""
    away_m = distance_m(
        incidents.lon_deg[incident],
        incidents.lat_deg[incident],
        trails.lon_e7[ping] / E7_PER_DEGREE,
        trails.lat_e7[ping] / E7_PER_DEGREE,
    )
    if away_m > incidents.radius_m[incident]:
        return False
    time_us = trails.fixed_at_us[ping]
    if found.n_pings[hit] == 0:
        found.first_us[hit] = time_us
    found.n_pings[hit] += 1
    found.last_us[hit] = time_us
    if away_m < found.closest_m[hit]:
        found.closest_m[hit] = away_m
        found.closest_us[hit] = time_us
    _add_nearness(found, hit, time_us, away_m)
    _add_stay(found, hit, time_us, time_us)
    return True


@kernel
def _add_line(
    trails: Trails, incidents: Incidents, rule: LineRule, found: Hits, hit: int, ping: int, incident: int
) -> bool:
    """Add the stretch of a line that lies within an incident's radius and window to a hit; says whether it has one."""
    start_us, end_us = trails.fixed_at_us[ping - 1], trails.fixed_at_us[ping]
    lon0_e7, lat0_e7, lon1_e7, lat1_e7 = (
        trails.lon_e7[ping - 1],
        trails.lat_e7[ping - 1],
        trails.lon_e7[ping],
        trails.lat_e7[ping],
    )
    if is_too_fast(lon0_e7, lat0_e7, lon1_e7, lat1_e7, end_us - start_us, rule.max_speed_mps):
        return False
    lon_deg, lat_deg, radius_m = incidents.lon_deg[incident], incidents.lat_deg[incident], incidents.radius_m[incident]
    # By the rule for pings and not by the plane's rounding, so that a stretch reaches the ping that lies inside.
    starts_inside = distance_m(lon_deg, lat_deg, lon0_e7 / E7_PER_DEGREE, lat0_e7 / E7_PER_DEGREE) <= radius_m
    ends_inside = distance_m(lon_deg, lat_deg, lon1_e7 / E7_PER_DEGREE, lat1_e7 / E7_PER_DEGREE) <= radius_m
    x_m, y_m = offset_m(lon_deg, lat_deg, lon0_e7 / E7_PER_DEGREE, lat0_e7 / E7_PER_DEGREE)
    end_x_m, end_y_m = offset_m(lon_deg, lat_deg, lon1_e7 / E7_PER_DEGREE, lat1_e7 / E7_PER_DEGREE)
    along_x_m, along_y_m = end_x_m - x_m, end_y_m - y_m
    enter, closest, leave = _stretch(x_m, y_m, along_x_m, along_y_m, radius_m, starts_inside, ends_inside)

    enter_us = max(start_us + _rounded(enter * (end_us - start_us)), incidents.from_us[incident])
    leave_us = min(start_us + _rounded(leave * (end_us - start_us)), incidents.to_us[incident])
    if leave < enter or leave_us < enter_us:
        return False
    found.inside_s[hit] += (leave_us - enter_us) / 1e6
    near_us = min(max(start_us + _rounded(closest * (end_us - start_us)), enter_us), leave_us)
    # A ping inside speaks for itself, with its own rounding.
    if not ((near_us == start_us and starts_inside) or (near_us == end_us and ends_inside)):
        part = (near_us - start_us) / (end_us - start_us)
        near_x_m, near_y_m = x_m + part * along_x_m, y_m + part * along_y_m
        # Not math.hypot: Python's and the compiled one differ in the last bit.
        _add_nearness(found, hit, near_us, math.sqrt(near_x_m * near_x_m + near_y_m * near_y_m))
    _add_stay(found, hit, enter_us, leave_us)
    return True


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
def _add_nearness(found: Hits, hit: int, time_us: int, away_m: float) -> None:
    if away_m < found.near_m[hit]:
        found.near_m[hit] = away_m
        found.near_us[hit] = time_us


@kernel
def _add_stay(found: Hits, hit: int, enter_us: int, leave_us: int) -> None:
    """Count a stay that begins no earlier than any before it."""
    if found.visits[hit] == 0:
        found.enter_us[hit] = enter_us
    if found.visits[hit] == 0 or enter_us > found.leave_us[hit]:
        found.visits[hit] += 1
        found.leave_us[hit] = leave_us
    else:
        found.leave_us[hit] = max(found.leave_us[hit], leave_us)
