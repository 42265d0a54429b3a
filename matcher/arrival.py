"""Incidents that arrive one at a time, against an index of trails."""

import numpy as np

from matcher.between import Between, line_rule
from matcher.hits import HIT, Hits, Rows, rows_of
from matcher.incidents import MAX_LAT_DEG, MAX_RADIUS_M, Incidents, check_incidents
from matcher.index_join import FEWEST_HITS, refuse_other_lines
from matcher.join import space_time_join
from matcher.lookup import ASKED, look_up_one
from matcher.trail_index import TrailIndex
from matcher.trails import MAX_TIME_US

# Numbers of room: 2 MB, for more pings and stretches than towns and days have; what needs more is joined otherwise.
ROOM = 1 << 18
IS_TOO_WIDE = ASKED - 1


class Arrivals:
    """An index to which incidents come one at a time. What is kept from one to the next is room, so: for one thread.

    A lookup takes microseconds, most of them for the call (docs/decisions/0010-the-index-of-trails.md).
    """

    def __init__(self, index: TrailIndex, between: Between | None = None) -> None:
        self._index, self._between = index, between
        rule = line_rule(between)
        refuse_other_lines(index, rule)
        self._room = np.zeros(ASKED + ROOM, np.int64)
        self._room[2:6] = rule.max_gap_us, index.first_us, index.last_us, index.tick_bits
        self._floats = self._room.view(np.float64)
        self._floats[9] = rule.max_speed_mps
        self._found = np.empty((FEWEST_HITS, len(Hits._fields)), np.int64)
        columns = (*index.trails[1:], index.device_of_block, index.starts, index.entries)
        self._arguments = (self._room, *columns, self._found.ravel().view(HIT))

    def meet(self, lon_deg: float, lat_deg: float, radius_m: float, from_us: int, to_us: int) -> Rows:
        """Give the hits of one incident as rows of HIT, as `matcher.join.space_time_join` gives them for it alone.

        Rows, because columns take a microsecond more (`matcher.hits.columns_of` makes them).

        Raises ValueError if the incident is not as `Incidents` says.
        """
        if not (
            -180 <= lon_deg <= 180
            and -MAX_LAT_DEG <= lat_deg <= MAX_LAT_DEG
            and 0 <= radius_m <= MAX_RADIUS_M
            and -MAX_TIME_US <= from_us <= to_us <= MAX_TIME_US
        ):
            check_incidents(_one_incident(lon_deg, lat_deg, radius_m, from_us, to_us))
        room, floats = self._room, self._floats
        room[0], room[1], floats[6], floats[7], floats[8] = from_us, to_us, lon_deg, lat_deg, radius_m
        hits = look_up_one(*self._arguments)
        if hits < 0 or room[IS_TOO_WIDE]:
            room[IS_TOO_WIDE] = 0
            incident = _one_incident(lon_deg, lat_deg, radius_m, from_us, to_us)
            return rows_of(space_time_join(self._index, incident, self._between))
        # Copied as numbers: copying records takes 2 us.
        return self._found[:hits].copy().ravel().view(HIT)


def _one_incident(lon_deg: float, lat_deg: float, radius_m: float, from_us: int, to_us: int) -> Incidents:
    lon, lat, radius = (np.array([value], dtype=np.float64) for value in (lon_deg, lat_deg, radius_m))
    return Incidents(lon, lat, radius, np.array([from_us], dtype=np.int64), np.array([to_us], dtype=np.int64))
