"""Which parts of the stored trails have to be read for what has come in."""

import math
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from app.matching.open_incidents import OpenIncidents, Selection
from app.pings.payload import Pings
from app.trails.box import HOUR_US, Box, SealedHours, cells_of
from app.trails.store import Stretches
from matcher.incidents import Incidents
from matcher.join import Between
from matcher.nearby import Boxes, hold_any
from matcher.trails import Ints, Longs

# Pieces of a large read: a nation's tags send about three million pings in four hours, 75 MB as arrays.
PIECE_US = 4 * 3_600_000_000
# As much of trails as is read at once: a quarter of a million pings when there is one a minute.
PART_US = 4_000 * 3_600_000_000
# Pauses longer than this divide what new pings cover; twice the usual longest gap, so that nothing is read in between.
APART_US = 600_000_000
# Degrees of latitude are never shorter than this, nor degrees of longitude at the equator.
_METRES_A_DEGREE = 110_500.0
_EARTH_M = 6_350_000.0  # its radius, at least
_DAY_US = 86_400_000_000
_HALF_TURN_E7 = 1_800_000_000

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
AnyStretches = TypeVar("AnyStretches", Stretches, "Runs")


class Runs(NamedTuple):
    """What pings of S stretches cover, in time and in degrees, all ends included."""

    device_id: Ints  # (S,)
    from_us: Longs  # (S,)
    to_us: Longs  # (S,)
    west_e7: Ints  # (S,) never over east: a run across the antimeridian covers every longitude instead
    east_e7: Ints  # (S,)
    south_e7: Ints  # (S,)
    north_e7: Ints  # (S,)


def runs_of(pings: Pings, apart_us: int = APART_US) -> Runs:
    """Give what pings, in any order, cover; pauses longer than `apart_us` divide them."""
    ordered = pings[np.lexsort((pings["fixed_at_us"], pings["device_id"]))]
    device, time = ordered["device_id"], ordered["fixed_at_us"]
    if device.size == 0:
        return anywhere(Stretches(device, time, time))
    starts = np.flatnonzero(np.concatenate(([True], (device[1:] != device[:-1]) | (time[1:] - time[:-1] > apart_us))))
    ends = np.append(starts[1:], device.size) - 1
    return Runs(
        device[starts],
        time[starts],
        time[ends],
        np.minimum.reduceat(ordered["lon_e7"], starts),
        np.maximum.reduceat(ordered["lon_e7"], starts),
        np.minimum.reduceat(ordered["lat_e7"], starts),
        np.maximum.reduceat(ordered["lat_e7"], starts),
    )


def anywhere(stretches: Stretches) -> Runs:
    """Give runs of whose places nothing is known."""
    sides = (np.full(stretches.device_id.size, side, np.int32) for side in (-1_800_000_000, 1_800_000_000))
    bottoms = (np.full(stretches.device_id.size, side, np.int32) for side in (-900_000_000, 900_000_000))
    return Runs(*stretches, *sides, *bottoms)


def stretches_about(runs: Runs, incidents: OpenIncidents) -> tuple[Selection, Stretches]:
    """Give the open incidents that a run may meet, and what to read of the trails to join with them.

    A run is widened by the longest gap that a line may bridge, so that the line into a batch and the line out of it are
    there whichever batch, or worker, came first. A run that no incident is near, in time and place, is not read: each
    line that it brings has one of its pings at an end. Stretches of one device may overlap. Cost: as of `hold_any`.
    """
    between = incidents.between()
    gap_us = round(between.max_gap_s * 1e6)
    widened = Stretches(runs.device_id, runs.from_us - gap_us, runs.to_us + gap_us)
    if runs.device_id.size == 0:
        return incidents.meeting(0, -1), widened
    selection = incidents.meeting(int(widened.from_us.min()), int(widened.to_us.max()))
    rows = np.flatnonzero(_meets_any(widened, selection.incidents))
    near = rows[_is_near_any(_some(runs, rows), _some(widened, rows), selection.incidents, between)]
    return selection, _some(widened, near)


def _meets_any(stretches: Stretches, incidents: Incidents) -> Bools:
    """Say of each stretch whether it meets the window of any incident."""
    order = np.argsort(incidents.from_us)
    starts = incidents.from_us[order]
    # The furthest end of all windows that have started: if that lies before the stretch, so do all of them.
    furthest = np.maximum.accumulate(incidents.to_us[order]) if order.size else starts
    started = np.searchsorted(starts, stretches.to_us, side="right")
    reaches = np.append(np.int64(-(2**62)), furthest)[started]
    return reaches >= stretches.from_us


def _is_near_any(runs: Runs, widened: Stretches, incidents: Incidents, between: Between) -> Bools:
    """Say of each run whether any incident meets its widened time, and lies no further than a line can lead."""
    reach_m = float(incidents.radius_m.max(initial=0.0)) + between.max_gap_s * between.max_speed_mps
    return hold_any(_boxes(runs[3:], reach_m, widened.from_us, widened.to_us), incidents)


def _boxes(sides: tuple[Ints, ...], reach_m: float, from_us: Longs, to_us: Longs) -> Boxes:
    """Give boxes with these sides (west, east, south, north) and so many metres more around them."""
    west_deg, east_deg, south_deg, north_deg = (side / 1e7 for side in sides)
    lat_margin, lon_margin = _margins(np.maximum(np.abs(south_deg), np.abs(north_deg)), reach_m)
    return Boxes(
        (west_deg + east_deg) / 2,
        (east_deg - west_deg) / 2 + lon_margin,
        south_deg - lat_margin,
        north_deg + lat_margin,
        from_us,
        to_us,
    )


def parts_of(stretches: Stretches, between: Between, days: Longs) -> Iterator[Stretches]:
    """Cut stretches into parts of bounded length, each of few days; in one part those of a device do not overlap.

    Only the days given are read, each with the longest gap after it, so that no line is lost between two parts.
    """
    starts, ends = days * _DAY_US, (days + 1) * _DAY_US + round(between.max_gap_s * 1e6)
    first = np.searchsorted(ends, stretches.from_us)
    counts = np.maximum(np.searchsorted(starts, stretches.to_us, side="right") - first, 0)
    row = np.repeat(np.arange(counts.size), counts)
    day = np.repeat(first, counts) + np.arange(row.size) - np.repeat(np.cumsum(counts) - counts, counts)
    order = np.lexsort((stretches.device_id[row], day))
    row, day = row[order], day[order]
    pieces = Stretches(
        stretches.device_id[row],
        np.maximum(stretches.from_us[row], starts[day]),
        np.minimum(stretches.to_us[row], ends[day]),
    )
    part = np.cumsum(pieces.to_us - pieces.from_us) // PART_US
    for rows in np.split(np.arange(row.size), np.flatnonzero(part[1:] != part[:-1]) + 1):
        if rows.size:
            yield merged(_some(pieces, rows))


def merged(stretches: Stretches) -> Stretches:
    """Join stretches of one device that overlap or touch, so that no ping is read twice."""
    order = np.lexsort((stretches.from_us, stretches.device_id))
    apart: list[tuple[int, int, int]] = []
    for device, from_us, to_us in zip(*(column.tolist() for column in _some(stretches, order)), strict=True):
        if apart and apart[-1][0] == device and from_us <= apart[-1][2]:
            apart[-1] = (device, apart[-1][1], max(to_us, apart[-1][2]))
        else:
            apart.append((device, from_us, to_us))
    columns = np.array(apart, dtype=np.int64).reshape(-1, 3)
    return Stretches(columns[:, 0].astype(np.int32), columns[:, 1], columns[:, 2])


def boxes_around(selection: Selection, between: Between, days: Longs) -> Iterator[tuple[Box, Selection]]:
    """Cut the time of all these incidents into pieces; for each, what to read and which incidents to join with it.

    A piece is read with the longest gap on both sides, so that no line is lost between two pieces; and as far around
    each circle as a line can reach into it from outside. Only pieces of the days given are read: a window may be years
    long.
    """
    incidents = selection.incidents
    gap_us = round(between.max_gap_s * 1e6)
    first, last = incidents.from_us // PIECE_US, incidents.to_us // PIECE_US
    a_day = _DAY_US // PIECE_US
    for piece in (days[:, np.newaxis] * a_day + np.arange(a_day)).ravel().tolist():
        rows = np.flatnonzero((first <= piece) & (piece <= last))
        if not rows.size:
            continue
        part = selection.take(rows)
        from_us = max(piece * PIECE_US, int(part.incidents.from_us.min())) - gap_us
        to_us = min((piece + 1) * PIECE_US, int(part.incidents.to_us.max())) + gap_us
        yield _box(from_us, to_us, part.incidents, between), part


def _box(from_us: int, to_us: int, incidents: Incidents, between: Between) -> Box:
    west, east, south, north = _sides(incidents, between)
    bottom, top = int(south.min()), int(north.max())
    if west.min() < -_HALF_TURN_E7 or east.max() > _HALF_TURN_E7:
        # Across the antimeridian: every longitude, the join is exact anyway.
        return Box(from_us, to_us, -_HALF_TURN_E7, _HALF_TURN_E7, bottom, top)
    cells = cells_of(west, east, south, north)
    return Box(from_us, to_us, int(west.min()), int(east.max()), bottom, top, cells)


def _sides(incidents: Incidents, between: Between) -> tuple[Longs, Longs, Longs, Longs]:
    """Give the west, east, south and north, in 1e-7 degrees, of all that a line into each circle may come from."""
    # Of a line that only just meets a circle, one end may lie all its length outside.
    reach_m = incidents.radius_m + between.max_gap_s * between.max_speed_mps
    lat_margin, lon_margin = _margins(np.abs(incidents.lat_deg), reach_m)
    return (
        np.floor((incidents.lon_deg - lon_margin) * 1e7).astype(np.int64),
        np.ceil((incidents.lon_deg + lon_margin) * 1e7).astype(np.int64),
        np.floor(np.maximum(incidents.lat_deg - lat_margin, -90.0) * 1e7).astype(np.int64),
        np.ceil(np.minimum(incidents.lat_deg + lat_margin, 90.0) * 1e7).astype(np.int64),
    )


def hours_near(hours: SealedHours, box: Box, incidents: Incidents, between: Between) -> Bools:
    """Say of each sealed hour that was found for a box whether any of its incidents may concern it, (H,).

    An hour is wanted where an incident's circle meets the box around its pings, for the lines within it lie there; and
    with the hour after it, where one meets the box around both while a line can lead from one to the other. Of 7,000
    tags' hours and 20,000 incidents in ten days that is one in ten. Cost: as of `hold_any`, twice.
    """
    gap_us = round(between.max_gap_s * 1e6)
    first_us, last_us = box.from_us + gap_us, box.to_us - gap_us  # what lies outside is read for its lines only
    reach_m = float(incidents.radius_m.max(initial=0.0)) + _bend_m(box, between)

    def meet_any(sides: tuple[Ints, ...], from_us: Longs, to_us: Longs) -> Bools:
        from_us, to_us = np.maximum(from_us, first_us), np.minimum(to_us, last_us)
        return hold_any(_boxes(sides, reach_m, from_us, to_us), incidents) & (from_us <= to_us)

    wanted = meet_any(hours[2:], hours.hour_us, hours.hour_us + HOUR_US - 1)
    follows = (hours.device_id[1:] == hours.device_id[:-1]) & (hours.hour_us[1:] == hours.hour_us[:-1] + HOUR_US)
    one = np.flatnonzero(follows)
    both = (
        np.minimum(hours.west_e7[one], hours.west_e7[one + 1]),
        np.maximum(hours.east_e7[one], hours.east_e7[one + 1]),
        np.minimum(hours.south_e7[one], hours.south_e7[one + 1]),
        np.maximum(hours.north_e7[one], hours.north_e7[one + 1]),
    )
    change_us = hours.hour_us[one + 1]
    crossed = one[meet_any(both, change_us - gap_us, change_us + gap_us)]
    wanted[crossed] = wanted[crossed + 1] = True
    return wanted


def _bend_m(box: Box, between: Between) -> float:
    """Give how far the straightest way between two places in a box may lead out of it: twice the arc's height."""
    length_m = between.max_gap_s * between.max_speed_mps
    edge_deg = min(max(abs(box.south_e7), abs(box.north_e7)) / 1e7, 89.0)
    return length_m**2 * math.tan(math.radians(edge_deg)) / (4 * _EARTH_M)


def _margins(lat_deg: Floats, reach_m: Floats | float) -> tuple[Floats, Floats]:
    """Degrees of latitude and of longitude that hold so many metres from anywhere up to this latitude."""
    lat_margin = np.asarray(reach_m / _METRES_A_DEGREE, dtype=np.float64)
    # Meridians are nearest to each other at the edge that lies furthest from the equator.
    edge = np.minimum(lat_deg + lat_margin, 89.0)
    return lat_margin, np.asarray(reach_m / (_METRES_A_DEGREE * np.cos(np.radians(edge))), dtype=np.float64)


def _some(stretches: AnyStretches, rows: npt.NDArray[np.intp]) -> AnyStretches:
    return type(stretches)._make(column[rows] for column in stretches)
