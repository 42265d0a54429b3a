"""Visits against the same stays looked for in a thousand moments of each line, and what they are called."""

import math
from random import Random

import numpy as np
import pytest

from matcher.fixes import Fixes
from matcher.visits import Visit, letters, position_labels, visits
from matcher.window import Bridges, Place
from tests import naive_evidence
from tests.naive_evidence import Scene
from tests.walks import LAT_DEG, LON_DEG, as_arrays, fixes_about, walk_past

BRIDGES = Bridges(300.0, 60.0, 1.0, 2500.0)
PLACE = Place(LON_DEG, LAT_DEG, 100.0, 8.0)


@pytest.mark.parametrize("seed", range(40))
def test_they_are_the_stays_that_many_moments_show(seed: int) -> None:
    scene = walk_past(Random(seed))
    fixes, place, when = as_arrays(scene)
    found = visits(fixes, place, when.start_us, when.end_us, BRIDGES)
    step_s = _step_s(scene)
    slow = _many_moments(scene)
    # A stay, or a time between two, that is shorter than the step may be missed by the slow way.
    lasting = [one for one in found if one.n_pings or one.leave_us - one.enter_us > 3e6 * step_s]
    assert len(lasting) <= len(slow) <= len(found)
    for one in lasting:
        start_s, end_s = min(slow, key=lambda stay: abs(stay[0] - one.enter_us / 1e6))
        assert one.enter_us / 1e6 == pytest.approx(start_s, abs=2 * step_s)
        assert one.leave_us / 1e6 == pytest.approx(end_s, abs=2 * step_s)
    assert sum(one.n_pings for one in found) == sum(
        math.hypot(*naive_evidence.plane(scene, fix)) <= 100 and scene.knots_s[0] <= fix.at_s <= scene.knots_s[3]
        for fix in scene.fixes
    )


def test_the_scenes_hold_every_kind_of_stay() -> None:
    found = [
        one
        for seed in range(40)
        for fixes, place, when in [as_arrays(walk_past(Random(seed)))]
        for one in visits(fixes, place, when.start_us, when.end_us, BRIDGES)
    ]
    assert sum(one.n_pings == 0 for one in found) >= 5
    assert sum(one.n_pings > 1 for one in found) >= 5
    assert sum(one.has_entry and one.has_exit for one in found) >= 5
    assert sum(not one.has_entry for one in found) >= 5


def test_a_stay_is_entered_and_left_where_the_lines_cross_the_circle() -> None:
    fixes = fixes_about([(0, -300, 0, 5), (60, 0, 0, 5), (120, 50, 0, 5), (180, 50, 200, 5)])
    (visit,) = _visits(fixes, 0, 300)
    assert (visit.has_entry, visit.has_exit, visit.n_pings) == (True, True, 2)
    assert visit.enter_us == pytest.approx(40e6, abs=1e5)
    assert visit.leave_us == pytest.approx(120e6 + 60e6 * math.sqrt(7500) / 200, abs=1e5)
    assert (visit.first_us, visit.last_us, visit.seen_s) == (60_000_000, 120_000_000, 60)
    assert visit.inferred_s == pytest.approx(20 + 60 * math.sqrt(7500) / 200, abs=0.2)
    assert visit.enter_bearing_deg == pytest.approx(90, abs=0.1)
    assert visit.leave_bearing_deg == pytest.approx(0, abs=0.1)
    assert visit.near_m == pytest.approx(0, abs=0.1)


def test_a_single_fix_has_no_direction() -> None:
    (visit,) = _visits(fixes_about([(0, 10, 0, 5)]), 0, 300)
    assert (visit.enter_bearing_deg, visit.leave_bearing_deg, visit.has_entry, visit.has_exit) == (
        None,
        None,
        False,
        False,
    )
    assert (visit.enter_us, visit.leave_us, visit.seen_s, visit.inferred_s) == (0, 0, 0, 0)


def test_a_gap_or_a_jump_parts_two_stays() -> None:
    apart = _visits(fixes_about([(0, 10, 0, 5), (301, 10, 0, 5)]), 0, 400)
    assert [visit.label for visit in apart] == ["A", "B"]
    (together,) = _visits(fixes_about([(0, 10, 0, 5), (300, 10, 0, 5)]), 0, 400)
    assert (together.n_pings, together.seen_s, together.inferred_s) == (2, 300, 0)
    assert _visits(fixes_about([(0, -4000, 0, 5), (60, 4000, 0, 5)]), 0, 400) == []


def test_the_window_cuts_a_stay_and_says_that_it_was_not_entered() -> None:
    fixes = fixes_about([(60.0 * i, 10, 0, 5) for i in range(10)])
    (visit,) = _visits(fixes, 90, 300)
    assert (visit.enter_us, visit.leave_us, visit.has_entry, visit.has_exit) == (90_000_000, 300_000_000, False, False)
    assert (visit.n_pings, visit.first_us, visit.last_us) == (4, 120_000_000, 300_000_000)
    assert visit.inferred_s == 30


def test_without_fixes_there_is_no_visit() -> None:
    assert _visits(fixes_about([]), 0, 300) == []


def test_visits_are_lettered_like_the_columns_of_a_sheet() -> None:
    assert [letters(n) for n in (0, 1, 25, 26, 27, 51, 52, 701, 702)] == [
        "A",
        "B",
        "Z",
        "AA",
        "AB",
        "AZ",
        "BA",
        "ZZ",
        "AAA",
    ]


def test_positions_are_numbered_within_their_visit() -> None:
    fixes = fixes_about([(60.0 * i, 10 if i in {1, 2, 5} else 400, 0, 5) for i in range(8)])
    found = _visits(fixes, 0, 600)
    assert position_labels(found, fixes.fixed_at_us) == ["", "A1", "A2", "", "", "B1", "", ""]


def _visits(fixes: Fixes, from_s: float, to_s: float) -> list[Visit]:
    return visits(fixes, PLACE, round(from_s * 1e6), round(to_s * 1e6), BRIDGES)


_MOMENTS = 3000


def _step_s(scene: Scene) -> float:
    gaps = [scene.fixes[i + 1].at_s - scene.fixes[i].at_s for i in range(len(scene.fixes) - 1)]
    return min(max(gaps), 300) / _MOMENTS


def _many_moments(scene: Scene) -> list[tuple[float, float]]:
    """Stays as runs of moments inside; a line not joined, or a moment outside, ends one."""
    start_s, _, _, end_s = scene.knots_s
    stays: list[list[float]] = []
    open_at = -math.inf
    for i, fix in enumerate(scene.fixes):
        moments = [(fix.at_s, *naive_evidence.plane(scene, fix))]
        if i + 1 < len(scene.fixes) and naive_evidence.joined(scene, i):
            part = np.linspace(0, 1, _MOMENTS)
            ends = np.array(
                [naive_evidence.plane(scene, scene.fixes[i]), naive_evidence.plane(scene, scene.fixes[i + 1])]
            )
            at_s = fix.at_s + part * (scene.fixes[i + 1].at_s - fix.at_s)
            moments = list(zip(at_s, *(np.outer(1 - part, ends[0]) + np.outer(part, ends[1])).T, strict=True))
        for at, x_m, y_m in moments:
            if math.hypot(x_m, y_m) > 100 or not start_s <= at <= end_s:
                open_at = -math.inf
            elif open_at > -math.inf and stays:
                stays[-1][1] = open_at = at
            else:
                stays.append([at, at])
                open_at = at
        if not (i + 1 < len(scene.fixes) and naive_evidence.joined(scene, i)):
            open_at = -math.inf
    return [(start, end) for start, end in stays]
