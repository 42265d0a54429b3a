"""Positions in a circle: how far each is off, and of what quality those inside are."""

import numpy as np

from geo.jit import kernel
from geo.wgs84 import distance_m
from matcher import rounding
from matcher.context import Pings, fixes_of
from matcher.evidence import Quality
from matcher.fixes import Floats
from matcher.profile import SOURCES, Profile
from matcher.trails import E7_PER_DEGREE, Ints, Longs

# Radius in σ that holds 95 of 100 positions: √(−2 ln 0.05), the Rayleigh distribution's quantile.
_R95_PER_SIGMA = 2.447746830680816

_SOURCE_OF = {code: source for source, code in SOURCES.items()}


@kernel
def distances_m(lon_e7: Ints, lat_e7: Ints, lon_deg: float, lat_deg: float) -> Floats:
    """Give how far (N,) positions are from a place."""
    away_m = np.empty(lon_e7.size)
    for i in range(lon_e7.size):
        away_m[i] = distance_m(lon_deg, lat_deg, lon_e7[i] / E7_PER_DEGREE, lat_e7[i] / E7_PER_DEGREE)
    return away_m


def rows_of(pings: Pings, rows: Longs | slice) -> Pings:
    """Give some of the pings."""
    return Pings._make(column[rows] for column in pings)


def quality(inside: Pings, contractors: tuple[str, ...], profile: Profile) -> Quality:
    """Say of what quality positions are."""
    if inside.fixed_at_us.size == 0:
        return Quality(median_r95_m=None, unknown_accuracy=0, by_source={})
    sigma_m = np.sort(fixes_of(inside, contractors, profile).sigma_m)
    half = sigma_m.size // 2
    counts = np.bincount(inside.source).tolist()
    return Quality(
        median_r95_m=rounding.metres(float(sigma_m[half] + sigma_m[~half]) / 2 * _R95_PER_SIGMA),
        unknown_accuracy=int((inside.accuracy_cm <= 0).sum()),
        by_source={_SOURCE_OF[code]: count for code, count in enumerate(counts) if count},
    )
