import numpy as np

from app.demo.fixes import OUTLIER_SHARE, Fixes, Source
from app.demo.lives import moment_of
from app.demo.scene import Scene
from app.demo.ways import Mode


def away_m(fixes: Fixes) -> np.ndarray:
    return np.hypot(fixes.x_m - fixes.true_x_m, fixes.y_m - fixes.true_y_m)


def test_the_stated_accuracy_holds_95_times_in_100_whatever_the_source(scene: Scene) -> None:
    fixes = scene.fixes
    for source in Source:
        is_so = (fixes.source == source) & ~fixes.is_outlier
        held = np.mean(away_m(fixes)[is_so] <= fixes.accuracy_m[is_so])
        # Six standard errors; neighbouring fixes err alike, so a third of them counts.
        assert abs(held - 0.95) < 6.0 * np.sqrt(0.95 * 0.05 / (np.count_nonzero(is_so) / 3))


def test_about_one_fix_in_a_hundred_is_far_off_and_says_it_is_good(usual_fixes: Fixes) -> None:
    assert abs(np.mean(usual_fixes.is_outlier) - OUTLIER_SHARE) < 0.003
    assert (usual_fixes.accuracy_m[usual_fixes.is_outlier] <= 15.0).all()
    assert (away_m(usual_fixes)[usual_fixes.is_outlier] >= 40.0).all()
    assert np.percentile(away_m(usual_fixes)[usual_fixes.is_outlier], 95) > 250.0


def test_the_truth_beside_each_fix_is_where_the_wearer_was(scene: Scene) -> None:
    for number, life in enumerate(scene.lives):
        own = scene.fixes.wearer == number
        moment = moment_of(life, scene.fixes.fixed_s[own])
        np.testing.assert_array_equal(moment.x_m, scene.fixes.true_x_m[own])
        np.testing.assert_array_equal(moment.y_m, scene.fixes.true_y_m[own])


def test_fixes_are_worse_indoors(scene: Scene) -> None:
    stated_m = {True: list[float](), False: list[float]()}
    for number, life in enumerate(scene.lives):
        own = (scene.fixes.wearer == number) & (scene.fixes.source == Source.GPS) & ~scene.fixes.is_outlier
        is_inside = moment_of(life, scene.fixes.fixed_s[own]).mode == Mode.INSIDE
        for inside in (True, False):
            stated_m[inside] += scene.fixes.accuracy_m[own][is_inside == inside].tolist()
    assert np.median(stated_m[True]) > 2.0 * np.median(stated_m[False])


def test_fixes_without_gps_state_100_to_1500_metres_and_know_no_speed(usual_fixes: Fixes) -> None:
    is_other = usual_fixes.source != Source.GPS
    assert 0.01 < np.mean(is_other) < 0.1
    assert usual_fixes.accuracy_m[is_other].min() >= 100.0
    assert usual_fixes.accuracy_m[is_other].max() <= 1_500.0
    assert np.isnan(usual_fixes.speed_mps[is_other]).all()


def test_a_tag_takes_a_fix_a_minute_but_none_while_it_is_silent(scene: Scene, usual_fixes: Fixes) -> None:
    assert {silence.is_battery for silence in scene.silences} == {True, False}
    for silence in scene.silences:
        at_s = usual_fixes.fixed_s[usual_fixes.wearer == silence.wearer]
        assert not np.any((at_s > silence.from_s) & (at_s < silence.to_s))
    for number in range(len(scene.wearers)):
        at_s = np.sort(usual_fixes.fixed_s[usual_fixes.wearer == number])
        assert np.median(np.diff(at_s)) == 60.0
        assert np.diff(at_s).min() >= 58.0


def test_most_fixes_arrive_at_once_and_some_an_hour_to_a_day_late(scene: Scene) -> None:
    delay_s = scene.fixes.received_s - scene.fixes.fixed_s
    assert (delay_s > 0.0).all()
    assert np.mean(delay_s <= 20.0) > 0.8
    assert np.mean(delay_s > 3_600.0) > 0.005
    assert delay_s.max() < 86_401.0
    assert (np.diff(scene.fixes.received_s) >= 0.0).all()
    assert scene.fixes.received_s[-1] <= scene.until_s
