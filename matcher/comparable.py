"""Comparable days: presence at a place in the same hours of the days before."""

from typing import Final, NamedTuple

import numpy as np

from geo.jit import kernel
from geo.uncounted import uncounted
from matcher.crime_time import CrimeTime, share_before
from matcher.fixes import Fixes, Floats
from matcher.jumps import find_jumps
from matcher.presence import SUMS, add_bridge
from matcher.throughout import HIGHEST_LEVEL, ROOM, Lasting, Runs, begin, follow, go_on, throughout, uncounted_runs
from matcher.trails import Ints, Longs
from matcher.window import (
    AT_S,
    SIGMA_M,
    X_M,
    Y_M,
    Bridges,
    Place,
    Rows,
    inside_at,
    is_far,
    is_joined,
    rows_of,
    table_of,
)


class Shifted(NamedTuple):
    """Presence at a place in the same window at other times."""

    throughout: Floats  # (S,) as in matcher.presence.Presence
    known: Floats  # (S,)


def shifted_presence(
    fixes: Fixes,
    place: Place,
    when: CrimeTime,
    bridges: Bridges,
    lasting: Lasting,
    shifts_us: Longs,
    beside_us: int,
) -> Shifted:
    """Give `throughout` and `known` of `presence` for the window moved by each of (S,) microseconds.

    Of the fixes, none of them set aside yet, only those of each window and up to beside_us on either side are looked
    at. The longer the window, the more is added up and the more coarsely: from 50 minutes on the probability counts as
    changing evenly over stretches on which the wearer hardly moved. Against `presence` it is off by 5e-3 at most in
    tests, 5e-4 on average. Cost: 30 ns for each fix in a window, 0.2 µs for each stretch near the place, and 1 µs for
    those on which the wearer moved.
    """
    found = Shifted(np.empty(shifts_us.size), np.empty(shifts_us.size))
    _shifted(*fixes[:4], place, when, bridges, lasting, shifts_us, beside_us, _tolerance(when), *found)
    return found


# Mean error of P over a piece of a bridge, in a window of so many seconds; in longer ones more, and at most so much.
_COARSE: Final = 4e-4
_COARSE_S: Final = 1200.0
_COARSEST: Final = 2e-2
# From this one on a short stretch counts as steady though its probability is not near 1.
_STEADY: Final = 1e-3
# Of two fixes of somebody at rest 95 in 100 are no further apart than √6 of their errors: exp(−6/2).
_STILL: Final = 6.0


def _tolerance(when: CrimeTime) -> float:
    return min(_COARSE * max((when.end_us - when.start_us) / 1e6 / _COARSE_S, 1.0), _COARSEST)


@kernel
def _shifted(
    time_us: Longs,
    lon_e7: Ints,
    lat_e7: Ints,
    sigma_m: Floats,
    place: Place,
    when: CrimeTime,
    bridges: Bridges,
    lasting: Lasting,
    shifts_us: Longs,
    beside_us: int,
    tolerance: float,
    found: Floats,
    known: Floats,
) -> None:
    sums, room = np.zeros(SUMS), np.empty(ROOM)
    for i in range(shifts_us.size):
        shift_us = shifts_us[i]
        moved = CrimeTime(
            when.start_us + shift_us, when.from_us + shift_us, when.to_us + shift_us, when.end_us + shift_us
        )
        first = np.searchsorted(time_us, moved.start_us - beside_us)
        end = np.searchsorted(time_us, moved.end_us + beside_us, "right")
        found[i] = known[i] = 0.0
        if first == end:
            continue
        day_us, lon, lat, sigma = time_us[first:end], lon_e7[first:end], lat_e7[first:end], sigma_m[first:end]
        kept = np.ones(end - first, np.bool_)
        find_jumps(day_us, lon, lat, sigma, bridges.max_speed_mps, kept)
        if not kept.all():
            day_us, lon, lat, sigma = day_us[kept], lon[kept], lat[kept], sigma[kept]
        rows = rows_of(day_us, moved)
        table = table_of(day_us, lon, lat, sigma, rows, place, moved.start_us)
        runs = Runs(room, moved, lasting)
        begin(runs)
        known[i] = _add_day(table, rows, place, bridges, tolerance, runs, sums)
        found[i] = throughout(runs)


@kernel
def _add_day(
    table: Floats, rows: Rows, place: Place, bridges: Bridges, tolerance: float, runs: Runs, sums: Floats
) -> float:
    """Tell the runs of a day's window, in time order; gives how much of the crime's moments is covered."""
    table, sums, runs = uncounted(table), uncounted(sums), uncounted_runs(runs)
    length_s = (runs.when.end_us - runs.when.start_us) / 1e6
    known = since_s = until_s = 0.0
    for row in range(rows.first, rows.last):
        if table[row + 1, AT_S] <= 0 or table[row, AT_S] >= length_s or not is_joined(table, row, bridges):
            continue
        start_s, end_s = max(table[row, AT_S], 0.0), min(table[row + 1, AT_S], length_s)
        if start_s > until_s:
            known += share_before(runs.when, until_s) - share_before(runs.when, since_s)
            since_s = start_s
        until_s = end_s
        if is_far(table, row, row + 1, place, bridges):
            continue
        at_start, at_end = inside_at(table, row, place), inside_at(table, row + 1, place)
        is_certain = min(at_start, at_end) >= HIGHEST_LEVEL
        if (is_certain or tolerance >= _STEADY) and _is_steady(table, row, place):
            x_m, y_m = _line_at(table, row, start_s)
            go_on(runs, start_s, at_start, x_m, y_m)
            x_m, y_m = _line_at(table, row, end_s)
            follow(runs, end_s, at_end, x_m, y_m)
        else:
            add_bridge(table, row, place, bridges, tolerance, runs, sums)
    return known + share_before(runs.when, until_s) - share_before(runs.when, since_s)


@kernel
def _line_at(table: Floats, row: int, at_s: float) -> tuple[float, float]:
    """Give where the straight line from a row to the next is at a moment."""
    part = (at_s - table[row, AT_S]) / (table[row + 1, AT_S] - table[row, AT_S])
    x_m, y_m = table[row, X_M], table[row, Y_M]
    return x_m + part * (table[row + 1, X_M] - x_m), y_m + part * (table[row + 1, Y_M] - y_m)


@kernel
def _is_steady(table: Floats, row: int, place: Place) -> bool:
    """Say whether a stretch is one that errors alone may explain, or shorter than half the radius.

    The probability is hardly less on it than at its two fixes: it reaches all levels if both do, and where so many
    stretches are added that one tells little, it can be taken to change evenly from the one to the other.
    """
    x_m, y_m = table[row + 1, X_M] - table[row, X_M], table[row + 1, Y_M] - table[row, Y_M]
    errors_m2 = table[row, SIGMA_M] * table[row, SIGMA_M] + table[row + 1, SIGMA_M] * table[row + 1, SIGMA_M]
    return bool(x_m * x_m + y_m * y_m <= max(_STILL * errors_m2, place.radius_m * place.radius_m / 4))
