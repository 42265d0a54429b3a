"""The join against an index of trails: the same as the scan to the last bit, and as the oracle says."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from benchmarks.taxis import read_known_meetings
from benchmarks.workloads import SF2008, workload
from matcher.arrival import Arrivals
from matcher.between import line_rule
from matcher.hits import Hits, columns_of
from matcher.incidents import Incidents
from matcher.index import incident_grid
from matcher.index_join import join_indexed
from matcher.join import Between, space_time_join
from matcher.trail_index import trail_index
from matcher.trails import trails_from_columns
from tests.matcher import test_join_against_naive as against_naive
from tests.scenes import MAX_GAP_S, MAX_SPEED_MPS, Scene, scenes

BETWEEN = Between(MAX_GAP_S, MAX_SPEED_MPS)
HOUR_US = 3_600_000_000
WIDE_RADII_M = (100.0, 5_000.0, 10_000.0)


def _equal(one: Hits, other: Hits) -> None:
    for column, same in zip(one, other, strict=True):
        np.testing.assert_array_equal(column, same)


@settings(max_examples=200)
@given(scenes() | scenes(radii_m=WIDE_RADII_M), st.sampled_from([None, BETWEEN]), st.sampled_from([1, 2, 3]))
def test_the_index_gives_what_the_scan_gives(scene: Scene, between: Between | None, threads: int) -> None:
    trails, incidents = scene.trails(), scene.arrays()
    index = trail_index(trails, between, threads)
    hits = space_time_join(index, incidents, between, threads)
    event("a hit" if hits.incident.size else "no hit")
    _equal(hits, space_time_join(trails, incidents, between))


@settings(max_examples=100)
@given(scenes())
def test_the_index_gives_what_the_oracle_gives(scene: Scene) -> None:
    hits = space_time_join(trail_index(scene.trails(), BETWEEN), scene.arrays(), BETWEEN)
    against_naive._check(scene, hits, gap_s=MAX_GAP_S)


@settings(max_examples=60)
@given(scenes(), st.sampled_from([0, 30, MAX_GAP_S]), st.sampled_from([0, 5, MAX_SPEED_MPS]))
def test_an_index_with_lines_answers_for_stricter_lines_and_for_pings_alone(
    scene: Scene, max_gap_s: float, max_speed_mps: float
) -> None:
    trails, incidents, stricter = scene.trails(), scene.arrays(), Between(max_gap_s, max_speed_mps)
    index = trail_index(trails, BETWEEN)
    _equal(space_time_join(index, incidents, stricter), space_time_join(trails, incidents, stricter))
    _equal(space_time_join(index, incidents), space_time_join(trails, incidents))


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("between", [None, BETWEEN])
def test_a_day_of_tags_gives_the_same_whatever_the_threads(seed: int, between: Between | None) -> None:
    drawn = workload("W1-small", seed)
    expected = space_time_join(drawn.trails, drawn.incidents, between)
    assert expected.incident.size > 20
    for threads in (1, 3):
        index = trail_index(drawn.trails, between, threads)
        _equal(space_time_join(index, drawn.incidents, between, threads), expected)
        _equal(space_time_join(index, incident_grid(drawn.incidents), between, threads), expected)


@pytest.mark.parametrize("lat_deg", [0.0, 51.5, 79.0, 84.9, -84.9])
@pytest.mark.parametrize("lon_deg", [0.0, 179.999, -180.0])
def test_long_lines_are_found_wherever_they_pass(lon_deg: float, lat_deg: float) -> None:
    rng = np.random.default_rng(abs(round(lat_deg)))
    ends_deg = np.array([lon_deg, lat_deg]) + rng.uniform(-1, 1, (400, 2)) * np.array(
        [0.15 / np.cos(np.radians(lat_deg)), 0.15]
    )
    lon = (ends_deg[:, 0] + 180) % 360 - 180
    device, time_us = np.repeat(np.arange(200), 2), np.tile([0, 280_000_000], 200)
    trails = trails_from_columns(device, time_us, np.rint(lon * 1e7), np.rint(ends_deg[:, 1] * 1e7))
    count = 40
    places_deg = np.array([lon_deg, lat_deg]) + rng.uniform(-1, 1, (count, 2)) * np.array(
        [0.1 / np.cos(np.radians(lat_deg)), 0.1]
    )
    incidents = Incidents(
        (places_deg[:, 0] + 180) % 360 - 180,
        np.clip(places_deg[:, 1], -85, 85),
        rng.uniform(10, 400, count),
        np.full(count, -10),
        np.full(count, HOUR_US),
    )
    between = Between(300, 150)
    hits = space_time_join(trail_index(trails, between), incidents, between)
    assert np.count_nonzero(hits.n_pings == 0) > 20
    _equal(hits, space_time_join(trails, incidents, between))


@pytest.mark.parametrize("between", [None, BETWEEN])
def test_incidents_that_arrive_one_by_one_meet_whom_they_meet_together(between: Between | None) -> None:
    drawn = workload("W1-small", 5)
    incidents = Incidents._make(column[:60].copy() for column in drawn.incidents)
    incidents.radius_m[7] = 100_000
    index = trail_index(drawn.trails, between)
    arrivals, expected = Arrivals(index, between), space_time_join(index, incidents, between)
    for row, incident in enumerate(zip(*incidents, strict=True)):
        hits = columns_of(arrivals.meet(*incident))
        mine = Hits._make(column[expected.incident == row] for column in expected)
        _equal(hits._replace(incident=hits.incident + row), mine)
    with pytest.raises(ValueError, match="ends before it starts"):
        arrivals.meet(0.0, 0.0, 100.0, 1, 0)


def test_a_window_of_years_and_trails_of_years_are_looked_up() -> None:
    rng = np.random.default_rng(3)
    years_us = 40 * 365 * 24 * HOUR_US
    time_us = np.sort(rng.integers(-years_us, years_us, 500))
    trails = trails_from_columns(np.zeros(500), time_us, rng.integers(-9_000, 9_000, 500), rng.integers(0, 9_000, 500))
    # An edge on a ping's very moment, and one off it: a tick is much longer.
    from_us = np.array([time_us[0], time_us[200], time_us[200] + 1, -(2**62), 5])
    to_us = np.array([time_us[-1], time_us[300] - 1, time_us[300], 2**62, 5])
    incidents = Incidents(np.zeros(5), np.full(5, 0.0005), np.full(5, 60.0), from_us, to_us)
    hits = space_time_join(trail_index(trails), incidents)
    assert hits.n_pings.sum() > 500
    _equal(hits, space_time_join(trails, incidents))


def test_a_circle_that_holds_half_a_country_is_scanned_and_the_others_are_not() -> None:
    drawn = workload("W1-small", 3)
    incidents = Incidents._make(column[:40].copy() for column in drawn.incidents)
    incidents.radius_m[::4] = 100_000
    index = trail_index(drawn.trails, BETWEEN)
    _, is_scanned = join_indexed(index, incidents, line_rule(BETWEEN), 1)
    assert np.flatnonzero(is_scanned).tolist() == list(range(0, 40, 4))
    _equal(space_time_join(index, incidents, BETWEEN), space_time_join(drawn.trails, incidents, BETWEEN))


def test_nothing_is_found_in_no_trails_and_for_no_incidents() -> None:
    empty = trails_from_columns([], [], [], [])
    drawn = workload("W3-small", 1)
    none = Incidents._make(column[:0] for column in drawn.incidents)
    assert space_time_join(trail_index(empty, BETWEEN), drawn.incidents, BETWEEN).incident.size == 0
    assert space_time_join(trail_index(drawn.trails, BETWEEN), none, BETWEEN).incident.size == 0


def test_lines_that_the_index_has_not_are_refused() -> None:
    drawn = workload("W3-small", 1)
    for between in (None, Between(299, 60), Between(300, 59)):
        with pytest.raises(ValueError, match="lines of at most"):
            space_time_join(trail_index(drawn.trails, between), drawn.incidents, BETWEEN)


def test_trails_out_of_order_or_range_are_refused() -> None:
    drawn = workload("W3-small", 1)
    backwards = drawn.trails.fixed_at_us.copy()
    backwards[1] = backwards[0] - 1
    with pytest.raises(ValueError, match="ping 1 is earlier"):
        trail_index(drawn.trails._replace(fixed_at_us=backwards))
    outside = drawn.trails.lat_e7.copy()
    outside[7] = 900_000_001
    with pytest.raises(ValueError, match="latitude outside 90 degrees"):
        trail_index(drawn.trails._replace(lat_e7=outside), threads=2)


def test_the_taxis_of_san_francisco_are_found_by_the_index_as_by_the_scan(real_data: Path) -> None:
    drawn = workload(SF2008, 0, real_data)
    for between in (None, drawn.between):
        hits = space_time_join(trail_index(drawn.trails, between, 2), drawn.incidents, between, 2)
        _equal(hits, space_time_join(drawn.trails, drawn.incidents, between, 2))
        if between is None:
            assert (hits.incident.size, hits.n_pings.sum()) == (len(read_known_meetings(real_data)), 23_598)
