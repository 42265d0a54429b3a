from math import cos, radians
from random import Random

import numpy as np
import pytest

from matcher.comparable import shifted_presence
from matcher.crime_time import CrimeTime
from matcher.fixes import Fixes
from matcher.jumps import set_aside_jumps
from matcher.presence import NO_TIME_US, presence
from matcher.throughout import Lasting
from matcher.window import Bridges, Place
from tests import naive_evidence
from tests.walks import LAT_DEG, LON_DEG, as_arrays, fixes_about, walk_past

BRIDGES = Bridges(max_gap_s=300, max_speed_mps=60, least_mobility_m2ps=1, most_mobility_m2ps=2500)
LASTING = Lasting(median_s=240, spread=1.02, pace_mps=1.2)


@pytest.mark.parametrize("seed", range(60))
def test_the_window_adds_up_to_what_a_dense_integration_gives(seed: int) -> None:
    scene = walk_past(Random(seed))
    dense = naive_evidence.dense_presence(scene)
    found = presence(*as_arrays(scene), BRIDGES, LASTING)
    length_s = scene.knots_s[3] - scene.knots_s[0]
    # With the sign of Richardson's term turned round, 4e-5 is the furthest off.
    assert found.at_crime == pytest.approx(dense.at_crime, abs=3e-5)
    assert found.throughout == pytest.approx(dense.throughout, abs=3e-3)
    assert found.inside_s / length_s == pytest.approx(dense.inside_s / length_s, abs=3e-5)
    assert found.known == pytest.approx(dense.known, abs=1e-4)
    assert found.covered_s == pytest.approx(dense.covered_s, abs=1e-5)
    assert found.seen == pytest.approx(dense.seen, abs=1e-4)
    assert found.highest == pytest.approx(dense.highest, abs=1e-4)


def test_the_scenes_hold_every_kind_of_presence() -> None:
    found = [presence(*as_arrays(walk_past(Random(seed))), BRIDGES, LASTING) for seed in range(60)]
    assert sum(one.highest > one.seen + 0.05 for one in found) >= 5
    assert sum(0.02 < one.at_crime < 0.98 for one in found) >= 15
    assert sum(one.known < 0.99 for one in found) >= 10
    assert sum(0.02 < one.throughout < 0.98 * one.at_crime for one in found) >= 6


@pytest.mark.parametrize("seed", range(10))
def test_other_days_are_as_if_they_were_the_day(seed: int) -> None:
    fixes, place, when = as_arrays(walk_past(Random(seed)))
    kept, _, _ = set_aside_jumps(fixes, BRIDGES.max_speed_mps)
    shifts_us = np.array([-700_000_000, -1_000_000, 0, 400_000_000])
    shifted = shifted_presence(fixes, place, when, BRIDGES, LASTING, shifts_us, 10**10)
    for i, shift_us in enumerate(shifts_us.tolist()):
        alone = presence(kept, place, CrimeTime(*(knot_us + shift_us for knot_us in when)), BRIDGES, LASTING)
        assert shifted.throughout[i] == pytest.approx(alone.throughout, abs=5e-3)
        assert shifted.known[i] == pytest.approx(alone.known, abs=1e-9)


def test_a_car_that_passes_between_two_fixes_is_inferred_and_not_seen() -> None:
    fixes = fixes_about([(60.0 * i, -3000.0 + 1000 * i + 500, 20.0, 5.0) for i in range(6)])
    found = presence(
        fixes, Place(LON_DEG, LAT_DEG, 100.0, 8.0), CrimeTime(0, 0, 300_000_000, 300_000_000), BRIDGES, LASTING
    )
    assert found.seen < 0.01
    assert found.highest > 0.5
    # Between the third fix, 500 m before, and the fourth, 500 m after.
    assert found.highest_us == pytest.approx(150_000_000, abs=1_000_000)


def test_in_a_gap_that_is_too_long_nothing_is_known() -> None:
    fixes = fixes_about([(0.0, 0.0, 0.0, 5.0), (301.0, 0.0, 0.0, 5.0)])
    place = Place(LON_DEG, LAT_DEG, 100.0, 8.0)
    found = presence(fixes, place, CrimeTime(0, 0, 301_000_000, 301_000_000), BRIDGES, LASTING)
    assert (found.at_crime, found.known, found.covered_s, found.inside_s) == (0, 0, 0, 0)
    assert found.highest == found.seen > 0.99
    assert found.highest_us == found.seen_us == 0
    shorter = fixes_about([(0.0, 0.0, 0.0, 5.0), (300.0, 0.0, 0.0, 5.0)])
    found = presence(shorter, place, CrimeTime(0, 0, 300_000_000, 300_000_000), BRIDGES, LASTING)
    assert found.known == pytest.approx(1)
    assert found.at_crime > 0.7


def test_over_a_jump_no_line_is_drawn() -> None:
    fixes = fixes_about([(0.0, -3000.0, 0.0, 5.0), (60.0, 3000.0, 0.0, 5.0)])
    found = presence(
        fixes, Place(LON_DEG, LAT_DEG, 100.0, 8.0), CrimeTime(0, 0, 60_000_000, 60_000_000), BRIDGES, LASTING
    )
    assert (found.highest, found.highest_us, found.known) == (0, NO_TIME_US, 0)


def test_the_uncertainty_of_the_place_is_added_once_and_not_to_each_fix() -> None:
    # In mid-bridge the fixes' own variances halve, the place's does not.
    fixes = fixes_about([(0.0, 80.0, 0.0, 3.0), (2.0, 80.0, 0.0, 3.0)])
    place = Place(LON_DEG, LAT_DEG, 100.0, 60.0)
    found = presence(fixes, place, CrimeTime(0, 0, 2_000_000, 2_000_000), BRIDGES, LASTING)
    assert found.at_crime == pytest.approx(naive_evidence.inside_probability(80.0, 100.0, 60.1), abs=0.002)


@pytest.mark.parametrize("at_s", [[], [-500.0], [500.0], [-500.0, 500.0]])
def test_a_window_without_fixes_says_nothing(at_s: list[float]) -> None:
    fixes = fixes_about([(at, 0.0, 0.0, 5.0) for at in at_s])
    found = presence(
        fixes, Place(LON_DEG, LAT_DEG, 100.0, 8.0), CrimeTime(0, 0, 60_000_000, 60_000_000), BRIDGES, LASTING
    )
    assert found == (0, NO_TIME_US, 0, NO_TIME_US, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(("lon_deg", "lat_deg"), [(180.0, 0.0), (-180.0, 60.0), (0.0, 84.9), (0.0, -84.9)])
def test_a_fix_near_the_edge_of_the_map_is_not_far(lon_deg: float, lat_deg: float) -> None:
    place = Place(lon_deg, lat_deg, 100.0, 8.0)
    east_deg = 80 / 111_320 / cos(radians(lat_deg))
    lon_e7 = [round(((lon_deg + side * east_deg + 180) % 360 - 180) * 1e7) for side in (-1, 1)]
    fixes = Fixes(
        np.array([0, 60_000_000]),
        np.array(lon_e7, np.int32),
        np.array([round(lat_deg * 1e7)] * 2, np.int32),
        np.array([5.0, 5.0]),
        np.array([True, True]),
    )
    found = presence(fixes, place, CrimeTime(0, 0, 60_000_000, 60_000_000), BRIDGES, LASTING)
    assert found.seen > 0.9
    assert found.at_crime > 0.7
