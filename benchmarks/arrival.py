"""`python -m benchmarks arrival`: one incident after the other against trails that are prepared in memory."""

import json
import time
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from app.failure import Failure
from benchmarks.join import bytes_of, versions
from benchmarks.machine import describe_machine
from benchmarks.rivals import Skipped, prepared_rivals
from benchmarks.workloads import Workload, workload
from matcher.arrival import Arrivals
from matcher.hits import Rows
from matcher.trail_index import trail_index

Incident = tuple[float, float, float, int, int]
_RIVALS_ASK = 40


class Answered(NamedTuple):
    engine: str
    form: str
    times_us: list[float]
    build_ms: float


def arrival(
    name: Annotated[str, typer.Option("--workload", help="W2, W1 or W1-small")] = "W2",
    seed: Annotated[int, typer.Option(help="Draws the workload.")] = 1,
    threads: Annotated[int, typer.Option(help="Build the index; an incident is looked up on one.", min=1)] = 2,
    rounds: Annotated[int, typer.Option(help="Times that every incident arrives.", min=1)] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Look incidents up one by one, called from Python, in an order that no cache foresees.

    Rivals have their pings sorted by cell and slot, and answer fewer incidents, one at a time as well.
    """
    machine, drawn = describe_machine(), workload(name, seed)
    order = np.random.default_rng(seed).permutation(drawn.incidents.lon_deg.size)
    incidents: list[Incident] = list(zip(*(column[order].tolist() for column in drawn.incidents), strict=True))
    answered, taken_bytes, answers = [], {}, []
    for form, between in (("arrival_points", None), ("arrival_segments", drawn.between)):
        trail_index(workload("W1-small", seed).trails, between, threads)  # compiles
        started = time.perf_counter()
        index = trail_index(drawn.trails, between, threads)
        build_ms = 1e3 * (time.perf_counter() - started)
        taken_bytes[form] = round(bytes_of(index) / drawn.trails.fixed_at_us.size, 2)
        arrivals = Arrivals(index, between)
        found = [arrivals.meet(*incident) for incident in incidents]
        seen = [rows[rows["n_pings"] > 0] for rows in found]
        answers.append([(rows["device"], rows["n_pings"]) for rows in seen])
        times_us = [taken_us for _ in range(rounds) for taken_us in _times_us(arrivals.meet, incidents)]
        answered.append(Answered("trailmatch", form, times_us, build_ms))
        del index, arrivals, found, seen
    points, with_lines = answers
    _check_same("trailmatch, with lines", with_lines, points)
    rivals, skipped = _rivals(drawn, order, threads, points)
    rows = [_row(answer, answered[0]) for answer in answered + rivals]
    result = {
        "machine": machine,
        "versions": versions(),
        "workload": drawn.name,
        "seed": seed,
        "threads": threads,
        "pings": drawn.trails.fixed_at_us.size,
        "incidents": len(incidents),
        "equal": True,
        "index_bytes_per_ping": taken_bytes,
        "p50_us": rows[0]["p50_us"],
        "p99_us": rows[0]["p99_us"],
        "rows": rows,
        "skipped": skipped,
    }
    if as_json:
        typer.echo(json.dumps(result))
        return
    for row in rows:
        typer.echo(f"  {row['engine']:11} {row['form']:16} p50 {row['p50_us']:10.1f} us, p99 {row['p99_us']:10.1f} us")
    for engine, reason in skipped.items():
        typer.echo(f"  {engine:11} skipped: {reason}")


def _times_us(meet: Callable[..., Rows], incidents: list[Incident]) -> list[float]:
    times_us = []
    for incident in incidents:
        started = time.perf_counter_ns()
        meet(*incident)
        times_us.append((time.perf_counter_ns() - started) / 1e3)
    return times_us


def _rivals(
    drawn: Workload, order: "np.ndarray[Any, np.dtype[np.int64]]", threads: int, expected: list[Any]
) -> tuple[list[Answered], dict[str, str]]:
    """Ask each rival about the first few incidents; what it answers about the very first is compared before."""
    answered, skipped = [], {}
    for rival in prepared_rivals(drawn, threads):
        if isinstance(rival, Skipped):
            skipped[rival.engine] = rival.reason
            continue
        asked = order[:_RIVALS_ASK].tolist()
        theirs = [rival.ask(row) for row in asked]
        _check_same(rival.engine, [(found.device, found.n_pings) for found in theirs], expected[:_RIVALS_ASK])
        times_us = []
        for row in asked:
            started = time.perf_counter_ns()
            rival.ask(row)
            times_us.append((time.perf_counter_ns() - started) / 1e3)
        answered.append(Answered(rival.engine, "arrival_points", times_us, rival.build_ms or 0.0))
    return answered, skipped


def _check_same(engine: str, found: list[Any], expected: list[Any]) -> None:
    """Raise Failure unless devices and numbers of pings are those expected, incident by incident."""
    for incident, (one, other) in enumerate(zip(found, expected, strict=True)):
        if not all(map(np.array_equal, one, other)):
            raise Failure(f"{engine} gives another answer about incident {incident} of those asked")


def _row(answer: Answered, ours: Answered) -> dict[str, Any]:
    p50_us, p99_us = (round(float(np.quantile(answer.times_us, part)), 2) for part in (0.5, 0.99))
    row = {
        "engine": answer.engine,
        "form": answer.form,
        "p50_us": p50_us,
        "p99_us": p99_us,
        "build_ms": round(answer.build_ms, 1),
    }
    if answer.engine != "trailmatch":
        row["ratio"] = round(p50_us / float(np.median(ours.times_us)), 1)
    return row
