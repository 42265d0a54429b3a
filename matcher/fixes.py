"""Fixes: the positions of one wearer in time order, each with its error."""

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo.jit import kernel
from matcher.profile import LEVEL, SOURCES, UNKNOWN_R95_M
from matcher.trails import Ints, Longs

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

UNKNOWN, GPS, RF, LBS, WIFI = SOURCES.values()

# Radius that holds the true position in 95 of 100 cases, by stored source, where the fix does not state one.
R95_M: Final = {code: UNKNOWN_R95_M[source] for source, code in SOURCES.items()}

# No tag is better than this in a street, whatever it states.
LEAST_RADIUS_M = 3.0


class Fixes(NamedTuple):
    """N fixes of one wearer, whichever devices they wore, sorted by time; no two at one time."""

    fixed_at_us: Longs  # (N,) microseconds since 1970-01-01 UTC, rising
    lon_e7: Ints  # (N,) 1e-7 degrees east, within 180 degrees
    lat_e7: Ints  # (N,) 1e-7 degrees north, within 85 degrees
    sigma_m: Floats  # (N,) standard deviation in each axis, over 0
    can_exclude: Flags  # (N,) a GPS fix that states its accuracy


def fixes_from_columns(
    fixed_at_us: npt.ArrayLike,
    lon_e7: npt.ArrayLike,
    lat_e7: npt.ArrayLike,
    accuracy_cm: npt.ArrayLike,
    source: npt.ArrayLike,
    level: npt.ArrayLike = LEVEL,
    unknown_r95_m: Mapping[int, float] = R95_M,
) -> Fixes:
    """Make the fixes of one wearer from columns of one length in any order.

    accuracy_cm: radius of the circle that holds the position with probability `level`, in centimetres; 0 or less is
    unknown, and takes the default of its source. level: one number, or one for each fix (it differs by contractor and
    source), over 0 and under 1. unknown_r95_m: the default of each source.

    Of fixes at one time (two sources, two devices) the one with the least error is kept, of those that can exclude
    before those that cannot, then the first by position: they are one moment, and their errors are not independent.

    Raises ValueError if the columns differ in length, a level is out of range or a source is unknown.
    """
    time = np.asarray(fixed_at_us, np.int64)
    lon, lat = np.asarray(lon_e7, np.int32), np.asarray(lat_e7, np.int32)
    accuracy, made_by = np.asarray(accuracy_cm, np.int64), np.asarray(source, np.int64)
    lengths = (time.size, lon.size, lat.size, accuracy.size, made_by.size)
    if len(set(lengths)) > 1:
        raise ValueError(f"the columns of fixes differ in length: {lengths}")
    sigma = sigma_m(accuracy, made_by, level, unknown_r95_m)
    can_exclude = (made_by == GPS) & (accuracy > 0)
    if not _is_rising(time):
        order = np.lexsort((lat, lon, ~can_exclude, sigma, time))
        order = order[np.append(True, time[order[1:]] > time[order[:-1]])]
        time, lon, lat, sigma, can_exclude = time[order], lon[order], lat[order], sigma[order], can_exclude[order]
    return Fixes(time, lon, lat, sigma, can_exclude)


def sigma_m(
    accuracy_cm: Longs, source: Longs, level: npt.ArrayLike = LEVEL, unknown_r95_m: Mapping[int, float] = R95_M
) -> Floats:
    """Give the standard deviation in each axis of fixes that lie within their accuracy with probability `level`.

    Where the error is normal and the same in both axes, its length is Rayleigh distributed: the circle of radius r
    holds it with probability 1 − exp(−r²/2σ²) (J. W. Strutt, Philosophical Magazine 10, 73, 1880), so that
    σ = r / √(−2 ln(1 − level)).

    Raises ValueError if a level is out of range or a source is unknown.
    """
    levels = np.asarray(level, np.float64)
    if not np.all((levels > 0) & (levels < 1)):
        raise ValueError(f"the level of an accuracy lies between 0 and 1, not {level!r}")
    by_source = np.full(max(unknown_r95_m) + 1, math.nan)
    for made_by, r95_m in unknown_r95_m.items():
        by_source[made_by] = sigma_of_r95(r95_m)
    sigma = np.empty(accuracy_cm.size)
    if not _put_sigmas(accuracy_cm, source, np.atleast_1d(np.sqrt(-2 * np.log1p(-levels))), by_source, sigma):
        raise ValueError(f"unknown sources of fixes: {sorted(set(source.tolist()) - set(unknown_r95_m))}")
    return sigma


@kernel
def _put_sigmas(accuracy_cm: Longs, source: Longs, radius_per_sigma: Floats, by_source: Floats, sigma: Floats) -> bool:
    """Fill in each error; radius_per_sigma has one number, or one for each fix. False where a source is unknown."""
    unknown = 0
    for i in range(sigma.size):
        if not 0 <= source[i] < by_source.size or math.isnan(by_source[source[i]]):
            unknown += 1
        elif accuracy_cm[i] > 0:
            per_sigma = radius_per_sigma[i if radius_per_sigma.size > 1 else 0]
            sigma[i] = max(accuracy_cm[i] / 100.0, LEAST_RADIUS_M) / per_sigma
        else:
            sigma[i] = by_source[source[i]]
    return unknown == 0


@kernel
def _is_rising(time_us: Longs) -> bool:
    """Say whether each time is later than the one before."""
    steps_back = 0
    for i in range(1, time_us.size):
        steps_back += time_us[i] <= time_us[i - 1]
    return steps_back == 0


def sigma_of_r95(r95_m: float) -> float:
    """Give the standard deviation in each axis of a position that lies within so many metres in 95 of 100 cases."""
    return r95_m / math.sqrt(-2 * math.log(0.05))
