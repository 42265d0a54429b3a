"""The space-time join: which devices were near which incidents while they happened."""

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from matcher.candidates import Candidates, LineRule, Lookups, look_up_lines, look_up_pings, near_lines, near_pings
from matcher.hits import Hits, no_hits
from matcher.incidents import Incidents
from matcher.index import IncidentGrid, incident_grid
from matcher.kernels import add_hits
from matcher.trails import Trails, check_trails

Longs = npt.NDArray[np.int64]
Columns = TypeVar("Columns", Candidates, Lookups, Hits)

# Over this far the plane about an incident is tens of metres from the geodesic (docs/decisions/0001-the-join.md).
MAX_LINE_M = 200_000.0

# So many pings are looked up before their candidates are tested: the lists between the two stay in the cache.
BLOCK_PINGS = 1 << 17

NO_LINES = LineRule(0, 0.0)

# Several parts for each thread, so that one which meets few incidents does not leave a thread without work.
PARTS_PER_THREAD = 8


class Between(NamedTuple):
    """Which pings are joined by a line: at most so long apart, with at most this speed between them."""

    max_gap_s: float
    max_speed_mps: float


def space_time_join(
    trails: Trails, incidents: Incidents | IncidentGrid, between: Between | None = None, threads: int = 1
) -> Hits:
    """Find every (incident, device) pair with a ping, or a stretch between two pings, in radius and window.

    A pure function of its arguments: the same arrays give the same hits, in the same order, whatever the number of
    threads. `matcher.hits.Hits` says what a hit is and what each column holds. Without `between` pings alone count.
    Pings beyond the latitudes of incidents are read like any other. Empty trails or no incidents give no hits.

    Cost grows with the pings plus the candidates of the grid (docs/decisions/0001-the-join.md); incidents that are
    joined again and again are given as their `incident_grid`. Memory: 16 bytes an incident for each part of the work,
    besides the hits. The threads share the devices, so one device alone is joined on one thread.

    Raises ValueError if arrays do not fit each other or a value is out of its range.
    """
    check_trails(trails)
    _check_between(between)
    if threads < 1:
        raise ValueError(f"the join needs at least one thread, not {threads}")
    grid = incidents if isinstance(incidents, IncidentGrid) else incident_grid(incidents)
    trails = Trails._make(np.require(column, requirements=["C", "W"]) for column in trails)
    rule = LineRule(round(between.max_gap_s * 1e6), float(between.max_speed_mps)) if between else None
    if threads == 1:
        return _in_order([_join_devices(trails, grid, rule, 0, trails.device_id.size)])
    edges = np.searchsorted(trails.starts, np.linspace(0, trails.fixed_at_us.size, threads * PARTS_PER_THREAD + 1))
    edges[-1] = trails.device_id.size
    with ThreadPoolExecutor(threads) as pool:
        parts = [pool.submit(_join_devices, trails, grid, rule, int(first), int(end)) for first, end in pairwise(edges)]
        return _in_order([part.result() for part in parts])


def _check_between(between: Between | None) -> None:
    if between is None:
        return
    for name, value in between._asdict().items():
        if not 0 <= value < math.inf:
            raise ValueError(f"{name} must be a number from 0 up: {value}")
    if between.max_gap_s * between.max_speed_mps > MAX_LINE_M:
        raise ValueError(
            f"max_gap_s times max_speed_mps must be at most {MAX_LINE_M:,.0f} m, so that a line between two pings is "
            f"straight in a plane: {between.max_gap_s} s at {between.max_speed_mps} m/s"
        )


def _join_devices(
    trails: Trails, grid: IncidentGrid, rule: LineRule | None, first_device: int, end_device: int
) -> Hits:
    """Join some of the devices, block by block; the hits stand in the order in which they were found."""
    found, hits = no_hits(0), 0
    incidents = grid.half_lon_e7.size
    hit_of, line_of = np.zeros(incidents, dtype=np.int64), np.full(incidents, -1, dtype=np.int64)
    at, end = int(trails.starts[first_device]), int(trails.starts[end_device])
    while at < end:
        block_end, lines = _near_lines(trails, grid, rule, at, min(at + BLOCK_PINGS, end), line_of)
        pings = _near_pings(trails, grid, at, block_end)
        found = _with_room(found, hits, pings.ping.size + lines.ping.size)
        device = int(np.searchsorted(trails.starts, at, side="right")) - 1
        hits = add_hits(trails, grid.incidents, rule or NO_LINES, pings, lines, found, hit_of, device, hits)
        at = block_end
    return _cut(found, hits)


def _near_pings(trails: Trails, grid: IncidentGrid, at: int, end: int) -> Candidates:
    lookups = _lookups((end - at) * grid.cell_bits.size)
    lookups = _cut(lookups, look_up_pings(trails, grid, at, end, lookups))
    near = _candidates(grid, lookups)
    return _cut(near, near_pings(trails, grid, lookups, near))


def _near_lines(
    trails: Trails, grid: IncidentGrid, rule: LineRule | None, at: int, end: int, line_of: Longs
) -> tuple[int, Candidates]:
    """Find the candidates among lines up to some ping, at most `end`; returns that ping and them."""
    if rule is None:
        return end, Candidates(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int32))
    begins = np.zeros(end - at, dtype=np.bool_)
    starts = trails.starts[np.searchsorted(trails.starts, at) : np.searchsorted(trails.starts, end)]
    begins[starts - at] = True
    stopped, named, room = at, 0, 2 * BLOCK_PINGS
    while stopped == at:
        lookups = _lookups(room)
        stopped, named = look_up_lines(trails, grid, rule, begins, at, lookups)
        room *= 2
    lookups = _cut(lookups, named)
    near = _candidates(grid, lookups)
    return stopped, _cut(near, near_lines(trails, grid, lookups, line_of, near))


def _lookups(room: int) -> Lookups:
    return Lookups(np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int32))


def _candidates(grid: IncidentGrid, lookups: Lookups) -> Candidates:
    """Room for all that the buckets hold."""
    room = int((grid.bucket_starts[lookups.bucket + 1] - grid.bucket_starts[lookups.bucket]).sum(dtype=np.int64))
    return Candidates(np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int32))


def _cut(columns: Columns, length: int) -> Columns:
    return type(columns)._make(column[:length] for column in columns)


def _with_room(found: Hits, hits: int, more: int) -> Hits:
    """The same hits with room for so many more."""
    if hits + more <= found.incident.size:
        return found
    new = no_hits(2 * hits + more)
    for column, longer in zip(found, new, strict=True):
        longer[:hits] = column[:hits]
    return new


def _in_order(parts: list[Hits]) -> Hits:
    joined = Hits._make(np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.lexsort((joined.device, joined.incident))
    return Hits._make(column[order] for column in joined)
