from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matcher.fixes import GPS, LBS, RF, UNKNOWN, WIFI, fixes_from_columns, sigma_m, sigma_of_r95


def test_the_stated_circle_holds_the_stated_share_of_positions() -> None:
    generator = np.random.default_rng(1)
    for level in (0.5, 0.68, 0.95):
        (sigma,) = sigma_m(np.array([2000]), np.array([GPS]), level)
        away_m = np.hypot(*generator.normal(0, sigma, (2, 200_000)))
        assert np.mean(away_m <= 20) == pytest.approx(level, abs=0.005)


@pytest.mark.parametrize(("source", "r95_m"), [(GPS, 30), (RF, 50), (WIFI, 100), (LBS, 1500), (UNKNOWN, 300)])
@pytest.mark.parametrize("accuracy_cm", [0, -1])
def test_an_accuracy_that_is_not_stated_takes_the_default_of_its_source(
    accuracy_cm: int, source: int, r95_m: float
) -> None:
    # Whatever the level of the stated ones is: the defaults hold 95 of 100.
    (sigma,) = sigma_m(np.array([accuracy_cm]), np.array([source]), 0.5)
    assert sigma == pytest.approx(r95_m / 2.44774683)
    assert not fixes_from_columns([0], [0], [0], [accuracy_cm], [source]).can_exclude[0]


def test_no_fix_is_better_than_three_metres() -> None:
    sigmas = sigma_m(np.array([1, 299, 300, 301]), np.array([GPS] * 4))
    assert sigmas[0] == sigmas[1] == sigmas[2] < sigmas[3]
    assert sigmas[0] == pytest.approx(sigma_of_r95(3.0))


def test_each_fix_may_have_its_own_level() -> None:
    sigmas = sigma_m(np.array([1000, 1000]), np.array([GPS, WIFI]), [0.95, 0.68])
    assert sigmas == pytest.approx([10 / 2.44774683, 10 / 1.50958], rel=1e-5)


def test_only_gps_with_a_stated_accuracy_can_exclude() -> None:
    fixes = fixes_from_columns(range(5), [0] * 5, [0] * 5, [500] * 5, [GPS, RF, WIFI, LBS, UNKNOWN])
    assert fixes.can_exclude.tolist() == [True, False, False, False, False]


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(0, 2), st.integers(-1, 2)), max_size=12),
    st.randoms(use_true_random=False),
)
def test_fixes_never_depend_on_the_order_of_arrival_and_each_time_stands_once(
    rows: list[tuple[int, int, int, int]], random: Random
) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    one, other = (
        fixes_from_columns(*np.array([(*row[:3], row[3] * 500, GPS) for row in order], np.int64).reshape(-1, 5).T)
        for order in (rows, shuffled)
    )
    for column, again in zip(one, other, strict=True):
        np.testing.assert_array_equal(column, again)
    assert one.fixed_at_us.tolist() == sorted({row[0] for row in rows})


def test_of_fixes_at_one_time_the_one_with_the_least_error_is_kept() -> None:
    fixes = fixes_from_columns([7, 7, 7], [1, 2, 3], [0, 0, 0], [3000, 500, 2000], [GPS, WIFI, GPS])
    assert fixes.lon_e7.tolist() == [2]
    # Of equal errors the one that can exclude.
    assert fixes_from_columns([7, 7], [1, 2], [0, 0], [500, 500], [WIFI, GPS]).can_exclude.tolist() == [True]


def test_what_cannot_be_a_fix_is_refused_with_its_value() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        fixes_from_columns([1, 2], [0], [0], [0], [0])
    with pytest.raises(ValueError, match=r"unknown sources of fixes: \[3\]"):
        fixes_from_columns([1], [0], [0], [0], [3])
    for level in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            fixes_from_columns([1], [0], [0], [0], [0], level)
