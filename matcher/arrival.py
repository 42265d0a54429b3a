"""Incidents that arrive one at a time, against an index of trails."""

import numpy as np

from matcher.between import Between, line_rule
from matcher.hits import Hits, no_hits
from matcher.incidents import MAX_LAT_DEG, MAX_RADIUS_M, Incidents, check_incidents
from matcher.index_join import refuse_other_lines, some_room
from matcher.join import space_time_join
from matcher.lookup import look_up_one
from matcher.trail_index import TrailIndex
from matcher.trails import MAX_TIME_US

NONE = no_hits()


class Arrivals:
    """An index to which incidents come one at a time. What is kept from one to the next is room, so: for one thread.

    A lookup takes microseconds, most of them for the call (docs/decisions/0010-the-index-of-trails.md).
    """

    def __init__(self, index: TrailIndex, between: Between | None = None) -> None:
        self._index, self._between = index, between
        self._rule = line_rule(between)
        refuse_other_lines(index, self._rule)
        self._incident = Incidents._make(
            np.zeros(1, np.int64 if name.endswith("_us") else np.float64) for name in Incidents._fields
        )
        self._too_wide = np.zeros(1, np.bool_)
        room = some_room()
        self._found = room.found
        self._arguments = (
            *self._incident,
            *self._rule,
            *index.trails,
            index.first_us,
            index.last_us,
            index.tick_bits,
            index.device_of_block,
            index.starts,
            index.entries,
            *room.stretches,
            room.pings,
            room.scratch,
            self._too_wide,
            *self._found,
        )

    def meet(self, lon_deg: float, lat_deg: float, radius_m: float, from_us: int, to_us: int) -> Hits:
        """Give the hits of one incident, as `matcher.join.space_time_join` gives them for it alone.

        Raises ValueError if the incident is not as `Incidents` says.
        """
        if not (
            -180 <= lon_deg <= 180
            and -MAX_LAT_DEG <= lat_deg <= MAX_LAT_DEG
            and 0 <= radius_m <= MAX_RADIUS_M
            and -MAX_TIME_US <= from_us <= to_us <= MAX_TIME_US
        ):
            check_incidents(_one_incident(lon_deg, lat_deg, radius_m, from_us, to_us))
        incident = self._incident
        incident.lon_deg[0], incident.lat_deg[0], incident.radius_m[0] = lon_deg, lat_deg, radius_m
        incident.from_us[0], incident.to_us[0] = from_us, to_us
        hits = look_up_one(*self._arguments)
        if hits == 0 and not self._too_wide[0]:
            return NONE
        if hits > 0:
            return Hits._make([column[:hits].copy() for column in self._found])
        self._too_wide[0] = False
        return space_time_join(self._index, _one_incident(lon_deg, lat_deg, radius_m, from_us, to_us), self._between, 1)


def _one_incident(lon_deg: float, lat_deg: float, radius_m: float, from_us: int, to_us: int) -> Incidents:
    lon, lat, radius = (np.array([value], dtype=np.float64) for value in (lon_deg, lat_deg, radius_m))
    return Incidents(lon, lat, radius, np.array([from_us], dtype=np.int64), np.array([to_us], dtype=np.int64))
