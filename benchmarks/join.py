"""`python -m benchmarks join`: the space-time join against other engines, equal answers asserted first."""

import json
import os
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import psutil
import typer
from numpy.typing import NDArray

from app.failure import Failure
from benchmarks.machine import describe_machine
from benchmarks.rivals import Counts, Rival, Skipped, rivals
from benchmarks.workloads import Workload, workload
from matcher.hits import Hits
from matcher.join import space_time_join
from matcher.trails import Trails

_BYTES_A_PING = 16
_READ_BYTES = 1 << 28
_VERSIONS = ("polars", "duckdb", "scipy", "shapely", "numba", "numpy")
_PARTS = (8, 4, 2, 1)


class Timed(NamedTuple):
    engine: str
    form: str
    run: Callable[[], object]
    build_ms: float | None
    note: str


def join(
    name: Annotated[str, typer.Option("--workload", help="W1, W2, W1-small or sf2008")] = "W1",
    seed: Annotated[int, typer.Option(help="Draws the workload.")] = 1,
    threads: Annotated[int, typer.Option(help="Of ours and of each rival.", min=1)] = 2,
    rounds: Annotated[int, typer.Option(help="Rounds; in each every engine is timed once.", min=1)] = 7,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Join a workload with every engine there is; pairs and counts must agree before anything is timed."""
    data = os.environ.get("TRAILMATCH_DATA")
    drawn = workload(name, seed, Path(data) if data else None)
    result = _measured(drawn, threads, rounds)
    if as_json:
        typer.echo(json.dumps(result))
    else:
        _print(result)


def _measured(drawn: Workload, threads: int, rounds: int) -> dict[str, Any]:
    others = rivals(drawn, threads)
    ours = {
        "scan_points": lambda: space_time_join(drawn.trails, drawn.incidents, None, threads),
        "scan_segments": lambda: space_time_join(drawn.trails, drawn.incidents, drawn.between, threads),
    }
    expected = counts(ours["scan_points"]())
    with_lines = ours["scan_segments"]()
    check_equal("trailmatch, with lines", counts(with_lines), expected)
    contestants = [Timed("trailmatch", form, run, None, "") for form, run in ours.items()]
    for rival in others:
        if isinstance(rival, Rival):
            check_equal(rival.engine, rival.ask(), expected)
            form = "scan_points" if rival.build_ms is None else "index_points"
            contestants.append(Timed(rival.engine, form, rival.ask, rival.build_ms, rival.note))
    bandwidth = _read_bytes_per_s(threads)
    taken = _interleaved(contestants, rounds)
    pings = drawn.trails.fixed_at_us.size
    our_ms = statistics.median(taken[0])
    rows = [
        _row(contestant, times_ms, pings, bandwidth, our_ms)
        for contestant, times_ms in zip(contestants, taken, strict=True)
    ]
    return {
        "machine": describe_machine(),
        "versions": versions(),
        "workload": drawn.name,
        "seed": drawn.seed,
        "threads": threads,
        "pings": pings,
        "incidents": drawn.incidents.lon_deg.size,
        "pairs": expected.incident.size,
        "pairs_with_lines": with_lines.incident.size,
        "equal": True,
        "read_gb_per_s": round(bandwidth / 1e9, 2),
        "rows": rows,
        "skipped": {rival.engine: rival.reason for rival in others if isinstance(rival, Skipped)},
        "scaling": _scaling(drawn, threads),
    }


def counts(hits: Hits) -> Counts:
    """The pairs that have a ping inside; those of lines alone are left out."""
    seen = hits.n_pings > 0
    return Counts(hits.incident[seen], hits.device[seen], hits.n_pings[seen])


def check_equal(engine: str, found: Counts, expected: Counts) -> None:
    """Raise Failure unless an engine's answer is the expected one, pair by pair and ping by ping."""
    for column, other in zip(found, expected, strict=True):
        if not np.array_equal(column, other):
            raise Failure(f"{engine} gives another answer: {found.incident.size} pairs for {expected.incident.size}")


def _interleaved(contestants: list[Timed], rounds: int) -> list[list[float]]:
    """Milliseconds of each contestant in each round; a slow spell of the machine meets all of them."""
    taken: list[list[float]] = [[] for _ in contestants]
    for _ in range(rounds):
        for contestant, times_ms in zip(contestants, taken, strict=True):
            started = time.perf_counter()
            contestant.run()
            times_ms.append(1e3 * (time.perf_counter() - started))
    return taken


def _row(contestant: Timed, times_ms: list[float], pings: int, bandwidth: float, our_ms: float) -> dict[str, Any]:
    median_ms = statistics.median(times_ms)
    row = {
        "engine": contestant.engine,
        "form": contestant.form,
        "median_ms": round(median_ms, 3),
        "min_ms": round(min(times_ms), 3),
        "max_ms": round(max(times_ms), 3),
        "ns_per_ping": round(1e6 * median_ms / pings, 3),
        "bandwidth_share": round(pings * _BYTES_A_PING / (median_ms / 1e3) / bandwidth, 3),
        "peak_mb": round(_peak_mb(contestant.run), 1),
        "build_ms": None if contestant.build_ms is None else round(contestant.build_ms, 1),
    }
    if contestant.engine != "trailmatch":
        row |= {"ratio": round(median_ms / our_ms, 2), "ratio_to": "scan_points", "note": contestant.note}
    return row


def _read_bytes_per_s(threads: int) -> float:
    """How fast so many threads read memory that is in no cache, summing it up; the best of five."""
    parts = np.array_split(np.ones(_READ_BYTES // 8), threads)
    best_s = float("inf")
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(5):
            started = time.perf_counter()
            list(pool.map(np.max, parts))
            best_s = min(best_s, time.perf_counter() - started)
    return _READ_BYTES / best_s


def _peak_mb(run: Callable[[], object]) -> float:
    """Memory that one run takes at most, beyond what was taken before it; looked at every millisecond."""
    process, done = psutil.Process(), threading.Event()
    before = most = process.memory_info().rss

    def watch() -> None:
        nonlocal most
        while not done.wait(0.001):
            most = max(most, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run()
    finally:
        done.set()
        watcher.join()
    return (most - before) / 1e6


def _scaling(drawn: Workload, threads: int) -> dict[str, Any]:
    """How the time grows with pings and with incidents: exponents fitted to an eighth, a quarter, a half and all."""
    devices, incidents = drawn.trails.device_id.size, drawn.incidents.lon_deg.size
    by_pings = [(_first_devices(drawn.trails, devices // part), drawn.incidents) for part in _PARTS]
    chosen = np.random.default_rng(0).permutation(incidents)
    by_incidents = [
        (drawn.trails, type(drawn.incidents)._make(c[chosen[: incidents // part]] for c in drawn.incidents))
        for part in _PARTS
    ]
    fitted = {}
    for over, questions in (("pings", by_pings), ("incidents", by_incidents)):
        sizes = [q[0].fixed_at_us.size if over == "pings" else q[1].lon_deg.size for q in questions]
        times = []
        for trails, those in questions:
            runs = []
            for _ in range(3):
                started = time.perf_counter()
                space_time_join(trails, those, None, threads)
                runs.append(time.perf_counter() - started)
            times.append(min(runs))
        fitted[over] = round(float(np.polyfit(np.log(sizes), np.log(times), 1)[0]), 2)
    return {"form": "scan_points", "exponents": fitted}


def _first_devices(trails: Trails, devices: int) -> Trails:
    pings = int(trails.starts[devices])
    columns: list[NDArray[Any]] = [trails.fixed_at_us[:pings], trails.lon_e7[:pings], trails.lat_e7[:pings]]
    return Trails(trails.device_id[:devices], trails.starts[: devices + 1], *columns)


def versions() -> dict[str, str | None]:
    """Versions of all engines, None for those that are not installed."""
    return {name: _version(name) for name in _VERSIONS}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _print(result: dict[str, Any]) -> None:
    typer.echo(
        f"{result['workload']}, seed {result['seed']}: {result['pings']:,} pings, {result['incidents']:,} incidents, "
        f"{result['pairs']:,} pairs ({result['pairs_with_lines']:,} with lines), equal answers; "
        f"{result['threads']} threads"
    )
    for row in result["rows"]:
        ratio = f"{row['ratio']:8.1f} times ours" if "ratio" in row else ""
        taken = f"{row['median_ms']:10.1f} ms {row['ns_per_ping']:8.2f} ns a ping"
        typer.echo(f"  {row['engine']:11} {row['form']:14} {taken} {ratio}")
    for engine, reason in result["skipped"].items():
        typer.echo(f"  {engine:11} skipped: {reason}")
