from random import Random

import numpy as np
import pytest

from matcher.candidate import is_candidate
from matcher.context import Incident, Pings, padded_window
from matcher.hits import Hits, columns_of
from matcher.incidents import Incidents
from matcher.join import Between, space_time_join
from matcher.join_one import join_one
from matcher.profile import STANDARD
from matcher.trails import trails_from_columns
from tests.matcher.cases import MINUTE_US, Row, crime, pings

# The circle of a burglary with its margin.
REACH_M = 350.0


@pytest.mark.parametrize("seed", range(40))
def test_it_is_the_answer_of_the_join(seed: int) -> None:
    found = list[bool]()
    for _ in range(25):
        random = Random(seed * 1000 + len(found))
        one = _trail(random)
        expected = _joined(one, crime(), REACH_M)
        found.append(is_candidate(one, crime(), STANDARD))
        assert found[-1] == (expected.device.size > 0)
        for ours, joined in zip(columns_of(join_one(one, crime(), STANDARD, REACH_M)), expected, strict=True):
            assert ours.tolist() == joined.tolist()
    assert 3 <= sum(found) <= 22


def test_across_the_antimeridian_it_is_the_answer_of_the_join() -> None:
    incident = crime()._replace(lon_deg=179.9999)
    here = pings([(60.0 * i, -90.0 + 40 * i, 10.0, 8.0, 1) for i in range(5)])
    turned = here.lon_e7.astype(np.int64) - round(crime().lon_deg * 1e7) + 1_799_999_000
    there = here._replace(lon_e7=np.where(turned > 1_800_000_000, turned - 3_600_000_000, turned).astype(np.int32))
    assert there.lon_e7.min() < 0 < there.lon_e7.max()
    (hit,) = join_one(there, incident, STANDARD, 100.0)
    expected = _joined(there, incident, 100.0)
    assert (hit["n_pings"], hit["visits"]) == (expected.n_pings[0], expected.visits[0]) == (5, 1)
    assert hit["near_m"] == expected.near_m[0]


def test_two_sources_of_one_moment_are_joined_as_the_join_does() -> None:
    rows: list[Row] = [(0.0, 360.0, 0.0, 8.0, 1), (0.0, 340.0, 0.0, 30.0, 6)]
    assert is_candidate(pings(rows), crime(), STANDARD)
    assert not is_candidate(pings(rows[:1]), crime(), STANDARD)


def test_a_line_that_cuts_the_edge_is_met_though_both_its_ends_are_outside() -> None:
    for north_m, is_met in ((348.0, True), (362.0, False)):
        rows: list[Row] = [(0.0, -199.0, north_m, 8.0, 1), (60.0, 199.0, north_m, 8.0, 1)]
        assert is_candidate(pings(rows), crime(), STANDARD) == is_met


def test_no_pings_are_no_candidate() -> None:
    assert not is_candidate(pings([]), crime(), STANDARD)


def test_an_incident_that_cannot_be_joined_is_refused_as_by_the_join() -> None:
    with pytest.raises(ValueError, match="outside 85 degrees"):
        is_candidate(pings([]), crime()._replace(lat_deg=86.0), STANDARD)


def _joined(one: Pings, incident: Incident, radius_m: float) -> Hits:
    when = padded_window(incident, STANDARD)
    incidents = Incidents(
        lon_deg=np.array([incident.lon_deg]),
        lat_deg=np.array([incident.lat_deg]),
        radius_m=np.array([radius_m]),
        from_us=np.array([when.start_us]),
        to_us=np.array([when.end_us]),
    )
    trails = trails_from_columns(one.fitting, one.fixed_at_us, one.lon_e7, one.lat_e7)
    return space_time_join(trails, incidents, Between(STANDARD.max_gap_s, STANDARD.max_speed_mps))


def _trail(random: Random) -> Pings:
    """A few fixes about the edge of the circle and of the window, of one tag or two."""
    rows: list[Row] = []
    for _ in range(random.randrange(1, 5)):
        away_m, angle = REACH_M + random.choice([-2, 3, 40, 400, 4000]), random.uniform(0, 6.28)
        at_s = random.choice([-602.0, -600.0, -30.0, 0.0, 300.0, 599.0, 1800.0, 1801.0]) + random.choice([0.0, 60.0])
        rows.append((at_s, away_m * np.cos(angle), away_m * np.sin(angle), 8.0, 1))
    one = pings(rows, [random.randrange(2) for _ in rows])
    return Pings._make(column[np.append(True, np.diff(one.fixed_at_us) >= MINUTE_US // 60)] for column in one)
