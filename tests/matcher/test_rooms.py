import numpy as np
import pytest

from matcher import scan
from matcher.incidents import Incidents
from matcher.join import Between, space_time_join
from matcher.trails import trails_from_columns

S = 1_000_000


@pytest.mark.parametrize(
    ("name", "size"),
    [
        *(("FIRST_ROWS", size) for size in (0, 1, 7)),
        *(("BLOCK_RUNS", size) for size in (1, 2, 3)),
        *(("BLOCK_LOOKS", size) for size in (1, 3, 20)),
        *(("NAMED_ROOM", size) for size in (1, 2, 30)),
    ],
)
def test_how_much_room_there_is_changes_nothing(name: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    trails = trails_from_columns(
        random.integers(0, 5, 400),
        random.integers(0, 1_000, 400) * S,
        -26_000_000 + random.integers(-40_000, 40_000, 400),
        514_500_000 + random.integers(-40_000, 40_000, 400),
    )
    start_us = random.integers(0, 1_000, 60) * S
    incidents = Incidents(
        -2.6 + random.uniform(-0.002, 0.002, 60),
        51.45 + random.uniform(-0.002, 0.002, 60),
        random.choice([50.0, 100.0, 3_000.0], 60),
        start_us,
        start_us + 100 * S,
    )
    expected = space_time_join(trails, incidents, Between(300, 60))
    monkeypatch.setattr(scan, name, size)
    hits = space_time_join(trails, incidents, Between(300, 60))
    assert hits.incident.size > 100
    for column, other in zip(hits, expected, strict=True):
        np.testing.assert_array_equal(column, other)
