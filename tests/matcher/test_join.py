"""The join by example: each rule of the contract on its edge, and what is refused."""

import math
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from pyproj import Geod

from geo.plane import place_in, plane_at
from matcher.hits import NO_TIME_US, Hits
from matcher.incidents import Incidents
from matcher.join import Between, space_time_join
from matcher.trails import Trails, trails_from_columns
from tests.naive import Incident
from tests.scenes import incident_arrays

GEOD = Geod(ellps="WGS84")
BETWEEN = Between(max_gap_s=300, max_speed_mps=60)
S = 1_000_000
LON_E7, LAT_E7 = -26_000_000, 514_500_000
INCIDENT = Incident(LON_E7 / 1e7, LAT_E7 / 1e7, 100.0, 0, 600 * S)


def _join(
    pings: Sequence[tuple[float, float, float]], incident: Incident = INCIDENT, between: Between | None = BETWEEN
) -> Hits:
    """Join one device's pings, each a time in seconds and metres east and north of the incident."""
    return space_time_join(_trail(pings, incident), incident_arrays([incident]), between)


def _trail(pings: Sequence[tuple[float, float, float]], incident: Incident = INCIDENT) -> Trails:
    places = [
        GEOD.fwd(incident.lon_deg, incident.lat_deg, math.degrees(math.atan2(x_m, y_m)), math.hypot(x_m, y_m))
        for _, x_m, y_m in pings
    ]
    lon_e7, lat_e7 = [round(place[0] * 1e7) for place in places], [round(place[1] * 1e7) for place in places]
    return trails_from_columns([7] * len(pings), [round(s * S) for s, _, _ in pings], lon_e7, lat_e7)


@pytest.mark.parametrize(("time_s", "is_hit"), [(0, True), (600, True), (-1, False), (601, False)])
def test_both_ends_belong_to_the_window(time_s: int, is_hit: bool) -> None:
    assert _join([(time_s, 0, 50)]).n_pings.tolist() == [1] * is_hit


def test_a_ping_exactly_on_the_radius_is_inside() -> None:
    plane = plane_at(INCIDENT.lon_deg, INCIDENT.lat_deg)
    for offset_e7 in range(8_000, 8_050):
        on_m = place_in(plane, LON_E7 + offset_e7, LAT_E7 + offset_e7)[2]
        trails = trails_from_columns([1], [0], [LON_E7 + offset_e7], [LAT_E7 + offset_e7])
        for radius_m, is_hit in ((on_m, True), (math.nextafter(on_m, 0), False)):
            hits = space_time_join(trails, incident_arrays([INCIDENT._replace(radius_m=radius_m)]))
            assert hits.n_pings.tolist() == [1] * is_hit


def test_a_radius_of_zero_holds_the_very_place() -> None:
    assert _join([(5, 0, 0)], INCIDENT._replace(radius_m=0.0)).n_pings.tolist() == [1]
    assert _join([(5, 0, 1)], INCIDENT._replace(radius_m=0.0)).n_pings.tolist() == []


def test_of_equally_near_pings_the_earliest_is_the_closest() -> None:
    hits = _join([(10, 0, 50), (20, 0, 50), (30, 0, 60)], between=None)
    assert (hits.closest_us[0], hits.first_us[0], hits.last_us[0]) == (10 * S, 10 * S, 30 * S)


def test_a_line_past_the_incident_is_a_hit_without_a_ping() -> None:
    hits = _join([(100, -300, 60), (160, 300, 60)])
    assert hits.n_pings.tolist() == [0]
    assert (hits.first_us[0], hits.last_us[0], hits.closest_us[0]) == (NO_TIME_US, NO_TIME_US, NO_TIME_US)
    assert hits.closest_m[0] == math.inf
    assert hits.near_m[0] == pytest.approx(60, abs=0.02)
    assert hits.near_us[0] == pytest.approx(130 * S, abs=5_000)
    assert hits.inside_s[0] == pytest.approx(16, abs=0.005)  # 160 m of chord at 10 m/s
    assert (hits.enter_us[0], hits.leave_us[0]) == pytest.approx((122 * S, 138 * S), abs=5_000)
    assert hits.visits[0] == 1


@pytest.mark.parametrize(("gap_s", "is_hit"), [(300, True), (300.000001, False)])
def test_a_line_counts_up_to_the_longest_gap(gap_s: float, is_hit: bool) -> None:
    assert _join([(100, -150, 0), (100 + gap_s, 150, 0)]).incident.size == is_hit


@pytest.mark.parametrize(("gap_s", "is_hit"), [(11, True), (9, False)])
def test_a_line_counts_up_to_the_highest_speed(gap_s: int, is_hit: bool) -> None:
    assert _join([(100, -300, 0), (100 + gap_s, 300, 0)]).incident.size == is_hit


def test_two_pings_at_one_time_have_no_line_between_them() -> None:
    assert _join([(100, -150, 0), (100, 150, 0)]).incident.size == 0


def test_no_line_joins_two_devices() -> None:
    one = _trail([(100, -150, 0), (160, 150, 0)])
    trails = Trails(np.array([1, 2]), np.array([0, 1, 2]), *one[2:])
    assert space_time_join(trails, incident_arrays([INCIDENT]), BETWEEN).incident.size == 0


def test_no_line_joins_two_devices_whatever_the_sizes_of_the_incidents() -> None:
    one = _trail([(100, -150, 0), (160, 150, 0)])
    trails = Trails(np.array([1, 2]), np.array([0, 1, 2]), *one[2:])
    incidents = [INCIDENT._replace(radius_m=radius_m) for radius_m in (50.0, 5_000.0, 50_000.0)]
    hits = space_time_join(trails, incident_arrays(incidents), BETWEEN)
    assert hits.incident.tolist() == [1, 1, 2, 2]
    assert hits.inside_s.tolist() == [0, 0, 0, 0]


def test_a_stay_is_clipped_to_the_window() -> None:
    hits = _join([(-60, 0, 10), (60, 0, 10), (540, 0, 10), (660, 0, 10)])
    assert (hits.enter_us[0], hits.leave_us[0]) == (0, 600 * S)
    assert hits.inside_s[0] == 120  # the 480 s between the two inner pings are too long a gap
    assert (hits.n_pings[0], hits.visits[0]) == (2, 2)


def test_a_tag_that_lies_still_through_the_window_is_as_near_as_it_lies() -> None:
    hits = _join([(-60, 30, 40), (60, 30, 40)], INCIDENT._replace(to_us=30 * S))
    assert (hits.n_pings[0], hits.inside_s[0], hits.near_us[0]) == (0, 30, 0)
    assert hits.near_m[0] == pytest.approx(50, abs=0.1)


def test_a_line_that_leaves_before_the_window_is_no_hit() -> None:
    assert _join([(-50, 0, 0), (250, 0, 3_000)]).incident.size == 0


def test_a_line_may_touch_the_window_in_one_moment() -> None:
    hits = _join([(-30, 0, 10), (0, 0, 150)], INCIDENT._replace(radius_m=150.5, to_us=0))
    assert (hits.n_pings[0], hits.inside_s[0], hits.visits[0]) == (1, 0, 1)


def test_leaving_and_coming_back_is_a_second_visit() -> None:
    hits = _join([(60, 0, 0), (120, 0, 400), (180, 0, 0), (240, 0, 50)])
    assert hits.visits[0] == 2
    assert hits.n_pings[0] == 3


def test_pings_inside_joined_by_a_line_are_one_visit_and_without_lines_one_each() -> None:
    pings = [(60, 0.0, 10.0), (120, 0.0, 20.0), (180, 0.0, 30.0)]
    assert _join(pings).visits[0] == 1
    assert _join(pings, between=None).visits[0] == 3


def test_a_parked_device_is_inside_the_whole_time() -> None:
    hits = _join([(100, 0, 50), (160, 0, 50), (220, 0, 50)])
    assert (hits.inside_s[0], hits.visits[0], hits.near_us[0]) == (120, 1, 100 * S)
    assert hits.near_m[0] == hits.closest_m[0]


def test_an_incident_whose_circle_holds_many_cells_is_found_once() -> None:
    wide = INCIDENT._replace(radius_m=90_000.0, from_us=-(10**15), to_us=10**15)
    hits = _join([(s, 45.0 * s, 50.0) for s in range(0, 2_400, 100)], wide)  # 90 km after 2,000 s
    assert (hits.incident.size, hits.n_pings[0], hits.visits[0]) == (1, 20, 1)
    assert hits.inside_s[0] == pytest.approx(2_000, abs=0.1)


def test_incidents_of_every_size_and_length_are_found_side_by_side() -> None:
    incidents = [
        INCIDENT._replace(radius_m=radius_m, from_us=-length_us, to_us=length_us)
        for radius_m in (0.5, 30.0, 1_000.0, 40_000.0)
        for length_us in (1, 10**9, 10**12, 2**62)
    ]
    hits = space_time_join(_trail([(0, 0, 0.1), (60, 0, 20_000)]), incident_arrays(incidents))
    assert hits.n_pings.tolist() == [1, 1, 1, 1] * 3 + [1, 2, 2, 2]


@pytest.mark.parametrize("lat_deg", [0.0, 51.45, -70.0, 80.0])
@pytest.mark.parametrize("azimuth_deg", [0, 37, 90])
def test_no_incident_beside_a_long_line_is_missed(lat_deg: float, azimuth_deg: float) -> None:
    """The line is straight about each incident, and so bends in longitude and latitude, where the cells are."""
    random = np.random.default_rng(0)
    pings, incidents = [], []
    for device in range(200):
        lon_deg = random.uniform(-180, 180)
        beside_m = random.uniform(-45, 45)
        ends = [
            GEOD.fwd(lon_deg, lat_deg, azimuth_deg + turn_deg, math.hypot(beside_m, along_m))
            for along_m in (random.uniform(100, 9_000), random.uniform(-9_000, -100))
            for turn_deg in [math.degrees(math.atan2(beside_m, along_m))]
        ]
        incidents.append(Incident(lon_deg, lat_deg, 50.0, 0, 600 * S))
        pings += [
            (device, at_us, round(end[0] * 1e7), round(end[1] * 1e7))
            for at_us, end in zip((0, 300 * S), ends, strict=True)
        ]
    hits = space_time_join(trails_from_columns(*np.array(pings).T), incident_arrays(incidents), BETWEEN)
    assert hits.incident[hits.incident == hits.device].tolist() == list(range(200))


@pytest.mark.parametrize("before", [1, 7, 62, 63, 64, 65, 127, 128, 129])
@pytest.mark.parametrize("after", [1, 63, 64, 200])
def test_a_line_between_two_long_stays_is_seen_wherever_it_stands_in_the_trail(before: int, after: int) -> None:
    """Pings are looked at in runs; here each of them stays kilometres from the incident."""
    incident = INCIDENT._replace(radius_m=50.0, from_us=-(10**12), to_us=10**12)
    stays = [(60 * at, -4_000.0, 0.0) for at in range(before)]
    first_s = 60 * (before - 1) + 280
    stays += [(first_s + 60 * at, 4_000.0, 0.0) for at in range(after)]
    hits = _join(stays, incident)
    assert hits.inside_s.tolist() == pytest.approx([100 / (8_000 / 280)], abs=0.01)


def test_a_line_bends_over_the_edge_of_a_cell_in_which_its_pings_are_not() -> None:
    """1.3 km along a parallel, 3 cm south of an edge between two rows of cells; its middle is 15 cm north of it."""
    edge_e7 = (800_000_000 >> 16) << 16
    incident = Incident(0.0, (edge_e7 + 10) / 1e7, 0.07, 0, 600 * S)
    trails = trails_from_columns([1, 1], [100 * S, 200 * S], [-327_000, 327_000], [edge_e7 - 3, edge_e7 - 3])
    assert space_time_join(trails, incident_arrays([incident]), BETWEEN).n_pings.tolist() == [0]


@pytest.mark.parametrize("slot", [0, 1, 15, 30, 31])
@pytest.mark.parametrize("slots", [0, 1, 40])
@pytest.mark.parametrize("between", [None, BETWEEN])
def test_every_slot_of_a_spell_is_seen(slot: int, slots: int, between: Between | None) -> None:
    start_s = (5 * 2**36 + slot * 2**31) // S + 100
    incident = INCIDENT._replace(from_us=start_s * S - slots * 2**31, to_us=(start_s + 60) * S)
    assert _join([(start_s + 10, 0, 50), (start_s + 20, 0, 50)], incident, between).n_pings.tolist() == [2]


@pytest.mark.parametrize("slot_us", [2**31, 2**35, 2**36])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_line_is_found_whose_middle_lies_in_another_slot_than_the_window(slot_us: int, side: int) -> None:
    edge_us = 700_000 * slot_us
    window = sorted([edge_us + side * S, edge_us + side * 2 * S])
    incident = INCIDENT._replace(from_us=window[0], to_us=window[1])
    ends = sorted([edge_us / S - side * 200, edge_us / S + side * 80])
    assert _join([(ends[0], 10, 0), (ends[1], 10, 5)], incident).inside_s.tolist() == [1]


@pytest.mark.parametrize("before", [1, 63, 64, 200])
@pytest.mark.parametrize("which", ["time", "longitude", "latitude"])
def test_a_wrong_ping_is_refused_wherever_it_stands(before: int, which: str) -> None:
    trails = _trail([(60 * at, 0, 0) for at in range(before + 2)])
    wrong: dict[str, tuple[str, np.ndarray, int, str]] = {
        "time": ("fixed_at_us", trails.fixed_at_us, -60 * S, f"ping {before} is earlier"),
        "longitude": ("lon_e7", trails.lon_e7, 1_800_000_001, "longitude"),
        "latitude": ("lat_e7", trails.lat_e7, -900_000_001, "latitude"),
    }
    name, column, value, message = wrong[which]
    changed = column.copy()
    changed[before] = value
    with pytest.raises(ValueError, match=message):
        space_time_join(trails._replace(**{name: changed}), incident_arrays([INCIDENT]))


def test_a_device_that_begins_earlier_than_the_one_before_it_ends_is_no_fault() -> None:
    trails = _trail([(60 * at, 0, 0) for at in range(200)])
    for starts in ([0, 64, 200], [0, 63, 63, 65, 200], [0, 1, 2, 3, 200]):
        times_us = np.concatenate([np.arange(end - start) * S for start, end in pairwise(starts)])
        split = Trails(np.arange(len(starts) - 1), np.array(starts), times_us, trails.lon_e7, trails.lat_e7)
        assert space_time_join(split, incident_arrays([INCIDENT])).n_pings.sum() == 200


@pytest.mark.parametrize("lon_deg", [179.999, 179.99999, 180.0, -180.0, -179.999])
@pytest.mark.parametrize("west_to_east", [1, -1])
def test_a_line_crosses_the_antimeridian(lon_deg: float, west_to_east: int) -> None:
    hits = _join([(100, -300 * west_to_east, 0), (160, 300 * west_to_east, 0)], INCIDENT._replace(lon_deg=lon_deg))
    assert hits.inside_s.tolist() == pytest.approx([20], abs=0.01)


@pytest.mark.parametrize("lon_deg", [179.9999, 180.0, -180.0, -179.9999])
@pytest.mark.parametrize("east_m", [-90, 0, 90])
def test_a_circle_holds_pings_beyond_the_antimeridian(lon_deg: float, east_m: int) -> None:
    assert _join([(100, east_m, 0)], INCIDENT._replace(lon_deg=lon_deg)).n_pings.tolist() == [1]


def test_a_ping_at_the_pole_is_near_no_incident_and_harms_none() -> None:
    trails = trails_from_columns([1, 1], [0, S], [LON_E7, 0], [LAT_E7, 900_000_000])
    assert space_time_join(trails, incident_arrays([INCIDENT]), BETWEEN).n_pings.tolist() == [1]


def test_no_incidents_and_no_trails_give_no_hits() -> None:
    assert space_time_join(_trail([]), incident_arrays([INCIDENT]), BETWEEN).incident.size == 0
    assert space_time_join(_trail([(0, 0, 0)]), incident_arrays([]), BETWEEN).incident.size == 0
    assert space_time_join(_trail([]), incident_arrays([]), BETWEEN, threads=2).incident.size == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"radius_m": -1.0}, r"radius.*-1\.0"),
        ({"radius_m": math.nan}, "radius.*nan"),
        ({"radius_m": math.inf}, "radius.*inf"),
        ({"radius_m": 100_001.0}, r"radius.*100001\.0"),
        ({"lat_deg": 85.1}, r"latitude.*85\.1"),
        ({"lat_deg": math.nan}, "latitude.*nan"),
        ({"lon_deg": 181.0}, r"longitude.*181\.0"),
        ({"to_us": -1}, "incident 1 ends before it starts.*-1"),
        ({"from_us": -(2**62) - 1}, "starts before"),
        ({"to_us": 2**62 + 1}, "ends after"),
    ],
)
def test_an_incident_out_of_range_is_refused_with_its_value(changed: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        space_time_join(_trail([(0, 0, 0)]), incident_arrays([INCIDENT, INCIDENT._replace(**changed)]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda trails: trails._replace(fixed_at_us=trails.fixed_at_us[::-1].copy()), "ping 1 is earlier"),
        (lambda trails: trails._replace(lat_e7=np.full(2, 900_000_001, dtype=np.int32)), r"latitude.*90\.0000001"),
        (
            lambda trails: trails._replace(lon_e7=np.full(2, -1_800_000_001, dtype=np.int32)),
            r"longitude.*-180\.0000001",
        ),
        (lambda trails: trails._replace(lon_e7=trails.lon_e7 / 1e7), "lon_e7 of the trails is float64"),
        (lambda trails: trails._replace(lon_e7=trails.lon_e7[:1]), r"lon_e7.*\[1\], expected int32\[2\]"),
        (lambda trails: trails._replace(starts=np.array([0, 1])), "starts of the trails must rise"),
        (lambda trails: trails._replace(starts=np.array([0, 2, 2])), "starts"),
        (lambda trails: trails._replace(fixed_at_us=np.full(2, 2**63 - 1)), "outside the years"),
    ],
)
def test_trails_that_do_not_fit_are_refused_with_the_value(change: Callable[[Trails], Trails], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        space_time_join(change(_trail([(0, 0, 0), (1, 0, 0)])), incident_arrays([INCIDENT]))


@pytest.mark.parametrize("between", [Between(-1, 60), Between(300, math.nan), Between(math.inf, 0), Between(3_600, 60)])
def test_a_rule_for_lines_out_of_range_is_refused(between: Between) -> None:
    with pytest.raises(ValueError, match="max_"):
        space_time_join(_trail([(0, 0, 0)]), incident_arrays([INCIDENT]), between)


def test_incidents_of_another_kind_are_refused() -> None:
    incidents = incident_arrays([INCIDENT])
    with pytest.raises(ValueError, match="from_us of the incidents is float64"):
        space_time_join(_trail([]), Incidents(*incidents[:3], incidents.from_us.astype(float), incidents.to_us))


def test_arrays_that_cannot_be_written_to_are_joined_like_others() -> None:
    trails = _trail([(0, 0, 0), (60, 0, 500)])
    for column in trails:
        column.flags.writeable = False
    assert space_time_join(trails, incident_arrays([INCIDENT]), BETWEEN).n_pings.tolist() == [1]


PRINT_JOIN = """
import numpy as np
from matcher.join import Between, space_time_join
from matcher.incidents import Incidents
from matcher.trails import trails_from_columns
random = np.random.default_rng(0)
n, m = 400, 12
trails = trails_from_columns(
    random.integers(0, 3, n), random.integers(0, 3_600, n) * 1_000_000,
    1_800_000_000 - random.integers(0, 60_000, n), 514_500_000 + random.integers(-30_000, 30_000, n),
)
start_us = random.integers(0, 3_600, m) * 1_000_000
incidents = Incidents(
    np.full(m, -179.9999), 51.45 + random.uniform(-0.003, 0.003, m), random.uniform(50, 3_000, m), start_us,
    start_us + 600_000_000,
)
for column in space_time_join(trails, incidents, Between(300, 60)):
    print(column.tolist())
"""


def test_the_join_gives_the_same_bits_without_compiling() -> None:
    compiled, interpreted = (
        subprocess.run(
            [sys.executable, "-W", "error", "-c", PRINT_JOIN],
            env=os.environ | {"NUMBA_DISABLE_JIT": disabled},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for disabled in ("0", "1")
    )
    assert compiled == interpreted
    assert compiled.count(",") > 100
