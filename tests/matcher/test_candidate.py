from random import Random

import numpy as np
import pytest

from matcher.candidate import is_candidate, is_joined
from matcher.context import Pings
from matcher.profile import STANDARD
from tests.matcher.cases import MINUTE_US, Row, crime, pings

# The circle of a burglary with its margin.
REACH_M = 350.0


@pytest.mark.parametrize("seed", range(40))
def test_it_is_the_answer_of_the_join(seed: int) -> None:
    found = list[bool]()
    for _ in range(25):
        random = Random(seed * 1000 + len(found))
        one = _trail(random)
        found.append(is_candidate(one, crime(), STANDARD))
        assert found[-1] == is_joined(one, crime(), STANDARD)
    assert 3 <= sum(found) <= 22


def test_two_sources_of_one_moment_are_left_to_the_join() -> None:
    rows: list[Row] = [(0.0, 360.0, 0.0, 8.0, 1), (0.0, 340.0, 0.0, 30.0, 6)]
    assert is_candidate(pings(rows), crime(), STANDARD)
    assert not is_candidate(pings(rows[:1]), crime(), STANDARD)


def test_a_line_that_cuts_the_edge_is_met_though_both_its_ends_are_outside() -> None:
    for north_m, is_met in ((348.0, True), (362.0, False)):
        rows: list[Row] = [(0.0, -199.0, north_m, 8.0, 1), (60.0, 199.0, north_m, 8.0, 1)]
        assert is_candidate(pings(rows), crime(), STANDARD) == is_met


def test_no_pings_are_no_candidate() -> None:
    assert not is_candidate(pings([]), crime(), STANDARD)


def _trail(random: Random) -> Pings:
    """A few fixes about the edge of the circle and of the window, of one tag or two."""
    rows: list[Row] = []
    for _ in range(random.randrange(1, 5)):
        away_m, angle = REACH_M + random.choice([-2, 3, 40, 400, 4000]), random.uniform(0, 6.28)
        at_s = random.choice([-602.0, -600.0, -30.0, 0.0, 300.0, 599.0, 1800.0, 1801.0]) + random.choice([0.0, 60.0])
        rows.append((at_s, away_m * np.cos(angle), away_m * np.sin(angle), 8.0, 1))
    one = pings(rows, [random.randrange(2) for _ in rows])
    return Pings._make(column[np.append(True, np.diff(one.fixed_at_us) >= MINUTE_US // 60)] for column in one)
