"""Visits: each stay inside a circle, how it was entered and left, and what of it was seen."""

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from geo.jit import kernel
from geo.wgs84 import bearing_rad, offset_m
from matcher.evidence import Stay
from matcher.fixes import Fixes, Floats
from matcher.jumps import is_jump
from matcher.trails import E7_PER_DEGREE, Ints, Longs
from matcher.window import Bridges, Place


class Visit(NamedTuple):
    """One contiguous stay inside the circle, along fixes and the straight lines between joined ones."""

    label: str  # A, B … Z, AA …; its positions are A1, A2 …
    enter_us: int  # first and
    leave_us: int  # last moment inside
    has_entry: bool  # it was seen to come in; else the stay began at a fix or before the window
    has_exit: bool  # it was seen to leave
    n_pings: int  # positions inside; 0 where only a line passes
    first_us: int | None  # the first and
    last_us: int | None  # the last of them
    seen_s: float  # from the first to the last position inside
    inferred_s: float  # the rest of the stay
    near_m: float  # least distance, between positions too
    near_us: int
    enter_bearing_deg: float | None  # direction of the way in, clockwise from north; None where no two fixes define it
    leave_bearing_deg: float | None


def visits(fixes: Fixes, place: Place, from_us: int, to_us: int, bridges: Bridges) -> list[Visit]:
    """Give the stays inside a circle between two moments, in time order; those that touch in time are one.

    A fix in the circle (distance <= radius, from <= time <= to) is inside, and so is the part in the circle of the
    straight line between two fixes that `bridges` joins, at an even speed in the plane about the place. Without fixes
    none. A bearing is the direction from the fix before the edge to the fix after it; a single fix has none.

    Cost: about 60 ns a fix.
    """
    if fixes.fixed_at_us.size == 0:
        return []
    length_s = (to_us - from_us) / 1e6
    found = _stays(*fixes[:4], place, from_us, length_s, bridges)
    return [_visit(fixes, row, number, from_us) for number, row in enumerate(found)]


def letters(number: int) -> str:
    """Give the letters of a visit by its number from 0: A to Z, then AA, AB … as columns of a sheet."""
    name = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        name = chr(ord("A") + rest) + name
    return name


def position_labels(stays: Iterable[Visit | Stay], fixed_at_us: Longs) -> list[str]:
    """Give the label of each position inside, of which the times are given in order.

    A1, A2, B1 and so on: the letters are the visit's and the number counts its positions. Empty where there is none.
    """
    known = [stay for stay in stays if stay.first_us is not None and stay.last_us is not None]
    labels, counted = [], dict.fromkeys((stay.label for stay in known), 0)
    for at_us in fixed_at_us.tolist():
        within = [stay.label for stay in known if stay.first_us <= at_us <= stay.last_us]
        for label in within:
            counted[label] += 1
        labels.append(f"{within[0]}{counted[within[0]]}" if within else "")
    return labels


# Columns of a stay.
_ENTER_S: Final = 0
_LEAVE_S: Final = 1
_FIRST: Final = 2  # row of the first and
_LAST: Final = 3  # of the last fix inside, -1 without one
_N: Final = 4
_ENTRY: Final = 5  # row of the fix from which the line leads in, -1 where none does, and
_EXIT: Final = 6  # from which it leads out
_NEAR_M: Final = 7
_NEAR_S: Final = 8
_COLUMNS: Final = 9


def _visit(fixes: Fixes, row: Floats, number: int, from_us: int) -> Visit:
    time_us = fixes.fixed_at_us
    enter_us, leave_us = from_us + round(row[_ENTER_S] * 1e6), from_us + round(row[_LEAVE_S] * 1e6)
    first, last = int(row[_FIRST]), int(row[_LAST])
    seen_us = int(time_us[last] - time_us[first]) if row[_N] else 0
    return Visit(
        label=letters(number),
        enter_us=enter_us,
        leave_us=leave_us,
        has_entry=bool(row[_ENTRY] >= 0),
        has_exit=bool(row[_EXIT] >= 0),
        n_pings=int(row[_N]),
        first_us=int(time_us[first]) if row[_N] else None,
        last_us=int(time_us[last]) if row[_N] else None,
        seen_s=seen_us / 1e6,
        inferred_s=max(leave_us - enter_us - seen_us, 0) / 1e6,
        near_m=float(row[_NEAR_M]),
        near_us=from_us + round(row[_NEAR_S] * 1e6),
        enter_bearing_deg=_bearing_deg(fixes, int(row[_ENTRY])),
        leave_bearing_deg=_bearing_deg(fixes, int(row[_EXIT])),
    )


def _bearing_deg(fixes: Fixes, row: int) -> float | None:
    """Give the direction from a fix to the next; None where there is no such line or it has no length."""
    if row < 0:
        return None
    lon, lat = fixes.lon_e7[row : row + 2].tolist(), fixes.lat_e7[row : row + 2].tolist()
    if lon[0] == lon[1] and lat[0] == lat[1]:
        return None
    ends = (lon[0] / E7_PER_DEGREE, lat[0] / E7_PER_DEGREE, lon[1] / E7_PER_DEGREE, lat[1] / E7_PER_DEGREE)
    return math.degrees(bearing_rad(*ends))


@kernel
def _stays(
    time_us: Longs,
    lon_e7: Ints,
    lat_e7: Ints,
    sigma_m: Floats,
    place: Place,
    from_us: int,
    length_s: float,
    bridges: Bridges,
) -> Floats:
    stays = np.empty((2 * time_us.size, _COLUMNS))
    count = 0
    before_s = x0_m = y0_m = 0.0
    for row in range(time_us.size):
        at_s = (time_us[row] - from_us) / 1e6
        x_m, y_m = offset_m(place.lon_deg, place.lat_deg, lon_e7[row] / E7_PER_DEGREE, lat_e7[row] / E7_PER_DEGREE)
        if row > 0 and at_s >= 0 and before_s <= length_s and at_s - before_s <= bridges.max_gap_s:
            is_line = not is_jump(
                lon_e7[row - 1],
                lat_e7[row - 1],
                lon_e7[row],
                lat_e7[row],
                sigma_m[row - 1],
                sigma_m[row],
                at_s - before_s,
                bridges.max_speed_mps,
            )
            if is_line:
                line = Line(x0_m, y0_m, x_m - x0_m, y_m - y0_m, before_s, at_s)
                count = _add_line(stays, count, row - 1, line, place.radius_m, length_s)
        away_m = math.sqrt(x_m * x_m + y_m * y_m)
        if away_m <= place.radius_m and 0 <= at_s <= length_s:
            count = _add(stays, count, at_s, at_s, -1, -1, away_m, at_s)
            _add_fix(stays[count - 1], row)
        before_s, x0_m, y0_m = at_s, x_m, y_m
    return stays[:count]


class Line(NamedTuple):
    """The straight line between two fixes in the plane about a place."""

    x_m: float
    y_m: float
    along_x_m: float
    along_y_m: float
    from_s: float
    to_s: float


@kernel
def _add_line(stays: Floats, count: int, row: int, line: Line, radius_m: float, length_s: float) -> int:
    """Add the part of a line, from one fix to the next, that lies in the circle and the window."""
    enter, leave = _parts_inside(line, radius_m)
    seconds = line.to_s - line.from_s
    # What begins or ends at a fix or at the window's edge does so exactly, so that stays are seen to touch.
    low, high = max(enter, -line.from_s / seconds, 0.0), min(leave, (length_s - line.from_s) / seconds, 1.0)
    if low > high:
        return count
    enter_s = line.from_s if low == 0 else 0.0 if low > enter else line.from_s + low * seconds
    leave_s = line.to_s if high == 1 else length_s if high < leave else line.from_s + high * seconds
    square_m2 = line.along_x_m * line.along_x_m + line.along_y_m * line.along_y_m
    foot = -(line.x_m * line.along_x_m + line.y_m * line.along_y_m) / square_m2 if square_m2 > 0 else low
    near = min(max(foot, low), high)
    x_m, y_m = line.x_m + near * line.along_x_m, line.y_m + near * line.along_y_m
    entry = row if low == enter and low > 0 else -1
    way_out = row if high == leave and high < 1 else -1
    near_s = line.from_s + near * seconds
    return _add(stays, count, enter_s, leave_s, entry, way_out, math.sqrt(x_m * x_m + y_m * y_m), near_s)


@kernel
def _parts_inside(line: Line, radius_m: float) -> tuple[float, float]:
    """Give the parts of a line between which it is in the circle; the first after the second where it is nowhere.

    A fix that lies in the circle is in it at its part 0 or 1, whatever rounding makes of the edge.
    """
    end_x_m, end_y_m = line.x_m + line.along_x_m, line.y_m + line.along_y_m
    starts_inside = math.sqrt(line.x_m * line.x_m + line.y_m * line.y_m) <= radius_m
    ends_inside = math.sqrt(end_x_m * end_x_m + end_y_m * end_y_m) <= radius_m
    if starts_inside and ends_inside:
        return 0.0, 1.0
    square_m2 = line.along_x_m * line.along_x_m + line.along_y_m * line.along_y_m
    foot = -(line.x_m * line.along_x_m + line.y_m * line.along_y_m) / square_m2 if square_m2 > 0 else 0.0
    x_m, y_m = line.x_m + foot * line.along_x_m, line.y_m + foot * line.along_y_m
    within_m2 = max(radius_m * radius_m - x_m * x_m - y_m * y_m, 0.0)
    is_crossed = radius_m * radius_m >= x_m * x_m + y_m * y_m
    half = math.sqrt(within_m2 / square_m2) if square_m2 > 0 else 0.0
    if starts_inside:
        return 0.0, min(max(foot + half, 0.0), 1.0)
    if ends_inside:
        return min(max(foot - half, 0.0), 1.0), 1.0
    if not is_crossed or foot + half < 0 or foot - half > 1:
        return 1.0, 0.0
    return max(foot - half, 0.0), min(foot + half, 1.0)


@kernel
def _add(
    stays: Floats, count: int, enter_s: float, leave_s: float, entry: int, way_out: int, near_m: float, near_s: float
) -> int:
    """Add what lies inside from-to to the last stay, or begin another; gives the number of stays."""
    if count == 0 or enter_s > stays[count - 1, _LEAVE_S]:
        stay = stays[count]
        stay[_ENTER_S], stay[_LEAVE_S], stay[_ENTRY], stay[_EXIT] = enter_s, leave_s, entry, way_out
        stay[_FIRST] = stay[_LAST] = -1
        stay[_N] = 0
        stay[_NEAR_M], stay[_NEAR_S] = near_m, near_s
        return count + 1
    stay = stays[count - 1]
    if leave_s >= stay[_LEAVE_S]:
        stay[_LEAVE_S], stay[_EXIT] = leave_s, way_out
    if near_m < stay[_NEAR_M]:
        stay[_NEAR_M], stay[_NEAR_S] = near_m, near_s
    return count


@kernel
def _add_fix(stay: Floats, row: int) -> None:
    if stay[_N] == 0:
        stay[_FIRST] = row
    stay[_LAST] = row
    stay[_N] += 1
