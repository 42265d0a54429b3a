"""The fixes of a window as a table: which are joined, which are near a place, and the bridges between them."""

import math
from typing import Final, NamedTuple

import numpy as np

from geo.jit import kernel
from geo.plane import place_in, plane_at
from geo.wgs84 import RADIANS_PER_DEGREE, offset_m, shorter_way_deg
from matcher.bridge import Bridge, certainty, near_parts
from matcher.circle import CERTAIN, inside_probability
from matcher.crime_time import CrimeTime
from matcher.fixes import Floats
from matcher.jumps import is_jump
from matcher.mobility import WINDOW, left_out, likeliest_mobility, most_likeliest
from matcher.trails import E7_PER_DEGREE, Ints, Longs


class Place(NamedTuple):
    """Where a crime happened and how near counts."""

    lon_deg: float  # within 180 degrees
    lat_deg: float  # within 85 degrees
    radius_m: float  # over 0
    sigma_m: float  # the place's own standard deviation in each axis, 0 or more


class Bridges(NamedTuple):
    """Which fixes are joined, and within what the mobility of the bridges is sought."""

    max_gap_s: float
    max_speed_mps: float
    least_mobility_m2ps: float
    most_mobility_m2ps: float


# A degree of latitude or of the equator is at least as long.
_METRES_PER_DEGREE: Final = 110_500.0
# What can be near is this near in latitude, but for errors over 30 km, with which P is nothing (at most R²/2σ²).
_NEAR_DEG: Final = 2.0
# Of fixes so near the position is nearly always needed.
_NEARBY_M: Final = 1_000.0

# Columns of the table of a window's fixes, one row each, with some before and after for the mobility.
AT_S: Final = 0  # seconds after the window's start
_LON: Final = 1  # 1e-7 degrees
_LAT: Final = 2
SIGMA_M: Final = 3
X_M: Final = 4  # metres about the place, NaN until they are needed, as for `inside_at`
Y_M: Final = 5
_INSIDE: Final = 6  # probability at the fix, NaN until it is needed
_EAST: Final = 7  # metres off the place, at most
_NORTH: Final = 8
_TURN: Final = 9  # to 12: what leaving it out tells (matcher.mobility), NaN until it is needed
_COLUMNS: Final = 12


class Rows(NamedTuple):
    """Which fixes a window needs, and which of their rows lie in it or flank it."""

    fix: int  # the fix of the first row
    size: int
    first: int  # row of the last fix before the window, or of the first fix
    last: int  # row of the first fix after the window, or of the last fix


@kernel
def rows_of(time_us: Longs, when: CrimeTime) -> Rows:
    first = max(int(np.searchsorted(time_us, when.start_us, "right")) - 1, 0)
    last = min(int(np.searchsorted(time_us, when.end_us, "left")), time_us.size - 1)
    fix = max(first - WINDOW, 0)
    return Rows(fix, min(last + WINDOW, time_us.size - 1) - fix + 1, first - fix, last - fix)


@kernel
def table_of(
    time_us: Longs, lon_e7: Ints, lat_e7: Ints, sigma_m: Floats, rows: Rows, place: Place, start_us: int
) -> Floats:
    table = np.empty((rows.size, _COLUMNS))
    # Degrees of longitude as short as _NEAR_DEG nearer to the pole: what is further off is far by latitude.
    east_m = _METRES_PER_DEGREE * math.cos(min(abs(place.lat_deg) + _NEAR_DEG, 90.0) * RADIANS_PER_DEGREE)
    plane = plane_at(place.lon_deg, place.lat_deg)
    for row in range(rows.size):
        fix = rows.fix + row
        table[row, AT_S] = (time_us[fix] - start_us) / 1e6
        table[row, _LON] = lon_e7[fix]
        table[row, _LAT] = lat_e7[fix]
        table[row, SIGMA_M] = sigma_m[fix]
        table[row, X_M] = table[row, _INSIDE] = table[row, _TURN] = math.nan
        table[row, _EAST] = shorter_way_deg(lon_e7[fix] / E7_PER_DEGREE - place.lon_deg) * east_m
        table[row, _NORTH] = (lat_e7[fix] / E7_PER_DEGREE - place.lat_deg) * _METRES_PER_DEGREE
        if abs(table[row, _EAST]) < _NEARBY_M and abs(table[row, _NORTH]) < _NEARBY_M:
            table[row, X_M], table[row, Y_M], _ = place_in(plane, lon_e7[fix], lat_e7[fix])
    return table


@kernel
def is_joined(table: Floats, row: int, bridges: Bridges) -> bool:
    gap_s = table[row + 1, AT_S] - table[row, AT_S]
    return gap_s <= bridges.max_gap_s and not is_jump(
        table[row, _LON],
        table[row, _LAT],
        table[row + 1, _LON],
        table[row + 1, _LAT],
        table[row, SIGMA_M],
        table[row + 1, SIGMA_M],
        gap_s,
        bridges.max_speed_mps,
    )


@kernel
def is_far(table: Floats, row: int, other: int, place: Place, bridges: Bridges) -> bool:
    """Say whether the box about two fixes is certainly out of the circle's reach, whatever the mobility. 2 ns."""
    blur_m = max(table[row, SIGMA_M], table[other, SIGMA_M])
    variance_m2 = blur_m * blur_m + place.sigma_m * place.sigma_m
    variance_m2 += (table[other, AT_S] - table[row, AT_S]) / 4 * bridges.most_mobility_m2ps
    outside_m = max(_apart(table[row, _EAST], table[other, _EAST]), _apart(table[row, _NORTH], table[other, _NORTH]))
    outside_m -= place.radius_m
    return outside_m > 0 and outside_m * outside_m > CERTAIN * CERTAIN * variance_m2


@kernel
def _apart(one: float, other: float) -> float:
    """How far the stretch between two numbers is from 0; not over 0 where it is in it."""
    return max(one, -other) if one < other else max(other, -one)


@kernel
def inside_at(table: Floats, row: int, place: Place) -> float:
    """Give the probability at a fix."""
    if math.isnan(table[row, _INSIDE]):
        _locate(table, row, place)
        x_m, y_m, sigma_m = table[row, X_M], table[row, Y_M], table[row, SIGMA_M]
        blur_m = math.sqrt(sigma_m * sigma_m + place.sigma_m * place.sigma_m)
        table[row, _INSIDE] = inside_probability(math.sqrt(x_m * x_m + y_m * y_m), place.radius_m, blur_m)
    return float(table[row, _INSIDE])


@kernel
def _locate(table: Floats, row: int, place: Place) -> None:
    if math.isnan(table[row, X_M]):
        lon_deg, lat_deg = table[row, _LON] / E7_PER_DEGREE, table[row, _LAT] / E7_PER_DEGREE
        table[row, X_M], table[row, Y_M] = offset_m(place.lon_deg, place.lat_deg, lon_deg, lat_deg)


@kernel
def position_at(table: Floats, row: int, place: Place) -> tuple[float, float]:
    """Give metres east and north of the place at which a fix lies."""
    _locate(table, row, place)
    return table[row, X_M], table[row, Y_M]


@kernel
def bridge_after(table: Floats, row: int, place: Place, bridges: Bridges) -> Bridge:
    """Build the bridge from a row to the next: the likeliest mobility about it, but at most what led so far.

    A window about a stop of some minutes holds more of the ways to it than of the stop. Whoever ends a stretch where
    they began it has hardly wandered meanwhile: two axes of pure wandering come to 2·T·D, the errors of both fixes to
    2·(σ₁² + σ₂²), which is left in, so that the bound is never nothing (docs/decisions/0012).

    Of a bridge that would be nowhere in the circle with more mobility than it has, that wider one is given: seeking the
    likeliest is what takes long.
    """
    least, most = float(bridges.least_mobility_m2ps), float(bridges.most_mobility_m2ps)
    led_m2ps = _led_m2ps(table, row, place)
    if led_m2ps <= least:
        return _bridge(table, row, place, least)
    wider = _bridge(table, row, place, min(led_m2ps, most))
    if certainty(wider) == 0:
        return wider
    turns = _turns_about(table, row, place, bridges)
    if _is_turned(turns):
        wider = _bridge(table, row, place, max(min(most_likeliest(turns, least, most), led_m2ps), least))
        if certainty(wider) == 0:
            return wider
    return _bridge(table, row, place, max(min(_fitted_m2ps(table, row, turns, bridges), led_m2ps), least))


@kernel
def _led_m2ps(table: Floats, row: int, place: Place) -> float:
    """Give the mobility that leads as far as a stretch does."""
    _locate(table, row, place)
    _locate(table, row + 1, place)
    x_m, y_m = table[row + 1, X_M] - table[row, X_M], table[row + 1, Y_M] - table[row, Y_M]
    square_m2 = x_m * x_m + y_m * y_m
    square_m2 += 2 * (table[row, SIGMA_M] * table[row, SIGMA_M] + table[row + 1, SIGMA_M] * table[row + 1, SIGMA_M])
    return float(square_m2 / (2 * (table[row + 1, AT_S] - table[row, AT_S])))


@kernel
def loose_bridge_after(table: Floats, row: int, place: Place, bridges: Bridges) -> Bridge:
    """Build the bridge without that bound: who went there and back between two fixes is not lost.

    Where no part of it would be near with more mobility than it has, that wider one is given.
    """
    turns = _turns_about(table, row, place, bridges)
    if _is_turned(turns):
        most_m2ps = most_likeliest(turns, float(bridges.least_mobility_m2ps), float(bridges.most_mobility_m2ps))
        wider = _bridge(table, row, place, most_m2ps)
        start, end = near_parts(wider)
        if start >= end:
            return wider
    return _bridge(table, row, place, _fitted_m2ps(table, row, turns, bridges))


@kernel
def _bridge(table: Floats, row: int, place: Place, mobility_m2ps: float) -> Bridge:
    return Bridge(
        table[row, X_M],
        table[row, Y_M],
        table[row + 1, X_M] - table[row, X_M],
        table[row + 1, Y_M] - table[row, Y_M],
        table[row + 1, AT_S] - table[row, AT_S],
        mobility_m2ps,
        table[row, SIGMA_M] * table[row, SIGMA_M],
        table[row + 1, SIGMA_M] * table[row + 1, SIGMA_M],
        place.sigma_m * place.sigma_m,
        place.radius_m,
    )


@kernel
def _turns_about(table: Floats, row: int, place: Place, bridges: Bridges) -> Floats:
    """Give what leaving out tells of the fixes about a stretch, whose own two are located."""
    _locate(table, row, place)
    _locate(table, row + 1, place)
    first, end = max(row - WINDOW + 1, 1), min(row + WINDOW + 1, table.shape[0] - 1)
    for other in range(first, end):
        if math.isnan(table[other, _TURN]):
            _leave_out(table, other, place, bridges)
    return table[first:end, _TURN:]


@kernel
def _is_turned(turns: Floats) -> bool:
    """Say whether any three fixes are joined."""
    seconds = 0.0
    for k in range(turns.shape[0]):
        seconds += turns[k, 0]
    return seconds > 0


@kernel
def _fitted_m2ps(table: Floats, row: int, turns: Floats, bridges: Bridges) -> float:
    """Give the likeliest mobility about a stretch; where no three fixes are joined, its own length as wandering."""
    least, most = float(bridges.least_mobility_m2ps), float(bridges.most_mobility_m2ps)
    if _is_turned(turns):
        return likeliest_mobility(turns, least, most)
    x_m, y_m = table[row + 1, X_M] - table[row, X_M], table[row + 1, Y_M] - table[row, Y_M]
    seconds = table[row + 1, AT_S] - table[row, AT_S]
    return float(min(max((x_m * x_m + y_m * y_m) / (2 * seconds), least), most))


@kernel
def _leave_out(table: Floats, row: int, place: Place, bridges: Bridges) -> None:
    """Set what leaving out a fix tells; nothing where it is not joined to both its neighbours."""
    turn = table[row, _TURN:]
    if not (is_joined(table, row - 1, bridges) and is_joined(table, row, bridges)):
        turn[:] = 0
        return
    for other in range(row - 1, row + 2):
        _locate(table, other, place)
    before_s, after_s = table[row, AT_S] - table[row - 1, AT_S], table[row + 1, AT_S] - table[row, AT_S]
    part = before_s / (before_s + after_s)
    left_out(
        before_s,
        after_s,
        table[row, X_M] - (1 - part) * table[row - 1, X_M] - part * table[row + 1, X_M],
        table[row, Y_M] - (1 - part) * table[row - 1, Y_M] - part * table[row + 1, Y_M],
        table[row - 1, SIGMA_M] * table[row - 1, SIGMA_M],
        table[row, SIGMA_M] * table[row, SIGMA_M],
        table[row + 1, SIGMA_M] * table[row + 1, SIGMA_M],
        turn,
    )
