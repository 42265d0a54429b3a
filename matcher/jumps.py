"""Jumps: fixes further apart than anybody could have come, the accuracy of both allowed for."""

from typing import Final, NamedTuple

import numpy as np

from geo.jit import kernel
from geo.wgs84 import distance_m
from matcher.fixes import Fixes, Flags, Floats
from matcher.trails import E7_PER_DEGREE, Ints, Longs

# Radius in σ that holds 999 of 1,000 positions: √(−2 ln 0.001), the Rayleigh distribution's quantile.
R999_PER_SIGMA: Final = 3.716922188849838

# As many fixes in a row that lie elsewhere are taken for false if the trail goes on as if they were not there.
MOST_FALSE: Final = 3

# At least the metres that a step of 1e-7 degrees is, of latitude or longitude, anywhere.
_MOST_METRES_PER_E7: Final = 0.01117


class Jumps(NamedTuple):
    """J pairs of neighbouring fixes that imply more than the highest speed, in time order."""

    before_us: Longs  # (J,) the fix before and
    after_us: Longs  # (J,) after the jump, of those that were kept,
    set_aside: Longs  # (J,) fixes between them that were set aside; 0 where it cannot be told which side is false
    speed_mps: Floats  # (J,) that getting from the one to the first that was set aside, or to the other, would take


_NONE: Final = np.empty(0, np.int64)
NO_JUMPS: Final = Jumps(_NONE, _NONE, _NONE, np.empty(0))


def set_aside_jumps(fixes: Fixes, max_speed_mps: float) -> tuple[Fixes, Fixes, Jumps]:
    """Part the fixes of a wearer into those to go by and those set aside, and list the jumps.

    Up to MOST_FALSE fixes in a row are set aside where each is out of reach of the last good fix and the fix after them
    is within it. Where no such fix follows none is set aside: no line is drawn over that jump, and it cannot be told
    which of its two sides is false. The speed is what remains after both fixes' r99.9.

    A few ns a fix. Fixes of which none is set aside are given back as they are.
    """
    kept = np.ones(fixes.fixed_at_us.size, np.bool_)
    before, after, speed = find_jumps(fixes.fixed_at_us, fixes.lon_e7, fixes.lat_e7, fixes.sigma_m, max_speed_mps, kept)
    if not before.size:
        return fixes, _rows(fixes, slice(0, 0)), NO_JUMPS
    jumps = Jumps(fixes.fixed_at_us[before], fixes.fixed_at_us[after], after - before - 1, speed)
    if kept.all():
        return fixes, _rows(fixes, slice(0, 0)), jumps
    return _rows(fixes, kept), _rows(fixes, ~kept), jumps


@kernel
def needed_speed_mps(
    lon0_e7: float, lat0_e7: float, lon1_e7: float, lat1_e7: float, sigma0_m: float, sigma1_m: float, gap_s: float
) -> float:
    """Give the least speed that leads from one fix to another, both as far towards each other as r99.9 allows."""
    away_m = distance_m(
        lon0_e7 / E7_PER_DEGREE, lat0_e7 / E7_PER_DEGREE, lon1_e7 / E7_PER_DEGREE, lat1_e7 / E7_PER_DEGREE
    )
    return max(away_m - R999_PER_SIGMA * (sigma0_m + sigma1_m), 0.0) / gap_s


@kernel
def is_jump(
    lon0_e7: float,
    lat0_e7: float,
    lon1_e7: float,
    lat1_e7: float,
    sigma0_m: float,
    sigma1_m: float,
    gap_s: float,
    max_speed_mps: float,
) -> bool:
    """Say whether `needed_speed_mps` is over a bound. 2 ns for all that lie near each other."""
    steps = abs(float(lon1_e7) - float(lon0_e7)) + abs(float(lat1_e7) - float(lat0_e7))
    if steps * _MOST_METRES_PER_E7 <= max_speed_mps * gap_s:
        return False
    return needed_speed_mps(lon0_e7, lat0_e7, lon1_e7, lat1_e7, sigma0_m, sigma1_m, gap_s) > max_speed_mps


@kernel
def find_jumps(
    time_us: Longs, lon_e7: Ints, lat_e7: Ints, sigma_m: Floats, max_speed_mps: float, kept: Flags
) -> tuple[Longs, Longs, Floats]:
    """Clear `kept` for fixes to be set aside; gives fix before, fix after and speed of every jump."""
    n = time_us.size
    before, after, speed = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n)
    jumps = i = 0
    while i + 1 < n:
        good = -1
        for j in range(i + 1, min(i + 2 + MOST_FALSE, n)):
            gap_s = (time_us[j] - time_us[i]) / 1e6
            if not is_jump(lon_e7[i], lat_e7[i], lon_e7[j], lat_e7[j], sigma_m[i], sigma_m[j], gap_s, max_speed_mps):
                good = j
                break
        if good != i + 1:
            before[jumps], after[jumps] = i, max(good, i + 1)
            speed[jumps] = needed_speed_mps(
                lon_e7[i],
                lat_e7[i],
                lon_e7[i + 1],
                lat_e7[i + 1],
                sigma_m[i],
                sigma_m[i + 1],
                (time_us[i + 1] - time_us[i]) / 1e6,
            )
            kept[i + 1 : after[jumps]] = False
            jumps += 1
        i = max(good, i + 1)
    return before[:jumps].copy(), after[:jumps].copy(), speed[:jumps].copy()


def _rows(fixes: Fixes, wanted: Flags | slice) -> Fixes:
    return Fixes._make(column[wanted] for column in fixes)
