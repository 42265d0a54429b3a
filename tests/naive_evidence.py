"""The oracles of the evidence: each formula again, slowly, from its definition. Shares no code with what it judges."""

import math
from collections.abc import Sequence

import numpy as np
from mpmath import mp, mpf
from scipy.stats import norm

mp.dps = 18


def inside_probability(distance_m: float, radius_m: float, sigma_m: float) -> float:
    """The normal density over the circle, integrated by mpmath in strips along the line to the centre."""
    away, radius = mpf(distance_m) / mpf(sigma_m), mpf(radius_m) / mpf(sigma_m)

    def strip(angle: mpf) -> mpf:
        half = radius * mp.cos(angle)
        across = radius * mp.sin(angle)
        return mp.npdf(across) * (mp.ncdf(half - away) - mp.ncdf(-half - away)) * half

    # Strips further than 8 standard deviations off weigh less than 1e-14.
    widest = mp.asin(min(radius, mpf(8)) / radius)
    return float(2 * mp.quad(strip, [0, widest / 4, widest]))


def log_likelihood(turns: Sequence[tuple[float, float, float]], mobility_m2ps: float) -> float:
    """Of normal errors in two axes: each turn is (seconds, m², squared distance), its variance seconds·D + m²."""
    return math.fsum(
        2 * norm.logpdf(0, 0, math.sqrt(seconds * mobility_m2ps + own_m2))
        - square_m2 / (2 * (seconds * mobility_m2ps + own_m2))
        for seconds, own_m2, square_m2 in turns
    )


def likeliest_mobility(turns: Sequence[tuple[float, float, float]], least_m2ps: float, most_m2ps: float) -> float:
    """The best of two thousand, evenly spaced in their logarithm."""
    mobilities = np.geomspace(least_m2ps, most_m2ps, 2000)
    seconds, own_m2, square_m2 = np.array(turns).T[:, :, None]
    variance = seconds * mobilities + own_m2
    return float(mobilities[np.argmax(np.sum(-np.log(variance) - square_m2 / (2 * variance), axis=0))])
