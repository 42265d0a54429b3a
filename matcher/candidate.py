"""Whether the join would find one wearer and one incident; mostly that is plain without joining."""

import math
from typing import Final

import numpy as np

from geo.wgs84 import RADIANS_PER_DEGREE
from matcher.context import Incident, Pings, padded_window
from matcher.fixes import Floats
from matcher.incidents import Incidents
from matcher.join import Between, space_time_join
from matcher.near import distances_m
from matcher.profile import Profile
from matcher.trails import E7_PER_DEGREE, trails_from_columns

# Degrees are nowhere longer than this, and by more than this no plane's distances are off on a line that counts.
_MOST_METRES_PER_DEGREE: Final = 112_000.0
_SLACK_M: Final = 50.0


def is_candidate(pings: Pings, incident: Incident, profile: Profile) -> bool:
    """Say whether the join finds the pair: a position, or a line within one fitting, in the radius with its margin.

    Only where that is in doubt the join itself is asked. 20 µs, and 10 ns a ping.
    """
    if not pings.fixed_at_us.size:
        return False
    when = padded_window(incident, profile)
    radius_m = profile.circle(incident.offence).radius_m + profile.candidate_margin_m
    away_m = distances_m(pings.lon_e7, pings.lat_e7, incident.lon_deg, incident.lat_deg)
    during = (pings.fixed_at_us >= when.start_us) & (pings.fixed_at_us <= when.end_us)
    if np.any(during & (away_m < radius_m - _SLACK_M)):
        return True
    near_m = radius_m + _SLACK_M
    if away_m.min() > near_m and np.all(pings.fitting == pings.fitting[0]) and _are_lines_out(pings, away_m, near_m):
        return False
    return is_joined(pings, incident, profile)


def _are_lines_out(pings: Pings, away_m: Floats, near_m: float) -> bool:
    """Say whether every line is certainly too far off: it is as far as half of what the way by the place adds to it."""
    lat_deg = np.abs(pings.lat_e7).min() / E7_PER_DEGREE
    lon_deg = np.abs(np.diff(pings.lon_e7.astype(np.int64))) / E7_PER_DEGREE
    east_m = np.minimum(lon_deg, 360 - lon_deg) * (_MOST_METRES_PER_DEGREE * math.cos(lat_deg * RADIANS_PER_DEGREE))
    north_m = np.diff(pings.lat_e7.astype(np.int64)) * (_MOST_METRES_PER_DEGREE / E7_PER_DEGREE)
    return bool(np.all(away_m[1:] + away_m[:-1] - np.hypot(east_m, north_m) > 2 * near_m))


def is_joined(pings: Pings, incident: Incident, profile: Profile) -> bool:
    """Ask the join."""
    when = padded_window(incident, profile)
    one = Incidents(
        lon_deg=np.array([incident.lon_deg]),
        lat_deg=np.array([incident.lat_deg]),
        radius_m=np.array([profile.circle(incident.offence).radius_m + profile.candidate_margin_m]),
        from_us=np.array([when.start_us]),
        to_us=np.array([when.end_us]),
    )
    trails = trails_from_columns(pings.fitting, pings.fixed_at_us, pings.lon_e7, pings.lat_e7)
    return bool(space_time_join(trails, one, Between(profile.max_gap_s, profile.max_speed_mps)).device.size)
