"""Presence throughout an offence: of the times inside without a break, those into which its stay fits.

Being inside at one moment tells little: whoever walks past is. An offence takes its time, and what of a wearer's time
inside is long enough for it counts, the shorter stays in part. The time that going on takes is no stay.
"""

import math
from typing import Final, NamedTuple

import numpy as np

from geo.jit import kernel
from geo.uncounted import uncounted
from matcher.crime_time import CrimeTime, share_before
from matcher.fixes import Floats


class Lasting(NamedTuple):
    """How long an offence keeps somebody at its place: log-normal; and what of the time inside is no stay."""

    median_s: float  # 0 or more; of an offence of no length all time inside counts
    spread: float  # standard deviation of the logarithm, over 0
    pace_mps: float  # at which somebody who only passes goes at least; 0: nobody is taken to pass


# A moment counts at each of these probabilities that its own reaches, for so much; the weights add up to 1. They lie
# closer together near 0, so that a faint presence differs from none.
_AT: Final = np.array([0.001, 0.005, 0.02, 0.06, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95])
_WEIGHTS: Final = np.array([0.002, 0.008, 0.025, 0.065, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
_COUNT: Final = _AT.size
HIGHEST_LEVEL: Final = float(_AT[-1])

# So much of a run counts whole, whatever way it led: who drives up, stays for moments and drives on goes faster than
# any pace on foot, and would else be lost.
_AT_ANY_PACE: Final = 0.03

# What a window's runs are kept in.
_FROM_S: Final = 0  # to _COUNT: since when each level has been reached without a break
_REACHED: Final = _COUNT  # how many levels are
_LAST_S: Final = _COUNT + 1  # the last moment told, and
_LAST: Final = _COUNT + 2  # its probability
_LAST_X: Final = _COUNT + 3  # and where the wearer was then, metres
_LAST_Y: Final = _COUNT + 4
_SUM: Final = _COUNT + 5
_FROM_X: Final = _COUNT + 6  # and as many more: where each level was reached
_FROM_Y: Final = 2 * _COUNT + 6
ROOM: Final = 3 * _COUNT + 6


class Runs(NamedTuple):
    """Times without a break at which the probability of being inside reaches a level, as a window goes by.

    The probability and the place count as changing evenly between the moments that are told, in time order. What comes
    of it is ∫ Σ F(run)·q(run) dp over the levels p: F is the probability that the crime's moment lies in the run, and
    q(L) the probability that a stay of the offence's length, put anywhere into a time L, does not leave it at its end:
    the mean of max(0, 1 − S/L) over the stays S. L is the run's length less what going straight from where it began to
    where it ended takes at the pace of passing: whoever goes on through has no time left, whoever stops or turns back
    has (docs/decisions/0012). A small part counts by the whole length.
    """

    state: Floats  # (ROOM,)
    when: CrimeTime
    lasting: Lasting


@kernel
def uncounted_runs(runs: Runs) -> Runs:
    """Give the same, as `geo.uncounted` does, for whoever tells them of many moments."""
    return Runs(uncounted(runs.state), runs.when, runs.lasting)


@kernel
def begin(runs: Runs) -> None:
    """Make ready for a window."""
    runs.state[:] = 0
    runs.state[_LAST_S] = -math.inf


@kernel
def go_on(runs: Runs, from_s: float, inside: float, x_m: float, y_m: float) -> None:
    """Begin a stretch at a moment, in seconds after the window's start; what was told of before it ends if time passed.

    Nobody knows what was between: a run never goes over a gap.
    """
    state = runs.state
    if state[_LAST_S] != from_s:
        _fall(runs, state[_LAST_S], 0, state[_LAST_X], state[_LAST_Y])
        state[_LAST_S], state[_LAST], state[_LAST_X], state[_LAST_Y] = from_s, 0.0, x_m, y_m
        follow(runs, from_s, inside, x_m, y_m)
    elif state[_LAST] != inside:
        follow(runs, from_s, inside, x_m, y_m)


@kernel
def follow(runs: Runs, at_s: float, inside: float, x_m: float, y_m: float) -> None:
    """Tell the probability of the next moment, and where the wearer most likely was. 4 ns where no level is crossed."""
    state = runs.state
    reached = int(state[_REACHED])
    before_s, before, before_x_m, before_y_m = state[_LAST_S], state[_LAST], state[_LAST_X], state[_LAST_Y]
    while reached < _COUNT and inside >= _AT[reached]:
        part = (_AT[reached] - before) / (inside - before)
        state[_FROM_S + reached] = before_s + part * (at_s - before_s)
        state[_FROM_X + reached] = before_x_m + part * (x_m - before_x_m)
        state[_FROM_Y + reached] = before_y_m + part * (y_m - before_y_m)
        reached += 1
    state[_REACHED] = reached
    while reached > 0 and inside < _AT[reached - 1]:
        reached -= 1
        part = (before - _AT[reached]) / (before - inside)
        end_x_m, end_y_m = before_x_m + part * (x_m - before_x_m), before_y_m + part * (y_m - before_y_m)
        _fall(runs, before_s + part * (at_s - before_s), reached, end_x_m, end_y_m)
    state[_LAST_S], state[_LAST], state[_LAST_X], state[_LAST_Y] = at_s, inside, x_m, y_m


@kernel
def throughout(runs: Runs) -> float:
    """End the window and give what its runs come to."""
    _fall(runs, runs.state[_LAST_S], 0, runs.state[_LAST_X], runs.state[_LAST_Y])
    return float(runs.state[_SUM])


@kernel
def _fall(runs: Runs, at_s: float, to: int, x_m: float, y_m: float) -> None:
    """End the runs of all levels from `to` on."""
    state = runs.state
    for level in range(to, int(state[_REACHED])):
        from_s = state[_FROM_S + level]
        if at_s > from_s:
            share = share_before(runs.when, at_s) - share_before(runs.when, from_s)
            way_m = math.hypot(x_m - state[_FROM_X + level], y_m - state[_FROM_Y + level])
            state[_SUM] += _WEIGHTS[level] * share * staying_share(at_s - from_s, way_m, runs.lasting)
    state[_REACHED] = min(to, int(state[_REACHED]))


@kernel
def staying_share(length_s: float, way_m: float, lasting: Lasting) -> float:
    """Give how likely a stay fits into a run of so many seconds, over 0, that ended so far from where it began."""
    whole = fitting_share(length_s, lasting)
    if lasting.pace_mps == 0 or lasting.median_s == 0:
        return whole
    left_s = length_s - way_m / lasting.pace_mps
    return _AT_ANY_PACE * whole + (1 - _AT_ANY_PACE) * (fitting_share(left_s, lasting) if left_s > 0 else 0.0)


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
