"""The probability that a position known with a normal error lies inside a circle."""

import math
from typing import Final

import numpy as np

from geo.jit import kernel

# Further than this many standard deviations from the edge it is certain, in or out, within 2.3e-11.
CERTAIN: Final = 7.0
# From here on ten terms of the asymptotic series are exact to 1e-11; below it the other one needs at most about 60.
_ASYMPTOTIC_FROM: Final = 16.0
_ASYMPTOTIC_TERMS: Final = 10
_NEGLIGIBLE: Final = 1e-13
_INVERSES: Final = 1 / np.maximum(np.arange(128.0), 1)  # from 1


@kernel
def inside_probability(distance_m: float, radius_m: float, sigma_m: float) -> float:
    """Give P = 1 − Q₁(d/σ, R/σ): a position at distance d, with error σ in each axis, is within R of the centre.

    Q₁ is Marcum's function; equally, P is the distribution function of the non-central χ² with 2 degrees of freedom
    and non-centrality (d/σ)², at (R/σ)². Absolute error at most 1e-11 for any distance, radius and σ from 0 to the
    largest numbers; a σ of 0 makes it a matter of distance <= radius. About 0.1 µs.
    """
    if sigma_m <= 0.0:
        return 1.0 if distance_m <= radius_m else 0.0
    # Exponential bounds of Q₁ (M. K. Simon and M.-S. Alouini, IEEE Transactions on Communications 48, 359, 2000): out
    # of reach of the edge by k, P or 1 − P is at most exp(−k²/2).
    from_edge = (radius_m - distance_m) / sigma_m
    if from_edge > CERTAIN:
        return 1.0
    if from_edge < -CERTAIN:
        return 0.0
    away, radius = distance_m / sigma_m, radius_m / sigma_m
    if away * radius < _ASYMPTOTIC_FROM:
        return _by_poisson_mixture(away, radius)
    return _by_asymptotic_series(from_edge, away * radius, radius_m / distance_m)


@kernel
def _by_poisson_mixture(away: float, radius: float) -> float:
    """P as Poisson mixture of central χ².

    (N. L. Johnson, S. Kotz and N. Balakrishnan, Continuous Univariate Distributions 2, 1995, chapter 29.)
    P = Σ_k e^{-x} x^k/k! · γ_k, with γ_k = 1 − e^{-y} Σ_{j≤k} y^j/j!, x = a²/2, y = b²/2.
    """
    x, y = away * away / 2, radius * radius / 2
    weight, step = math.exp(-x), math.exp(-y)
    remaining = 1.0 - weight
    central = -math.expm1(-y)
    total = weight * central
    k = 0
    # What is left out is at most the weights not yet used times the first factor not yet used.
    while remaining * central > _NEGLIGIBLE:
        k += 1
        # A division takes as long as all the rest.
        inverse = _INVERSES[k] if k < _INVERSES.size else 1 / k
        weight *= x * inverse
        step *= y * inverse
        remaining -= weight
        central -= step
        total += weight * central
    return min(max(total, 0.0), 1.0)


@kernel
def _by_asymptotic_series(from_edge: float, product: float, ratio: float) -> float:
    """P for a large product ab of the two arguments; from_edge is b − a, ratio b/a.

    A. Gil, J. Segura and N. M. Temme, Algorithm 939, ACM Transactions on Mathematical Software 40, 20, 2014, for μ of
    1: the series of the Bessel functions for large arguments, integrated term by term.
    """
    half_square = from_edge * from_edge / 2
    sigma = half_square / product
    side = 1.0 if from_edge >= 0 else -1.0
    tail = math.erfc(math.sqrt(half_square))
    total = side * math.sqrt(ratio) * tail / 2
    # φ₀ times σ, so that the edge itself, where σ is 0, divides by nothing.
    sigma_phi = math.sqrt(math.pi * sigma) * tail
    power = math.exp(-half_square) / math.sqrt(product)
    zeroth = first = 1.0
    scale = ratio / (2 * math.sqrt(2 * math.pi))
    inverse_ratio, inverse_product = 1 / ratio, 1 / product
    for n in range(1, _ASYMPTOTIC_TERMS + 1):
        odd = 2.0 * n - 1
        phi = (power - sigma_phi) * (2 / odd)
        power *= inverse_product
        sigma_phi = sigma * phi
        # −A_n/A_{n−1} of I₀ and I₁: A_n(ν) = 2^{-n} Γ(½+ν+n) / (n! Γ(½+ν−n)).
        zeroth *= odd * odd / (8 * n)
        first *= (odd * odd - 4) / (8 * n)
        total += scale * (zeroth - first * inverse_ratio) * phi
    beyond = total if side > 0 else -total
    return min(max(1.0 - beyond if side > 0 else beyond, 0.0), 1.0)
