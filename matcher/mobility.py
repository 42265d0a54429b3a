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

_EXACT: Final = 1e-7
_MOST_STEPS: Final = 100


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

    The likelihood's slope, Σ s·(q/2 − v)/v² with v = s·D + m², is set to zero by Fisher's scoring, kept between bounds
    that close in on a maximum. With no row the least. About 50 ns where the least is likeliest, else 0.3 µs.
    """
    if _slope(turns, least_m2ps)[0] <= 0:
        return least_m2ps
    if _slope(turns, most_m2ps)[0] >= 0:
        return most_m2ps
    low, high = least_m2ps, most_m2ps
    mobility = math.sqrt(low * high)
    for _ in range(_MOST_STEPS):
        slope, scored = _slope(turns, mobility)
        if slope > 0:
            low = mobility
        else:
            high = mobility
        following = scored if low < scored < high else math.sqrt(low * high)
        if abs(following - mobility) <= _EXACT * mobility:
            return following
        mobility = following
    return mobility


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
