"""Boxes in space and time, and whether any of many incidents lies in them: a first look, before trails are read."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from geo.jit import kernel
from matcher.incidents import Incidents
from matcher.trails import Longs

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


class Boxes(NamedTuple):
    """S boxes, all ends included; one whose half width is 180 degrees holds every longitude."""

    middle_deg: Floats  # (S,) longitude
    half_deg: Floats  # (S,) of its width; it may lead across the antimeridian
    south_deg: Floats  # (S,)
    north_deg: Floats  # (S,)
    from_us: Longs  # (S,)
    to_us: Longs  # (S,)


def hold_any(boxes: Boxes, incidents: Incidents) -> Bools:
    """Say of each box whether the place of any incident lies in it whose window meets its time, (S,).

    A nanosecond for each pair of a box and an incident between its parallels.
    """
    order = np.argsort(incidents.lat_deg, kind="stable")
    sorted_by_lat = Incidents._make(column[order] for column in incidents)
    first = np.searchsorted(sorted_by_lat.lat_deg, boxes.south_deg)
    end = np.searchsorted(sorted_by_lat.lat_deg, boxes.north_deg, side="right")
    return _hold_any(boxes, sorted_by_lat, first, end)


@kernel
def _hold_any(boxes: Boxes, incidents: Incidents, first: Longs, end: Longs) -> Bools:
    holds = np.zeros(first.size, np.bool_)
    for box in range(first.size):
        for incident in range(first[box], end[box]):
            if incidents.from_us[incident] > boxes.to_us[box] or incidents.to_us[incident] < boxes.from_us[box]:
                continue
            east_deg = abs(incidents.lon_deg[incident] - boxes.middle_deg[box])
            if min(east_deg, 360.0 - east_deg) <= boxes.half_deg[box]:
                holds[box] = True
                break
    return holds
