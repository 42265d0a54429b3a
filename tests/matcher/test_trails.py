from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from matcher.trails import Trails, trails_from_columns

rows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)), max_size=12)


@given(rows, st.randoms(use_true_random=False))
def test_trails_never_depend_on_the_order_of_arrival(pings: list[tuple[int, int, int, int]], random: Random) -> None:
    shuffled = list(pings)
    random.shuffle(shuffled)
    for column, other in zip(_trails(pings), _trails(shuffled), strict=True):
        np.testing.assert_array_equal(column, other)


def test_each_device_has_its_pings_in_time_order() -> None:
    trails = _trails([(9, 2, 20, 0), (4, 7, 30, 0), (9, 1, 10, 0)])
    assert trails.device_id.tolist() == [4, 9]
    assert trails.starts.tolist() == [0, 1, 3]
    assert trails.fixed_at_us.tolist() == [7, 1, 2]
    assert trails.lon_e7.tolist() == [30, 10, 20]


def test_no_pings_are_no_trails() -> None:
    trails = _trails([])
    assert trails.device_id.size == 0
    assert trails.starts.tolist() == [0]


def _trails(pings: list[tuple[int, int, int, int]]) -> Trails:
    return trails_from_columns(*np.array(pings, dtype=np.int64).reshape(-1, 4).T)
