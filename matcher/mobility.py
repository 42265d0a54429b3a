"""How fast a wearer wanders between fixes: the one number that a Brownian bridge takes from the trail itself."""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from geo.jit import kernel

Floats = npt.NDArray[np.float64]

# Fixes on either side of a stretch that its mobility is fitted to: with its own two ends ten, at one a minute nine
# minutes. Fewer leave the estimate to chance; more mix a stop of some minutes with the drive to it.
WINDOW: Final = 4

_EXACT: Final = 1e-4
_MOST_STEPS: Final = 100
_STARTS: Final = 4
_LARGE: Final = 1e200


@kernel
def left_out(
    before_s: float,
    after_s: float,
    off_x_m: float,
    off_y_m: float,
    before_m2: float,
    own_m2: float,
    after_m2: float,
    turn: Floats,
) -> None:
    """Say what leaving out a fix tells of the mobility: sets turn to (seconds, m², m²).

    The fix lies `off` from where it would be expected, on the line between its neighbours `before_s` earlier and
    `after_s` later. Of the mobility D and the variances of the three fixes, that has variance seconds·D + m² in each
    axis; the third number is the square of how far off it is. (Horne, Garton, Krone and Lewis, Ecology 88, 2354, 2007.)
    """
    part = before_s / (before_s + after_s)
    turn[0] = before_s * (1 - part)
    turn[1] = (1 - part) * (1 - part) * before_m2 + part * part * after_m2 + own_m2
    turn[2] = off_x_m * off_x_m + off_y_m * off_y_m


@kernel
def likeliest_mobility(turns: Floats, least_m2ps: float, most_m2ps: float) -> float:
    """Give the mobility in m²/s, within its bounds, under which fixes left out were likeliest where they are.

    turns: (K, 3), one row of `left_out` for each fix of a window; rows of zero seconds count for nothing. Every other
    fix is left out, once the odd and once the even ones, and the two likelihoods are multiplied: the moving window of
    the dynamic bridge (Kranstauber, Kays, LaPoint, Wikelski and Safi, Journal of Animal Ecology 81, 738, 2012),
    without its search for a break in the window, because the window is short.

    The best of four, evenly spaced in their logarithm, shows near which of its maxima the likelihood is highest (a
    leap among still fixes makes two). From there its slope, Σ s·(q/2 − v)/v² with v = s·D + m², is set to zero by
    Fisher's scoring between bounds that close in. With no row the least. About 0.2 µs for eight rows.
    """
    spacing = (most_m2ps / least_m2ps) ** (1 / (_STARTS - 1))
    mobility = _likeliest_start(turns, least_m2ps, spacing)
    low, high = max(mobility / spacing, least_m2ps), min(mobility * spacing, most_m2ps)
    mobility = min(mobility, most_m2ps)
    for _ in range(_MOST_STEPS):
        slope, scored = _slope(turns, mobility)
        if (slope <= 0 and mobility <= least_m2ps) or (slope >= 0 and mobility >= most_m2ps):
            return mobility
        if slope > 0:
            low = mobility
        else:
            high = mobility
        scored = min(max(scored, least_m2ps), most_m2ps)
        if not low <= scored <= high:
            scored = math.sqrt(low * high)
        if abs(scored - mobility) <= _EXACT * mobility:
            return scored
        mobility = scored
    return mobility


@kernel
def most_likeliest(turns: Floats, least_m2ps: float, most_m2ps: float) -> float:
    """Give what `likeliest_mobility` is at most, for a twentieth of its cost.

    Over the highest (q/2 − m²)/s of all rows the likelihood only falls: none of its maxima lies there, and no step of
    the search ends there, but by so much as it is inexact.
    """
    most = 0.0
    for k in range(turns.shape[0]):
        if turns[k, 0] > 0:
            most = max(most, (turns[k, 2] / 2 - turns[k, 1]) / turns[k, 0])
    return float(min(max(most * (1 + 10 * _EXACT), least_m2ps), most_m2ps))


@kernel
def _likeliest_start(turns: Floats, least_m2ps: float, spacing: float) -> float:
    """Give the likeliest of four mobilities, each so many times the one before; of equally likely ones the least.

    The four are reckoned side by side, which takes half the time of one after the other. The variances are multiplied,
    so that one logarithm is enough for each.
    """
    mobility0, mobility1 = least_m2ps, least_m2ps * spacing
    mobility2, mobility3 = mobility1 * spacing, mobility1 * spacing * spacing
    product0 = product1 = product2 = product3 = 1.0
    logs0 = logs1 = logs2 = logs3 = 0.0
    exponent0 = exponent1 = exponent2 = exponent3 = 0.0
    for k in range(turns.shape[0]):
        seconds, own_m2, square_m2 = turns[k, 0], turns[k, 1], turns[k, 2]
        if seconds > 0:
            variance0, variance1 = seconds * mobility0 + own_m2, seconds * mobility1 + own_m2
            variance2, variance3 = seconds * mobility2 + own_m2, seconds * mobility3 + own_m2
            product0, product1 = product0 * variance0, product1 * variance1
            product2, product3 = product2 * variance2, product3 * variance3
            if product3 > _LARGE:
                logs0, logs1 = logs0 + math.log(product0), logs1 + math.log(product1)
                logs2, logs3 = logs2 + math.log(product2), logs3 + math.log(product3)
                product0 = product1 = product2 = product3 = 1.0
            exponent0, exponent1 = exponent0 + square_m2 / variance0, exponent1 + square_m2 / variance1
            exponent2, exponent3 = exponent2 + square_m2 / variance2, exponent3 + square_m2 / variance3
    highest, mobility = -logs0 - math.log(product0) - exponent0 / 2, mobility0
    likelihood = -logs1 - math.log(product1) - exponent1 / 2
    if likelihood > highest:
        highest, mobility = likelihood, mobility1
    likelihood = -logs2 - math.log(product2) - exponent2 / 2
    if likelihood > highest:
        highest, mobility = likelihood, mobility2
    likelihood = -logs3 - math.log(product3) - exponent3 / 2
    return mobility3 if likelihood > highest else mobility


@kernel
def _slope(turns: Floats, mobility_m2ps: float) -> tuple[float, float]:
    """Give the slope of the likelihood, and the mobility that Fisher's scoring goes to next."""
    excess = information = 0.0
    for k in range(turns.shape[0]):
        seconds = turns[k, 0]
        if seconds > 0:
            per_variance = seconds / (seconds * mobility_m2ps + turns[k, 1])
            weight = per_variance * per_variance
            excess += weight * (turns[k, 2] / 2 - turns[k, 1]) / seconds
            information += weight
    return excess - mobility_m2ps * information, excess / information if information > 0 else 0.0
