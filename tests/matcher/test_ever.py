from math import exp
from random import Random

import numpy as np
import pytest

from matcher.crime_time import CrimeTime
from matcher.ever import ever_inside
from matcher.presence import presence
from matcher.throughout import Lasting
from matcher.window import Bridges, Place
from tests import naive_evidence
from tests.walks import LAT_DEG, LON_DEG, as_arrays, fixes_about, walk_past

BRIDGES = Bridges(max_gap_s=300, max_speed_mps=60, least_mobility_m2ps=1, most_mobility_m2ps=2500)
LASTING = Lasting(0, 1, 0)
# Walks of which it is neither certain that they were there nor that they were not.
UNCERTAIN = [3, 5, 13, 31, 33, 39, 40, 55, 64, 65, 67, 69, 72, 73, 76, 78]


def test_it_is_about_the_share_of_simulated_paths_that_are_ever_inside() -> None:
    off = []
    for seed in UNCERTAIN:
        scene = walk_past(Random(seed))
        fixes, place, when = as_arrays(scene)
        highest = presence(fixes, place, when, BRIDGES, LASTING).highest
        found = ever_inside(fixes, place, when, BRIDGES, highest)
        simulated = naive_evidence.simulated_ever_inside(scene)
        assert 0.005 < simulated < 0.995
        assert highest <= found <= 1
        off.append(found - simulated)
    assert min(off) > -0.12
    assert max(off) < 0.15
    assert np.mean(np.abs(off)) < 0.06


@pytest.mark.parametrize(("x1_m", "x2_m"), [(50.0, 50.0), (100.0, 30.0), (200.0, 150.0), (10.0, 300.0)])
def test_past_a_straight_edge_it_is_the_known_probability_of_crossing(x1_m: float, x2_m: float) -> None:
    # A Brownian bridge from x1 to x2 crosses 0 with the probability exp(-2 x1 x2 / (D T)).
    mobility_m2ps, seconds, radius_m = 400.0, 60.0, 500.0
    fixes = fixes_about([(0.0, radius_m + x1_m, 0.0, 0.1), (seconds, radius_m + x2_m, 0.0, 0.1)])
    place = Place(LON_DEG, LAT_DEG, radius_m, 0.0)
    bridges = Bridges(300, 60, mobility_m2ps, mobility_m2ps)
    found = ever_inside(fixes, place, CrimeTime(0, 0, 60_000_000, 60_000_000), bridges, 0.0)
    # The circle's edge bends away from the path.
    assert found == pytest.approx(exp(-2 * x1_m * x2_m / (mobility_m2ps * seconds)), abs=0.12)


def test_an_uncertain_place_is_not_drawn_anew_at_each_fix() -> None:
    # Parked for an hour 120 m from a crime that is known to 20 m: they were there all along or never.
    fixes = fixes_about([(60.0 * i, 120.0, 0.0, 1.3) for i in range(61)])
    place = Place(LON_DEG, LAT_DEG, 100.0, 20.0)
    when = CrimeTime(0, 0, 3600_000_000, 3600_000_000)
    highest = presence(fixes, place, when, BRIDGES, LASTING).highest
    assert highest == pytest.approx(0.15, abs=0.02)
    assert highest <= ever_inside(fixes, place, when, BRIDGES, highest) < highest + 0.2


def test_it_is_never_less_than_the_highest_probability_nor_more_than_one() -> None:
    for seed in range(60):
        fixes, place, when = as_arrays(walk_past(Random(seed)))
        highest = presence(fixes, place, when, BRIDGES, LASTING).highest
        assert highest <= ever_inside(fixes, place, when, BRIDGES, highest) <= 1


def test_a_passage_between_two_fixes_is_nearly_certain_and_one_far_away_nothing() -> None:
    place = Place(LON_DEG, LAT_DEG, 100.0, 0.0)
    when = CrimeTime(0, 0, 60_000_000, 60_000_000)
    passing = fixes_about([(0.0, -500.0, 20.0, 3.0), (60.0, 500.0, 20.0, 3.0)])
    narrow = Bridges(300, 60, 1.0, 1.0)
    assert ever_inside(passing, place, when, narrow, 0.0) > 0.99
    away = fixes_about([(0.0, -500.0, 9000.0, 3.0), (60.0, 500.0, 9000.0, 3.0)])
    assert ever_inside(away, place, when, BRIDGES, 0.0) == 0
    assert ever_inside(fixes_about([]), place, when, BRIDGES, 0.0) == 0


def test_a_single_fix_in_the_window_counts_for_itself() -> None:
    place = Place(LON_DEG, LAT_DEG, 100.0, 0.0)
    fixes = fixes_about([(30.0, 100.0, 0.0, 20.0)])
    found = ever_inside(fixes, place, CrimeTime(0, 0, 60_000_000, 60_000_000), BRIDGES, 0.0)
    assert found == pytest.approx(naive_evidence.inside_probability(100.0, 100.0, 20.0), abs=0.01)
