"""Metres about a point on the WGS84 ellipsoid: offset, distance, bearing.

The Gauss mid-latitude method: the meridian's and the parallel's radii of curvature at the *mean* latitude of the two
points, and the azimuth at the first point from that at the middle by half the convergence of the meridians
(R. H. Rapp, Geometric Geodesy, Part I, 1991, on Gauss's mid-latitude formulas). Against the geodesic the distance is
within 1 cm at 10 km up to 70 degrees of latitude and within 4 cm up to 80; the error grows with the cube of the
distance (docs/decisions/0001-the-join.md). With the radii at one end it would be 3.8 m at 10 km in England.
"""

import math

from geo.jit import kernel

SEMI_MAJOR_M = 6_378_137.0
FLATTENING = 1 / 298.257_223_563
ECCENTRICITY_SQUARED = FLATTENING * (2 - FLATTENING)

RADIANS_PER_DEGREE = math.pi / 180


@kernel
def distance_m(lon0_deg: float, lat0_deg: float, lon_deg: float, lat_deg: float) -> float:
    """Metres between two points; the shorter way round across the antimeridian. NaN for NaN."""
    east_m, north_m, _ = _mid_latitude(lon0_deg, lat0_deg, lon_deg, lat_deg)
    return math.sqrt(east_m * east_m + north_m * north_m)


@kernel
def offset_m(lon0_deg: float, lat0_deg: float, lon_deg: float, lat_deg: float) -> tuple[float, float]:
    """Metres east and north of the first point at which the second lies, in the plane that touches at the first.

    The plane keeps true distance and direction from the first point (azimuthal equidistant), so that a straight line
    past it is nearly the geodesic. Their length is `distance_m` but for rounding.
    """
    x_m, y_m, _ = offset_and_distance_m(lon0_deg, lat0_deg, lon_deg, lat_deg)
    return x_m, y_m


@kernel
def offset_and_distance_m(
    lon0_deg: float, lat0_deg: float, lon_deg: float, lat_deg: float
) -> tuple[float, float, float]:
    """Both `offset_m` and `distance_m`, each to the last bit, for less than the two take."""
    east_m, north_m, turn_rad = _mid_latitude(lon0_deg, lat0_deg, lon_deg, lat_deg)
    turned, along = math.sin(turn_rad), math.cos(turn_rad)
    away_m = math.sqrt(east_m * east_m + north_m * north_m)
    return east_m * along - north_m * turned, east_m * turned + north_m * along, away_m


@kernel
def bearing_rad(lon0_deg: float, lat0_deg: float, lon_deg: float, lat_deg: float) -> float:
    """Direction from the first point to the second, clockwise from north, in [0, 2 pi); 0 where they are one point."""
    east_m, north_m = offset_m(lon0_deg, lat0_deg, lon_deg, lat_deg)
    return math.atan2(east_m, north_m) % (2 * math.pi)


@kernel
def _mid_latitude(lon0_deg: float, lat0_deg: float, lon_deg: float, lat_deg: float) -> tuple[float, float, float]:
    """Metres east and north along the radii at the mean latitude, and half the convergence of the meridians."""
    lon_rad = shorter_way_deg(lon_deg - lon0_deg) * RADIANS_PER_DEGREE
    lat_rad = (lat_deg - lat0_deg) * RADIANS_PER_DEGREE
    middle_rad = (lat0_deg + lat_deg) * (RADIANS_PER_DEGREE / 2)
    sine, cosine = math.sin(middle_rad), math.cos(middle_rad)
    squared = 1 - ECCENTRICITY_SQUARED * sine * sine
    across_m = SEMI_MAJOR_M / math.sqrt(squared)
    along_m = across_m * (1 - ECCENTRICITY_SQUARED) / squared
    return across_m * cosine * lon_rad, along_m * lat_rad, lon_rad * sine / 2


@kernel
def shorter_way_deg(lon_deg: float) -> float:
    """Bring a difference of two longitudes from (-360, 360) into [-180, 180]."""
    if lon_deg > 180:
        return lon_deg - 360
    if lon_deg < -180:
        return lon_deg + 360
    return lon_deg
