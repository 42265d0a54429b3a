"""The join of many incidents with an index of trails, in threads."""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from matcher.hits import HIT, Hits, Rows, columns_of
from matcher.incidents import Incidents, check_incidents
from matcher.lines import LineRule
from matcher.lookup import Flags, Longs, Stretches, look_up
from matcher.trail_index import TrailIndex

# Parts in which the threads take the incidents: short enough that none waits long for the last.
PART_INCIDENTS = 128

# Room to begin with: more than a block of incidents of towns and days takes.
FEWEST_STRETCHES = 1 << 13
FEWEST_PINGS = 1 << 17
FEWEST_HITS = 1 << 12

NO_ROWS = np.empty(0, HIT)


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
    starts = range(0, size, PART_INCIDENTS)
    parts, waiting = [NO_ROWS] * len(starts), iter(enumerate(starts))

    def work() -> None:
        room = some_room()
        for part, first in waiting:
            end = min(first + PART_INCIDENTS, size)
            parts[part], room = _look_up(index, incidents, rule, first, end, room, too_wide)

    if threads == 1 or len(starts) <= 1:
        work()
    else:
        with ThreadPoolExecutor(threads - 1) as pool:
            others = [pool.submit(work) for _ in range(threads - 1)]
            work()
            for other in others:
                other.result()
    return columns_of(np.concatenate([NO_ROWS, *parts])), too_wide


def refuse_other_lines(index: TrailIndex, rule: LineRule) -> None:
    """Raise ValueError if the index has not all lines of a rule."""
    has = index.rule
    if rule.max_gap_us > has.max_gap_us or (rule.max_gap_us and rule.max_speed_mps > has.max_speed_mps):
        raise ValueError(f"the index has lines of at most {has}, not of {rule}")


class Room(NamedTuple):
    """What a thread's lookups are done in, one after the other."""

    stretches: Stretches
    pings: Longs
    scratch: Longs
    found: Rows


def some_room() -> Room:
    """Make room for a block of incidents of towns and days."""
    pings, scratch = (np.empty(FEWEST_PINGS, np.int64) for _ in range(2))
    return Room(_room_for_stretches(FEWEST_STRETCHES), pings, scratch, np.empty(FEWEST_HITS, HIT))


def _look_up(
    index: TrailIndex, incidents: Incidents, rule: LineRule, first: int, end: int, room: Room, too_wide: Flags
) -> tuple[Rows, Room]:
    """The hits of the incidents of [first, end), and the room, which has grown if it had to."""
    at, hits = first, 0
    while True:
        at, hits, stretches, pings, more_hits = look_up(
            index, incidents, rule, at, end, room.stretches, room.pings, room.scratch, room.found, hits, too_wide
        )
        if at == end:
            return room.found[:hits].copy(), room
        if stretches > room.stretches.incident.size:
            room = room._replace(stretches=_room_for_stretches(2 * stretches))
        if pings > room.pings.size:
            room = room._replace(pings=np.empty(2 * pings, np.int64), scratch=np.empty(2 * pings, np.int64))
        if hits + more_hits > room.found.size:
            room = room._replace(found=np.concatenate([room.found[:hits], np.empty(hits + more_hits, HIT)]))


def _room_for_stretches(size: int) -> Stretches:
    return Stretches(np.empty(size, np.int32), np.empty(size), np.empty(size, np.int32), np.empty(size, np.int32))
