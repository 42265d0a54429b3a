from math import inf, sqrt
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ncx2

from matcher.circle import inside_probability
from tests import naive_evidence

EXACT = 1e-10


def test_over_all_scales_the_probability_is_that_of_mpmath() -> None:
    random = Random(1)
    for turn in range(150):
        sigma_m = 10 ** random.uniform(-3, 3)
        radius = 10 ** random.uniform(-6, 4.5)
        # Two of three lie near the edge, where something is to be known.
        away = 10 ** random.uniform(-6, 4) if turn % 3 == 0 else max(radius + random.gauss(0, 3), 0.0)
        expected = naive_evidence.inside_probability(away * sigma_m, radius * sigma_m, sigma_m)
        assert inside_probability(away * sigma_m, radius * sigma_m, sigma_m) == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize("product", [15.9, 15.999999, 16.0, 16.1, 20.0])
def test_both_series_are_exact_where_one_takes_over_from_the_other(product: float) -> None:
    for from_edge in np.linspace(-6.99, 6.99, 13):
        away = (sqrt(from_edge**2 + 4 * product) - from_edge) / 2
        radius = away + from_edge
        expected = naive_evidence.inside_probability(away, radius, 1.0)
        assert inside_probability(away, radius, 1.0) == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize("from_edge", [-7.01, -6.99, 6.99, 7.01])
@pytest.mark.parametrize("radius", [0.5, 4.0, 100.0, 1e4])
def test_nothing_jumps_where_the_edge_gets_out_of_reach(radius: float, from_edge: float) -> None:
    away = radius - from_edge
    if away >= 0:
        expected = naive_evidence.inside_probability(away, radius, 1.0)
        assert inside_probability(away, radius, 1.0) == pytest.approx(expected, abs=EXACT)


@given(st.floats(0, 300), st.floats(1, 300), st.floats(3, 300))
def test_the_probability_is_that_of_the_non_central_chi_square(
    distance_m: float, radius_m: float, sigma_m: float
) -> None:
    expected = ncx2.cdf((radius_m / sigma_m) ** 2, 2, max((distance_m / sigma_m) ** 2, 1e-12))
    assert inside_probability(distance_m, radius_m, sigma_m) == pytest.approx(expected, abs=1e-9)


def test_without_error_a_position_is_in_or_out() -> None:
    assert inside_probability(99.9, 100.0, 0.0) == 1
    assert inside_probability(100.0, 100.0, 0.0) == 1
    assert inside_probability(100.1, 100.0, 0.0) == 0


@pytest.mark.parametrize("sigma_m", [5e-324, 1e-300, 1e-9, 1e-3])
def test_an_error_of_nearly_nothing_halves_a_position_on_the_edge(sigma_m: float) -> None:
    assert inside_probability(100.0, 100.0, sigma_m) == pytest.approx(0.5, abs=1e-5)
    assert inside_probability(101.0, 100.0, sigma_m) == 0
    assert inside_probability(99.0, 100.0, sigma_m) == 1


def test_an_error_without_bound_says_nothing() -> None:
    assert inside_probability(0.0, 100.0, 1e12) == pytest.approx(0, abs=1e-12)
    assert inside_probability(1e300, 100.0, 10.0) == 0
    assert inside_probability(0.0, 0.0, 10.0) == 0
    assert inside_probability(0.0, 100.0, inf) == 0


def test_what_a_plain_radius_gets_wrong_is_as_the_definition_says() -> None:
    per_axis = sqrt(-2 * np.log(0.05))
    assert inside_probability(0.0, 100.0, 300 / per_axis) == pytest.approx(0.28, abs=0.005)
    assert inside_probability(110.0, 100.0, 50 / per_axis) == pytest.approx(0.28, abs=0.005)


@given(st.floats(0, 1000), st.floats(0, 100), st.floats(1, 500), st.floats(0.5, 300))
def test_further_away_is_never_likelier_inside(
    distance_m: float, further_m: float, radius_m: float, sigma_m: float
) -> None:
    near = inside_probability(distance_m, radius_m, sigma_m)
    assert 0 <= inside_probability(distance_m + further_m, radius_m, sigma_m) <= near + EXACT
    assert near <= inside_probability(distance_m, radius_m + further_m, sigma_m) + EXACT
