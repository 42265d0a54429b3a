import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp
from scipy.stats import beta

from matcher.beta import beta_probability, beta_quantile

counts = st.floats(0.01, 400)


# Of numbers under 2e-308 scipy takes the logarithm 0.1 % off.
@given(st.floats(0, 1, allow_subnormal=False), counts, counts)
def test_the_distribution_function_is_that_of_scipy(x: float, a: float, b: float) -> None:
    assert beta_probability(x, a, b) == pytest.approx(beta.cdf(x, a, b), abs=1e-10)


def test_of_the_smallest_number_there_is_it_is_that_of_mpmath() -> None:
    assert beta_probability(5e-324, 1 / 64, 0.5) == pytest.approx(mp.betainc(1 / 64, 0.5, 0, 5e-324, True), rel=1e-12)


@given(st.sampled_from([0.005, 0.025, 0.05, 0.5, 0.95, 0.975]), st.floats(0.5, 400), st.floats(0.5, 400))
def test_the_quantile_is_that_of_scipy(p: float, a: float, b: float) -> None:
    assert beta_quantile(p, a, b) == pytest.approx(beta.ppf(p, a, b), rel=1e-8)


def test_of_no_event_in_n_the_quantile_is_known() -> None:
    # One event at most: 1 − (1 − x)^n.
    assert beta_quantile(0.95, 1.0, 90.0) == pytest.approx(1 - 0.05 ** (1 / 90))
