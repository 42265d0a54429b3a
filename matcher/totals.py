"""What the pings and lines of one device come to that are inside one incident, added up one by one in order of time.

Every form of the join adds up here, so that they agree to the last bit.
"""

import math
from typing import NamedTuple

import numpy as np

from geo.jit import inlined
from geo.plane import Place
from matcher.hits import NO_TIME_US

Window = tuple[int, int]


class Total(NamedTuple):
    """What the pings and lines of one device inside one incident come to; the columns of `Hits`."""

    n_pings: int
    first_us: int
    last_us: int
    closest_m: float
    closest_us: int
    near_m: float
    near_us: int
    enter_us: int
    leave_us: int
    inside_s: float
    visits: int


NOTHING = Total(0, NO_TIME_US, NO_TIME_US, math.inf, NO_TIME_US, math.inf, NO_TIME_US, 0, 0, 0.0, 0)


@inlined
def with_ping(total: Total, time_us: int, away_m: float) -> Total:
    """Add a ping that is inside."""
    visits, enter_us, leave_us = _with_stay(total.visits, total.enter_us, total.leave_us, time_us, time_us)
    is_closest, is_nearest = away_m < total.closest_m, away_m < total.near_m
    return Total(
        total.n_pings + 1,
        total.first_us if total.n_pings else time_us,
        time_us,
        away_m if is_closest else total.closest_m,
        time_us if is_closest else total.closest_us,
        away_m if is_nearest else total.near_m,
        time_us if is_nearest else total.near_us,
        enter_us,
        leave_us,
        total.inside_s,
        visits,
    )


@inlined
def with_line(total: Total, start: Place, end: Place, times: Window, radius_m: float, window: Window) -> Total:
    """Add the stretch of a line that lies within radius and window, if there is one; `times` are those of its ends."""
    x_m, y_m, start_m = start
    # By the rule for pings and not by the plane's rounding, so that a stretch reaches the ping that lies inside.
    starts_inside, ends_inside = start_m <= radius_m, end[2] <= radius_m
    along_x_m, along_y_m = end[0] - x_m, end[1] - y_m
    squared_m2 = along_x_m * along_x_m + along_y_m * along_y_m
    # The foot of the perpendicular, as a part of the line's length, and the square of how long that is; both times
    # `squared_m2`. Not the roots of the quadratic: those cancel on a long line.
    foot_m2 = -(x_m * along_x_m + y_m * along_y_m)
    across_m2 = x_m * along_y_m - y_m * along_x_m
    passes_m4 = across_m2 * across_m2
    if not (starts_inside or ends_inside) and (
        foot_m2 <= 0 or foot_m2 >= squared_m2 or passes_m4 > radius_m * radius_m * squared_m2
    ):
        return total
    start_us, end_us = times
    enter_us, leave_us = start_us, end_us
    if not (starts_inside and ends_inside):
        half = math.sqrt(max(radius_m * radius_m * squared_m2 - passes_m4, 0.0))
        if not starts_inside:
            enter_us += _part_us(foot_m2 - half, squared_m2, end_us - start_us)
        if not ends_inside:
            leave_us = start_us + _part_us(foot_m2 + half, squared_m2, end_us - start_us)
    enter_us, leave_us = max(enter_us, window[0]), min(leave_us, window[1])
    if leave_us < enter_us:
        return total
    near_m, near_us = math.inf, enter_us
    # A ping inside speaks for itself, with its own rounding; and no place on a line is nearer than its foot.
    if squared_m2 == 0 or passes_m4 < total.near_m * total.near_m * squared_m2:
        if squared_m2 > 0:
            near_us = min(max(start_us + _part_us(foot_m2, squared_m2, end_us - start_us), enter_us), leave_us)
        if not ((near_us == start_us and starts_inside) or (near_us == end_us and ends_inside)):
            part = (near_us - start_us) / (end_us - start_us)
            near_x_m, near_y_m = x_m + part * along_x_m, y_m + part * along_y_m
            # Not math.hypot: Python's and the compiled one differ in the last bit.
            near_m = math.sqrt(near_x_m * near_x_m + near_y_m * near_y_m)
    visits, first_us, last_us = _with_stay(total.visits, total.enter_us, total.leave_us, enter_us, leave_us)
    is_nearest = near_m < total.near_m
    return Total(
        total.n_pings,
        total.first_us,
        total.last_us,
        total.closest_m,
        total.closest_us,
        near_m if is_nearest else total.near_m,
        near_us if is_nearest else total.near_us,
        first_us,
        last_us,
        total.inside_s + (leave_us - enter_us) / 1e6,
        visits,
    )


@inlined
def _part_us(part_m2: float, whole_m2: float, gap_us: int) -> int:
    """So much of a line's time, from nothing to all of it."""
    return math.floor(min(max(part_m2 / whole_m2, 0.0), 1.0) * gap_us + 0.5)


@inlined
def _with_stay(visits: int, enter_us: int, leave_us: int, from_us: int, to_us: int) -> tuple[int, int, int]:
    """Visits, first and last moment inside, with one more stay that begins no earlier than any before it."""
    if visits == 0:
        return 1, from_us, to_us
    return visits + (from_us > leave_us), enter_us, max(leave_us, to_us)


@inlined
def total_of(row: np.void) -> Total:
    """What a row of HIT holds."""
    return Total(
        row["n_pings"],
        row["first_us"],
        row["last_us"],
        row["closest_m"],
        row["closest_us"],
        row["near_m"],
        row["near_us"],
        row["enter_us"],
        row["leave_us"],
        row["inside_s"],
        row["visits"],
    )


@inlined
def put_total(row: np.void, incident: int, device: int, total: Total) -> None:
    """Make a row of HIT of it."""
    row["incident"], row["device"], row["n_pings"] = incident, device, total.n_pings
    row["first_us"], row["last_us"] = total.first_us, total.last_us
    row["closest_m"], row["closest_us"] = total.closest_m, total.closest_us
    row["near_m"], row["near_us"] = total.near_m, total.near_us
    row["enter_us"], row["leave_us"] = total.enter_us, total.leave_us
    row["inside_s"], row["visits"] = total.inside_s, total.visits
