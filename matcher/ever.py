"""The probability that a wearer was inside a circle at any moment of a window."""

import math
from typing import Final

import numpy as np

from geo.jit import kernel
from geo.uncounted import uncounted
from matcher.bridge import Bridge, near_parts, variance_at
from matcher.circle import CERTAIN, inside_probability
from matcher.crime_time import CrimeTime
from matcher.fixes import Fixes, Floats
from matcher.trails import Ints, Longs
from matcher.window import (
    AT_S,
    SIGMA_M,
    Bridges,
    Place,
    Rows,
    is_far,
    is_joined,
    loose_bridge_after,
    position_at,
    rows_of,
    table_of,
)

# The place is tried at so many points of its distribution.
_PLACES: Final = 32
# A discretely watched Brownian path reaches an edge as if it lay so many standard deviations of a step further off.
_DISCRETE: Final = 0.5826
_MOST_STEPS: Final = 16
_GOLDEN_ANGLE_RAD: Final = math.pi * (3 - math.sqrt(5))
_CERTAIN: Final = 1e-5

# Columns of the moments that a path is looked at.
_X: Final = 0
_Y: Final = 1
_M2: Final = 2  # variance in each axis, without the place's
_RADIUS: Final = 3
_SHARE: Final = 4  # (2/π) arcsin of the correlation with the moment before
_COLUMNS: Final = 5


def ever_inside(fixes: Fixes, place: Place, when: CrimeTime, bridges: Bridges, highest: float) -> float:
    """Give the probability of having been inside at any moment of the window that is covered, or at a fix in it.

    highest: the highest probability at one moment, of `presence`; the result is at least that.

    An approximation; there is no closed form. The path of the bridges is watched at moments between which it moves on
    by half the radius and wanders by a quarter of it or by what the fixes are uncertain (16 steps to a bridge at most),
    at a circle widened by 0.58 standard deviations of what it wanders from one to the next: the continuity correction
    of D. Siegmund (Advances in Applied Probability 11, 701, 1979) for paths watched at moments. The chance of never
    being inside is the product of the chances of being outside, each given the moment before. Of two moments with the
    probabilities p, q and the correlation ρ of their errors, both are inside with pq + (2/π) arcsin ρ · (min(p, q) −
    pq): exact for ρ of 0 and 1, and for halves (W. F. Sheppard, Philosophical Transactions A 192, 101, 1899). The
    place's own error is the same at all moments, so all is done for 32 equally likely places (H. Vogel's spiral,
    Mathematical Biosciences 44, 179, 1979) and the mean taken.

    The mobility is the one fitted in the moving window, without the bound that `presence` sets it: this is the number
    that must not miss who went there and back between two fixes.

    Within 0.13 of simulated paths in tests, 0.04 on average. About 0.1 µs for each moment
    and place until it is certain.
    """
    if highest >= 1 - _CERTAIN:
        return highest
    return max(float(_ever_inside(*fixes[:4], place, when, bridges)), highest)


@kernel
def _ever_inside(
    time_us: Longs, lon_e7: Ints, lat_e7: Ints, sigma_m: Floats, place: Place, when: CrimeTime, bridges: Bridges
) -> float:
    places = _PLACES if place.sigma_m > 0 else 1
    moments = _moments(time_us, lon_e7, lat_e7, sigma_m, place, when, bridges)
    moments = _telling(moments, place.sigma_m * math.sqrt(-2 * math.log(0.5 / _PLACES)))
    if moments.shape[0] == 0:
        return 0.0
    never = 0.0
    for k in range(places):
        away_m = place.sigma_m * math.sqrt(-2 * math.log(1 - (k + 0.5) / _PLACES))
        angle_rad = k * _GOLDEN_ANGLE_RAD
        never += _never_inside(moments, away_m * math.cos(angle_rad), away_m * math.sin(angle_rad))
    return 1 - never / places


@kernel
def _telling(moments: Floats, places_m: float) -> Floats:
    """Leave out the moments that change nothing: those at which P is 0 for every place, but for the first in a row.

    places_m: how far the places lie off at most. Nobody is inside at such a moment, so what comes after it does not
    depend on what was before: one says that as well as many.
    """
    n, was_nothing = 0, True
    for i in range(moments.shape[0]):
        away_m = math.sqrt(moments[i, _X] * moments[i, _X] + moments[i, _Y] * moments[i, _Y])
        is_nothing = away_m - places_m - moments[i, _RADIUS] > CERTAIN * math.sqrt(moments[i, _M2])
        if not (is_nothing and was_nothing):
            moments[n] = moments[i]
            n += 1
        was_nothing = is_nothing
    return moments[:n]


@kernel
def _never_inside(moments: Floats, place_x_m: float, place_y_m: float) -> float:
    """Give the probability of being inside at none of the moments, for one place."""
    never, before = 1.0, 0.0
    for i in range(moments.shape[0]):
        x_m, y_m = moments[i, _X] - place_x_m, moments[i, _Y] - place_y_m
        inside = inside_probability(math.sqrt(x_m * x_m + y_m * y_m), moments[i, _RADIUS], math.sqrt(moments[i, _M2]))
        both = before * inside + moments[i, _SHARE] * (min(before, inside) - before * inside)
        if before >= 1 - _CERTAIN or inside >= 1 - _CERTAIN:
            return 0.0
        never *= max(1 - before - inside + both, 0.0) / (1 - before)
        if never < _CERTAIN:
            return 0.0
        before = inside
    return never


@kernel
def _moments(
    time_us: Longs, lon_e7: Ints, lat_e7: Ints, sigma_m: Floats, place: Place, when: CrimeTime, bridges: Bridges
) -> Floats:
    """Lay out the moments at which the path is watched, in time order: fixes in the window, and along near bridges."""
    rows = rows_of(time_us, when)
    table = table_of(time_us, lon_e7, lat_e7, sigma_m, rows, place, when.start_us)
    moments = np.empty((max(rows.last - rows.first + 1, 0) * (_MOST_STEPS + 2), _COLUMNS))
    return moments[: _lay_all(table, rows, place, (when.end_us - when.start_us) / 1e6, bridges, moments)]


@kernel
def _lay_all(table: Floats, rows: Rows, place: Place, length_s: float, bridges: Bridges, moments: Floats) -> int:
    """Lay out the moments; gives their number."""
    table, moments = uncounted(table), uncounted(moments)
    n = 0
    is_laid = False  # whether the fix of this row is the last moment laid out
    for row in range(rows.first, rows.last + 1):
        before_s = table[row, AT_S]
        if not is_laid and 0 <= before_s <= length_s and not is_far(table, row, row, place, bridges):
            x_m, y_m = position_at(table, row, place)
            _lay(moments, n, x_m, y_m, table[row, SIGMA_M] * table[row, SIGMA_M], place.radius_m, 0.0)
            n += 1
            is_laid = True
        if not _is_watched(table, row, rows.last, length_s, place, bridges):
            is_laid = False
            continue
        bridge = loose_bridge_after(table, row, place, bridges)
        start, end = near_parts(bridge)
        start = max(-before_s / bridge.seconds, start)
        end = min((length_s - before_s) / bridge.seconds, end)
        if start < end:
            n = _lay_bridge(bridge, start, end, is_laid and start == 0, moments, n)
        is_laid = start < end == 1
    return n


@kernel
def _is_watched(table: Floats, row: int, last: int, length_s: float, place: Place, bridges: Bridges) -> bool:
    """Say whether there is a bridge from a row to the next that lies in the window and may be near."""
    if row == last or table[row + 1, AT_S] <= 0 or table[row, AT_S] >= length_s:
        return False
    return is_joined(table, row, bridges) and not is_far(table, row, row + 1, place, bridges)


@kernel
def _lay_bridge(bridge: Bridge, start: float, end: float, is_laid: bool, moments: Floats, n: int) -> int:
    """Lay out the moments of a bridge from one part to another; the first only if it is not laid out yet."""
    steps = _steps(bridge, end - start)
    before = start
    for k in range(1 if is_laid else 0, steps + 1):
        part = _part(start, end, k, steps)
        x_m, y_m = bridge.x_m + part * bridge.along_x_m, bridge.y_m + part * bridge.along_y_m
        radius_m = bridge.radius_m
        if 0 < k < steps:
            # Fixes are seen as they are; in between by the shorter step beside.
            step = min(part - _part(start, end, k - 1, steps), _part(start, end, k + 1, steps) - part)
            radius_m += _DISCRETE * math.sqrt(bridge.mobility_m2ps * bridge.seconds * step)
        variance_m2 = variance_at(bridge, part) - bridge.place_m2
        _lay(moments, n, x_m, y_m, variance_m2, radius_m, _share(bridge, before, part) if k > 0 else 0.0)
        before = part
        n += 1
    return n


@kernel
def _part(start: float, end: float, k: int, steps: int) -> float:
    """Give moment k of a bridge's: closer to each other towards the fixes, where a path has not wandered far yet."""
    if k in (0, steps):
        return start if k == 0 else end
    return start + (end - start) * (1 - math.cos(math.pi * k / steps)) / 2


@kernel
def _lay(moments: Floats, n: int, x_m: float, y_m: float, variance_m2: float, radius_m: float, share: float) -> None:
    moments[n, _X], moments[n, _Y], moments[n, _M2] = x_m, y_m, variance_m2
    moments[n, _RADIUS], moments[n, _SHARE] = radius_m, share


@kernel
def _steps(bridge: Bridge, part: float) -> int:
    """Give the number of steps in which a part of a bridge is watched."""
    length_m = part * math.sqrt(bridge.along_x_m * bridge.along_x_m + bridge.along_y_m * bridge.along_y_m)
    wandered_m2 = part * bridge.seconds * bridge.mobility_m2ps
    finest_m2 = min(bridge.radius_m * bridge.radius_m / 16, bridge.before_m2 + bridge.after_m2)
    return min(max(math.ceil(max(2 * length_m / bridge.radius_m, wandered_m2 / finest_m2)), 1), _MOST_STEPS)


@kernel
def _share(bridge: Bridge, one: float, other: float) -> float:
    """Give (2/π) arcsin ρ, with ρ the correlation of the position's errors at two parts, the one before the other."""
    covariance_m2 = bridge.seconds * bridge.mobility_m2ps * one * (1 - other)
    covariance_m2 += (1 - one) * (1 - other) * bridge.before_m2 + one * other * bridge.after_m2
    product_m4 = (variance_at(bridge, one) - bridge.place_m2) * (variance_at(bridge, other) - bridge.place_m2)
    return math.asin(min(covariance_m2 / math.sqrt(product_m4), 1.0)) * 2 / math.pi
