from math import inf

import numpy as np
import pytest
from scipy.stats import binomtest

from matcher.chance import ENFSI, NO_SUPPORT, Prior, chance, support
from matcher.comparable import Shifted

PRIOR = Prior(days=1.0, rate=0.01)


def test_the_rate_is_the_mean_of_the_days_and_of_the_day_of_the_crime() -> None:
    found = chance(0.8, _days([0.5, 0.25, *[0.0] * 18]), PRIOR)
    assert found is not None
    assert found.days == 20
    assert found.rate == pytest.approx((0.75 + 0.8) / 21)
    assert found.ratio == pytest.approx(0.8 / found.rate)
    assert found.ratio_low == pytest.approx(0.8 / found.rate_high)
    assert found.ratio_high == pytest.approx(0.8 / found.rate_low)


def test_a_presence_below_the_prior_rate_is_no_news() -> None:
    found = chance(0.001, _days([0.0] * 99), PRIOR)
    assert found is not None
    assert found.rate == pytest.approx(0.01 / 100)
    assert found.ratio == pytest.approx(10)


@pytest.mark.parametrize("kind", ["rare", "often", "a little each day"])
def test_a_day_like_the_others_reaches_a_ratio_of_t_at_most_once_in_t(kind: str) -> None:
    generator = np.random.default_rng(2)
    days = {
        "rare": (generator.random((4000, 40)) < 0.02) * generator.random((4000, 40)),
        "often": generator.random((4000, 40)),
        "a little each day": generator.beta(0.05, 5, (4000, 40)) / 20,
    }[kind]
    ratios = [chance(float(row[0]), _days(row[1:].tolist()), Prior(1.0, 1e-3)) for row in days]
    for t in (2, 5, 10, 30):
        assert np.mean([one is not None and one.ratio >= t for one in ratios]) <= 1 / t


def test_the_length_of_the_window_is_no_news() -> None:
    # Never there before: an hour's stay tells the same, whether the window was that hour or half a day.
    short, long = chance(0.9, _days([0.0] * 90), Prior(1.0, 1e-3)), chance(0.05, _days([0.0] * 90), Prior(1.0, 1e-3))
    assert short is not None
    assert long is not None
    assert short.ratio == pytest.approx(91)
    assert long.ratio == pytest.approx(91)
    assert short.ratio_low == pytest.approx(long.ratio_low)


@pytest.mark.parametrize(("there", "days"), [(0, 90), (1, 90), (3, 20), (89, 90), (90, 90), (7, 7)])
def test_for_whole_days_the_bounds_are_those_of_clopper_and_pearson(there: int, days: int) -> None:
    found = chance(1.0, _days([1.0] * there + [0.0] * (days - there)), Prior(1e-9, 0.5))
    assert found is not None
    exact = binomtest(there, days).proportion_ci(0.90, "exact")
    assert found.rate_low == pytest.approx(exact.low, abs=1e-6)
    assert found.rate_high == pytest.approx(exact.high, abs=1e-6)
    assert found.rate_low <= found.rate <= found.rate_high


@pytest.mark.parametrize("kind", ["whole", "even", "mostly none", "mostly all"])
def test_the_true_rate_is_beyond_a_bound_at_most_once_in_twenty(kind: str) -> None:
    generator = np.random.default_rng(1)
    # The prior adds a day of what the day of the crime came to, here 1: few days would be far too careful.
    draws = {
        "whole": (generator.random((3000, 30)) < 0.2) * 1.0,
        "even": generator.random((3000, 30)),
        "mostly none": generator.beta(0.1, 2, (3000, 30)),
        "mostly all": generator.beta(3, 0.2, (3000, 30)),
    }[kind]
    mean = {"whole": 0.2, "even": 0.5, "mostly none": 0.1 / 2.1, "mostly all": 3 / 3.2}[kind]
    found = [chance(1.0, _days(row.tolist()), Prior(1e-6, mean)) for row in draws]
    assert sum(one is not None and one.rate_high < mean for one in found) <= 0.05 * 3000
    assert sum(one is not None and one.rate_low > mean for one in found) <= 0.05 * 3000


def test_of_a_wearer_never_there_ninety_days_allow_moderate_support_and_no_more() -> None:
    found = chance(1.0, _days([0.0] * 90), PRIOR)
    assert found is not None
    assert found.ratio == pytest.approx(91)
    assert found.ratio_high == pytest.approx(1775, rel=0.01)
    assert found.ratio_low == found.most == pytest.approx(19.5, rel=0.01)
    assert (found.words, found.most_words) == ("moderate support", "moderate support")
    assert found.as_much == 0


def test_k_of_n_days_had_as_much() -> None:
    found = chance(0.3, _days([0.1, 0.2, 0.3, 0.4, 0.0, 0.0, 1.0]), PRIOR)
    assert found is not None
    assert (found.as_much, found.days) == (3, 7)


def test_what_only_the_coarser_integral_tells_apart_is_as_much() -> None:
    found = chance(0.97, _days([0.969, 0.93, 0.92, *[0.0] * 7]), PRIOR)
    assert found is not None
    assert found.as_much == 2


def test_a_day_with_too_little_cover_is_no_day_and_one_with_gaps_counts_as_if_without() -> None:
    days = Shifted(np.array([0.4] * 7 + [0.7, 0.9]), np.array([0.8] * 7 + [0.79, 0.95]))
    found = chance(0.5, days, Prior(1.0, 0.5))
    assert found is not None
    assert found.days == 8
    assert found.rate == pytest.approx((7 * 0.5 + 0.9 / 0.95 + 0.5) / 9)
    # Half a day's crime there, and half the day unknown: as much as the day of the crime.
    assert found.as_much == 8


def test_six_days_are_too_little_history() -> None:
    assert chance(1.0, _days([0.0] * 6), PRIOR) is None
    assert chance(1.0, _days([0.0] * 7), PRIOR) is not None
    assert chance(1.0, _days([]), PRIOR) is None


def test_no_presence_is_worth_nothing() -> None:
    found = chance(0.0, _days([0.0] * 10), PRIOR)
    assert found is not None
    assert (found.ratio, found.ratio_low, found.ratio_high, found.words) == (0, 0, 0, NO_SUPPORT)


def test_the_words_are_those_of_the_scale() -> None:
    for least, words in ENFSI:
        assert support(least) == words
        assert support(least * 0.999) != words
    assert support(1.99) == NO_SUPPORT
    assert support(inf) == "extremely strong support"


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match=r"not from 0 to 1: 1\.1"):
        chance(1.1, _days([0.0] * 10), PRIOR)
    for days, rate in ((0.0, 0.1), (1.0, 0.0), (1.0, 1.1), (float("nan"), 0.1)):
        with pytest.raises(ValueError, match="must be over 0"):
            chance(0.5, _days([0.0] * 10), Prior(days, rate))


def _days(throughout: list[float]) -> Shifted:
    return Shifted(np.array(throughout, np.float64), np.ones(len(throughout)))
