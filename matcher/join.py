"""The space-time join: which devices were near which incidents while they happened."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from matcher.between import MAX_LINE_M, Between, line_rule
from matcher.hits import Hits, hits_of
from matcher.incidents import Incidents
from matcher.index import IncidentGrid, incident_grid
from matcher.index_join import join_indexed
from matcher.scan import join_devices
from matcher.trail_index import TrailIndex
from matcher.trails import Trails, check_shapes

__all__ = ["MAX_LINE_M", "Between", "space_time_join"]

# Several parts for each thread, so that one which meets few incidents does not leave a thread without work.
PARTS_PER_THREAD = 8


def space_time_join(
    trails: Trails | TrailIndex, incidents: Incidents | IncidentGrid, between: Between | None = None, threads: int = 1
) -> Hits:
    """Find every (incident, device) pair with a ping, or a stretch between two pings, in radius and window.

    A pure function of its arguments: the same arrays give the same hits, in the same order, whatever the number of
    threads. `matcher.hits.Hits` says what a hit is and what each column holds. Without `between` pings alone count.
    Pings beyond the latitudes of incidents are read like any other. Empty trails or no incidents give no hits.

    Cost grows with the pings plus the candidates of the grid (docs/decisions/0007-the-scan.md); incidents that are
    joined again and again are given as their `incident_grid`. The threads share the devices, so one device alone is
    joined on one thread. Memory for each thread, besides the hits: 16 bytes an incident, mostly left untouched.

    Raises ValueError if arrays do not fit each other or a value is out of its range.
    """
    rule = line_rule(between)
    if threads < 1:
        raise ValueError(f"the join needs at least one thread, not {threads}")
    if isinstance(trails, TrailIndex):
        return _join_index(
            trails, incidents.incidents if isinstance(incidents, IncidentGrid) else incidents, between, threads
        )
    check_shapes(trails)
    grid = incidents if isinstance(incidents, IncidentGrid) else incident_grid(incidents)
    trails = Trails._make(c if c.flags.carray else np.require(c, requirements=["C", "W"]) for c in trails)
    if threads == 1:
        return hits_of(join_devices(trails, grid, rule, 0, trails.device_id.size))
    edges = np.searchsorted(trails.starts, np.linspace(0, trails.fixed_at_us.size, threads * PARTS_PER_THREAD + 1))
    edges[-1] = trails.device_id.size
    with ThreadPoolExecutor(threads) as pool:
        parts = [pool.submit(join_devices, trails, grid, rule, int(first), int(end)) for first, end in pairwise(edges)]
        return hits_of(np.concatenate([part.result() for part in parts]))


def _join_index(index: TrailIndex, incidents: Incidents, between: Between | None, threads: int) -> Hits:
    """Look up all incidents but those that the scan finds sooner."""
    found, too_wide = join_indexed(index, incidents, line_rule(between), threads)
    if not too_wide.any():
        return found
    wide = np.flatnonzero(too_wide)
    scanned = space_time_join(index.trails, Incidents._make(c[wide] for c in incidents), between, threads)
    return _in_order([found, scanned._replace(incident=wide[scanned.incident])])


def _in_order(parts: list[Hits]) -> Hits:
    joined = Hits._make(np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.lexsort((joined.device, joined.incident))
    return Hits._make(column[order] for column in joined)
