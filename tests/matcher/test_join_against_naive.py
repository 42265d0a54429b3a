"""The join against the oracle: between its answers for radii a centimetre smaller and larger."""

import math

import pytest
from hypothesis import event, given, settings

from matcher.hits import NO_TIME_US, Hits
from matcher.join import Between, space_time_join
from tests.naive import Incident, NaiveHit, naive_join, plane
from tests.scenes import MAX_GAP_S, MAX_SPEED_MPS, Scene, scenes

BETWEEN = Between(MAX_GAP_S, MAX_SPEED_MPS)
TOLERANCE_M = 0.01
FAR_TOLERANCE_M = 0.04
ROUNDING_US = 2


@settings(deadline=None, max_examples=400)
@given(scenes())
def test_pings_alone_give_what_the_oracle_gives(scene: Scene) -> None:
    hits = space_time_join(scene.trails(), scene.arrays())
    _check(scene, hits, gap_s=0)


@settings(deadline=None, max_examples=400)
@given(scenes())
def test_pings_and_lines_give_what_the_oracle_gives(scene: Scene) -> None:
    hits = space_time_join(scene.trails(), scene.arrays(), BETWEEN)
    event("a hit" if hits.incident.size else "no hit")
    _check(scene, hits, gap_s=MAX_GAP_S)


@settings(deadline=None, max_examples=60)
@given(scenes(radii_m=(100.0, 5_000.0, 10_000.0)))
def test_circles_of_kilometres_give_what_the_oracle_gives(scene: Scene) -> None:
    hits = space_time_join(scene.trails(), scene.arrays(), BETWEEN)
    _check(scene, hits, gap_s=MAX_GAP_S)


def _check(scene: Scene, hits: Hits, gap_s: float) -> None:
    devices = sorted({ping.device for ping in scene.pings})
    inner = naive_join(scene.pings, _with_radius(scene, -1), gap_s, MAX_SPEED_MPS * (1 - 1e-6))
    outer = naive_join(scene.pings, _with_radius(scene, 1), gap_s, MAX_SPEED_MPS * (1 + 1e-6))
    pairs = [(int(i), devices[d]) for i, d in zip(hits.incident, hits.device, strict=True)]
    assert pairs == sorted(set(pairs))
    assert set(inner) <= set(pairs) <= set(outer)
    for row, pair in enumerate(pairs):
        hit = _row(hits, row)
        _check_hit(hit, inner.get(pair), outer[pair])
        if hit.n_pings:
            at_closest = [ping for ping in scene.pings if (ping.device, ping.time_us) == (pair[1], hit.closest_us)]
            away_m = [math.hypot(*plane(scene.incidents[pair[0]], ping)) for ping in at_closest]
            assert hit.closest_m == pytest.approx(min(away_m), abs=FAR_TOLERANCE_M)


def _check_hit(hit: NaiveHit, inner: NaiveHit | None, outer: NaiveHit) -> None:
    """What lies inside grows with the radius, so each number lies between those of the two radii."""
    assert hit.n_pings <= outer.n_pings
    assert hit.inside_s <= outer.inside_s + ROUNDING_US / 1e6
    assert hit.near_m >= outer.near_m - FAR_TOLERANCE_M
    assert outer.enter_us - ROUNDING_US <= hit.enter_us <= hit.leave_us <= outer.leave_us + ROUNDING_US
    if inner is None:
        return
    assert hit.n_pings >= inner.n_pings
    assert hit.inside_s >= inner.inside_s - ROUNDING_US / 1e6
    assert hit.near_m <= inner.near_m + FAR_TOLERANCE_M
    assert hit.enter_us <= inner.enter_us + ROUNDING_US
    assert hit.leave_us >= inner.leave_us - ROUNDING_US
    if inner.n_pings == outer.n_pings:
        assert (hit.first_us, hit.last_us) == (inner.first_us, inner.last_us)
        assert hit.closest_m == pytest.approx(inner.closest_m, abs=FAR_TOLERANCE_M)
    if inner.visits == outer.visits:
        assert hit.visits == inner.visits


def _with_radius(scene: Scene, sign: int) -> list[Incident]:
    return [
        incident._replace(radius_m=incident.radius_m + sign * _tolerance_m(incident)) for incident in scene.incidents
    ]


def _tolerance_m(incident: Incident) -> float:
    """What the metric promises: 1 cm at 10 km up to 70 degrees of latitude, 4 cm up to 80."""
    return TOLERANCE_M if abs(incident.lat_deg) <= 70 else FAR_TOLERANCE_M


def _row(hits: Hits, row: int) -> NaiveHit:
    def time(us: int) -> int | None:
        return None if us == NO_TIME_US else int(us)

    return NaiveHit(
        n_pings=int(hits.n_pings[row]),
        first_us=time(hits.first_us[row]),
        last_us=time(hits.last_us[row]),
        closest_m=float(hits.closest_m[row]),
        closest_us=time(hits.closest_us[row]),
        near_m=float(hits.near_m[row]),
        enter_us=float(hits.enter_us[row]),
        leave_us=float(hits.leave_us[row]),
        inside_s=float(hits.inside_s[row]),
        visits=int(hits.visits[row]),
    )
