"""Scenes with known truth: what is drawn is what the parameters state, and the truth is that of the trail."""

from pathlib import Path

import numpy as np
import pytest

from app.demo.town import make_town
from app.demo.wearers import draw_wearers
from benchmarks.scenes.offences import draw_offences, draw_window
from benchmarks.scenes.parameters import KINDS, Parameters, Tag
from benchmarks.scenes.san_francisco import Places, Turning, _nearest_parts, _with_stop, draw_san_francisco
from benchmarks.scenes.tags import fix_times, report
from benchmarks.scenes.towns import PLANE, draw_town
from benchmarks.scenes.world import Path as Way
from benchmarks.scenes.world import World
from geo.wgs84 import distance_m

BY = Parameters(history_days=3, offence_days=4)
BURGLARY = {"BIAD", "AB", "BOTD"}


@pytest.fixture(scope="module")
def town() -> World:
    return draw_town(3, wearers=5, offences=40, parameters=BY)


def test_a_seed_draws_the_same_world_again(town: World) -> None:
    again = draw_town(3, wearers=5, offences=40, parameters=BY)
    assert again.crimes == town.crimes
    for one, other in zip(again.reported, town.reported, strict=True):
        for column, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(column, same)
    assert draw_town(4, wearers=1, offences=1, parameters=BY).crimes != town.crimes[:1]


def test_stays_have_the_medians_and_the_short_tail_that_are_stated() -> None:
    drawn = draw_offences(np.random.default_rng(1), Parameters(), 40_000)
    is_burglary = np.array([KINDS[kind].code in BURGLARY for kind in drawn.kind])
    assert np.median(drawn.stay_s[is_burglary]) == pytest.approx(240, rel=0.03)
    assert np.quantile(drawn.stay_s[is_burglary], 0.05) == pytest.approx(45, rel=0.05)
    assert np.median(drawn.stay_s[~is_burglary]) == pytest.approx(90, rel=0.03)
    assert np.mean(drawn.is_near) == pytest.approx(0.3)
    shares = np.bincount(drawn.kind) / drawn.kind.size
    assert shares == pytest.approx([kind.share for kind in KINDS], abs=0.01)


@pytest.mark.parametrize(("code", "longest_s"), [("BIAD", 43_200), ("RB", 3_600)])
def test_windows_are_ten_minutes_to_the_longest_and_hold_the_act(code: str, longest_s: int) -> None:
    draw = np.random.default_rng(2)
    kind = next(kind for kind in KINDS if kind.code == code)
    act_us = (1_000_000_123, 1_240_000_123)
    windows = np.array([draw_window(draw, Parameters(), kind, *act_us) for _ in range(4_000)])
    length_s = np.diff(windows)[:, 0] / 1e6
    assert 540 <= length_s.min() <= 660
    assert 0.95 * longest_s <= length_s.max() <= longest_s + 60
    # Log-uniform: the median is the geometric mean of the ends.
    assert np.median(length_s) == pytest.approx(np.sqrt(600 * longest_s), rel=0.1)
    assert np.all(windows[:, 1] >= act_us[1])
    assert np.all(windows[:, 0] <= act_us[0])
    assert np.mean(windows[:, 1] == 1_260_000_000) > 0.35


def test_an_offence_longer_than_any_window_ends_in_it() -> None:
    kind = next(kind for kind in KINDS if kind.code == "RB")
    from_us, to_us = draw_window(np.random.default_rng(3), Parameters(), kind, 0, 7_200_000_000)
    assert to_us == 7_200_000_000
    assert to_us - from_us == 3_600_000_000


def test_the_offender_is_at_the_place_from_first_to_last_and_the_fixes_say_so(town: World) -> None:
    assert len(town.crimes) == 40
    for crime in town.crimes:
        act_s = (np.array([crime.act_from_us, crime.act_to_us]) - town.start_us) / 1e6
        moments_s = np.linspace(act_s[0] + 1e-3, act_s[1] - 1e-3, 9)
        x_m, y_m = town.paths[crime.offender].at(moments_s)
        assert np.hypot(x_m - crime.x_m, y_m - crime.y_m).max() < 1e-6
        fixes = town.reported[crime.offender]
        during = (fixes.fixed_at_us >= crime.act_from_us) & (fixes.fixed_at_us <= crime.act_to_us)
        lon_e7, lat_e7 = PLANE.to_e7(np.array([crime.x_m]), np.array([crime.y_m]))
        for fix in np.flatnonzero(during & ~fixes.is_outlier & (fixes.accuracy_cm > 0)):
            away_m = distance_m(lon_e7[0] / 1e7, lat_e7[0] / 1e7, fixes.lon_e7[fix] / 1e7, fixes.lat_e7[fix] / 1e7)
            assert away_m < 2.5 * fixes.accuracy_cm[fix] / 100


def test_reported_places_are_as_far_off_as_stated_and_near_own_places_as_often(town: World) -> None:
    people = draw_wearers(3, make_town(3), 5)
    streets = make_town(3)
    off_m = list[float]()
    for crime in town.crimes:
        own = people[crime.offender].own_places
        own_m = np.hypot(streets.address_x_m[own] - crime.x_m, streets.address_y_m[own] - crime.y_m).min()
        # Out of doors the offender stands in front of the address.
        assert own_m < 520 if crime.is_near_own_place else own_m > 480
        lon_e7, lat_e7 = PLANE.to_e7(np.array([crime.x_m]), np.array([crime.y_m]))
        kind = next(kind for kind in KINDS if kind.code == crime.code)
        off_m.append(distance_m(lon_e7[0] / 1e7, lat_e7[0] / 1e7, crime.lon_deg, crime.lat_deg) / kind.position_r95_m)
    assert sum(crime.is_near_own_place for crime in town.crimes) == 12
    assert 0.8 <= np.mean(np.array(off_m) <= 1) <= 1
    assert np.median(off_m) == pytest.approx(0.48, abs=0.15)


def test_tags_state_what_holds_for_ninety_five_in_a_hundred_but_for_outliers_and_mute_tags() -> None:
    way = Way(np.array([0.0, 1e7]), np.zeros(2), np.zeros(2), np.array([False, False]))
    mute = 0
    for seed in range(100):
        draw = np.random.default_rng([9, seed])
        seen = report(draw, Tag(), PLANE, way, fix_times(draw, Tag(), 0.0, 86_400.0), 0)
        is_known = seen.accuracy_cm > 0
        mute += not is_known.any()
        if seed < 3:
            assert np.mean(~is_known) == pytest.approx(0.02, abs=0.012)
            assert np.mean(seen.is_outlier) == pytest.approx(0.01, abs=0.008)
            north_m = (seen.lat_e7 / 1e7 - PLANE.lat_deg) * 111_280
            sigma_m = seen.accuracy_cm / 100 / np.sqrt(-2 * np.log(0.05))
            normal = (north_m / np.where(is_known, sigma_m, 1))[is_known & ~seen.is_outlier]
            assert np.std(normal) == pytest.approx(1, abs=0.08)
            away_m = np.abs(north_m[seen.is_outlier])
            assert away_m.size == 0 or away_m.max() <= 3_000
    assert 0 <= mute <= 10


def test_tags_beat_once_a_minute_but_for_gaps_and_flat_batteries() -> None:
    at_s = fix_times(np.random.default_rng(5), Tag(), 0.0, 60 * 86_400.0)
    gaps_s = np.diff(at_s)
    assert np.median(gaps_s) == 60
    assert np.all(gaps_s > 0)
    assert np.sum(gaps_s > 200) / 60 == pytest.approx(2.0, abs=0.5)
    assert np.sum(gaps_s > 5_400) / 60 == pytest.approx(0.1, abs=0.08)


def test_taxis_stop_at_real_crimes_and_keep_their_own_times(real_data: Path) -> None:
    world = draw_san_francisco(real_data, 1, taxis=6)
    assert 4 <= len(world.crimes) <= 6
    for crime in world.crimes:
        path = world.paths[crime.offender]
        moments_s = np.linspace(crime.act_from_us + 2, crime.act_to_us - 2, 5) / 1e6 - world.start_us / 1e6
        x_m, y_m = path.at(moments_s)
        assert np.hypot(x_m - crime.x_m, y_m - crime.y_m).max() < 0.1
    for path, fixes in zip(world.paths, world.reported, strict=True):
        assert 30 <= np.median(np.diff(fixes.fixed_at_us) / 1e6) <= 90
        speeds_mps = np.hypot(np.diff(path.x_m), np.diff(path.y_m)) / np.maximum(np.diff(path.at_s), 1e-6)
        assert speeds_mps.max() <= 40.001


def test_a_stop_is_made_where_the_way_is_nearest_and_the_way_goes_on_from_there_so_much_later() -> None:
    way = Way(np.array([0.0, 60.0, 90.0]), np.array([0.0, 600.0, 600.0]), np.zeros(3), np.zeros(3, np.bool_))
    part, away_m = _nearest_parts(way, 0, Places(np.array([150.0, 700.0]), np.array([40.0, 0.0])))
    assert part == pytest.approx([0.25, 1.0])
    assert away_m == pytest.approx([40.0, 100.0])
    stopped, from_s = _with_stop(way, Turning(0, 0.25), 150.0, 40.0, stay_s=90.0, mps=8.0)
    assert from_s == pytest.approx(15 + 40 / 8)
    moments_s = np.array([0.0, 7.5, 15.0, 20.0, 110.0, 115.0, 122.5, 160.0, 190.0])
    x_m, y_m = stopped.at(moments_s)
    assert x_m == pytest.approx([0, 75, 150, 150, 150, 150, 225, 600, 600])
    assert y_m == pytest.approx([0, 0, 0, 40, 40, 0, 0, 0, 0])
