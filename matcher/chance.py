"""Chance: how often a wearer is at a place at that time of day anyway, and what presence there is worth beside it."""

import math
from typing import Final, NamedTuple

import numpy as np

from matcher.beta import beta_quantile
from matcher.comparable import Shifted

# With fewer usable days nothing is said.
LEAST_DAYS: Final = 7
# A day is usable if so much of the crime's moments is covered on it.
LEAST_KNOWN: Final = 0.8
# Either bound is passed with at most this probability.
_BEYOND: Final = 0.05
# A lower bound under this says nothing that days could tell, and is given as 0.
_LEAST_RATE: Final = 1e-6

# The days are integrated more coarsely than the day of the crime: who was there all along both times was there as much.
_AS_MUCH: Final = 0.95

# What a likelihood ratio is called from so much on: European Network of Forensic Science Institutes, Guideline for
# Evaluative Reporting in Forensic Science (2015), the scale that it gives as example. Under 2 nothing is claimed, and a
# lower bound under 1 does not speak for the contrary: that would be the upper bound's to say.
ENFSI: Final = (
    (2.0, "weak support"),
    (10.0, "moderate support"),
    (100.0, "moderately strong support"),
    (1_000.0, "strong support"),
    (10_000.0, "very strong support"),
    (1_000_000.0, "extremely strong support"),
)
NO_SUPPORT: Final = "no support"


class Chance(NamedTuple):
    """Presence at the moment of the crime, beside this wearer's ordinary life.

    The likelihood ratio compares *at the scene at the moment of the crime* with *living as on the days before*. It
    is never a probability of guilt.
    """

    days: int  # usable ones, n
    as_much: int  # of them, those on which A_s was as large or hardly less, k
    throughout: float  # A_s, the probability of being there throughout the crime (matcher.throughout)
    rate: float  # B, the same on an ordinary day
    rate_low: float  # bounds of B, each passed with a probability of at most 5 %
    rate_high: float
    ratio: float  # A_s/B
    ratio_low: float  # A_s over the upper bound of B
    ratio_high: float  # A_s over the lower bound; infinite where that is 0 and A_s is not
    most: float  # the highest ratio_low that so many days could give: there at the crime and not once before
    words: str  # for ratio_low, by the scale of the ENFSI; of `most`
    most_words: str


class Prior(NamedTuple):
    """What a profile counts before any day is counted: so many days (κ), on which A_s is at least a rate (b₀)."""

    days: float  # over 0
    rate: float  # over 0, at most 1


def chance(throughout: float, days: Shifted, prior: Prior) -> Chance | None:
    """Weigh A_s against the same on other days; None where fewer than 7 of them are usable: too little history.

    days: `shifted_presence` for the window moved by whole local days, so that the clock shows the same (the caller
    knows the time zone). A day with moments that are not covered counts as if it had been there as much in those;
    the day of the crime does not, so that gaps never speak for presence.

    B = (Σ A_d + κ·max(A_s, b₀))/(n + κ). With κ = 1 the day of the crime is one of the days: if it is a day like the
    others, whichever of the n + 1 it is, the mean of A_s/B is at most 1, and so A_s/B reaches t at most once in t times
    (A. Markov's inequality; V. Vovk and R. Wang, Annals of Statistics 49, 2021, call it an e-value). A fixed prior rate
    gives no such promise for short windows and, where A_s is small because the window is long, no ratio at all.

    The bounds of B are those of C. J. Clopper and E. S. Pearson (Biometrika 26, 404, 1934), one-sided 95 % each, for
    what each day came to of the most that a day came to: numbers from 0 to 1, of which those that are only 0 or 1 vary
    most, so for others the bounds are wider than they need be. The same days give the same bounds.

    A_s of 0 has the ratio 0. Cost: 25 µs.

    Raises ValueError if A_s is not a probability or the prior is not over 0.
    """
    if not 0 <= throughout <= 1 + 1e-9:
        raise ValueError(f"the probability of presence is not from 0 to 1: {throughout}")
    if not (prior.days > 0 and 0 < prior.rate <= 1):
        raise ValueError(f"the days and the rate of a prior must be over 0, the rate at most 1: {prior}")
    usable = days.known >= LEAST_KNOWN
    n = int(usable.sum())
    if n < LEAST_DAYS:
        return None
    there = np.minimum(days.throughout[usable] / days.known[usable], 1.0)
    own = max(throughout, prior.rate)
    largest = max(own, float(there.max()))
    events, trials = (math.fsum(there.tolist()) + prior.days * own) / largest, n + prior.days
    rate = largest * events / trials
    low, high = largest * _rate_low(events, trials), largest * _rate_high(events, trials)
    most = 1 / _rate_high(prior.days, trials)
    return Chance(
        days=n,
        as_much=int((there >= _AS_MUCH * throughout).sum()),
        throughout=throughout,
        rate=rate,
        rate_low=low,
        rate_high=high,
        ratio=throughout / rate,
        ratio_low=throughout / high,
        ratio_high=throughout / low if low > 0 else math.inf if throughout > 0 else 0.0,
        most=most,
        words=support(throughout / high),
        most_words=support(most),
    )


def support(ratio: float) -> str:
    """Give the words for a likelihood ratio."""
    return next((words for least, words in reversed(ENFSI) if ratio >= least), NO_SUPPORT)


def _rate_low(events: float, trials: float) -> float:
    low = beta_quantile(_BEYOND, events, trials - events + 1)
    return low if low >= _LEAST_RATE else 0.0


def _rate_high(events: float, trials: float) -> float:
    return beta_quantile(1 - _BEYOND, events + 1, trials - events) if events < trials else 1.0
