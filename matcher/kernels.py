"""The compiled loops of the join: pings, and lines between pings, against the grid of incidents."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from geo.jit import kernel
from geo.wgs84 import distance_m, offset_m, shorter_way_deg
from matcher.hits import NO_TIME_US, Hits
from matcher.index import FULL_TURN_E7, HALF_TURN_E7, IncidentGrid, bucket_of, lon_cells
from matcher.trails import E7_PER_DEGREE, Trails

Longs = npt.NDArray[np.int64]

FULL = -1

# A line that crosses more cells than this is asked for its speed before its cells are visited, not after: one stray fix
# on the other side of the world would visit a hundred thousand.
MANY_PIECES = 4

# How far a line that is straight in an incident's plane may stray from the same line in longitude and latitude, in
# 1e-7 degrees for each squared 1e-7 degree of its height and width. A line of L metres strays by its sagitta against
# the parallel, L**2 tan(lat) / (8 R), and as much again along itself; these bounds are twice that, at 86 degrees.
STRAY_LON = (96e-9, 0.63e-9)
STRAY_LAT = (6.7e-9, 0.54e-9)


class Scan(NamedTuple):
    """What one scan reads, and the columns that it fills."""

    trails: Trails
    grid: IncidentGrid
    max_gap_us: int  # 0: no lines
    max_speed_mps: float
    found: Hits  # room for hits, in the order in which they are found
    hit_of: Longs  # (I,) the row of `found` last opened for an incident, whatever the device
    line_of: Longs  # (I,) the line (by its second ping, plus one) that the incident was last compared with; 0 at first


class Line(NamedTuple):
    """The line from one ping of a device to the next."""

    device: int
    ping: int  # its second ping
    first_hit: int  # rows of `found` before this one belong to other devices
    lon_e7: float  # its first ping's
    lat_e7: float
    east_e7: float  # from there to its second ping, the shorter way round
    north_e7: float
    stray_lon_e7: float
    stray_lat_e7: float


@kernel
def scan_devices(scan: Scan, first: int, end: int, hits: int) -> tuple[int, int]:
    """Join the devices from `first` up to `end`, adding to the hits that `scan.found` holds already.

    Returns the first device not joined (`end`, or earlier where `found` has no room for all hits of that device) and
    the number of hits now held.
    """
    for device in range(first, end):
        first_hit = hits
        begin = scan.trails.starts[device]
        for ping in range(begin, scan.trails.starts[device + 1]):
            if scan.max_gap_us > 0 and ping > begin:
                hits = _join_line(scan, device, ping, first_hit, hits)
                if hits == FULL:
                    return device, first_hit
            hits = _join_ping(scan, device, ping, first_hit, hits)
            if hits == FULL:
                return device, first_hit
    return end, hits


@kernel
def _join_ping(scan: Scan, device: int, ping: int, first_hit: int, hits: int) -> int:
    """Add a ping to the hits of all incidents that it lies in; returns their new number, or FULL."""
    trails, grid, found = scan.trails, scan.grid, scan.found
    time_us = trails.fixed_at_us[ping]
    lon_e7, lat_e7 = trails.lon_e7[ping], trails.lat_e7[ping]
    for level in range(grid.cell_bits.size):
        cell, slot = grid.cell_bits[level], grid.slot_bits[level]
        bucket = bucket_of(grid, level, int(lon_e7 >> cell), int(lat_e7 >> cell), int(time_us >> slot))
        for entry in range(grid.bucket_starts[bucket], grid.bucket_starts[bucket + 1]):
            incident = grid.entries[entry]
            if time_us < grid.incidents.from_us[incident] or time_us > grid.incidents.to_us[incident]:
                continue
            away_m = _distance_m(grid, incident, lon_e7 / E7_PER_DEGREE, lat_e7 / E7_PER_DEGREE)
            if away_m > grid.incidents.radius_m[incident]:
                continue
            hit = _hit(scan, incident, first_hit, hits)
            if hit == hits:
                if hits == found.incident.size:
                    return FULL
                _open_hit(scan, hit, incident, device)
                hits += 1
            _add_ping(found, hit, time_us, away_m)
    return hits


@kernel
def _distance_m(grid: IncidentGrid, incident: int, lon_deg: float, lat_deg: float) -> float:
    """Distance from an incident; infinite outside its box, where nothing needs to be computed."""
    lon0_deg, lat0_deg = grid.incidents.lon_deg[incident], grid.incidents.lat_deg[incident]
    if abs(lat_deg - lat0_deg) * E7_PER_DEGREE > grid.half_lat_e7[incident]:
        return math.inf
    if abs(shorter_way_deg(lon_deg - lon0_deg)) * E7_PER_DEGREE > grid.half_lon_e7[incident]:
        return math.inf
    return distance_m(lon0_deg, lat0_deg, lon_deg, lat_deg)


@kernel
def _join_line(scan: Scan, device: int, ping: int, first_hit: int, hits: int) -> int:
    """Add the line that ends at a ping to the hits of all incidents that it passes; as `_join_ping`."""
    trails, grid = scan.trails, scan.grid
    start_us, length_us = trails.fixed_at_us[ping - 1], trails.fixed_at_us[ping] - trails.fixed_at_us[ping - 1]
    if length_us == 0 or length_us > scan.max_gap_us:
        return hits
    line = _line(trails, device, ping, first_hit)
    is_checked = False
    for level in range(grid.cell_bits.size):
        # Cut into pieces no longer than a cell, so that a slanting line visits the cells beside it and no others.
        pieces = 1 + (int(max(abs(line.east_e7), abs(line.north_e7))) >> grid.cell_bits[level])
        if pieces > MANY_PIECES and not is_checked:
            if _is_too_fast(scan, ping):
                return hits
            is_checked = True
        for piece in range(pieces):
            first_slot = (start_us + length_us * piece // pieces) >> grid.slot_bits[level]
            last_slot = (start_us + length_us * (piece + 1) // pieces + 1) >> grid.slot_bits[level]
            hits = _join_piece(scan, line, level, piece / pieces, (piece + 1) / pieces, first_slot, last_slot, hits)
            if hits == FULL:
                return FULL
    return hits


@kernel
def _line(trails: Trails, device: int, ping: int, first_hit: int) -> Line:
    lon_e7, lat_e7 = float(trails.lon_e7[ping - 1]), float(trails.lat_e7[ping - 1])
    east_e7, north_e7 = trails.lon_e7[ping] - lon_e7, trails.lat_e7[ping] - lat_e7
    if east_e7 > HALF_TURN_E7:
        east_e7 -= FULL_TURN_E7
    elif east_e7 < -HALF_TURN_E7:
        east_e7 += FULL_TURN_E7
    stray_lon_e7 = 1 + STRAY_LON[0] * north_e7 * north_e7 + STRAY_LON[1] * east_e7 * east_e7
    stray_lat_e7 = 1 + STRAY_LAT[0] * north_e7 * north_e7 + STRAY_LAT[1] * east_e7 * east_e7
    return Line(device, ping, first_hit, lon_e7, lat_e7, east_e7, north_e7, stray_lon_e7, stray_lat_e7)


@kernel
def _is_too_fast(scan: Scan, ping: int) -> bool:
    trails = scan.trails
    length_m = distance_m(
        trails.lon_e7[ping - 1] / E7_PER_DEGREE,
        trails.lat_e7[ping - 1] / E7_PER_DEGREE,
        trails.lon_e7[ping] / E7_PER_DEGREE,
        trails.lat_e7[ping] / E7_PER_DEGREE,
    )
    return length_m > scan.max_speed_mps * ((trails.fixed_at_us[ping] - trails.fixed_at_us[ping - 1]) / 1e6)


@kernel
def _join_piece(
    scan: Scan, line: Line, level: int, start: float, end: float, first_slot: int, last_slot: int, hits: int
) -> int:
    """Compare a line with the incidents of all cells that its piece from `start` to `end` (of 0 to 1) may touch."""
    cell = scan.grid.cell_bits[level]
    lon0, lon1 = line.lon_e7 + start * line.east_e7, line.lon_e7 + end * line.east_e7
    lat0, lat1 = line.lat_e7 + start * line.north_e7, line.lat_e7 + end * line.north_e7
    west = int(math.floor(min(lon0, lon1) - line.stray_lon_e7))
    east = int(math.ceil(max(lon0, lon1) + line.stray_lon_e7))
    south = int(math.floor(min(lat0, lat1) - line.stray_lat_e7)) >> cell
    north = int(math.ceil(max(lat0, lat1) + line.stray_lat_e7)) >> cell
    for turn in range(-1, 2):
        first, last = lon_cells(cell, west, east, turn)
        for x in range(first, last + 1):
            for y in range(south, north + 1):
                for slot in range(first_slot, last_slot + 1):
                    hits = _join_bucket(scan, line, bucket_of(scan.grid, level, x, y, slot), hits)
                    if hits == FULL:
                        return FULL
    return hits


@kernel
def _join_bucket(scan: Scan, line: Line, bucket: int, hits: int) -> int:
    """Compare a line with the incidents of a bucket, each once however many buckets name it."""
    grid, times = scan.grid, scan.trails.fixed_at_us
    for entry in range(grid.bucket_starts[bucket], grid.bucket_starts[bucket + 1]):
        incident = grid.entries[entry]
        if scan.line_of[incident] == line.ping + 1:
            continue
        scan.line_of[incident] = line.ping + 1
        if times[line.ping] < grid.incidents.from_us[incident] or times[line.ping - 1] > grid.incidents.to_us[incident]:
            continue
        if _passes_box(grid, incident, line) and not _is_too_fast(scan, line.ping):
            hits = _add_line(scan, line, incident, hits)
            if hits == FULL:
                return FULL
    return hits


@kernel
def _passes_box(grid: IncidentGrid, incident: int, line: Line) -> bool:
    lon0 = shorter_way_deg(line.lon_e7 / E7_PER_DEGREE - grid.incidents.lon_deg[incident]) * E7_PER_DEGREE
    lat0 = line.lat_e7 - grid.incidents.lat_deg[incident] * E7_PER_DEGREE
    lon1, lat1 = lon0 + line.east_e7, lat0 + line.north_e7
    reach_lon = grid.half_lon_e7[incident] + line.stray_lon_e7
    reach_lat = grid.half_lat_e7[incident] + line.stray_lat_e7
    return (
        min(lon0, lon1) <= reach_lon
        and max(lon0, lon1) >= -reach_lon
        and min(lat0, lat1) <= reach_lat
        and max(lat0, lat1) >= -reach_lat
    )


@kernel
def _add_line(scan: Scan, line: Line, incident: int, hits: int) -> int:
    """Add the stretch of a line that lies within an incident's radius and window, if there is one."""
    trails, incidents, found = scan.trails, scan.grid.incidents, scan.found
    lon0_deg, lat0_deg = incidents.lon_deg[incident], incidents.lat_deg[incident]
    lon1_deg, lat1_deg = trails.lon_e7[line.ping - 1] / E7_PER_DEGREE, trails.lat_e7[line.ping - 1] / E7_PER_DEGREE
    lon2_deg, lat2_deg = trails.lon_e7[line.ping] / E7_PER_DEGREE, trails.lat_e7[line.ping] / E7_PER_DEGREE
    radius_m = incidents.radius_m[incident]
    # By the rule for pings and not by the plane's rounding, so that a stretch reaches the ping that lies inside.
    starts_inside = distance_m(lon0_deg, lat0_deg, lon1_deg, lat1_deg) <= radius_m
    ends_inside = distance_m(lon0_deg, lat0_deg, lon2_deg, lat2_deg) <= radius_m
    x_m, y_m = offset_m(lon0_deg, lat0_deg, lon1_deg, lat1_deg)
    end_x_m, end_y_m = offset_m(lon0_deg, lat0_deg, lon2_deg, lat2_deg)
    along_x_m, along_y_m = end_x_m - x_m, end_y_m - y_m
    enter, closest, leave = _stretch(x_m, y_m, along_x_m, along_y_m, radius_m, starts_inside, ends_inside)

    start_us, end_us = trails.fixed_at_us[line.ping - 1], trails.fixed_at_us[line.ping]
    length_us = end_us - start_us
    enter_us = max(start_us + _rounded(enter * length_us), incidents.from_us[incident])
    leave_us = min(start_us + _rounded(leave * length_us), incidents.to_us[incident])
    if leave < enter or leave_us < enter_us:
        return hits
    hit = _hit(scan, incident, line.first_hit, hits)
    if hit == hits:
        if hits == found.incident.size:
            return FULL
        _open_hit(scan, hit, incident, line.device)
        hits += 1
    _add_stay(found, hit, enter_us, leave_us)
    found.inside_s[hit] += (leave_us - enter_us) / 1e6
    near_us = min(max(start_us + _rounded(closest * length_us), enter_us), leave_us)
    # A ping inside speaks for itself, with its own rounding.
    if not ((near_us == start_us and starts_inside) or (near_us == end_us and ends_inside)):
        part = (near_us - start_us) / length_us
        _add_nearness(found, hit, near_us, math.hypot(x_m + part * along_x_m, y_m + part * along_y_m))
    return hits


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
    if not (starts_inside or ends_inside) and (
        abs(passes_at_m) > radius_m or closest + half < 0 or closest - half > 1
    ):
        return 1.0, 0.0, 0.0
    enter = 0.0 if starts_inside else min(max(closest - half, 0.0), 1.0)
    leave = 1.0 if ends_inside else min(max(closest + half, 0.0), 1.0)
    return enter, min(max(closest, 0.0), 1.0), leave


@kernel
def _rounded(value: float) -> int:
    return int(math.floor(value + 0.5))


@kernel
def _hit(scan: Scan, incident: int, first_hit: int, hits: int) -> int:
    """The row of this device's hit with an incident, or `hits`, the next free row, if it has none yet."""
    hit = scan.hit_of[incident]
    # A row left by another device, or by nobody (the memory is not cleared), fails one of these.
    if first_hit <= hit < hits and scan.found.incident[hit] == incident:
        return hit
    return hits


@kernel
def _open_hit(scan: Scan, hit: int, incident: int, device: int) -> None:
    found = scan.found
    scan.hit_of[incident] = hit
    found.incident[hit] = incident
    found.device[hit] = device
    found.n_pings[hit] = 0
    found.first_us[hit] = found.last_us[hit] = found.closest_us[hit] = NO_TIME_US
    found.closest_m[hit] = found.near_m[hit] = math.inf
    found.inside_s[hit] = 0
    found.visits[hit] = 0


@kernel
def _add_ping(found: Hits, hit: int, time_us: int, away_m: float) -> None:
    if found.n_pings[hit] == 0:
        found.first_us[hit] = time_us
    found.n_pings[hit] += 1
    found.last_us[hit] = time_us
    if away_m < found.closest_m[hit]:
        found.closest_m[hit] = away_m
        found.closest_us[hit] = time_us
    _add_nearness(found, hit, time_us, away_m)
    _add_stay(found, hit, time_us, time_us)


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
