"""Scenes for the join, drawn outwards from their incidents, so that most of them hold a hit.

Pings scattered over a city never come near an edge: every fault planted in the join survived such scenes.
"""

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st
from pyproj import Geod

from matcher.incidents import Incidents
from matcher.trails import Trails, trails_from_columns
from tests.naive import Incident, Ping

GEOD = Geod(ellps="WGS84")
NOON_US = 1_211_025_600_000_000
SECOND_US = 1_000_000
MAX_GAP_S = 300
MAX_SPEED_MPS = 60

RADII_M = (10.0, 100.0, 100.0, 437.0, 2_000.0)
PLACES = ((-2.6, 51.45), (-122.4, 37.77), (0.0, 0.0), (180.0, -16.5), (-179.9995, 66.0), (179.9999, 52.0), (12.0, 80.0))
OFF_EDGE_US = (-60 * SECOND_US, -1, 0, 1, 60 * SECOND_US)
STEPS_US = (0, 1, SECOND_US, 20 * SECOND_US, 60 * SECOND_US, MAX_GAP_S * SECOND_US, MAX_GAP_S * SECOND_US + 1)


class Scene(NamedTuple):
    pings: list[Ping]
    incidents: list[Incident]

    def trails(self) -> Trails:
        columns = zip(*self.pings, strict=True) if self.pings else ([], [], [], [])
        return trails_from_columns(*(list(column) for column in columns))

    def arrays(self) -> Incidents:
        return incident_arrays(self.incidents)


def incident_arrays(incidents: list[Incident]) -> Incidents:
    rows = np.array(incidents, dtype=object).reshape(-1, 5)
    kinds = (np.float64, np.float64, np.float64, np.int64, np.int64)
    return Incidents._make(rows[:, at].astype(kind) for at, kind in enumerate(kinds))


@st.composite
def scenes(draw: st.DrawFn, radii_m: tuple[float, ...] = RADII_M) -> Scene:
    """Up to four incidents about one place and up to three devices that pass by them."""
    lon_deg, lat_deg = draw(st.sampled_from(PLACES) | st.tuples(st.floats(-180, 180), st.floats(-80, 80)))
    incidents = [draw(_incidents(lon_deg, lat_deg, radii_m))]
    for _ in range(draw(st.integers(0, 3))):
        beside = _moved(lon_deg, lat_deg, draw(st.floats(0, 360)), draw(st.sampled_from([0.0, 30.0, 200.0, 900.0])))
        incidents.append(draw(_incidents(*beside, radii_m)))
    pings: list[Ping] = []
    for device in range(draw(st.sampled_from([1, 1, 2, 3, 0]))):
        pings += draw(_trails(device, incidents))
    return Scene(draw(st.permutations(pings)), incidents)


@st.composite
def _incidents(draw: st.DrawFn, lon_deg: float, lat_deg: float, radii_m: tuple[float, ...]) -> Incident:
    from_us = NOON_US + draw(st.sampled_from([0, 90 * SECOND_US, 3_600 * SECOND_US]))
    length_us = draw(st.sampled_from([0, SECOND_US, 45 * SECOND_US, 1_200 * SECOND_US, 12 * 3_600 * SECOND_US]))
    return Incident(lon_deg, lat_deg, draw(st.sampled_from(radii_m)), from_us, from_us + length_us)


@st.composite
def _trails(draw: st.DrawFn, device: int, incidents: list[Incident]) -> list[Ping]:
    """Pings around the edges of circles and windows; a time may repeat, a gap may just be too long."""
    first = draw(st.sampled_from(incidents))
    time_us = draw(st.sampled_from([first.from_us, first.to_us])) + draw(st.sampled_from(OFF_EDGE_US))
    pings = []
    for _ in range(draw(st.sampled_from([4, 1, 2, 8, 0]))):
        target = draw(st.sampled_from(incidents))
        away_m = draw(
            st.sampled_from([0.0, target.radius_m - 0.02, target.radius_m + 0.02])
            | st.floats(0, 2 * target.radius_m)
            | st.floats(0, 3_000)
        )
        lon_deg, lat_deg = _moved(target.lon_deg, target.lat_deg, draw(st.floats(0, 360)), away_m)
        pings.append(Ping(device, time_us, round(lon_deg * 1e7), round(lat_deg * 1e7)))
        time_us += draw(st.sampled_from(STEPS_US))
        if draw(st.integers(0, 3)) == 0:
            time_us = max(time_us, draw(st.sampled_from([target.from_us, target.to_us])))
    return pings


def _moved(lon_deg: float, lat_deg: float, azimuth_deg: float, away_m: float) -> tuple[float, float]:
    moved_lon_deg, moved_lat_deg, _ = GEOD.fwd(lon_deg, lat_deg, azimuth_deg, away_m)
    return moved_lon_deg, moved_lat_deg
