"""The join of a day of tags against line geometry in a plane about each incident, which shares no code with it."""

from typing import NamedTuple

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from pyproj import Geod

from benchmarks.workloads import Workload, workload
from matcher.hits import Hits
from matcher.join import space_time_join

GEOD = Geod(ellps="WGS84")
Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

TOLERANCE_M = 0.01
TOLERANCE_S = 1.0


class Lines(NamedTuple):
    """What of the lines between neighbouring pings lies in one window, in metres about the incident."""

    device: Longs
    geometry: NDArray[np.object_]
    seconds: Floats


@pytest.mark.parametrize("seed", [1, 2])
def test_lines_meet_whom_shapely_says_they_meet(seed: int) -> None:
    drawn = workload("W1-small", seed)
    hits = space_time_join(drawn.trails, drawn.incidents, drawn.between)
    device = np.repeat(np.arange(drawn.trails.device_id.size), np.diff(drawn.trails.starts))
    met_between = 0
    for incident in range(drawn.incidents.lon_deg.size):
        radius_m = float(drawn.incidents.radius_m[incident])
        lines = _lines(drawn, device, incident)
        near_m = shapely.distance(lines.geometry, shapely.Point(0, 0))
        sure, possible = (set(lines.device[near_m <= radius_m + off].tolist()) for off in (-TOLERANCE_M, TOLERANCE_M))
        rows = np.flatnonzero(hits.incident == incident)
        by_line = {int(hits.device[row]): row for row in rows.tolist() if hits.inside_s[row] > 0}
        assert {d for d in sure if _seconds(lines, d, radius_m) > TOLERANCE_S} <= set(by_line) <= possible
        for found, row in by_line.items():
            met_between += hits.n_pings[row] == 0
            _check(hits, row, lines, found, radius_m)
    assert met_between > 2


def _check(hits: Hits, row: int, lines: Lines, device: int, radius_m: float) -> None:
    mine = lines.device == device
    assert hits.inside_s[row] == pytest.approx(_seconds(lines, device, radius_m), abs=TOLERANCE_S)
    nearest_m = shapely.distance(lines.geometry[mine], shapely.Point(0, 0)).min()
    assert hits.near_m[row] <= nearest_m + TOLERANCE_M
    if hits.n_pings[row] == 0:
        assert hits.near_m[row] == pytest.approx(nearest_m, abs=TOLERANCE_M)


def _seconds(lines: Lines, device: int, radius_m: float) -> float:
    mine = lines.device == device
    geometry, seconds = lines.geometry[mine], lines.seconds[mine]
    circle = shapely.Point(0, 0).buffer(radius_m, quad_segs=2_048)
    length_m = shapely.length(geometry)
    inside_m = shapely.length(shapely.intersection(geometry, circle))
    still = shapely.intersects(geometry, circle).astype(float)
    return float(np.sum(seconds * np.where(length_m > 1e-6, inside_m / np.maximum(length_m, 1e-6), still)))


def _lines(drawn: Workload, device: Longs, incident: int) -> Lines:
    """Lines within 20 km of an incident, cut to its window."""
    trails, incidents, between = drawn.trails, drawn.incidents, drawn.between
    from_us, to_us = incidents.from_us[incident], incidents.to_us[incident]
    gap_us = np.diff(trails.fixed_at_us)
    is_line = (device[1:] == device[:-1]) & (gap_us > 0) & (gap_us <= between.max_gap_s * 1e6)
    is_line &= (trails.fixed_at_us[:-1] <= to_us) & (trails.fixed_at_us[1:] >= from_us)
    is_line &= np.abs(trails.lat_e7[1:] / 1e7 - incidents.lat_deg[incident]) < 0.2
    is_line &= np.abs(trails.lon_e7[1:] / 1e7 - incidents.lon_deg[incident]) < 0.3
    first = np.flatnonzero(is_line)
    ends = [(trails.lon_e7[ping] / 1e7, trails.lat_e7[ping] / 1e7) for ping in (first, first + 1)]
    length_m = np.asarray(GEOD.inv(*ends[0], *ends[1])[2])
    slow = length_m <= between.max_speed_mps * gap_us[first] / 1e6
    first, ends = first[slow], [(lon[slow], lat[slow]) for lon, lat in ends]
    (x0, y0), (x1, y1) = (_plane(incidents.lon_deg[incident], incidents.lat_deg[incident], *end) for end in ends)
    start_us, length_us = trails.fixed_at_us[first], gap_us[first]
    cut = [np.clip((edge - start_us) / length_us, 0, 1) for edge in (from_us, to_us)]
    points = [np.column_stack([x0 + part * (x1 - x0), y0 + part * (y1 - y0)]) for part in cut]
    geometry = shapely.linestrings(np.stack(points, axis=1))
    return Lines(device[first], np.asarray(geometry), (cut[1] - cut[0]) * length_us / 1e6)


def _plane(lon0_deg: float, lat0_deg: float, lon_deg: Floats, lat_deg: Floats) -> tuple[Floats, Floats]:
    count = lon_deg.size
    azimuth_deg, _, away_m = GEOD.inv(np.full(count, lon0_deg), np.full(count, lat0_deg), lon_deg, lat_deg)
    return away_m * np.sin(np.radians(azimuth_deg)), away_m * np.cos(np.radians(azimuth_deg))
