"""The figures of merit by hand, and on one small town what the model promises."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from rich.progress import Progress

from benchmarks import evidence, pooled
from benchmarks.scenes.parameters import KINDS, Parameters
from benchmarks.scenes.towns import PLANE, draw_town
from benchmarks.scenes.world import World
from benchmarks.validation.alerting import chance_ratio, of_plain_rule, of_ratio
from benchmarks.validation.by_chance import BOUNDS, chance_ratios, misleading
from benchmarks.validation.calibration import Held, Predictions, held_in_town, predict, unshared
from benchmarks.validation.exclusion import excluded_far, wrongly_excluded
from benchmarks.validation.metrics import bins_of, cllr, ece, pr_auc, worst_bin
from benchmarks.validation.pairs import MOST_PINGS, Pairs, Said, pairs_of, together
from matcher.fixes import GPS, fixes_from_columns
from matcher.profile import STANDARD

BY = Parameters(history_days=16, offence_days=2)


@pytest.fixture(scope="module")
def town() -> World:
    return draw_town(7, wearers=5, offences=15, parameters=BY)


def test_average_precision_is_as_by_hand() -> None:
    is_true = np.array([True, False, True, False])
    assert pr_auc(np.array([0.9, 0.8, 0.7, 0.6]), is_true) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert pr_auc(np.array([0.6, 0.7, 0.8, 0.9]), is_true) == pytest.approx(0.5 * 1 / 2 + 0.5 * 2 / 4)
    assert pr_auc(np.array([1.0, 1.0, 1.0, 1.0]), is_true) == pytest.approx(0.5)
    assert math.isnan(pr_auc(np.array([1.0]), np.array([False])))


def test_calibration_error_is_the_mean_over_bins_of_equal_count() -> None:
    predicted = np.array([0.1] * 5 + [0.2] * 5 + [0.9] * 10)
    came_true = np.array([False] * 4 + [True] + [True] * 5 + [True] * 10)
    bins = bins_of(predicted, came_true, 4)
    assert bins.pairs.tolist() == [5, 5, 5, 5]
    assert bins.observed == pytest.approx([0.2, 1.0, 1.0, 1.0])
    assert ece(bins) == pytest.approx((0.1 + 0.8 + 0.1 + 0.1) / 4)
    assert worst_bin(bins, 5) == pytest.approx(0.8)
    assert math.isnan(worst_bin(bins, 6))
    with pytest.raises(ValueError, match="3 predictions do not fill 4 bins"):
        bins_of(predicted[:3], came_true[:3], 4)


def test_the_cost_of_ratios_is_that_of_brummer() -> None:
    assert cllr(np.ones(3), np.ones(2)) == pytest.approx(1)
    assert cllr(np.array([3.0]), np.array([1 / 3])) == pytest.approx(math.log2(4 / 3))
    assert cllr(np.array([1.0, 3.0]), np.array([0.0])) == pytest.approx((1 + math.log2(4 / 3)) / 4)
    assert cllr(np.array([0.0]), np.array([1.0])) == math.inf
    assert math.isnan(cllr(np.empty(0), np.ones(1)))


def test_the_plain_rule_is_set_as_well_as_it_can_be_and_ours_by_its_ratio() -> None:
    # Two offenders with two fixes near; one of the others had one fix nearer, another many not so near.
    nearest_m = np.full((5, MOST_PINGS), 1e9)
    nearest_m[0, :2], nearest_m[1, :2] = (10, 30), (20, 40)
    nearest_m[2, :1], nearest_m[3, :3], nearest_m[4, :1] = (5,), (39, 41, 41), (19,)
    is_planted = np.array([True, True, False, False, False])
    ratio = np.array([90.0, 8.0, 0.0, 9.0, 7.0])
    said = Said(is_planted, is_planted, ratio)
    rows, everybody = np.arange(5), np.ones(5, np.bool_)
    pairs = Pairs(
        rows, rows, is_planted, everybody, np.full(5, 60.0), rows, everybody, everybody, nearest_m, said, said, said
    )
    assert of_plain_rule(pairs, is_planted, 0.95) == (0, 40.0, 2)
    assert of_ratio(pairs, is_planted, 0.95)[:2] == (1, 8.0)
    assert chance_ratio(pairs, is_planted, 0.95) == 0
    # Who is not present for long enough is not told of, so that the ratio need not tell them apart.
    told = pairs._replace(is_told=np.array([True, True, True, False, True]))
    assert of_ratio(told, is_planted, 0.95)[:2] == (0, 8.0)


def test_of_several_worlds_one_bound_is_set_for_all_of_them(town: World) -> None:
    pairs = pairs_of(town, STANDARD, lambda _: None)
    pairs = pairs.only(pairs.has_ratio)
    # A second town in which everybody but the offenders has ten times the ratio.
    louder = np.where(pairs.is_planted, pairs.standard.score, 10 * pairs.standard.score + 1)
    other = pairs._replace(standard=pairs.standard._replace(score=louder))
    both = together([pairs, other])
    assert both.is_planted.size == 2 * pairs.is_planted.size
    np.testing.assert_array_equal(both.nearest_m[pairs.is_planted.size :], pairs.nearest_m)
    found = pooled.of_worlds([pairs, other], 0.95)
    planted = both.is_planted & both.is_covered
    assert found["planted"] == planted.sum()
    assert found["one_bound"]["ours"] == of_ratio(both, planted, 0.95).chance_alerts
    own = [of_ratio(each, each.is_planted & each.is_covered, 0.95).chance_alerts for each in (pairs, other)]
    assert found["own_bounds"]["ours"] == sum(own)
    low, high = found["own_bounds"]["interval"]
    assert low <= found["own_bounds"]["ratio"] <= high


def test_crimes_with_short_and_with_long_stays_are_counted_apart(town: World) -> None:
    pairs = pairs_of(town, STANDARD, lambda _: None)
    short, long = pooled._of_stays(pairs, under=True), pooled._of_stays(pairs, under=False)
    assert short.is_planted.sum() > 0
    assert long.is_planted.sum() > 0
    assert set(short.crime.tolist()) & set(long.crime.tolist()) == set()
    assert short.crime.size + long.crime.size == pairs.crime.size
    assert pooled._with_stays(STANDARD, 0.5).circle("BIAD").stay_s == STANDARD.circle("BIAD").stay_s / 2


def test_by_chance_a_ratio_is_reached_no_more_often_than_it_says(town: World) -> None:
    ratios = chance_ratios(town, STANDARD, BY, 1, 400, lambda: None)
    assert 0.02 < np.mean(ratios > 0) < 0.9
    shares = misleading(ratios)
    assert all(shares[f"{bound:g}"] <= 1 / bound for bound in BOUNDS)
    # The day of the crime counts as one of the days: with nearly nothing instead, chance misleads.
    without = replace(STANDARD, telling=replace(STANDARD.telling, ordinary_days=1e-4))
    assert misleading(chance_ratios(town, without, BY, 1, 400, lambda: None))["1000"] > 1 / 1_000


def test_offenders_are_found_and_most_alerted_and_few_others(town: World) -> None:
    done = list[int]()
    pairs = pairs_of(town, STANDARD, done.append)
    planted = pairs.is_planted & pairs.is_covered
    assert sum(done) == len(town.crimes) == int(pairs.is_planted.sum())
    assert pairs.standard.is_found[planted].mean() >= 0.9
    assert pairs.standard.is_alerted[planted].mean() >= 0.8
    assert pairs.radius_100m.is_alerted[planted].mean() >= 0.9
    others = ~pairs.is_planted
    assert pairs.standard.is_alerted[others].sum() <= pairs.radius_100m.is_alerted[others].sum()
    assert np.all(np.diff(pairs.nearest_m, axis=1) >= 0)


def test_a_world_is_told_by_every_figure_for_every_profile(town: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "_CHANCE_SCENES", 40)
    monkeypatch.setattr(evidence, "_CRIMES_FOR_POSSIBLE", 2)
    told = evidence._of_world(town, STANDARD, 1, Progress(disable=True))
    figures = {"found", "alerted", "chance_alerts_per_1000_wearer_days", "pr_auc", "possible_per_incident"}
    for name in ("standard", "moj-compatible", "radius-100m"):
        assert set(told[name]) == figures
        assert 0 <= told[name]["alerted"] <= told[name]["found"] <= 1
    assert {"chance_ratio", "chance_ratio_99", "misleading", "cllr", "evaluations_per_s", "by_stay"} <= set(told)
    assert set(told["by_offence"]) == {kind.code for kind in KINDS}
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_who_was_there_is_not_excluded_and_who_was_far_away_is(town: World) -> None:
    assert wrongly_excluded(town, STANDARD, BY, seed=1, scenes=300) == 0
    far = excluded_far(town, STANDARD, BY, seed=1, scenes=40)
    assert far.scenes <= far.all_scenes == 40
    assert far.excluded_of_all >= far.excluded >= 0.85 * far.scenes


def test_the_share_of_errors_that_two_fixes_do_not_share_is_found_from_how_far_they_are_apart() -> None:
    draw, sigmas_m = np.random.default_rng(3), (4.0, 9.0)
    for own in (1.0, 0.25):
        shared = math.sqrt(1 - own) * draw.standard_normal((2, 20_000))
        one, other = (sigma_m * (shared + math.sqrt(own) * draw.standard_normal((2, 20_000))) for sigma_m in sigmas_m)
        # What both have in common is the same number of metres only where both sigmas are.
        alike = (sigmas_m[1] - sigmas_m[0]) ** 2 * (1 - own) / (sigmas_m[0] ** 2 + sigmas_m[1] ** 2)
        apart_m = np.hypot(*(one - other))
        assert np.mean(apart_m**2) / (2 * (4.0**2 + 9.0**2)) == pytest.approx(own + alike, rel=0.03)
    assert unshared(5.0, 3.0, 4.0) == pytest.approx(0.5)
    assert unshared(500.0, 3.0, 4.0) == 1
    assert unshared(0.0, 3.0, 4.0) == 1e-4


def test_a_parked_receivers_next_reading_is_predicted_as_a_reading_and_not_as_the_truth() -> None:
    held = [_parked(np.random.default_rng(number), number) for number in range(60)]
    of_reading = predict(iter(held), STANDARD, 50.0, 1, 500, 10)
    of_truth = predict(iter(held), STANDARD, 50.0, 1, 500, 10, taken_for_truth=True)
    assert of_truth.probability.size == 500
    assert ece(bins_of(of_truth.probability, of_truth.came_true)) > 0.1
    assert ece(bins_of(of_reading.probability, of_reading.came_true)) < 0.08
    truth = predict((one._replace(is_reading=False) for one in held), STANDARD, 50.0, 1, 500, 10)
    assert np.array_equal(truth.probability, of_truth.probability)


def _parked(draw: np.random.Generator, number: int) -> Held:
    """A receiver that stands still for two hours, 12 m off in each axis all along and 5 m from fix to fix."""
    at_us = np.arange(120) * 60_000_000
    off_m = 12.0 * draw.standard_normal((2, 1)) + 5.0 * draw.standard_normal((2, 120))
    lon_e7, lat_e7 = PLANE.to_e7(*off_m)
    fixes = fixes_from_columns(at_us, lon_e7, lat_e7, np.full(120, 3_000), np.full(120, GPS))
    out = np.arange(1, 119, 2)
    kept = type(fixes)._make(column[::2] for column in fixes)
    places = (fixes.lon_e7[out] / 1e7, fixes.lat_e7[out] / 1e7, fixes.sigma_m[out])
    return Held(kept, at_us[out], *places, np.full(out.size, number), is_reading=True)


def test_the_worst_bins_interval_is_that_of_trips_and_not_of_predictions() -> None:
    # Each bin holds as much of each trip, and half of all come true.
    probability, trip = np.tile(np.linspace(0.45, 0.55, 500), 4), np.repeat(np.arange(4), 500)
    alike = Predictions(probability, np.tile([True, False], 1_000), np.zeros(2_000, np.bool_), trip)
    low, high = evidence._over_trips(alike)
    assert low is not None
    assert high is not None
    assert high < 0.1
    # The same of two trips that always come true and two that never do: a draw may hold one kind alone.
    low, high = evidence._over_trips(alike._replace(came_true=trip < 2))
    assert low is not None
    assert high is not None
    assert low < 0.1
    assert high > 0.4
    few = Predictions(probability[:500], alike.came_true[:500], alike.is_moving[:500], trip[:500])
    assert evidence._over_trips(few) == [None, None]


def test_between_fixes_probabilities_come_true(town: World) -> None:
    found = predict(held_in_town(town, STANDARD, 1, 400), STANDARD, 50.0, 1, 600, 150)
    assert found.probability.size == 600
    assert 0.02 <= found.probability.min() <= found.probability.max() <= 0.98
    assert ece(bins_of(found.probability, found.came_true)) <= 0.1
