import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from matcher.crime_time import crime_time, density_per_s, highest_per_s, share_before

HOUR_US = 3_600_000_000
seconds_us = st.integers(0, 40_000).map(lambda seconds: seconds * 1_000_000)


@given(seconds_us, seconds_us, seconds_us)
def test_the_density_adds_up_to_one(from_us: int, length_us: int, padding_us: int) -> None:
    when = crime_time(from_us, from_us + length_us, padding_us)
    knots_s = [(knot_us - when.start_us) / 1e6 for knot_us in when]
    whole, _ = quad(lambda after_s: density_per_s(when, after_s), 0, knots_s[3], points=knots_s[1:3])
    assert whole == pytest.approx(1, rel=1e-6)
    assert highest_per_s(when) == pytest.approx(density_per_s(when, (knots_s[1] + knots_s[2]) / 2), rel=1e-9)


@given(seconds_us, seconds_us, seconds_us, st.floats(0, 1))
def test_the_share_before_a_moment_is_the_density_up_to_it(
    from_us: int, length_us: int, padding_us: int, part: float
) -> None:
    when = crime_time(from_us, from_us + length_us, padding_us)
    knots_s = [(knot_us - when.start_us) / 1e6 for knot_us in when]
    after_s = part * knots_s[3]
    points = [knot_s for knot_s in knots_s[1:3] if 0 < knot_s < after_s]
    share, _ = quad(lambda at_s: density_per_s(when, at_s), 0, after_s, points=points or None)
    assert share_before(when, after_s) == pytest.approx(share, abs=1e-6)


def test_it_is_even_in_the_window_and_falls_to_nothing_over_the_padding() -> None:
    when = crime_time(1_000_000_000, 1_600_000_000, 200_000_000)
    after_s = [-1, 0, 100, 200, 500, 800, 900, 1000, 1001]
    highest = 1 / 800
    assert [density_per_s(when, at) for at in after_s] == pytest.approx(
        np.array([0, 0, 0.5, 1, 1, 1, 0.5, 0, 0]) * highest
    )


def test_a_moment_on_the_full_hour_is_half_an_hour_wide_on_both_sides() -> None:
    when = crime_time(5 * HOUR_US, 5 * HOUR_US, 600_000_000)
    half_us = HOUR_US // 2
    assert when == (9 * half_us - 600_000_000, 9 * half_us, 11 * half_us, 11 * half_us + 600_000_000)
    assert crime_time(5 * HOUR_US, 5 * HOUR_US + 1, 0).from_us == 5 * HOUR_US


def test_another_moment_is_as_wide_as_its_padding_and_at_least_a_second() -> None:
    assert crime_time(7_000_000, 7_000_000, 1_000_000) == (6_000_000, 7_000_000, 7_000_000, 8_000_000)
    assert crime_time(7_000_000, 7_000_000, 0) == (6_500_000, 6_500_000, 7_500_000, 7_500_000)


def test_a_window_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="ends before it starts, by 5 us"):
        crime_time(10, 5, 0)
    with pytest.raises(ValueError, match="negative: -1 us"):
        crime_time(5, 10, -1)
