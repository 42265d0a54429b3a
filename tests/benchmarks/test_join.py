"""The benchmark of the join: workloads that are the same for a seed, and rivals that give the join's answer."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from app.failure import Failure
from benchmarks.__main__ import cli
from benchmarks.workloads import workload
from matcher.join import space_time_join


def test_a_seed_draws_the_same_workload_again() -> None:
    one, same, other = workload("W3-small", 1), workload("W3-small", 1), workload("W3-small", 2)
    for column, again in zip((*one.trails, *one.incidents), (*same.trails, *same.incidents), strict=True):
        np.testing.assert_array_equal(column, again)
    assert not np.array_equal(one.trails.lon_e7, other.trails.lon_e7)


def test_tags_lie_still_for_most_of_the_day_and_incidents_are_met() -> None:
    drawn = workload("W1-small", 1)
    hits = space_time_join(drawn.trails, drawn.incidents, drawn.between)
    assert 20 < hits.incident.size < 500
    moved_e7 = np.abs(np.diff(drawn.trails.lon_e7.astype(np.int64)))
    assert 0.7 < np.mean(moved_e7 < 10_000) < 0.95
    length_s = (drawn.incidents.to_us - drawn.incidents.from_us) / 1e6
    assert 600 <= length_s.min() <= length_s.max() <= 43_200
    assert 50 <= drawn.incidents.radius_m.min() <= drawn.incidents.radius_m.max() <= 500


def test_an_unknown_workload_is_refused() -> None:
    with pytest.raises(Failure, match="no workload W9"):
        workload("W9", 1)


def test_every_engine_that_is_installed_gives_the_joins_answer() -> None:
    ran = CliRunner().invoke(cli, ["join", "--workload", "W1-small", "--seed", "5", "--rounds", "1", "--json"])
    assert ran.exit_code == 0, ran.output
    result = json.loads(ran.stdout)
    assert result["equal"] is True
    assert result["pairs"] > 20
    ours = [row for row in result["rows"] if row["engine"] == "trailmatch"]
    prepared = [f"index_{what}_{how}" for what in ("points", "segments") for how in ("cold", "warm", "built")]
    assert [row["form"] for row in ours] == ["scan_points", "scan_segments", *prepared]
    assert {"median_ms", "min_ms", "max_ms", "ns_per_ping", "bandwidth_share", "peak_mb", "build_ms"} <= set(ours[0])
    assert all("ratio" in row for row in result["rows"] if row["engine"] != "trailmatch")
    assert {(row["engine"], row["form"]) for row in result["rows"]} >= {("ckdtree", "index_points_cold")}
    assert set(result["scaling"]) == {"scan_points", "index_points"}
    assert "postgis" in result["skipped"]


def test_an_incident_that_arrives_is_answered_alike_by_every_prepared_engine() -> None:
    ran = CliRunner().invoke(cli, ["arrival", "--workload", "W1-small", "--seed", "5", "--rounds", "1", "--json"])
    assert ran.exit_code == 0, ran.output
    result = json.loads(ran.stdout)
    assert result["equal"] is True
    assert 0 < result["p50_us"] <= result["p99_us"]
    forms = {(row["engine"], row["form"]) for row in result["rows"]}
    assert {("trailmatch", "arrival_points"), ("trailmatch", "arrival_segments")} <= forms
