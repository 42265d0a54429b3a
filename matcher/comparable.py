"""Comparable days: presence at a place in the same hours of the days before."""

from typing import Final, NamedTuple

import numpy as np

from geo.jit import kernel
from matcher.crime_time import CrimeTime
from matcher.fixes import Fixes, Floats
from matcher.jumps import find_jumps
from matcher.presence import KNOWN, SUMS, THROUGHOUT, add_window
from matcher.throughout import ROOM, Lasting, Runs
from matcher.trails import Ints, Longs
from matcher.window import Bridges, Place, rows_of, table_of


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
    at. The integrals are the coarser the longer the window is, because more of them are added: in tests A is off by
    2e-3 at most and 1e-4 on average. Cost: 30 ns for each fix in a window, and 0.3 us for each bridge near the edge.
    """
    found = Shifted(np.empty(shifts_us.size), np.empty(shifts_us.size))
    _shifted(*fixes[:4], place, when, bridges, lasting, shifts_us, beside_us, _tolerance(when), *found)
    return found


# Mean error of P over a piece of a bridge, in a window of so many seconds; in longer ones more, and at most so much.
_COARSE: Final = 4e-4
_COARSE_S: Final = 1200.0
_COARSEST: Final = 2e-2


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
    throughout: Floats,
    known: Floats,
) -> None:
    sums, room = np.empty(SUMS), np.empty(ROOM)
    for i in range(shifts_us.size):
        shift_us = shifts_us[i]
        moved = CrimeTime(
            when.start_us + shift_us, when.from_us + shift_us, when.to_us + shift_us, when.end_us + shift_us
        )
        first = np.searchsorted(time_us, moved.start_us - beside_us)
        end = np.searchsorted(time_us, moved.end_us + beside_us, "right")
        throughout[i] = known[i] = 0.0
        if first == end:
            continue
        day_us, lon, lat, sigma = time_us[first:end], lon_e7[first:end], lat_e7[first:end], sigma_m[first:end]
        kept = np.ones(end - first, np.bool_)
        find_jumps(day_us, lon, lat, sigma, bridges.max_speed_mps, kept)
        if not kept.all():
            day_us, lon, lat, sigma = day_us[kept], lon[kept], lat[kept], sigma[kept]
        rows = rows_of(day_us, moved)
        table = table_of(day_us, lon, lat, sigma, rows, place, moved.start_us)
        sums[:] = 0
        add_window(table, rows, place, bridges, tolerance, Runs(room, moved, lasting), sums)
        throughout[i], known[i] = sums[THROUGHOUT], sums[KNOWN]
