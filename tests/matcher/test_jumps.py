import numpy as np
import pytest

from matcher.fixes import GPS, Fixes, fixes_from_columns
from matcher.jumps import R999_PER_SIGMA, set_aside_jumps

# 1e-7 degrees of latitude at the equator are 1.1057 cm.
METRE_E7 = 90.4


def test_a_fix_far_off_a_quiet_trail_is_set_aside_and_listed() -> None:
    good, aside, jumps = set_aside_jumps(_fixes([0, 5, 9000, 10, 12]), 60.0)
    assert good.fixed_at_us.tolist() == [0, 60_000_000, 180_000_000, 240_000_000]
    assert aside.fixed_at_us.tolist() == [120_000_000]
    assert jumps.before_us.tolist() == [60_000_000]
    assert jumps.after_us.tolist() == [180_000_000]
    assert jumps.set_aside.tolist() == [1]
    assert jumps.speed_mps == pytest.approx([(8995 - 2 * _R999_M) / 60], rel=1e-3)


def test_three_false_fixes_in_a_row_are_set_aside_and_four_are_not() -> None:
    good, aside, jumps = set_aside_jumps(_fixes([0, 9000, 18000, 90000, 0]), 35.0)
    assert (good.fixed_at_us.size, aside.fixed_at_us.size) == (2, 3)
    assert jumps.set_aside.tolist() == [3]
    good, aside, jumps = set_aside_jumps(_fixes([0, 90000, 90000, 90000, 90000, 0]), 35.0)
    assert (good.fixed_at_us.size, aside.fixed_at_us.size) == (6, 0)
    assert jumps.set_aside.tolist() == [0, 0]


def test_a_jump_from_which_the_trail_never_returns_stays_and_is_listed() -> None:
    fixes = _fixes([0, 5, 90000, 90005, 90010, 90015])
    good, aside, jumps = set_aside_jumps(fixes, 60.0)
    assert good is fixes
    assert aside.fixed_at_us.size == 0
    assert (jumps.before_us.tolist(), jumps.after_us.tolist()) == ([60_000_000], [120_000_000])


def test_what_both_accuracies_allow_is_no_jump() -> None:
    reach_m = 60 * 60 + 2 * _R999_M
    assert set_aside_jumps(_fixes([0, reach_m - 2]), 60.0)[2].before_us.size == 0
    assert set_aside_jumps(_fixes([0, reach_m + 2]), 60.0)[2].before_us.size == 1


def test_across_the_antimeridian_is_no_jump() -> None:
    fixes = fixes_from_columns([0, 10**6], [1_799_999_990, -1_799_999_990], [0, 0], [500, 500], [GPS, GPS])
    assert set_aside_jumps(fixes, 60.0)[2].before_us.size == 0


def test_no_fixes_have_no_jumps() -> None:
    good, aside, jumps = set_aside_jumps(_fixes([]), 60.0)
    assert good.fixed_at_us.size == aside.fixed_at_us.size == jumps.speed_mps.size == 0


_R999_M = R999_PER_SIGMA * 5 / 2.44774683


def _fixes(north_m: list[float]) -> Fixes:
    """Fixes a minute apart on the meridian of Greenwich."""
    lat_e7 = np.rint(np.array(north_m, np.float64) * METRE_E7).astype(np.int32)
    n = lat_e7.size
    return fixes_from_columns(np.arange(n) * 60_000_000, [0] * n, lat_e7, [500] * n, [GPS] * n)
