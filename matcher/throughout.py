"""Presence throughout an offence: of the times inside without a break, those into which its stay fits.

Being inside at one moment tells little: whoever walks past is. An offence takes its time, and what of a wearer's time
inside is long enough for it counts, the shorter stays in part.
"""

import math
from typing import Final, NamedTuple

import numpy as np

from geo.jit import kernel
from matcher.crime_time import CrimeTime, share_before
from matcher.fixes import Floats


class Lasting(NamedTuple):
    """How long an offence keeps somebody at its place: log-normal."""

    median_s: float  # 0 or more; of an offence of no length all time inside counts
    spread: float  # standard deviation of the logarithm, over 0


# A moment counts at each of these probabilities that its own reaches, for so much; the weights add up to 1. They lie
# closer together near 0, so that a faint presence differs from none.
_AT: Final = np.array([0.001, 0.005, 0.02, 0.06, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95])
_WEIGHTS: Final = np.array([0.002, 0.008, 0.025, 0.065, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
_COUNT: Final = _AT.size
HIGHEST_LEVEL: Final = float(_AT[-1])

# What a window's runs are kept in.
_FROM_S: Final = 0  # to _COUNT: since when each level has been reached without a break
_REACHED: Final = _COUNT  # how many levels are
_LAST_S: Final = _COUNT + 1  # the last moment told, and
_LAST: Final = _COUNT + 2  # its probability
_SUM: Final = _COUNT + 3
ROOM: Final = _COUNT + 4


class Runs(NamedTuple):
    """Times without a break at which the probability of being inside reaches a level, as a window goes by.

    The probability counts as changing evenly between the moments that are told, in time order. What comes of it is
    ∫ Σ F(run)·q(run) dp over the levels p: F is the probability that the crime's moment lies in the run, and q(L) the
    probability that a stay of the offence's length, put anywhere into a run of length L, does not leave it at its end:
    the mean of max(0, 1 − S/L) over the stays S.
    """

    state: Floats  # (ROOM,)
    when: CrimeTime
    lasting: Lasting


@kernel
def begin(runs: Runs) -> None:
    """Make ready for a window."""
    runs.state[:] = 0
    runs.state[_LAST_S] = -math.inf


@kernel
def go_on(runs: Runs, from_s: float, inside: float) -> None:
    """Begin a stretch at a moment, in seconds after the window's start; what was told of before it ends if time passed.

    Nobody knows what was between: a run never goes over a gap.
    """
    if runs.state[_LAST_S] == from_s:
        if runs.state[_LAST] != inside:
            follow(runs, from_s, inside)
        return
    _fall(runs, runs.state[_LAST_S], 0)
    runs.state[_LAST_S], runs.state[_LAST] = from_s, 0.0
    follow(runs, from_s, inside)


@kernel
def follow(runs: Runs, at_s: float, inside: float) -> None:
    """Tell the probability of the next moment. 3 ns where no level is crossed."""
    state = runs.state
    reached = int(state[_REACHED])
    before_s, before = state[_LAST_S], state[_LAST]
    while reached < _COUNT and inside >= _AT[reached]:
        state[_FROM_S + reached] = before_s + (_AT[reached] - before) / (inside - before) * (at_s - before_s)
        reached += 1
    state[_REACHED] = reached
    while reached > 0 and inside < _AT[reached - 1]:
        reached -= 1
        _fall(runs, before_s + (before - _AT[reached]) / (before - inside) * (at_s - before_s), reached)
    state[_LAST_S], state[_LAST] = at_s, inside


@kernel
def throughout(runs: Runs) -> float:
    """End the window and give what its runs come to."""
    _fall(runs, runs.state[_LAST_S], 0)
    return float(runs.state[_SUM])


@kernel
def _fall(runs: Runs, at_s: float, to: int) -> None:
    """End the runs of all levels from `to` on."""
    state = runs.state
    for level in range(to, int(state[_REACHED])):
        from_s = state[_FROM_S + level]
        if at_s > from_s:
            share = share_before(runs.when, at_s) - share_before(runs.when, from_s)
            state[_SUM] += _WEIGHTS[level] * share * fitting_share(at_s - from_s, runs.lasting)
    state[_REACHED] = min(to, int(state[_REACHED]))


@kernel
def fitting_share(length_s: float, lasting: Lasting) -> float:
    """Give q: how likely a stay fits into so many seconds, over 0, begun at any of them: the mean of max(0, 1 − S/L).

    For log-normal S of median m and spread s it is Φ(z) − (m·exp(s²/2)/L)·Φ(z − s) with z = ln(L/m)/s: the partial
    expectation of the log-normal distribution (J. Aitchison and J. A. C. Brown, The Lognormal Distribution, 1957), as
    in the price of an option. 60 ns.
    """
    if lasting.median_s == 0:
        return 1.0
    z = math.log(length_s / lasting.median_s) / lasting.spread
    mean_s = lasting.median_s * math.exp(lasting.spread * lasting.spread / 2)
    below = math.erfc(-z / math.sqrt(2)) / 2
    spent = mean_s / length_s * math.erfc((lasting.spread - z) / math.sqrt(2)) / 2
    return max(below - spent, 0.0)
