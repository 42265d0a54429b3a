"""The benchmark of small batches, and the README's table made from what benchmarks print."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.failure import Failure
from benchmarks.__main__ import cli
from benchmarks.table import BEGINS, ENDS, table


def test_what_a_benchmark_printed_becomes_the_table_between_the_markers(tmp_path: Path) -> None:
    ran = CliRunner().invoke(cli, ["stream", "--workload", "W3-small", "--rounds", "2", "--json"])
    assert ran.exit_code == 0, ran.output
    result = json.loads(ran.stdout)
    assert result["equal"] is True
    assert result["p50_us"] <= result["p99_us"]

    readme, printed = tmp_path / "README.md", tmp_path / "stream.json"
    readme.write_text(f"before\n{BEGINS}\nold\n{ENDS}\nafter\n")
    printed.write_text(ran.stdout)
    for _ in range(2):
        table([printed], readme)
        written = readme.read_text()
        assert written.startswith(f"before\n{BEGINS}\n")
        assert written.endswith(f"{ENDS}\nafter\n")
        assert "old" not in written
        assert written.count("| trailmatch | stream_segments |") == 1


def test_a_readme_without_the_markers_is_left_alone(tmp_path: Path) -> None:
    readme, printed = tmp_path / "README.md", tmp_path / "nation.json"
    readme.write_text("nothing")
    machine = {"cores": 2, "load_before": [0.0, 0.0, 0.0], "seed": 1}
    sizes = {"days": 1, "pings": 1, "incidents": 1, "peak_rss_mb": 1.0, "postgres_peak_rss_mb": 1.0}
    printed.write_text(json.dumps({"times_real_time": 2.0, **sizes, **machine}))
    with pytest.raises(Failure, match="no place for the table"):
        table([printed], readme)
    assert readme.read_text() == "nothing"
