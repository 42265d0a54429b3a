from math import cos, inf, radians
from random import Random

import numpy as np
import numpy.typing as npt
import pytest

from matcher.fixes import Fixes
from matcher.reach import Reach, reach
from matcher.window import Place
from tests import naive_evidence

LON_DEG, LAT_DEG = -2.587, 51.4545
PLACE = Place(LON_DEG, LAT_DEG, 100.0, 8.0)
SOUND = np.empty((0, 2), np.int64)
R999_M = 3.716922188849838 * (5 + 8)


def test_far_away_before_during_and_after_is_excluded_with_the_speed_needed() -> None:
    found = _reach([(60.0 * i, 10_000.0) for i in range(-3, 14)])
    assert found.is_excluded
    assert found.is_sound
    # There and back within two minutes, the fix between left out; in the least flat stretch, at the window's middle.
    assert found.needed_mps == pytest.approx(2 * (10_000 - 100 - R999_M) / 120, rel=1e-3)
    assert found.longest_stay_s == 0


def test_one_false_fix_never_clears_anyone() -> None:
    there = [(60.0 * i, 5000.0) for i in range(-3, 4)] + [(300.0, 0.0)] + [(60.0 * i, 5000.0) for i in range(7, 14)]
    assert not _reach(there).is_excluded
    # The one fix that shows presence replaced by a false one, far off and with a small stated accuracy.
    false = [(at_s, 9000.0 if at_s == 300 else x_m) for at_s, x_m in there]
    assert not _reach(false).is_excluded


def test_of_two_fixes_that_nobody_could_come_between_the_one_that_excludes_less_counts() -> None:
    # Two false fixes in a row, 100 km off, between true ones 3 km from the crime.
    rows = [(-120.0, 3000.0), (-60.0, 3000.0), (300.0, 1e5), (360.0, 1e5), (660.0, 3000.0), (720.0, 3000.0)]
    found = _reach(rows)
    assert not found.is_excluded
    assert found.needed_mps == pytest.approx((3000 - 100 - R999_M) / 720, rel=1e-3)
    # Where one can be reached from the other, both count.
    reached = [(-120.0, 12e3), (-60.0, 12e3), (300.0, 20e3), (360.0, 20e3), (660.0, 12e3), (720.0, 12e3)]
    assert _reach(reached).is_excluded


def test_a_fix_set_aside_forbids_exclusion_only_where_it_lies_in_the_circle_and_window() -> None:
    far = [(60.0 * i, 10_000.0) for i in range(-3, 14)]
    assert not _reach(far, aside=[(300.0, 120.0)]).is_excluded
    assert _reach(far, aside=[(300.0, 400.0)]).is_excluded
    assert _reach(far, aside=[(-30.0, 120.0)]).is_excluded


def test_only_fixes_that_can_exclude_do() -> None:
    rows = [(60.0 * i, 10_000.0) for i in range(-3, 14)]
    fixes = _fixes(rows)._replace(can_exclude=np.zeros(len(rows), np.bool_))
    found = reach(fixes, _fixes([]), PLACE, 0, 600_000_000, 60.0, SOUND)
    assert (found.is_excluded, found.needed_mps, found.longest_stay_s) == (False, 0, 600)


@pytest.mark.parametrize("rows", [[], [(300.0, 90_000.0)]])
def test_no_fix_and_a_single_one_exclude_nothing(rows: list[tuple[float, float]]) -> None:
    found = _reach(rows)
    assert (found.is_excluded, found.needed_mps, found.longest_stay_s) == (False, 0, 600)


def test_before_the_first_and_after_the_last_fix_one_side_decides() -> None:
    # From 30 km nobody gets there within four minutes; from 3 km they do.
    assert _reach([(300.0, 30_000.0), (360.0, 30_000.0)]).is_excluded
    assert not _reach([(300.0, 3000.0), (360.0, 3000.0)]).is_excluded
    found = _reach([(300.0, 30_000.0), (360.0, 30_000.0)])
    assert found.needed_mps == pytest.approx((30_000 - 100 - R999_M) / 360, rel=1e-3)


def test_a_stay_reaches_over_fixes_in_the_circle() -> None:
    inside = [(60.0 * i, 0.0) for i in range(1, 6)]
    away = [(-300.0, 9000.0), (-240.0, 9000.0), *inside, (900.0, 9000.0), (960.0, 9000.0)]
    # The first fix inside may be false, and so may be the one before the window: then they came a little earlier.
    assert _reach(away).longest_stay_s == pytest.approx(600)
    # The fix 10 s after the first may be false: from 3 km they came right after the first, and left as late.
    near = [
        (0.0, 3000.0),
        (10.0, 3000.0),
        *((at_s + 60, x_m) for at_s, x_m in inside),
        (420.0, 3000.0),
        (430.0, 3000.0),
    ]
    slack_s = (3000 - 100 - R999_M) / 60
    assert _reach(near).longest_stay_s == pytest.approx(420 - 2 * slack_s, abs=0.1)


@pytest.mark.parametrize(
    ("unsound_s", "is_sound"),
    [((-1000, -181), True), ((-1000, -120), False), ((300, 301), False), ((720, 900), False), ((721, 900), True)],
)
def test_what_is_not_sound_within_what_it_rests_on_is_said(unsound_s: tuple[int, int], is_sound: bool) -> None:
    unsound_us = np.array([unsound_s], np.int64) * 1_000_000
    found = _reach([(60.0 * i, 10_000.0) for i in range(-3, 14)], unsound_us=unsound_us)
    assert found.is_sound is is_sound
    assert (found.rests_from_us, found.rests_to_us) == (-120_000_000, 720_000_000)


@pytest.mark.parametrize("seed", range(200))
def test_reach_is_that_of_every_moment_tried_after_leaving_out_every_fix(seed: int) -> None:
    random = Random(seed)
    to_s = random.choice([0.0, 30.0, 600.0])
    rows = _walk(random)
    found = _reach(rows, to_s=to_s, max_speed_mps=20.0)
    prisms = [naive_evidence.Prism(at_s, _gap_m(x_m)) for at_s, x_m in rows]
    needed_mps = naive_evidence.needed_speed(prisms, to_s)
    if inf in (needed_mps, found.needed_mps):
        assert found.needed_mps == needed_mps
    else:
        assert found.needed_mps == pytest.approx(needed_mps, rel=1e-3, abs=1e-3)
    assert found.longest_stay_s == pytest.approx(naive_evidence.longest_stay(prisms, to_s, 20.0), abs=0.1)


def test_the_walks_are_excluded_or_not_about_as_often() -> None:
    found = [_reach(_walk(Random(seed)), max_speed_mps=20.0) for seed in range(200)]
    assert 40 <= sum(one.is_excluded for one in found) <= 160
    assert sum(0 < one.longest_stay_s < 600 for one in found) >= 20


def test_a_window_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="ends before it starts"):
        _reach([], to_s=-1)


def _walk(random: Random) -> list[tuple[float, float]]:
    """Fixes on a line through the place, never faster than 20 m/s."""
    at_s, x_m = -random.uniform(0, 400), random.choice([0.0, 2000.0, 6000.0, 12000.0, 12000.0])
    rows = []
    for _ in range(random.randrange(0, 14)):
        rows.append((round(at_s, 3), x_m))
        step_s = random.choice([10.0, 60.0, 200.0])
        at_s += step_s
        x_m = abs(x_m + random.uniform(-18, 18) * step_s)
    return rows


def _gap_m(x_m: float) -> float:
    return max(x_m - 100 - R999_M, 0.0)


def _reach(
    rows: list[tuple[float, float]],
    to_s: float = 600,
    max_speed_mps: float = 60.0,
    aside: list[tuple[float, float]] | None = None,
    unsound_us: npt.NDArray[np.int64] = SOUND,
) -> Reach:
    return reach(_fixes(rows), _fixes(aside or []), PLACE, 0, round(to_s * 1e6), max_speed_mps, unsound_us)


def _fixes(rows: list[tuple[float, float]]) -> Fixes:
    """Fixes that can exclude from (seconds, metres east of the place)."""
    at_s, x_m = np.array(rows, np.float64).reshape(-1, 2).T
    lon_e7 = np.rint(LON_DEG * 1e7 + x_m / _METRES_PER_E7).astype(np.int32)
    return Fixes(
        np.rint(at_s * 1e6).astype(np.int64),
        lon_e7,
        np.full(at_s.size, round(LAT_DEG * 1e7), np.int32),
        np.full(at_s.size, 5.0),
        np.ones(at_s.size, np.bool_),
    )


# The parallel's radius of curvature at the place.
_METRES_PER_E7 = (
    6_378_137 / (1 - 0.00669438 * np.sin(radians(LAT_DEG)) ** 2) ** 0.5 * cos(radians(LAT_DEG)) * radians(1e-7)
)
