import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matcher.mobility import left_out, likeliest_mobility, most_likeliest
from tests import naive_evidence

turns = st.lists(st.tuples(st.floats(1, 150), st.floats(2, 5000), st.floats(0, 1e6)), min_size=1, max_size=8)


@given(turns)
def test_a_little_more_or_less_mobility_makes_the_fixes_no_likelier(rows: list[tuple[float, float, float]]) -> None:
    found = likeliest_mobility(np.array(rows), 1.0, 2500.0)
    assert 1 <= found <= 2500
    here = naive_evidence.log_likelihood(rows, found)
    for other in (found * 1.001, found / 1.001):
        if 1 <= other <= 2500:
            assert here >= naive_evidence.log_likelihood(rows, other) - 1e-9


@given(turns)
def test_the_likeliest_mobility_is_at_most_its_bound(rows: list[tuple[float, float, float]]) -> None:
    bound = most_likeliest(np.array(rows), 1.0, 2500.0)
    assert likeliest_mobility(np.array(rows), 1.0, 2500.0) <= bound <= 2500


def test_the_bound_of_fixes_that_agree_is_what_is_likeliest() -> None:
    # Each alone is likeliest at (2000/2 − 100)/30.
    assert most_likeliest(np.array([[30.0, 100.0, 2000.0]] * 4 + [[0.0, 0.0, 9e9]]), 1.0, 2500.0) == pytest.approx(
        30, rel=2e-3
    )
    assert most_likeliest(np.zeros((3, 3)), 1.0, 2500.0) == 1


def test_no_other_mobility_makes_the_fixes_of_a_walk_likelier() -> None:
    for seed in range(60):
        rows = _walk(10 ** (seed / 20), seed, fixes=10)
        found = likeliest_mobility(rows, 1.0, 2500.0)
        best = naive_evidence.likeliest_mobility([tuple(row) for row in rows], 1.0, 2500.0)
        assert found == pytest.approx(best, rel=0.005)


@pytest.mark.parametrize("mobility_m2ps", [4.0, 60.0, 900.0])
def test_the_mobility_that_a_trail_was_made_with_is_found(mobility_m2ps: float) -> None:
    found = [likeliest_mobility(_walk(mobility_m2ps, seed), 1.0, 2500.0) for seed in range(20)]
    assert np.mean(found) == pytest.approx(mobility_m2ps, rel=0.15)


def test_a_wearer_who_stays_has_the_least_mobility_and_one_who_leaps_the_most() -> None:
    assert likeliest_mobility(np.array([[30.0, 100.0, 150.0]] * 8), 1.0, 2500.0) == 1
    assert likeliest_mobility(np.array([[30.0, 100.0, 1e6]] * 8), 1.0, 2500.0) == 2500
    assert likeliest_mobility(np.zeros((8, 3)), 1.0, 2500.0) == 1


def test_a_fix_left_out_is_expected_on_the_line_in_the_measure_of_its_time() -> None:
    turn = np.zeros(3)
    left_out(20.0, 60.0, 3.0, 4.0, 100.0, 10.0, 400.0, turn)
    # T·α(1−α) with T = 80 and α = 1/4; (3/4)²·100 + (1/4)²·400 + 10.
    assert turn == pytest.approx([15.0, 91.25, 25.0])


def _walk(mobility_m2ps: float, seed: int, fixes: int = 400) -> npt.NDArray[np.float64]:
    """What leaving out each fix of a random walk tells, fixes at uneven times and with uneven errors."""
    generator = np.random.default_rng(seed)
    gaps = generator.uniform(20, 90, fixes)
    variance = generator.uniform(20, 400, fixes)
    at = np.cumsum(generator.normal(0, np.sqrt(mobility_m2ps * gaps)[:, None], (fixes, 2)), axis=0)
    at += generator.normal(0, np.sqrt(variance)[:, None], (fixes, 2))
    rows = np.zeros((fixes - 2, 3))
    for i in range(1, fixes - 1):
        before, after = gaps[i], gaps[i + 1]
        expected = (after * at[i - 1] + before * at[i + 1]) / (before + after)
        off = at[i] - expected
        left_out(before, after, off[0], off[1], variance[i - 1], variance[i], variance[i + 1], rows[i - 1])
    return rows
