"""The box of a run of pings: least and greatest of place and time, and whether the pings are what `Trails` promises."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from geo.ahead import fetch
from geo.jit import inlined, kernel
from geo.plane import shorter_way_e7
from matcher.index import Box
from matcher.lines import stray_e7
from matcher.trails import E7_PER_DEGREE, MAX_TIME_US

Longs = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]

# A loop of 64 rounds becomes vector instructions.
RUN_PINGS = 64

MAX_LON_E7 = 180 * E7_PER_DEGREE
MAX_LAT_E7 = 90 * E7_PER_DEGREE


class Pings(NamedTuple):
    """Columns of `Trails`."""

    times: Longs
    lons: Ints
    lats: Ints


@inlined
def fetch_run(pings: Pings, first: int) -> None:
    """Have the pings of a run fetched."""
    for ping in range(first, first + RUN_PINGS, 8):
        fetch(pings.times, ping)
    for ping in range(first, first + RUN_PINGS, 16):
        fetch(pings.lons, ping)
        fetch(pings.lats, ping)


@inlined
def box_of_run(pings: Pings, run: tuple[int, int, int], is_whole: bool) -> tuple[Box, bool]:
    """The box of the pings of a run, and whether they are as `Trails` says.

    A run is the first ping of its trail, its own first and its end. The last whole run of a trail takes in pings of the
    one before it, so that it is as long.
    """
    begin, first, stop = run
    times, lons, lats = pings
    if is_whole and stop - begin >= RUN_PINGS:
        start = stop - RUN_PINGS
        box, is_rising = _box_of_many(times[start:stop], lons[start:stop], lats[start:stop])
    else:
        box, is_rising = _box_of_few(times[first:stop], lons[first:stop], lats[first:stop])
    return box, is_rising and times[max(first - 1, begin)] <= times[first] and _is_in_range(box)


@kernel
def _box_of_many(times: Longs, lons: Ints, lats: Ints) -> tuple[Box, bool]:
    """The box of RUN_PINGS pings, and whether none is earlier than the one before: in loops of constant length."""
    west = east = lons[0]
    for ping in range(RUN_PINGS):
        west, east = min(west, lons[ping]), max(east, lons[ping])
    south = north = lats[0]
    for ping in range(RUN_PINGS):
        south, north = min(south, lats[ping]), max(north, lats[ping])
    steps_back = 0
    for ping in range(RUN_PINGS - 1):
        steps_back += times[ping + 1] < times[ping]
    return (int(west), int(east), int(south), int(north), int(times[0]), int(times[RUN_PINGS - 1])), steps_back == 0


@inlined
def _box_of_few(times: Longs, lons: Ints, lats: Ints) -> tuple[Box, bool]:
    """The same for fewer pings."""
    west, east, south, north = lons[0], lons[0], lats[0], lats[0]
    is_sound = True
    for ping in range(1, times.size):
        west, east = min(west, lons[ping]), max(east, lons[ping])
        south, north = min(south, lats[ping]), max(north, lats[ping])
        is_sound &= times[ping] >= times[ping - 1]
    return (int(west), int(east), int(south), int(north), int(times[0]), int(times[-1])), is_sound


@inlined
def with_line_before(box: Box, time_us: int, lon_e7: int, lat_e7: int, is_single: bool) -> Box:
    """A box that also holds the lines between its pings, and the line to its first from one before.

    To a single ping the line goes by the shorter way: the box may run on past 180 degrees.
    """
    west, east, south, north, start_us, end_us = box
    lon_e7, lat_e7 = int(lon_e7), int(lat_e7)
    if is_single:
        west = east = lon_e7 + int(shorter_way_e7(float(west) - lon_e7))
    return widened(
        (
            min(west, lon_e7),
            max(east, lon_e7),
            min(south, lat_e7),
            max(north, lat_e7),
            min(start_us, time_us),
            end_us,
        )
    )


@inlined
def widened(box: Box) -> Box:
    """A box with as much about it as the lines between its pings may bend."""
    west, east, south, north, start_us, end_us = box
    stray_lon_e7, stray_lat_e7 = stray_e7(float(east - west), float(north - south))
    lon_margin_e7, lat_margin_e7 = math.ceil(stray_lon_e7), math.ceil(stray_lat_e7)
    return (west - lon_margin_e7, east + lon_margin_e7, south - lat_margin_e7, north + lat_margin_e7, start_us, end_us)


@inlined
def _is_in_range(box: Box) -> bool:
    west, east, south, north, start_us, end_us = box
    return (
        west >= -MAX_LON_E7
        and east <= MAX_LON_E7
        and south >= -MAX_LAT_E7
        and north <= MAX_LAT_E7
        and start_us >= -MAX_TIME_US
        and end_us <= MAX_TIME_US
    )
