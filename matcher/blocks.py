"""The join of a range of devices, in blocks of pings: look up, name candidates, test them, go on."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from matcher.between import NO_LINES
from matcher.candidates import (
    Candidates,
    LineRule,
    Lookups,
    count_named,
    near_lines,
    near_pings,
)
from matcher.hits import Hits, no_hits, with_room
from matcher.index import IncidentGrid
from matcher.kernels import add_hits
from matcher.scan import look_up
from matcher.trails import Trails, refuse_trails

Longs = npt.NDArray[np.int64]
Columns = TypeVar("Columns", Candidates, Lookups, Hits)

# Long enough that a block's handful of calls, 0.1 ms, is nothing beside its pings; short enough that its lists, which
# name one ping in thirty or so, stay in the cache.
BLOCK_PINGS = 1 << 20
BLOCK_LOOKUPS = 1 << 18

# A block ends earlier where the buckets of its pings name more incidents than this: 24 MB of candidates.
BLOCK_CANDIDATES = 1 << 20


def join_devices(trails: Trails, grid: IncidentGrid, rule: LineRule | None, first_device: int, end_device: int) -> Hits:
    """Join some of the devices; the hits stand in the order in which they were found. No rule: pings only."""
    found, hits = no_hits(), 0
    incidents = grid.half_lon_e7.size
    hit_of, line_of = np.zeros(incidents, dtype=np.int64), np.zeros(incidents, dtype=np.int64)
    at, end = int(trails.starts[first_device]), int(trails.starts[end_device])
    while at < end:
        device = int(np.searchsorted(trails.starts, at, side="right")) - 1
        block_end, of_pings, of_lines = _look_up(
            trails, grid, rule, first_device, device, at, min(at + BLOCK_PINGS, end)
        )
        block_end = _end_that_fits(grid, of_pings, of_lines, at, block_end)
        of_pings, of_lines = _until(of_pings, block_end), _until(of_lines, block_end)

        lines = _room_for_candidates(grid, of_lines)
        lines = _cut(lines, near_lines(trails, grid, of_lines, line_of, lines))
        pings = _room_for_candidates(grid, of_pings)
        pings = _cut(pings, near_pings(trails, grid, of_pings, pings))
        found = with_room(found, hits, pings.ping.size + lines.ping.size)
        hits = add_hits(trails, grid.incidents, rule or NO_LINES, pings, lines, found, hit_of, device, hits)
        at = block_end
    return _cut(found, hits)


def _look_up(
    trails: Trails, grid: IncidentGrid, rule: LineRule | None, first_device: int, device: int, at: int, end: int
) -> tuple[int, Lookups, Lookups]:
    """Look up pings, and the lines that end at them, up to some ping, at most `end`; returns that one too.

    Raises ValueError if a ping is not as `Trails` says.
    """
    levels, begin, stopped, room = grid.cell_bits.size, int(trails.starts[first_device]), at, BLOCK_LOOKUPS
    of_pings = _room_for_lookups((end - at) * levels + 1)
    while stopped == at:
        room *= 2
        of_lines = _room_for_lookups(room if rule else 0)
        stopped, pings, lines, is_sound = look_up(
            trails, grid, rule or NO_LINES, begin, device, at, end, of_pings, of_lines
        )
        if not is_sound:
            refuse_trails(trails)
    named = (_by_ping(_cut(of_pings, pings), levels), _by_ping(_cut(of_lines, lines), levels))
    return stopped, _until(named[0], stopped), _until(named[1], stopped)


def _by_ping(lookups: Lookups, levels: int) -> Lookups:
    """The lookups in the order of their pings: within a run they come level by level."""
    if levels <= 1:
        return lookups
    order = np.argsort(lookups.ping, kind="stable")
    return Lookups._make(column[order] for column in lookups)


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
