"""The space-time join: which devices were near which incidents while they happened."""

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from matcher.blocks import join_devices
from matcher.candidates import LineRule
from matcher.hits import Hits
from matcher.incidents import Incidents
from matcher.index import IncidentGrid, incident_grid
from matcher.trails import Trails, check_shapes

# Over this far the plane about an incident is tens of metres from the geodesic (docs/decisions/0001-the-join.md).
MAX_LINE_M = 200_000.0

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

    Cost grows with the pings plus the candidates of the grid (docs/decisions/0007-the-scan.md); incidents that are
    joined again and again are given as their `incident_grid`. The threads share the devices, so one device alone is
    joined on one thread. Memory for each thread, besides the hits: 16 bytes an incident, and lists of up to 40 MB that
    are mostly left untouched, 13 MB more for each further level of the grid.

    Raises ValueError if arrays do not fit each other or a value is out of its range.
    """
    check_shapes(trails)
    _check_between(between)
    if threads < 1:
        raise ValueError(f"the join needs at least one thread, not {threads}")
    grid = incidents if isinstance(incidents, IncidentGrid) else incident_grid(incidents)
    trails = Trails._make(np.require(column, requirements=["C", "W"]) for column in trails)
    rule = LineRule(round(between.max_gap_s * 1e6), float(between.max_speed_mps)) if between else None
    if threads == 1:
        return _in_order([join_devices(trails, grid, rule, 0, trails.device_id.size)])
    edges = np.searchsorted(trails.starts, np.linspace(0, trails.fixed_at_us.size, threads * PARTS_PER_THREAD + 1))
    edges[-1] = trails.device_id.size
    with ThreadPoolExecutor(threads) as pool:
        parts = [pool.submit(join_devices, trails, grid, rule, int(first), int(end)) for first, end in pairwise(edges)]
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


def _in_order(parts: list[Hits]) -> Hits:
    joined = Hits._make(np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.lexsort((joined.device, joined.incident))
    return Hits._make(column[order] for column in joined)
