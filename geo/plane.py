"""The plane that touches the ellipsoid at a place, prepared once for the many positions that are looked at from there.

The metric is that of geo.wgs84, the Gauss mid-latitude method; but where that takes a sine and a root for each
position, this takes the first terms of their series about the latitude of the place (R. H. Rapp, Geometric Geodesy,
Part I, 1991, for the radii of curvature and their derivatives). From geo.wgs84 it differs by less than 0.01 mm at 10 km
and 1 cm at 50 km up to 85 degrees, far less than that differs from the geodesic (docs/decisions/0013-one-plane.md).
"""

import math
from typing import NamedTuple

from geo.jit import inlined, kernel
from geo.wgs84 import ECCENTRICITY_SQUARED, RADIANS_PER_DEGREE, SEMI_MAJOR_M, offset_and_distance_m

# A position is kept as the database stores it: 1e-7 degrees, at most 0.8 cm from what was delivered.
E7_PER_DEGREE = 10_000_000
HALF_TURN_E7 = 180 * E7_PER_DEGREE
FULL_TURN_E7 = 360 * E7_PER_DEGREE

# Beyond so many degrees of latitude or longitude the series are not asked.
MAX_LAT_E7 = 6 * E7_PER_DEGREE
MAX_LON_E7 = 12 * E7_PER_DEGREE

Place = tuple[float, float, float]  # metres east and north of the place of a plane, and from it


class Plane(NamedTuple):
    """Series about the latitude of a place, in 1e-7 degrees further north."""

    lon_e7: float
    lat_e7: float
    east0_m: float  # of 1e-7 degrees of longitude
    east1_m: float
    east2_m: float
    north0_m: float  # of 1e-7 degrees of latitude
    north1_m: float
    north2_m: float
    turn0_rad: float  # half the convergence of the meridians, for 1e-7 degrees of longitude
    turn1_rad: float


@kernel
def plane_at(lon_deg: float, lat_deg: float) -> Plane:
    """The plane about a place within 85 degrees of latitude.

    The radii and the sine at the middle latitude, half of a position's way north. With M and N the radii of curvature,
    s and c the sine and cosine, and W = 1 - e2 s2: (N c)' = -M s, M' = 3 e2 M s c / W.
    """
    sine, cosine = math.sin(lat_deg * RADIANS_PER_DEGREE), math.cos(lat_deg * RADIANS_PER_DEGREE)
    squared = 1 - ECCENTRICITY_SQUARED * sine * sine
    across_m = SEMI_MAJOR_M / math.sqrt(squared)
    along_m = across_m * (1 - ECCENTRICITY_SQUARED) / squared
    along1_m = 3 * ECCENTRICITY_SQUARED * along_m * sine * cosine / squared
    bent = cosine * cosine - sine * sine + 5 * ECCENTRICITY_SQUARED * sine * sine * cosine * cosine / squared
    along2_m = 3 * ECCENTRICITY_SQUARED * along_m * bent / squared
    unit = RADIANS_PER_DEGREE / E7_PER_DEGREE
    half = unit / 2
    return Plane(
        lon_deg * E7_PER_DEGREE,
        lat_deg * E7_PER_DEGREE,
        across_m * cosine * unit,
        -along_m * sine * half * unit,
        -(along1_m * sine + along_m * cosine) * half * half / 2 * unit,
        along_m * unit,
        along1_m * half * unit,
        along2_m * half * half / 2 * unit,
        sine * half,
        cosine * half * half,
    )


@inlined
def place_in(plane: Plane, lon_e7: int, lat_e7: int) -> Place:
    """Where a position lies in the plane, with `offset_m` and `distance_m` of geo.wgs84 in one; 5 ns."""
    east_e7, north_e7 = shorter_way_e7(lon_e7 - plane.lon_e7), lat_e7 - plane.lat_e7
    if abs(east_e7) > MAX_LON_E7 or abs(north_e7) > MAX_LAT_E7:
        return _place_far_off(plane, lon_e7, lat_e7)
    east_m = (plane.east0_m + north_e7 * (plane.east1_m + north_e7 * plane.east2_m)) * east_e7
    north_m = (plane.north0_m + north_e7 * (plane.north1_m + north_e7 * plane.north2_m)) * north_e7
    turn = (plane.turn0_rad + north_e7 * plane.turn1_rad) * east_e7
    turn2 = turn * turn
    turned, along = turn * (1 - turn2 / 6 * (1 - turn2 / 20)), 1 - turn2 / 2 * (1 - turn2 / 12)
    away_m = math.sqrt(east_m * east_m + north_m * north_m)
    return east_m * along - north_m * turned, east_m * turned + north_m * along, away_m


@kernel
def _place_far_off(plane: Plane, lon_e7: int, lat_e7: int) -> Place:
    return offset_and_distance_m(
        plane.lon_e7 / E7_PER_DEGREE, plane.lat_e7 / E7_PER_DEGREE, lon_e7 / E7_PER_DEGREE, lat_e7 / E7_PER_DEGREE
    )


@inlined
def shorter_way_e7(lon_e7: float) -> float:
    """Bring a difference of two longitudes into [-180, 180] degrees."""
    if lon_e7 > HALF_TURN_E7:
        return lon_e7 - FULL_TURN_E7
    if lon_e7 < -HALF_TURN_E7:
        return lon_e7 + FULL_TURN_E7
    return lon_e7
