"""The benchmarks of the service, each once and small: what they print, and the README's table made from it."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import cli
from benchmarks.table import SERVICE_BEGINS, SERVICE_ENDS, table

INGEST = "--json-pings 2500 --column-pings 5000 --arrow-pings 5000 --small-pings 250 --devices 10 --incidents 5"
LATENCY = "--seconds 5 --pings-per-s 100 --incidents 20 --passing 5 --posted 5 --history-days 1"
NATION = "--devices 20 --incidents 20 --days 2 --history-days 1 --history-every-s 600"


def run(tmp_path: Path, command: str, options: str) -> dict[str, Any]:
    ran = CliRunner().invoke(cli, [command, *options.split(), "--seed", "5", "--json"])
    assert ran.exit_code == 0, ran.output
    (tmp_path / "result.json").write_text(ran.stdout)
    result: dict[str, Any] = json.loads(ran.stdout)
    return result


def rows_of(tmp_path: Path) -> list[str]:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{SERVICE_BEGINS}\nold\n{SERVICE_ENDS}\nafter\n")
    for _ in range(2):
        table([tmp_path / "result.json"], readme)
    written = readme.read_text()
    assert written.startswith(f"before\n{SERVICE_BEGINS}\n| what |")
    assert written.endswith(f"|\n{SERVICE_ENDS}\nafter\n")
    return written.splitlines()[4:-2]


def test_what_is_stored_a_second_each_way_is_counted_and_told(tmp_path: Path) -> None:
    result = run(tmp_path, "ingest", INGEST)
    assert result["equal"] is True
    phases = result["phases"]
    assert {name: phase["stored"] for name, phase in phases.items()} == {
        "json": 2_500, "json_columns": 5_000, "arrow": 5_000, "small_batch": 250
    }  # fmt: skip
    assert all(result[f"{name}_pings_per_s"] == phase["pings_per_s"] > 0 for name, phase in phases.items())
    rows = rows_of(tmp_path)
    assert len(rows) == len(phases)
    assert f"JSON rows, 5,000 a body | {result['json_pings_per_s']:,} a second" in rows[0]


def test_every_alert_is_heard_and_how_long_it_took_is_told(tmp_path: Path) -> None:
    result = run(tmp_path, "latency", LATENCY)
    assert (result["ping_alerts"], result["incident_alerts"], result["unheard"]) == (5, 5, 0)
    assert 0 < result["ping_p50_ms"] <= result["ping_p99_ms"]
    assert 0 < result["incident_p50_ms"] <= result["incident_p99_ms"]
    assert len(rows_of(tmp_path)) == 2


@pytest.mark.parametrize("without", ["--without", "--no-without"])
def test_a_countrys_days_are_stored_matched_and_told(tmp_path: Path, without: str) -> None:
    result = run(tmp_path, "nation", f"{NATION} {without}")
    assert result["stored"] == result["pings"] == 2 * 20 * 1_440
    assert result["times_real_time"] > 0
    assert len(result["rss_mb_by_hour"]) == 2 * 6  # so few pings come in bodies of four hours
    assert len(result["rss_mb_at_rest_by_day"]) == 2
    assert result["matches"] > 0
    (row,) = rows_of(tmp_path)
    assert (" without |" in row) is (without == "--without")
