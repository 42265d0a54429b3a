"""The join of many incidents with an index of trails, in threads."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from matcher.hits import Hits, no_hits, with_room
from matcher.incidents import Incidents, check_incidents
from matcher.lines import LineRule
from matcher.lookup import Flags, Stretches, look_up
from matcher.trail_index import TrailIndex

# Parts in which the threads take the incidents: short enough that none waits long for the last.
PART_INCIDENTS = 512

# Room to begin with: more than a block of incidents of towns and days takes.
FEWEST_STRETCHES = 1 << 13
FEWEST_PINGS = 1 << 17


def join_indexed(index: TrailIndex, incidents: Incidents, rule: LineRule, threads: int) -> tuple[Hits, Flags]:
    """Look the incidents up; the hits stand by incident and then by device.

    Returns with them which incidents were not looked up, because reading all pings finds theirs sooner. Memory for each
    thread, besides the hits: 16 bytes for each ping that one incident's cells hold in its window, or 2 MB.

    Raises ValueError if the incidents are not as `Incidents` says, or lines are asked for that the index has not.
    """
    check_incidents(incidents)
    refuse_other_lines(index, rule)
    incidents = Incidents._make(np.require(column, requirements=["C", "W"]) for column in incidents)
    size = incidents.lon_deg.size
    too_wide = np.zeros(size, dtype=np.bool_)
    edges = [*range(0, size, PART_INCIDENTS), size]
    if len(edges) <= 2 or threads == 1:
        return _look_up(index, incidents, rule, 0, size, too_wide), too_wide
    with ThreadPoolExecutor(threads) as pool:
        parts = pool.map(lambda edge: _look_up(index, incidents, rule, edge[0], edge[1], too_wide), pairwise(edges))
        return Hits._make(np.concatenate(columns) for columns in zip(*parts, strict=True)), too_wide


def refuse_other_lines(index: TrailIndex, rule: LineRule) -> None:
    """Raise ValueError if the index has not all lines of a rule."""
    has = index.rule
    if rule.max_gap_us > has.max_gap_us or (rule.max_gap_us and rule.max_speed_mps > has.max_speed_mps):
        raise ValueError(f"the index has lines of at most {has}, not of {rule}")


def _look_up(index: TrailIndex, incidents: Incidents, rule: LineRule, first: int, end: int, too_wide: Flags) -> Hits:
    stretches, pings, found, hits = (
        room_for_stretches(FEWEST_STRETCHES),
        np.empty(FEWEST_PINGS, np.int64),
        no_hits(),
        0,
    )
    at, scratch = first, np.empty(FEWEST_PINGS, np.int64)
    while True:
        at, hits, more_stretches, more_pings, more_hits = look_up(
            index, incidents, rule, at, end, stretches, pings, scratch, found, hits, too_wide
        )
        if at == end:
            return Hits._make(column[:hits] for column in found)
        if more_stretches > stretches.incident.size:
            stretches = room_for_stretches(2 * more_stretches)
        if more_pings > pings.size:
            pings, scratch = (np.empty(2 * more_pings, np.int64) for _ in range(2))
        if more_hits:
            found = with_room(found, hits, more_hits)


def room_for_stretches(room: int) -> Stretches:
    """Make the columns of so many stretches, their values not yet set."""
    return Stretches(np.empty(room, np.int32), np.empty(room), np.empty(room, np.int32), np.empty(room, np.int32))
