"""The evaluation as a whole against each number from its definition (tests/naive_evidence.py): no code in common."""

from dataclasses import replace
from random import Random
from statistics import fmean

import numpy as np
import pytest

from matcher.context import History, Incident, Pings, fixes_of, pings_from_columns
from matcher.evidence import Evidence
from matcher.profile import STANDARD, Circle, Profile
from matcher.weigh import weigh
from tests import naive_evidence
from tests.matcher.cases import DAY_US, context
from tests.naive_evidence import Scene
from tests.walks import walk_past

# Radius that holds 95 of 100 positions, in standard deviations.
R95 = 2.447746830680816


@pytest.mark.parametrize("seed", range(12))
def test_every_number_is_that_of_its_definition(seed: int) -> None:
    scene = _as_stored(walk_past(Random(seed)))
    found = _weighed(scene, None)
    dense = naive_evidence.dense_presence(scene)
    if found.jumps:
        pytest.skip("the definitions know nothing of fixes that are set aside")
    assert found.inside is not None
    assert found.coverage is not None
    assert found.inside.highest == pytest.approx(dense.highest, abs=2e-4)
    assert found.inside.seen == pytest.approx(dense.seen, abs=2e-4)
    assert found.inside.at_crime == pytest.approx(dense.at_crime, abs=2e-4)
    assert found.inside.known == pytest.approx(dense.known, abs=2e-4)
    assert found.inside_s == pytest.approx(dense.inside_s, abs=0.05 + 1e-4 * dense.covered_s)
    start_s, _, _, end_s = scene.knots_s
    assert found.coverage.share == pytest.approx(dense.covered_s / (end_s - start_s), abs=1e-4)
    during = [fix for fix in scene.fixes if start_s <= fix.at_s <= end_s]
    away_m = [float(np.hypot(*naive_evidence.plane(scene, fix))) for fix in during]
    assert found.coverage.fixes == len(during)
    assert found.n_pings == sum(away <= scene.radius_m for away in away_m)
    if found.n_pings:
        assert found.min_dist_m == pytest.approx(min(away_m), abs=0.02)
    assert (found.verdict == "present") == (round(dense.highest, 4) >= 0.5)


def test_the_walks_hold_matches_of_both_kinds() -> None:
    verdicts = [_weighed(_as_stored(walk_past(Random(seed))), None).verdict for seed in range(12)]
    assert verdicts.count("present") >= 2
    assert verdicts.count("possible") >= 2


def test_the_ratio_is_that_of_its_definition() -> None:
    scene = _present_walk()
    days, there = 20, 6
    pings = _pings(scene)
    shifts_us = -DAY_US * np.arange(days, 0, -1)
    elsewhere = pings._replace(lat_e7=pings.lat_e7 + 900_000)
    parts = [pings if day < there else elsewhere for day in range(days)]
    columns = [
        np.concatenate([part[name] + (shift if name == 1 else 0) for part, shift in zip(parts, shifts_us, strict=True)])
        for name in range(6)
    ]
    history = History(fixes_of(pings_from_columns(*columns), ("acme",), STANDARD), shifts_us)
    found = _weighed(scene, history)
    dense = naive_evidence.dense_presence(scene)
    assert found.chance is not None
    telling = STANDARD.telling
    of_days = [dense.throughout / dense.known] * there + [0.0] * (days - there)
    own = max(
        dense.throughout,
        telling.ordinary_s * 2 / (scene.knots_s[2] - scene.knots_s[1] + scene.knots_s[3] - scene.knots_s[0]),
    )
    rate = (fmean(of_days) * days + telling.ordinary_days * own) / (days + telling.ordinary_days)
    assert (found.chance.days, found.chance.as_much) == (days, there)
    assert found.chance.rate == pytest.approx(rate, rel=0.02)
    assert found.chance.ratio == pytest.approx(dense.throughout / rate, rel=0.02)
    assert found.chance.throughout == pytest.approx(dense.throughout, abs=3e-3)


def _present_walk() -> Scene:
    """The first walk that is present, all of it known and none of it set aside."""
    for seed in range(200):
        scene = _as_stored(walk_past(Random(seed)))
        found = _weighed(scene, None)
        dense = naive_evidence.dense_presence(scene, 201)
        if found.verdict == "present" and not found.jumps and dense.known > 0.9 and 0.05 < dense.at_crime < 0.95:
            return scene
    raise AssertionError("no walk is present")


def _as_stored(scene: Scene) -> Scene:
    """The scene with accuracies as they are stored, in whole centimetres."""
    fixes = [fix._replace(sigma_m=max(round(fix.sigma_m * R95 * 100), 300) / 100 / R95) for fix in scene.fixes]
    return scene._replace(fixes=fixes)


def _pings(scene: Scene) -> Pings:
    rows = [
        (round(f.at_s * 1e6), round(f.lon_deg * 1e7), round(f.lat_deg * 1e7), round(f.sigma_m * R95 * 100))
        for f in scene.fixes
    ]
    at_us, lon_e7, lat_e7, accuracy_cm = np.array(rows, np.int64).T
    return pings_from_columns(np.zeros(at_us.size), at_us, lon_e7, lat_e7, accuracy_cm, np.ones(at_us.size))


def _weighed(scene: Scene, history: History | None) -> Evidence:
    start_s, from_s, to_s, _ = scene.knots_s
    circle = Circle(scene.radius_m, round(from_s - start_s, 6), r95_m=scene.sigma_m * R95, stay_s=scene.stay_s)
    profile: Profile = replace(STANDARD, circles=dict.fromkeys(STANDARD.circles, circle))
    incident = Incident(scene.lon_deg, scene.lat_deg, "OTHER", round(from_s * 1e6), round(to_s * 1e6))
    whole = context(_pings(scene), history=history)
    return weigh(whole, incident, profile)
