"""Joins in several threads at once, and joins of real trails."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from benchmarks.taxis import read_known_meetings, read_taxis
from benchmarks.workloads import SF2008, workload
from matcher.index import incident_grid
from matcher.join import space_time_join


def test_joins_in_several_threads_at_once_give_what_one_gives() -> None:
    drawn = workload("W1-small", 4)
    grid = incident_grid(drawn.incidents)
    expected = space_time_join(drawn.trails, grid, drawn.between)
    with ThreadPoolExecutor(4) as pool:
        joins = [
            pool.submit(space_time_join, drawn.trails, grid, drawn.between, threads) for threads in (1, 2, 3, 2, 1)
        ]
        for join in joins:
            for column, same in zip(join.result(timeout=120), expected, strict=True):
                np.testing.assert_array_equal(column, same)


def test_the_taxis_of_san_francisco_meet_the_crimes_that_they_are_known_to_meet(real_data: Path) -> None:
    drawn, story = workload(SF2008, 0, real_data), read_taxis(real_data)
    hits = space_time_join(drawn.trails, drawn.incidents, threads=2)
    known = read_known_meetings(real_data)
    assert hits.incident.size == len(known)
    for row in range(hits.incident.size):
        serial = story.serials[int(drawn.trails.device_id[hits.device[row]])]
        meeting = known[story.reports[int(hits.incident[row])].reference, serial]
        assert hits.n_pings[row] == meeting.n_pings
        assert (hits.first_us[row], hits.last_us[row]) == (meeting.first_us, meeting.last_us)
        assert hits.closest_m[row] == pytest.approx(meeting.min_dist_m, abs=0.01)
    with_lines = space_time_join(drawn.trails, drawn.incidents, drawn.between, threads=2)
    seen = with_lines.n_pings > 0
    for name in ("incident", "device", "n_pings", "first_us", "last_us", "closest_us"):
        np.testing.assert_array_equal(getattr(with_lines, name)[seen], getattr(hits, name))
