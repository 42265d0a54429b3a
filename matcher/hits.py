"""Hits: what the join finds, one row for each incident and device that meet."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

# Stands for a time where there is none: the ping columns of a hit that only a stretch between two pings made.
NO_TIME_US = int(np.iinfo(np.int64).min)


class Hits(NamedTuple):
    """H pairs of incident and device, sorted by incident and then by device.

    A pair is here when a ping lies inside (distance <= radius, from <= time <= to) or a stretch between two pings does.
    A *stretch* is the part, within radius and window, of the straight line between two neighbouring pings of the device
    that are at most `max_gap_s` apart, at different times, with at most `max_speed_mps` between them; the line is
    straight, and the speed along it even, in the plane about the incident (`geo.wgs84.offset_m`). Joined without
    `Between` no line counts, as if `max_gap_s` were 0: the rule of each column stays the same.

    Where no ping lies inside: `n_pings` 0, `first_us`, `last_us` and `closest_us` NO_TIME_US, `closest_m` infinite.
    The other columns always hold a number.
    """

    incident: Longs  # (H,) row of Incidents
    device: Longs  # (H,) index into Trails.device_id
    n_pings: Longs  # (H,) pings inside
    first_us: Longs  # (H,) time of the first and
    last_us: Longs  # (H,) of the last ping inside
    closest_m: Floats  # (H,) distance of the ping inside that is nearest
    closest_us: Longs  # (H,) and its time, the earliest of equally near ones
    near_m: Floats  # (H,) least distance over pings inside and stretches
    near_us: Longs  # (H,) and its time, the earliest of equally near ones
    enter_us: Longs  # (H,) first and
    leave_us: Longs  # (H,) last moment inside, over pings inside and stretches
    inside_s: Floats  # (H,) total length of the stretches; 0 for pings with no line beside them
    visits: Longs  # (H,) stays: pings inside and stretches, those that touch in time counted as one


METRES_AND_SECONDS = {"closest_m", "near_m", "inside_s"}

# A hit while it is added up, all of it side by side.
HIT = np.dtype([(name, "f8" if name in METRES_AND_SECONDS else "i8") for name in Hits._fields])
Rows = npt.NDArray[np.void]


def hits_of(rows: Rows) -> Hits:
    """Sort rows of HIT by incident and device and make columns of them; no two are of one incident and device."""
    # Not rows[order]: for rows of records that takes ten times as long.
    return columns_of(rows.take(np.argsort(rows["incident"] << 32 | rows["device"])))


def columns_of(rows: Rows) -> Hits:
    """Make columns of rows of HIT that are sorted."""
    return Hits._make(np.ascontiguousarray(rows[name]) for name in Hits._fields)


def rows_of(hits: Hits) -> Rows:
    """Make rows of columns."""
    rows = np.empty(hits.incident.size, HIT)
    for name, column in hits._asdict().items():
        rows[name] = column
    return rows
