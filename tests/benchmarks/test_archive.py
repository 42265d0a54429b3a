"""The benchmark of many crimes against stored trails: its database holds what was drawn, and its answer is compared."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from app.db import Pool
from app.trails.store import Stretches, read_stretches
from benchmarks.__main__ import cli
from benchmarks.minute_fixes import DAY_US
from benchmarks.sealed_trails import write_trails
from benchmarks.workloads import START_US, Size, drawn


def test_many_crimes_at_once_are_matched_as_the_join_matches_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAILMATCH_SEAL_AFTER_HOURS", "2")  # the benchmark sets it, and it is put back
    size = ["--pings", "200000", "--incidents", "300", "--seed", "3"]
    ran = CliRunner().invoke(cli, ["archive", *size, "--profile", "radius-100m", "--workers", "0", "--json"])
    assert ran.exit_code == 0, ran.output
    result = json.loads(ran.stdout)
    assert result["equal"] is True
    assert 190_000 < result["pings"] < 205_000
    assert 0 < result["open_pings"] < 3_000
    assert 0 < result["matches"] <= result["pairs"]
    assert result["bodies"] == 1
    assert 0 < result["post_s"] <= result["joined_s"] <= result["total_s"]
    assert [row["incidents"] for row in result["forms"]] == [1, 100, 300]
    assert all({"read_ms", "scan_ms", "index_build_ms", "index_lookup_ms"} <= set(row) for row in result["forms"])


async def test_trails_that_are_written_as_sealed_are_read_as_they_were_drawn(pool: Pool) -> None:
    trails = drawn("small", Size(3, 1_440, 1), 1).trails
    numbers = np.array([7, 5, 6])
    written = await write_trails(pool, trails, numbers, 1, lambda _: None)
    assert written.sealed_pings + written.open_pings == trails.fixed_at_us.size
    assert 300 < written.open_pings < 560  # of three tags' last hours
    whole = Stretches(np.array([5, 6, 7], np.int32), np.full(3, START_US), np.full(3, START_US + 2 * DAY_US))
    async with pool.acquire() as connection, connection.transaction():
        read = await read_stretches(connection, whole)
    for number, drawn_as in zip((5, 6, 7), (1, 2, 0), strict=True):
        place = read.device_id.tolist().index(number)
        there = slice(read.starts[place], read.starts[place + 1])
        here = slice(trails.starts[drawn_as], trails.starts[drawn_as + 1])
        np.testing.assert_array_equal(read.fixed_at_us[there], trails.fixed_at_us[here])
        np.testing.assert_array_equal(read.lon_e7[there], trails.lon_e7[here])
        np.testing.assert_array_equal(read.lat_e7[there], trails.lat_e7[here])
