"""Which parts of the stored trails have to be read for what has come in."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from app.matching.open_incidents import OpenIncidents, Selection
from app.trails.store import Box, Stretches
from matcher.incidents import Incidents
from matcher.join import Between
from matcher.trails import Ints, Longs

# Pieces of a large read: a nation's tags send about three million pings in four hours, 75 MB as arrays.
PIECE_US = 4 * 3_600_000_000
# Degrees of latitude are never shorter than this, nor degrees of longitude at the equator.
_METRES_A_DEGREE = 110_500.0
_DAY_US = 86_400_000_000


def runs_of(device_id: Ints, fixed_at_us: Longs, apart_us: int = 3_600_000_000) -> Stretches:
    """Give the stretches of time that pings, in any order, cover; pauses longer than `apart_us` divide them."""
    order = np.lexsort((fixed_at_us, device_id))
    device, time = device_id[order], fixed_at_us[order]
    if device.size == 0:
        return Stretches(device.astype(np.int32), time.astype(np.int64), time.astype(np.int64))
    starts = np.flatnonzero(np.concatenate(([True], (device[1:] != device[:-1]) | (time[1:] - time[:-1] > apart_us))))
    ends = np.append(starts[1:], device.size) - 1
    return Stretches(device[starts].astype(np.int32), time[starts].astype(np.int64), time[ends].astype(np.int64))


def stretches_about(runs: Stretches, incidents: OpenIncidents) -> tuple[Selection, Stretches]:
    """Give the open incidents that a run may meet, and what to read of the trails to join with them.

    A run is widened by the longest gap that a line may bridge, so that the line into a batch and the line out of it are
    there whichever batch, or worker, came first. What lies wholly outside every window is not read.
    """
    gap_us = round(incidents.between().max_gap_s * 1e6)
    widened = Stretches(runs.device_id, runs.from_us - gap_us, runs.to_us + gap_us)
    if runs.device_id.size == 0:
        return incidents.meeting(0, -1), widened
    selection = incidents.meeting(int(widened.from_us.min()), int(widened.to_us.max()))
    meets = _meets_any(widened, selection.incidents)
    return selection, merged(_some(widened, meets))


def _some(stretches: Stretches, rows: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Stretches:
    return Stretches(stretches.device_id[rows], stretches.from_us[rows], stretches.to_us[rows])


def _meets_any(stretches: Stretches, incidents: Incidents) -> npt.NDArray[np.bool_]:
    """Say of each stretch whether it meets the window of any incident."""
    order = np.argsort(incidents.from_us)
    starts = incidents.from_us[order]
    # The furthest end of all windows that have started: if that lies before the stretch, so do all of them.
    furthest = np.maximum.accumulate(incidents.to_us[order]) if order.size else starts
    started = np.searchsorted(starts, stretches.to_us, side="right")
    reaches = np.append(np.int64(-(2**62)), furthest)[started]
    return reaches >= stretches.from_us


def merged(stretches: Stretches) -> Stretches:
    """Join stretches of one device that overlap or touch, so that no ping is read twice."""
    order = np.lexsort((stretches.from_us, stretches.device_id))
    merged: list[tuple[int, int, int]] = []
    for device, from_us, to_us in zip(*(column.tolist() for column in _some(stretches, order)), strict=True):
        if merged and merged[-1][0] == device and from_us <= merged[-1][2]:
            merged[-1] = (device, merged[-1][1], max(to_us, merged[-1][2]))
        else:
            merged.append((device, from_us, to_us))
    columns = np.array(merged, dtype=np.int64).reshape(-1, 3)
    return Stretches(columns[:, 0].astype(np.int32), columns[:, 1], columns[:, 2])


def boxes_around(selection: Selection, between: Between) -> Iterator[tuple[Box, Selection]]:
    """Cut the time of all these incidents into pieces; for each, what to read and which incidents to join with it.

    A piece is read with the longest gap on both sides, so that no line is lost between two pieces; and as far around as
    a line can reach into a circle from outside it.
    """
    incidents = selection.incidents
    gap_us = round(between.max_gap_s * 1e6)
    first = incidents.from_us // PIECE_US
    last = incidents.to_us // PIECE_US
    pieces = {piece for a, b in zip(first.tolist(), last.tolist(), strict=True) for piece in range(a, b + 1)}
    for piece in sorted(pieces):
        rows = np.flatnonzero((first <= piece) & (piece <= last))
        part = selection.take(rows)
        from_us = max(piece * PIECE_US, int(part.incidents.from_us.min())) - gap_us
        to_us = min((piece + 1) * PIECE_US, int(part.incidents.to_us.max())) + gap_us
        yield _box(from_us, to_us, part.incidents, between), part


def _box(from_us: int, to_us: int, incidents: Incidents, between: Between) -> Box:
    # Of a line that enters a circle, the nearer end lies at most half its length outside.
    reach_m = incidents.radius_m + between.max_gap_s * between.max_speed_mps / 2
    lat_margin = reach_m / _METRES_A_DEGREE
    south = float(np.min(incidents.lat_deg - lat_margin))
    north = float(np.max(incidents.lat_deg + lat_margin))
    # Meridians are nearest to each other at the box's edge that lies further from the equator.
    edge = np.minimum(np.abs(incidents.lat_deg) + lat_margin, 89.0)
    lon_margin = reach_m / (_METRES_A_DEGREE * np.cos(np.radians(edge)))
    west = float(np.min(incidents.lon_deg - lon_margin))
    east = float(np.max(incidents.lon_deg + lon_margin))
    if west < -180 or east > 180:  # across the antimeridian: every longitude, the join is exact anyway
        west, east = -180.0, 180.0
    return Box(
        from_us,
        to_us,
        *(int(np.clip(np.floor(west * 1e7), -1_800_000_000, 0x7FFFFFFF)), int(np.ceil(east * 1e7))),
        *(int(np.floor(max(south, -90.0) * 1e7)), int(np.ceil(min(north, 90.0) * 1e7))),
    )
