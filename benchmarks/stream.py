"""`python -m benchmarks stream`: small batches of pings, as they come in, against the incidents kept in memory."""

import json
import time
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.join import check_equal, counts, versions
from benchmarks.machine import describe_machine
from benchmarks.rivals import Rival, rivals
from benchmarks.workloads import workload
from matcher.index import incident_grid
from matcher.join import space_time_join


def stream(
    name: Annotated[str, typer.Option("--workload", help="W3 or W3-small")] = "W3",
    seed: Annotated[int, typer.Option(help="Draws the workload.")] = 1,
    threads: Annotated[int, typer.Option(help="Of each rival; ours joins a small batch on one.", min=1)] = 1,
    rounds: Annotated[int, typer.Option(help="Batches; each is joined by every engine in turn.", min=1)] = 300,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Join one batch after the other with a grid that is kept; rivals keep their tree of incidents, ask points only."""
    drawn = workload(name, seed)
    grid = incident_grid(drawn.incidents)
    expected = counts(space_time_join(drawn.trails, grid))
    runs: dict[tuple[str, str], Callable[[], object]] = {
        ("trailmatch", "stream_points"): lambda: space_time_join(drawn.trails, grid),
        ("trailmatch", "stream_segments"): lambda: space_time_join(drawn.trails, grid, drawn.between),
    }
    check_equal("trailmatch, with lines", counts(space_time_join(drawn.trails, grid, drawn.between)), expected)
    for rival in rivals(drawn, threads):
        if isinstance(rival, Rival):
            check_equal(rival.engine, rival.ask(), expected)
            runs[rival.engine, "points"] = rival.ask
    taken: dict[tuple[str, str], list[float]] = {key: [] for key in runs}
    for _ in range(rounds):
        for key, run in runs.items():
            started = time.perf_counter()
            run()
            taken[key].append(1e6 * (time.perf_counter() - started))
    rows = [_row(*key, times_us, taken["trailmatch", "stream_segments"]) for key, times_us in taken.items()]
    result = {
        "machine": describe_machine(),
        "versions": versions(),
        "workload": drawn.name,
        "seed": seed,
        "threads": threads,
        "pings": drawn.trails.fixed_at_us.size,
        "incidents": drawn.incidents.lon_deg.size,
        "equal": True,
        "p50_us": rows[1]["p50_us"],
        "p99_us": rows[1]["p99_us"],
        "rows": rows,
    }
    if as_json:
        typer.echo(json.dumps(result))
        return
    for row in rows:
        typer.echo(f"  {row['engine']:11} {row['form']:16} p50 {row['p50_us']:10.0f} us, p99 {row['p99_us']:10.0f} us")


def _row(engine: str, form: str, times_us: list[float], ours_us: list[float]) -> dict[str, Any]:
    p50_us, p99_us = (round(float(np.quantile(times_us, part)), 1) for part in (0.5, 0.99))
    row = {"engine": engine, "form": form, "p50_us": p50_us, "p99_us": p99_us}
    if engine != "trailmatch":
        row |= {"ratio": round(p50_us / float(np.median(ours_us)), 2), "ratio_to": "stream_segments"}
    return row
