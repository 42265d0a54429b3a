"""The oracle of the join: every ping against every incident, on the geodesic, in plain Python.

Shares no code with what it judges: distances are pyproj's, and where a line enters a circle is found by halving.
The lines are straight in the azimuthal equidistant plane about the incident, as the contract says.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from pyproj import Geod

GEOD = Geod(ellps="WGS84")


class Ping(NamedTuple):
    device: int
    time_us: int
    lon_e7: int
    lat_e7: int


class Incident(NamedTuple):
    lon_deg: float
    lat_deg: float
    radius_m: float
    from_us: int
    to_us: int


class NaiveHit(NamedTuple):
    n_pings: int
    first_us: int | None  # of pings
    last_us: int | None
    closest_m: float
    closest_us: int | None
    near_m: float
    enter_us: float
    leave_us: float
    inside_s: float
    visits: int


class Stretch(NamedTuple):
    enter_us: float
    leave_us: float
    near_m: float


def naive_join(
    pings: list[Ping], incidents: list[Incident], max_gap_s: float = 0, max_speed_mps: float = 0
) -> dict[tuple[int, int], NaiveHit]:
    """All hits by (row of incident, device). Without a gap no lines count."""
    hits = {}
    for device in sorted({ping.device for ping in pings}):
        trail = sorted(ping for ping in pings if ping.device == device)
        lines = [(one, other) for one, other in pairwise(trail) if counts(one, other, max_gap_s, max_speed_mps)]
        for row, incident in enumerate(incidents):
            hit = naive_hit(trail, lines, incident)
            if hit is not None:
                hits[row, device] = hit
    return hits


def counts(one: Ping, other: Ping, max_gap_s: float, max_speed_mps: float) -> bool:
    gap_us = other.time_us - one.time_us
    if not 0 < gap_us <= round(max_gap_s * 1e6):
        return False
    _, _, apart_m = GEOD.inv(one.lon_e7 / 1e7, one.lat_e7 / 1e7, other.lon_e7 / 1e7, other.lat_e7 / 1e7)
    return bool(apart_m <= max_speed_mps * gap_us / 1e6)


def naive_hit(trail: list[Ping], lines: list[tuple[Ping, Ping]], incident: Incident) -> NaiveHit | None:
    inside = [
        (ping.time_us, away_m)
        for ping in trail
        if incident.from_us <= ping.time_us <= incident.to_us
        and (away_m := math.hypot(*plane(incident, ping))) <= incident.radius_m
    ]
    stretches = [found for line in lines if (found := stretch(*line, incident)) is not None]
    if not inside and not stretches:
        return None
    closest_m, closest_us = min(((away_m, time_us) for time_us, away_m in inside), default=(math.inf, None))
    stays = sorted([(time_us, time_us) for time_us, _ in inside] + [(s.enter_us, s.leave_us) for s in stretches])
    return NaiveHit(
        n_pings=len(inside),
        first_us=inside[0][0] if inside else None,
        last_us=inside[-1][0] if inside else None,
        closest_m=closest_m,
        closest_us=closest_us,
        near_m=min([closest_m] + [s.near_m for s in stretches]),
        enter_us=stays[0][0],
        leave_us=max(leave_us for _, leave_us in stays),
        inside_s=sum(s.leave_us - s.enter_us for s in stretches) / 1e6,
        visits=separate(stays),
    )


def plane(incident: Incident, ping: Ping) -> tuple[float, float]:
    azimuth_deg, _, away_m = GEOD.inv(incident.lon_deg, incident.lat_deg, ping.lon_e7 / 1e7, ping.lat_e7 / 1e7)
    return away_m * math.sin(math.radians(azimuth_deg)), away_m * math.cos(math.radians(azimuth_deg))


def stretch(one: Ping, other: Ping, incident: Incident) -> Stretch | None:
    """The part of the time between two pings that is spent within radius and window."""
    start_us, end_us = max(one.time_us, incident.from_us), min(other.time_us, incident.to_us)
    if start_us > end_us:
        return None
    (x0, y0), (x1, y1) = plane(incident, one), plane(incident, other)

    def away_m(time_us: float) -> float:
        part = (time_us - one.time_us) / (other.time_us - one.time_us)
        return math.hypot(x0 + part * (x1 - x0), y0 + part * (y1 - y0))

    near_us = lowest(away_m, start_us, end_us)
    if away_m(near_us) > incident.radius_m:
        return None
    return Stretch(
        edge(away_m, near_us, start_us, incident.radius_m),
        edge(away_m, near_us, end_us, incident.radius_m),
        away_m(near_us),
    )


def lowest(f: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that falls and then rises is lowest: the ends exactly, else by thirds."""
    ends = (low, high)
    for _ in range(100):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        if f(left) <= f(right):
            high = right
        else:
            low = left
    return min((*ends, (low + high) / 2), key=f)


def edge(f: Callable[[float], float], inside: float, outside: float, radius_m: float) -> float:
    """How far from `inside` towards `outside` the function stays within the radius, by halving."""
    if f(outside) <= radius_m:
        return outside
    for _ in range(80):
        middle = (inside + outside) / 2
        if f(middle) <= radius_m:
            inside = middle
        else:
            outside = middle
    return inside


def separate(stays: list[tuple[float, float]]) -> int:
    """How many groups of stays do not touch each other; they come in the order of their beginnings."""
    groups, until = 0, -math.inf
    for enter_us, leave_us in stays:
        groups += enter_us > until
        until = max(until, leave_us)
    return groups
