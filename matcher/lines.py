"""Lines between neighbouring pings: which count, and how far they stray from a box in longitude and latitude."""

from typing import NamedTuple

from geo.jit import kernel
from geo.plane import E7_PER_DEGREE, shorter_way_e7
from geo.wgs84 import distance_m

MOST_M_AN_E7 = 0.0112

# How far a line that is straight in an incident's plane may stray from the same line in longitude and latitude, in
# 1e-7 degrees for each squared 1e-7 degree of its height and width. A line of L metres strays by its sagitta against
# the parallel, L**2 tan(lat) / (8 R), and as much again along itself; these bounds are twice that at 86 degrees.
STRAY_LON = (96e-9, 0.63e-9)
STRAY_LAT = (6.7e-9, 0.54e-9)


class LineRule(NamedTuple):
    """Which lines between two pings count."""

    max_gap_us: int
    max_speed_mps: float


@kernel
def stray_e7(east_e7: float, north_e7: float) -> tuple[float, float]:
    """By how much a line of at most this width and height may leave the box of its ends, in longitude and latitude."""
    east2, north2 = east_e7 * east_e7, north_e7 * north_e7
    return 1 + STRAY_LON[0] * north2 + STRAY_LON[1] * east2, 1 + STRAY_LAT[0] * north2 + STRAY_LAT[1] * east2


@kernel
def is_too_fast(
    lon0_e7: float, lat0_e7: float, lon1_e7: float, lat1_e7: float, gap_us: int, max_speed_mps: float
) -> bool:
    """Say whether one ping cannot be reached from the other in time."""
    # A ten-millionth of a degree is nowhere longer than this; mostly that decides, and no sine has to be taken.
    along_two_sides_m = MOST_M_AN_E7 * (abs(shorter_way_e7(lon1_e7 - float(lon0_e7))) + abs(lat1_e7 - float(lat0_e7)))
    if along_two_sides_m <= max_speed_mps * (gap_us / 1e6):
        return False
    length_m = distance_m(
        lon0_e7 / E7_PER_DEGREE, lat0_e7 / E7_PER_DEGREE, lon1_e7 / E7_PER_DEGREE, lat1_e7 / E7_PER_DEGREE
    )
    return length_m > max_speed_mps * (gap_us / 1e6)
