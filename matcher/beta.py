"""The beta distribution: its distribution function and quantiles, compiled."""

import math
from typing import Final

from geo.jit import kernel

_TINY: Final = 1e-300
_PRECISION: Final = 1e-15
_MOST_TERMS: Final = 10_000
_HALVINGS: Final = 100


@kernel
def beta_quantile(p: float, a: float, b: float) -> float:
    """Give the x in [0, 1] below which a beta distribution with parameters a, b over 0 has the probability p in [0, 1].

    By halving until nothing is left to halve: relative error about 1e-12. About 10 µs.
    """
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if beta_probability(middle, a, b) < p:
            low = middle
        else:
            high = middle
    return (low + high) / 2


@kernel
def beta_probability(x: float, a: float, b: float) -> float:
    """Give the regularised incomplete beta function I_x(a, b): NIST Handbook of Mathematical Functions (2010), 8.17.22.

    The continued fraction is evaluated by W. J. Lentz's method (Applied Optics 15, 668, 1976), on the side on which it
    converges quickly.
    """
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _continued_fraction(x, a, b) / a
    return 1 - front * _continued_fraction(1 - x, b, a) / b


@kernel
def _continued_fraction(x: float, a: float, b: float) -> float:
    numerator, denominator = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    value = denominator
    for m in range(1, _MOST_TERMS):
        term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        denominator = 1 / _not_zero(1 + term * denominator)
        numerator = _not_zero(1 + term / numerator)
        value *= numerator * denominator
        term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        denominator = 1 / _not_zero(1 + term * denominator)
        numerator = _not_zero(1 + term / numerator)
        value *= numerator * denominator
        if abs(numerator * denominator - 1) < _PRECISION:
            break
    return value


@kernel
def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
