"""What the pings and lines of one device come to that are inside one incident, added up one by one in order of time.

Only numbers go in and out: a call that takes arrays costs more than the sum itself. The exact metric of geo.wgs84 is
asked only where the plane about the incident, whose error is bounded, leaves a doubt: near the edge, and where a ping
or line may be the nearest so far. The answer is the same to the last bit.
"""

import math
from typing import NamedTuple

from geo.jit import kernel
from geo.wgs84 import ECCENTRICITY_SQUARED, RADIANS_PER_DEGREE, SEMI_MAJOR_M, distance_m
from matcher.hits import NO_TIME_US
from matcher.kernels import Circle, Stay, stay_on_line, with_stay
from matcher.lines import MOST_M_AN_E7, Line, shorter_way_e7
from matcher.trails import E7_PER_DEGREE

Window = tuple[int, int]

# Lines whose ends are further off than this together are tested without a look in the plane about the incident.
NEARBY_M = 20_000.0


class Plane(NamedTuple):
    """The plane about an incident: how long 1e-7 degrees are there, and by how much that may be wrong."""

    east_m: float  # of longitude
    east_more_m: float  # and how much longer for each 1e-7 degrees further north
    north_m: float  # of latitude
    north_more_m: float
    tangent: float  # of the latitude, not under 0
    slack_m: float  # more than its distances of up to the radius may differ from geo.wgs84's


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
def with_ping(
    total: Total, time_us: int, lon_e7: int, lat_e7: int, circle: Circle, window: Window, plane: Plane
) -> Total:
    """Add a ping, if it is inside.

    The exact distance is asked only where the plane about the incident, whose error is less than its slack, leaves a
    doubt: near the edge, and where the ping may be the closest.
    """
    radius_m, slack_m = circle[2], plane.slack_m
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
def with_line(total: Total, line: Line, circle: Circle, window: Window, plane: Plane, max_speed_mps: float) -> Total:
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
    slack_m = plane.slack_m
    x0_m, y0_m = _offset_m(plane, circle, lon0_e7, lat0_e7)
    x1_m, y1_m = _offset_m(plane, circle, lon1_e7, lat1_e7)
    start_m, end_m = math.sqrt(x0_m * x0_m + y0_m * y0_m), math.sqrt(x1_m * x1_m + y1_m * y1_m)
    along_m = math.sqrt((x1_m - x0_m) * (x1_m - x0_m) + (y1_m - y0_m) * (y1_m - y0_m))
    # Not nearer than this: half of what the way by the incident is longer than the line. The plane of `stay_on_line` is
    # turned at each place by up to half the convergence of the meridians, which can make the line as much longer.
    both_m = start_m + end_m
    least_m = (both_m - along_m) / 2 - both_m * both_m / SEMI_MAJOR_M * (1 + plane.tangent) - slack_m
    if both_m < NEARBY_M and least_m > circle[2]:
        return False, 0, 0, 0, math.inf
    gap_s = (end_us - start_us) / 1e6
    sides_e7 = abs(shorter_way_e7(lon1_e7 - float(lon0_e7))) + abs(lat1_e7 - float(lat0_e7))
    is_slow = MOST_M_AN_E7 * sides_e7 <= max_speed_mps * gap_s
    if max(start_m, end_m) <= circle[2] - slack_m and least_m >= near_m and is_slow:
        return True, max(start_us, window[0]), min(end_us, window[1]), start_us, math.inf
    return stay_on_line(line, circle, window[0], window[1], max_speed_mps)


@kernel
def plane_about(lat_deg: float, radius_m: float) -> Plane:
    """The plane about a place at this latitude, for a circle of this radius.

    Like geo.wgs84 by the radii of curvature at the mean latitude of two places, but as the first terms of a series
    about the latitude of one: of M and N cos(lat) the derivatives are 3 M e2 sin cos / (1 - e2 sin2) and -M sin.
    """
    sine, cosine = math.sin(lat_deg * RADIANS_PER_DEGREE), math.cos(lat_deg * RADIANS_PER_DEGREE)
    squared = 1 - ECCENTRICITY_SQUARED * sine * sine
    across_m = SEMI_MAJOR_M / math.sqrt(squared)
    along_m = across_m * (1 - ECCENTRICITY_SQUARED) / squared
    unit = RADIANS_PER_DEGREE / E7_PER_DEGREE
    return Plane(
        across_m * cosine * unit,
        -along_m * sine * unit * unit / 2,
        along_m * unit,
        3 * along_m * ECCENTRICITY_SQUARED * sine * cosine / squared * unit * unit / 2,
        abs(sine) / cosine,
        slack_m(radius_m),
    )


@kernel
def _offset_m(plane: Plane, circle: Circle, lon_e7: int, lat_e7: int) -> tuple[float, float]:
    """Metres east and north of an incident by its plane."""
    east_e7, north_e7 = shorter_way_e7(lon_e7 - circle[0] * E7_PER_DEGREE), lat_e7 - circle[1] * E7_PER_DEGREE
    east_m, north_m = plane.east_m + plane.east_more_m * north_e7, plane.north_m + plane.north_more_m * north_e7
    return east_m * east_e7, north_m * north_e7


@kernel
def slack_m(away_m: float) -> float:
    """By how much a distance in an incident's plane may differ from geo.wgs84's: thirty times the next terms."""
    return 1e-6 + 4 * away_m * (away_m / SEMI_MAJOR_M) * (away_m / SEMI_MAJOR_M)
