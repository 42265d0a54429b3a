"""The exact test of a stretch of a trail against one incident."""

import numpy as np
import numpy.typing as npt

from geo.jit import inlined, kernel
from geo.plane import Plane, place_in, shorter_way_e7
from matcher.lines import LineRule, is_too_fast, stray_e7
from matcher.totals import NOTHING, put_total, total_of, with_line, with_ping

Longs = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]
Records = npt.NDArray[np.void]


@kernel
def add_stays(
    times: Longs,
    lons: Ints,
    lats: Ints,
    begin: int,
    first: int,
    end: int,
    device: int,
    circle: np.void,
    rule: LineRule,
    found: Records,
    hits: int,
    hit_of: Longs,
) -> int:
    """Add to the hits of an incident and a device the pings [first, end) and the lines that end at them.

    `begin` is the first ping of the device. `found` (HIT) holds `hits` rows and has room for one more; returns their
    new number. hit_of[i] is the row last opened for incident i, whatever the device. Called for later and later pings
    of a device it adds up in time order, a line before the ping that it ends at, whatever the parts.
    """
    from_us, to_us, radius_m = circle["from_us"], circle["to_us"], circle["radius_m"]
    plane, incident = plane_of(circle), circle["incident"]
    half_lon_e7, half_lat_e7 = circle["half_lon_e7"], (int(circle["north_e7"]) - circle["south_e7"]) / 2
    hit = hit_of[incident]
    # A row of another device, or of nobody (the memory is not cleared), fails one of these.
    is_open = 0 <= hit < hits and found[hit]["incident"] == incident and found[hit]["device"] == device
    total = total_of(found[hit]) if is_open else NOTHING
    measured, place = -1, (0.0, 0.0, 0.0)
    for ping in range(first, end):
        at_us = times[ping]
        if at_us < from_us:
            continue
        before = max(ping - 1, begin)
        if times[before] > to_us:
            break
        east_e7, north_e7 = shorter_way_e7(lons[ping] - plane.lon_e7), lats[ping] - plane.lat_e7
        is_near = at_us <= to_us and abs(east_e7) <= half_lon_e7 and abs(north_e7) <= half_lat_e7
        gap_us = at_us - times[before]
        is_beside = 0 < gap_us <= rule.max_gap_us and _is_beside(
            shorter_way_e7(float(lons[before]) - lons[ping]),
            float(lats[before]) - lats[ping],
            east_e7,
            north_e7,
            half_lon_e7,
            half_lat_e7,
        )
        if not (is_near or is_beside):
            continue
        start = place
        if is_beside and measured != before:
            start = place_in(plane, lons[before], lats[before])
        place, measured = place_in(plane, lons[ping], lats[ping]), ping
        if is_beside and not is_too_fast(
            lons[before], lats[before], lons[ping], lats[ping], gap_us, rule.max_speed_mps
        ):
            total = with_line(total, start, place, (times[before], at_us), radius_m, (from_us, to_us))
        if is_near and place[2] <= radius_m:
            total = with_ping(total, at_us, place[2])
    if total.visits == 0:
        return hits
    if not is_open:
        hit_of[incident] = hit = hits
        hits += 1
    put_total(found[hit], incident, device, total)
    return hits


@inlined
def plane_of(circle: np.void) -> Plane:
    """The plane about a circle (matcher.index.CIRCLE)."""
    return Plane(
        circle["lon_e7"],
        circle["lat_e7"],
        circle["east0_m"],
        circle["east1_m"],
        circle["east2_m"],
        circle["north0_m"],
        circle["north1_m"],
        circle["north2_m"],
        circle["turn0_rad"],
        circle["turn1_rad"],
    )


@inlined
def _is_beside(
    along_lon_e7: float,
    along_lat_e7: float,
    east_e7: float,
    north_e7: float,
    half_lon_e7: float,
    half_lat_e7: float,
) -> bool:
    """Say whether a line from an offset from the incident, so far along, may touch its box."""
    stray_lon_e7, stray_lat_e7 = stray_e7(along_lon_e7, along_lat_e7)
    return _meets(east_e7, along_lon_e7, half_lon_e7 + stray_lon_e7) and _meets(
        north_e7, along_lat_e7, half_lat_e7 + stray_lat_e7
    )


@inlined
def _meets(start_e7: float, along_e7: float, reach_e7: float) -> bool:
    """Say whether what lies between start and start + along comes within reach of 0."""
    end_e7 = start_e7 + along_e7
    return min(start_e7, end_e7) <= reach_e7 and max(start_e7, end_e7) >= -reach_e7
