"""The join of a range of devices, in blocks of pings: look up, name candidates, test them, go on."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from matcher.candidates import (
    Candidates,
    LineRule,
    Lookups,
    count_named,
    look_up_lines,
    look_up_pings,
    near_lines,
    near_pings,
)
from matcher.hits import Hits, no_hits
from matcher.index import IncidentGrid
from matcher.kernels import add_hits
from matcher.scan import RUN_PINGS, look_at_runs
from matcher.trails import Trails, refuse_trails

Longs = npt.NDArray[np.int64]
Columns = TypeVar("Columns", Candidates, Lookups, Hits)

# Long enough that a block's handful of calls, 0.1 ms, is nothing beside its pings; short enough that its lists, which
# name one ping in thirty or so, stay in the cache.
BLOCK_PINGS = 1 << 20
BLOCK_LOOKUPS = 1 << 18

# A block ends earlier where the buckets of its pings name more incidents than this: 24 MB of candidates.
BLOCK_CANDIDATES = 1 << 20

NO_LINES = LineRule(0, 0.0)


def join_devices(trails: Trails, grid: IncidentGrid, rule: LineRule | None, first_device: int, end_device: int) -> Hits:
    """Join some of the devices; the hits stand in the order in which they were found. No rule: pings only."""
    found, hits = no_hits(), 0
    incidents = grid.half_lon_e7.size
    hit_of, line_of = np.zeros(incidents, dtype=np.int64), np.zeros(incidents, dtype=np.int64)
    at, end = int(trails.starts[first_device]), int(trails.starts[end_device])
    while at < end:
        block_end = min(at + BLOCK_PINGS, end)
        device = int(np.searchsorted(trails.starts, at, side="right")) - 1
        runs = _busy_runs(trails, grid, rule is not None, first_device, device, at, block_end)
        block_end, of_lines = _look_up_lines(trails, grid, rule, runs, at, block_end)
        of_pings = _look_up_pings(trails, grid, runs, block_end)
        block_end = _end_that_fits(grid, of_pings, of_lines, at, block_end)
        of_pings, of_lines = _until(of_pings, block_end), _until(of_lines, block_end)

        lines = _room_for_candidates(grid, of_lines)
        lines = _cut(lines, near_lines(trails, grid, of_lines, line_of, lines))
        pings = _room_for_candidates(grid, of_pings)
        pings = _cut(pings, near_pings(trails, grid, of_pings, pings))
        found = _with_room(found, hits, pings.ping.size + lines.ping.size)
        hits = add_hits(trails, grid.incidents, rule or NO_LINES, pings, lines, found, hit_of, device, hits)
        at = block_end
    return _cut(found, hits)


def _busy_runs(
    trails: Trails, grid: IncidentGrid, with_lines: bool, first_device: int, device: int, at: int, end: int
) -> Longs:
    """The first pings of the runs that may meet an incident. Raises ValueError if a ping is not as `Trails` says."""
    runs = np.empty((end - at + RUN_PINGS - 1) // RUN_PINGS, dtype=np.int64)
    begin = int(trails.starts[first_device])
    named, is_sound = look_at_runs(trails, grid, with_lines, begin, device, at, end, runs)
    if not is_sound:
        refuse_trails(trails)
    return runs[:named]


def _look_up_pings(trails: Trails, grid: IncidentGrid, runs: Longs, end: int) -> Lookups:
    runs = runs[: np.searchsorted(runs, end)]
    named = []
    for level in range(grid.cell_bits.size):
        lookups = _room_for_lookups(runs.size * RUN_PINGS + 1)
        named.append(_cut(lookups, look_up_pings(trails, grid, level, runs, end, lookups)))
    return _by_ping(named)


def _look_up_lines(
    trails: Trails, grid: IncidentGrid, rule: LineRule | None, runs: Longs, at: int, end: int
) -> tuple[int, Lookups]:
    """Look up the lines that end at pings up to some ping, at most `end`; returns that one too."""
    if rule is None:
        return end, _room_for_lookups(0)
    begins = np.zeros(end - at, dtype=np.bool_)
    begins[trails.starts[np.searchsorted(trails.starts, at) : np.searchsorted(trails.starts, end)] - at] = True
    named = []
    for level in range(grid.cell_bits.size):
        stopped, room = at, BLOCK_LOOKUPS
        while stopped == at:
            room *= 2
            lookups = _room_for_lookups(room)
            stopped, n = look_up_lines(trails, grid, level, rule, runs, end, begins, at, lookups)
        named.append(_cut(lookups, n))
        end = min(end, stopped)
    return end, _until(_by_ping(named), end)


def _by_ping(named: list[Lookups]) -> Lookups:
    """The lookups of all levels in the order of the pings."""
    if len(named) == 1:
        return named[0]
    if not named:
        return _room_for_lookups(0)
    together = Lookups._make(np.concatenate(columns) for columns in zip(*named, strict=True))
    order = np.argsort(together.ping, kind="stable")
    return Lookups._make(column[order] for column in together)


def _end_that_fits(grid: IncidentGrid, of_pings: Lookups, of_lines: Lookups, at: int, end: int) -> int:
    """The end of the block, or the ping after `at` before which the buckets name BLOCK_CANDIDATES incidents."""
    if _named(grid, of_pings) + _named(grid, of_lines) <= BLOCK_CANDIDATES:
        return end
    sizes = np.concatenate([_bucket_sizes(grid, of_pings), _bucket_sizes(grid, of_lines)])
    of_ping = np.concatenate([of_pings.ping, of_lines.ping]) - at
    named = np.cumsum(np.bincount(of_ping, weights=sizes, minlength=end - at))
    return at + max(1, int(np.searchsorted(named, BLOCK_CANDIDATES, side="right")))


def _until(lookups: Lookups, end: int) -> Lookups:
    return _cut(lookups, int(np.searchsorted(lookups.ping, end)))


def _named(grid: IncidentGrid, lookups: Lookups) -> int:
    return count_named(grid.bucket_starts, lookups.bucket)


def _bucket_sizes(grid: IncidentGrid, lookups: Lookups) -> npt.NDArray[np.int32]:
    return grid.bucket_starts[lookups.bucket + 1] - grid.bucket_starts[lookups.bucket]


def _room_for_lookups(room: int) -> Lookups:
    return Lookups(np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int32))


def _room_for_candidates(grid: IncidentGrid, lookups: Lookups) -> Candidates:
    room = _named(grid, lookups)
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
