"""The join of one wearer's pings with one incident: without tables, which take longer to build than a pair to test."""

import math

import numpy as np

from geo.jit import kernel
from geo.plane import plane_at
from matcher.between import Between, line_rule
from matcher.context import Incident, Pings, padded_window
from matcher.crime_time import CrimeTime
from matcher.hits import HIT, Rows
from matcher.incidents import MAX_LAT_DEG, MAX_RADIUS_M, Incidents, check_incidents
from matcher.index import CIRCLE, Records, half_sides_e7, put_plane
from matcher.kernels import add_stays
from matcher.lines import LineRule
from matcher.profile import Profile
from matcher.trails import E7_PER_DEGREE, MAX_TIME_US, Ints, Longs, trails_from_columns


def join_one(pings: Pings, incident: Incident, profile: Profile, radius_m: float) -> Rows:
    """Give what `space_time_join` gives for an incident's padded window and this radius, as rows of HIT.

    A fitting is a device: lines join pings of one fitting only. Where fittings have pings in turns those are sorted
    first. 7 us, and 3 ns a ping.

    Raises ValueError as the join does, but that the pings themselves are not checked.
    """
    when = padded_window(incident, profile)
    _check(incident, when, radius_m)
    rule = line_rule(Between(profile.max_gap_s, profile.max_speed_mps))
    if _is_one_trail(pings.fitting, pings.fixed_at_us):
        starts, columns = np.array([0, pings.fixed_at_us.size]), (pings.fixed_at_us, pings.lon_e7, pings.lat_e7)
    else:
        trails = trails_from_columns(pings.fitting, pings.fixed_at_us, pings.lon_e7, pings.lat_e7)
        starts, columns = trails.starts, trails[2:]
    found, circle = np.empty(starts.size - 1, HIT), np.empty(1, CIRCLE)
    hits = _join(starts, *columns, incident.lon_deg, incident.lat_deg, radius_m, when, rule, circle, found)
    return found[:hits]


def _check(incident: Incident, when: CrimeTime, radius_m: float) -> None:
    """Raise what the join would, without its arrays where nothing is wrong. 0.3 us."""
    is_placed = abs(incident.lon_deg) <= 180 and abs(incident.lat_deg) <= MAX_LAT_DEG and 0 <= radius_m <= MAX_RADIUS_M
    if not (is_placed and -MAX_TIME_US <= when.start_us <= when.end_us <= MAX_TIME_US):
        values = (incident.lon_deg, incident.lat_deg, radius_m, when.start_us, when.end_us)
        check_incidents(Incidents(*(np.array([value]) for value in values)))


@kernel
def _is_one_trail(fitting: Ints, time_us: Longs) -> bool:
    """Say whether all pings are of one fitting, no two of one time."""
    others = 0
    for i in range(1, time_us.size):
        others += fitting[i] != fitting[0] or time_us[i] == time_us[i - 1]
    return others == 0


@kernel
def _join(
    starts: Longs,
    time_us: Longs,
    lon_e7: Ints,
    lat_e7: Ints,
    lon_deg: float,
    lat_deg: float,
    radius_m: float,
    when: CrimeTime,
    rule: LineRule,
    circle: Records,
    found: Rows,
) -> int:
    """Fill `found` with a row for each device that meets the circle; gives their number."""
    around = circle[0]
    half_lon_e7, half_lat_e7 = half_sides_e7(lat_deg, radius_m)
    around["half_lon_e7"] = math.ceil(half_lon_e7)
    around["south_e7"] = math.floor(lat_deg * E7_PER_DEGREE - half_lat_e7)
    around["north_e7"] = math.ceil(lat_deg * E7_PER_DEGREE + half_lat_e7)
    around["radius_m"], around["from_us"], around["to_us"] = radius_m, when.start_us, when.end_us
    around["incident"] = 0
    put_plane(around, plane_at(lon_deg, lat_deg))
    hits, hit_of = 0, np.zeros(1, np.int64)
    for device in range(starts.size - 1):
        begin, end = starts[device], starts[device + 1]
        hits = add_stays(time_us, lon_e7, lat_e7, begin, begin, end, device, around, rule, found, hits, hit_of)
    return hits
