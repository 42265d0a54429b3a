from math import exp

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import lognorm

from matcher.crime_time import CrimeTime
from matcher.throughout import ROOM, Lasting, Runs, begin, fitting_share, follow, go_on, staying_share, throughout

BURGLARY = Lasting(median_s=240.0, spread=1.02, pace_mps=1.2)
HOUR = CrimeTime(0, 0, 3_600_000_000, 3_600_000_000)


@pytest.mark.parametrize("length_s", [1.0, 30.0, 90.0, 240.0, 900.0, 1e5])
def test_what_fits_is_the_mean_over_all_stays(length_s: float) -> None:
    stays = lognorm(BURGLARY.spread, scale=BURGLARY.median_s)
    mean = quad(lambda s: (1 - s / length_s) * stays.pdf(s), 0, length_s, points=[min(20.0, length_s / 2)])[0]
    assert fitting_share(length_s, BURGLARY) == pytest.approx(mean, abs=1e-8)


def test_a_longer_run_holds_more_stays_and_an_offence_of_no_length_all_time() -> None:
    shares = [fitting_share(length_s, BURGLARY) for length_s in np.geomspace(1, 1e6, 60)]
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx(0, abs=1e-6)
    assert shares[-1] > 0.999
    assert fitting_share(1.0, Lasting(0.0, 1.0, 1.2)) == 1


def test_one_long_visit_is_more_than_many_short_ones_of_the_same_time() -> None:
    long = _told([(600.0, 1200.0)])
    short = _told([(600.0 * i, 600.0 * i + 120) for i in range(1, 6)])
    assert long == pytest.approx(600 / 3600 * fitting_share(600.0, BURGLARY))
    assert short == pytest.approx(600 / 3600 * fitting_share(120.0, BURGLARY))
    assert long > 2 * short


def test_a_dip_in_the_probability_parts_only_the_levels_that_it_reaches() -> None:
    runs = _runs()
    go_on(runs, 0.0, 1.0, 0.0, 0.0)
    for at_s, inside in ((1800.0, 1.0), (1800.0, 0.5), (1800.001, 1.0), (3600.0, 1.0)):
        follow(runs, at_s, inside, 0.0, 0.0)
    # Levels up to 0.45 stand for half of the probability.
    whole, halves = fitting_share(3600.0, BURGLARY), fitting_share(1800.0, BURGLARY)
    assert throughout(runs) == pytest.approx(0.5 * whole + 0.5 * halves, abs=1e-5)


def test_between_two_moments_the_probability_changes_evenly() -> None:
    runs = Runs(np.empty(ROOM), HOUR, Lasting(0.0, 1.0, 1.2))
    begin(runs)
    go_on(runs, 0.0, 0.0, 0.0, 0.0)
    follow(runs, 1800.0, 1.0, 0.0, 0.0)
    follow(runs, 3600.0, 0.0, 0.0, 0.0)
    assert throughout(runs) == pytest.approx(0.5, abs=1e-3)


def test_a_run_never_goes_over_a_gap() -> None:
    runs = _runs()
    go_on(runs, 0.0, 1.0, 0.0, 0.0)
    follow(runs, 600.0, 1.0, 0.0, 0.0)
    go_on(runs, 900.0, 1.0, 0.0, 0.0)
    follow(runs, 1500.0, 1.0, 0.0, 0.0)
    assert throughout(runs) == pytest.approx(1200 / 3600 * fitting_share(600.0, BURGLARY))


def test_who_goes_straight_on_has_no_time_to_stay_and_who_turns_back_has_all_of_it() -> None:
    through, back = ((0.0, -60.0), (100.0, 60.0)), ((0.0, -60.0), (50.0, 0.0), (100.0, -60.0))
    assert _walked(through) == pytest.approx(0.03 * 100 / 3600 * fitting_share(100.0, BURGLARY))
    assert _walked(back) == pytest.approx(100 / 3600 * fitting_share(100.0, BURGLARY))


def test_who_stops_for_a_while_and_goes_on_has_that_while() -> None:
    stopped = ((0.0, -60.0), (50.0, 0.0), (110.0, 0.0), (160.0, 60.0))
    whole, left = fitting_share(160.0, BURGLARY), fitting_share(60.0, BURGLARY)
    assert _walked(stopped) == pytest.approx(160 / 3600 * (0.03 * whole + 0.97 * left))


def test_where_no_pace_is_known_nothing_is_taken_off() -> None:
    assert staying_share(100.0, 500.0, BURGLARY._replace(pace_mps=0.0)) == fitting_share(100.0, BURGLARY)


def test_each_level_takes_its_way_from_where_it_was_reached() -> None:
    runs = _runs()
    go_on(runs, 0.0, 0.0, 0.0, 0.0)
    follow(runs, 100.0, 1.0, 1000.0, 0.0)
    follow(runs, 400.0, 1.0, 1000.0, 0.0)
    follow(runs, 500.0, 0.0, 0.0, 0.0)
    # Up and down again along one line: every level ends where it began.
    levels = (0.001, 0.005, 0.02, 0.06, *(0.15 + 0.1 * i for i in range(9)))
    widths = np.diff((0.0, 0.002, 0.01, 0.035, 0.1, *(0.2 + 0.1 * i for i in range(9))))
    lengths_s = [300.0 + 200.0 * (1 - level) for level in levels]
    expected = sum(w * s / 3600 * fitting_share(s, BURGLARY) for w, s in zip(widths, lengths_s, strict=True))
    assert throughout(runs) == pytest.approx(expected)


def test_a_window_begins_anew() -> None:
    runs = _runs()
    go_on(runs, 0.0, 1.0, 0.0, 0.0)
    follow(runs, 600.0, 1.0, 0.0, 0.0)
    begin(runs)
    assert throughout(runs) == 0


def test_half_of_the_burglaries_take_their_median() -> None:
    # The 5th percentile of the stays that the profile is made for is 45 s.
    assert BURGLARY.median_s * exp(-1.645 * BURGLARY.spread) == pytest.approx(45, abs=1)


def _told(visits_s: list[tuple[float, float]]) -> float:
    runs = _runs()
    go_on(runs, 0.0, 0.0, 0.0, 0.0)
    for from_s, to_s in visits_s:
        for at_s, inside in ((from_s, 0.0), (from_s, 1.0), (to_s, 1.0), (to_s, 0.0)):
            follow(runs, at_s, inside, 0.0, 0.0)
    return float(throughout(runs))


def _walked(knots: tuple[tuple[float, float], ...]) -> float:
    """What being inside comes to from the first (second, metres east) to the last, straight between them."""
    runs = _runs()
    go_on(runs, knots[0][0], 1.0, knots[0][1], 0.0)
    for at_s, east_m in knots[1:]:
        follow(runs, at_s, 1.0, east_m, 0.0)
    return float(throughout(runs))


def _runs() -> Runs:
    runs = Runs(np.empty(ROOM), HOUR, BURGLARY)
    begin(runs)
    return runs
