"""`python -m benchmarks join`: the space-time join against other engines, equal answers asserted first."""

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray

from app.failure import Failure
from benchmarks.caches import Evictor, peak_mb, read_bytes_per_s
from benchmarks.machine import describe_machine
from benchmarks.rivals import Counts, Skipped, prepared_rivals, rivals
from benchmarks.workloads import Workload, workload
from matcher.hits import Hits
from matcher.incidents import Incidents
from matcher.join import space_time_join
from matcher.trail_index import TrailIndex, trail_index
from matcher.trails import Trails

_BYTES_A_PING = 16
_VERSIONS = ("polars", "duckdb", "scipy", "shapely", "numba", "numpy")
_PARTS = (8, 4, 2, 1)
_BUILDS = 3


class Contestant(NamedTuple):
    """Somebody who answers a question: pings alone or lines too, as they lie (`scan`) or prepared (`index`)."""

    engine: str
    question: str  # scan_points, scan_segments, index_points, index_segments
    run: Callable[[], object]
    build_ms: float | None
    note: str


class Row(NamedTuple):
    engine: str
    form: str
    times_ms: list[float]
    build_ms: float | None
    peak_mb: float
    note: str


def join(
    name: Annotated[str, typer.Option("--workload", help="W1, W2, W1-small or sf2008")] = "W1",
    seed: Annotated[int, typer.Option(help="Draws the workload.")] = 1,
    threads: Annotated[int, typer.Option(help="Of ours and of each rival.", min=1)] = 2,
    rounds: Annotated[int, typer.Option(help="Rounds; in each both sides are timed once.", min=1)] = 7,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Join a workload with every engine there is; pairs and counts must agree before anything is timed.

    Forms `scan_…` have pings in the order of devices and times; forms `index_…` what was prepared from them: `_cold`
    after 256 MB of other memory were read, `_warm` after the same run, `_built` with the building before one query.
    """
    data = os.environ.get("TRAILMATCH_DATA")
    drawn = workload(name, seed, Path(data) if data else None)
    result = _measured(drawn, threads, rounds)
    if as_json:
        typer.echo(json.dumps(result))
    else:
        _print(result)


def _measured(drawn: Workload, threads: int, rounds: int) -> dict[str, Any]:
    """Time ours in turns with each rival, of which only one is there at a time: their tables take gigabytes."""
    machine, bandwidth, evictor = describe_machine(), read_bytes_per_s(threads), Evictor()
    points, lines = (space_time_join(drawn.trails, drawn.incidents, b, threads) for b in (None, drawn.between))
    check_equal("trailmatch, with lines", counts(lines), counts(points))
    indexes = _indexes(drawn, threads)
    ours = {who.question: who for who in _ours(drawn, indexes, threads)}
    for question, who in ours.items():
        _check_same(question, who.run(), lines if question.endswith("segments") else points)

    rows: list[Row] = []
    skipped: dict[str, str] = {}
    our_rows = {question: _Timings(who, evictor) for question, who in ours.items()}
    alone = set(ours)  # questions to which no rival gave an answer
    for rival in chain(rivals(drawn, threads), prepared_rivals(drawn, threads)):
        if isinstance(rival, Skipped):
            skipped[rival.engine] = rival.reason
            continue
        check_equal(rival.engine, rival.ask(), counts(points))
        question = "scan_points" if rival.build_ms is None else "index_points"
        theirs = _Timings(Contestant(rival.engine, question, rival.ask, rival.build_ms, rival.note), evictor)
        for _ in range(rounds):
            our_rows[question].time()
            theirs.time()
        alone.discard(question)
        rows += theirs.rows()
        del rival, theirs
    for _ in range(rounds):
        for question in sorted(alone):
            our_rows[question].time()
    rows = [row for timings in our_rows.values() for row in timings.rows()] + rows
    pings = drawn.trails.fixed_at_us.size
    return {
        "machine": machine,
        "versions": versions(),
        "workload": drawn.name,
        "seed": drawn.seed,
        "threads": threads,
        "pings": pings,
        "incidents": drawn.incidents.lon_deg.size,
        "pairs": counts(points).incident.size,
        "pairs_with_lines": lines.incident.size,
        "equal": True,
        "read_gb_per_s": round(bandwidth / 1e9, 2),
        "index_bytes_per_ping": {q: round(bytes_of(index) / pings, 2) for q, (index, _) in indexes.items()},
        "rows": _described(rows, pings, bandwidth),
        "skipped": skipped,
        "scaling": _scaling(drawn, threads),
    }


def _indexes(drawn: Workload, threads: int) -> dict[str, tuple[TrailIndex, float]]:
    """The index for either question, and the median of the times that building it took."""
    small = workload("W1-small", 1).trails
    found = {}
    for question, between in (("index_points", None), ("index_segments", drawn.between)):
        trail_index(small, between, threads)  # compiles
        times_ms = []
        for _ in range(_BUILDS):
            started = time.perf_counter()
            index = trail_index(drawn.trails, between, threads)
            times_ms.append(1e3 * (time.perf_counter() - started))
        found[question] = index, statistics.median(times_ms)
    return found


def bytes_of(index: TrailIndex) -> int:
    """Of an index what it takes besides the trails."""
    return index.starts.nbytes + index.entries.nbytes + index.device_of_block.nbytes


def _ours(drawn: Workload, indexes: dict[str, tuple[TrailIndex, float]], threads: int) -> Iterator[Contestant]:
    for form, trails, build_ms in (
        ("scan", (drawn.trails, drawn.trails), (None, None)),
        ("index", tuple(index for index, _ in indexes.values()), tuple(taken for _, taken in indexes.values())),
    ):
        for at, (what, between) in enumerate((("points", None), ("segments", drawn.between))):
            run = partial(space_time_join, trails[at], drawn.incidents, between, threads)
            yield Contestant("trailmatch", f"{form}_{what}", run, build_ms[at], "")


class _Timings:
    """What one contestant's runs take, in every form in which it answers its question."""

    def __init__(self, who: Contestant, evictor: Evictor) -> None:
        self._who, self._evictor = who, evictor
        forms = ("_cold", "_warm") if who.question.startswith("index") else ("",)
        self._taken: dict[str, list[float]] = {form: [] for form in forms}

    def time(self) -> None:
        """Run once in each form: cold, and at once again warm."""
        for form, taken in self._taken.items():
            if form == "_cold":
                self._evictor.evict()
            started = time.perf_counter()
            self._who.run()
            taken.append(1e3 * (time.perf_counter() - started))

    def rows(self) -> Iterator[Row]:
        """One for each form; of what is prepared one more, with its building."""
        who, most_mb = self._who, peak_mb(self._who.run)
        for form, taken in self._taken.items():
            yield Row(who.engine, who.question + form, taken, who.build_ms, most_mb, who.note)
        if who.build_ms is not None:
            built = [who.build_ms + taken_ms for taken_ms in self._taken["_cold"]]
            yield Row(who.engine, who.question + "_built", built, who.build_ms, most_mb, who.note)


def _described(rows: list[Row], pings: int, bandwidth: float) -> list[dict[str, Any]]:
    ours_ms = {row.form: statistics.median(row.times_ms) for row in rows if row.engine == "trailmatch"}
    described = []
    for row in rows:
        median_ms = statistics.median(row.times_ms)
        described.append(
            {
                "engine": row.engine,
                "form": row.form,
                "median_ms": round(median_ms, 3),
                "min_ms": round(min(row.times_ms), 3),
                "max_ms": round(max(row.times_ms), 3),
                "ns_per_ping": round(1e6 * median_ms / pings, 3),
                "bandwidth_share": round(pings * _BYTES_A_PING / (median_ms / 1e3) / bandwidth, 3),
                "peak_mb": round(row.peak_mb, 1),
                "build_ms": None if row.build_ms is None else round(row.build_ms, 1),
            }
            | ({} if row.engine == "trailmatch" else {"ratio": round(median_ms / ours_ms[row.form], 2)})
            | ({"note": row.note} if row.note else {})
        )
    return described


def counts(hits: Hits) -> Counts:
    """The pairs that have a ping inside; those of lines alone are left out."""
    seen = hits.n_pings > 0
    return Counts(hits.incident[seen], hits.device[seen], hits.n_pings[seen])


def check_equal(engine: str, found: Counts, expected: Counts) -> None:
    """Raise Failure unless an engine's answer is the expected one, pair by pair and ping by ping."""
    for column, other in zip(found, expected, strict=True):
        if not np.array_equal(column, other):
            raise Failure(f"{engine} gives another answer: {found.incident.size} pairs for {expected.incident.size}")


def _check_same(form: str, found: object, expected: Hits) -> None:
    """Raise Failure unless one of our forms gives what another gives, to the last bit of every column."""
    if not isinstance(found, Hits) or not all(map(np.array_equal, found, expected)):
        raise Failure(f"{form} gives other hits than the scan")


def _scaling(drawn: Workload, threads: int) -> dict[str, Any]:
    """How the time grows with pings and with incidents: exponents fitted to an eighth, a quarter, a half and all."""
    devices, incidents = drawn.trails.device_id.size, drawn.incidents.lon_deg.size
    chosen = np.random.default_rng(0).permutation(incidents)
    fitted = {}
    for form in ("scan_points", "index_points"):

        def prepared(trails: Trails, form: str = form) -> Trails | TrailIndex:
            return trails if form == "scan_points" else trail_index(trails, None, threads)

        by_pings = []
        for part in _PARTS:
            trails = _first_devices(drawn.trails, devices // part)
            by_pings.append((trails.fixed_at_us.size, _least_s(prepared(trails), drawn.incidents, threads)))
        everything, by_incidents = prepared(drawn.trails), []
        for part in _PARTS:
            those = type(drawn.incidents)._make(c[chosen[: incidents // part]] for c in drawn.incidents)
            by_incidents.append((those.lon_deg.size, _least_s(everything, those, threads)))
        fitted[form] = {"pings": _exponent(by_pings), "incidents": _exponent(by_incidents)}
        del everything
    return fitted


def _least_s(trails: Trails | TrailIndex, incidents: Incidents, threads: int) -> float:
    times = []
    for _ in range(3):
        started = time.perf_counter()
        space_time_join(trails, incidents, None, threads)
        times.append(time.perf_counter() - started)
    return min(times)


def _exponent(measured: list[tuple[int, float]]) -> float:
    sizes, times = zip(*measured, strict=True)
    return round(float(np.polyfit(np.log(sizes), np.log(times), 1)[0]), 2)


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
        taken = f"{row['median_ms']:10.2f} ms {row['ns_per_ping']:8.2f} ns a ping"
        typer.echo(f"  {row['engine']:11} {row['form']:20} {taken} {ratio}")
    for engine, reason in result["skipped"].items():
        typer.echo(f"  {engine:11} skipped: {reason}")
