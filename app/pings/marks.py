"""Hours whose rows say more than their chunk (`dirty_hour`), and those of them that this process has marked already.

A tag that reports every minute makes its hour dirty sixty times. A mark goes only by sealing, which notes itself in
`sealed_day` in the same transaction and excludes, by the day's lock, everybody who stores pings of that day. So whoever
holds the day's lock and finds the sealing that was the last one when a mark was made finds the mark as well.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.db import Connection
from app.pings.payload import Pings

HOUR_US: Final = 3_600_000_000
_HOURS_A_DAY: Final = 24
_LIMIT_BYTES: Final = 64_000_000  # a day of a hundred thousand tags is 2.4

Bools = NDArray[np.bool_]
# The sealing of each day that was its last one, as `sealed_day` names it; empty if there was none.
Sealings = dict[int, str]


class Hours(NamedTuple):
    """H different hours of devices, rising by device and hour."""

    device_id: NDArray[np.int64]  # (H,)
    hour: NDArray[np.int64]  # (H,) since 1970-01-01

    def take(self, rows: Bools) -> "Hours":
        """Give some of them."""
        return Hours(self.device_id[rows], self.hour[rows])


def hours_of(pings: Pings) -> Hours:
    """Give the hours in which pings lie that rise by key."""
    device_id, hour = pings["device_id"].astype(np.int64), pings["fixed_at_us"] // HOUR_US
    # Pings of one hour of a device lie side by side.
    is_first = np.append(True, (device_id[1:] != device_id[:-1]) | (hour[1:] != hour[:-1]))[: pings.size]
    return Hours(device_id[is_first], hour[is_first])


class KnownMarks:
    """Marks that are committed, by day; of the days used last."""

    def __init__(self) -> None:
        self._days: dict[int, tuple[str, Bools]] = {}  # the last sealing, and (devices, 24)

    def missing(self, hours: Hours, last_sealed: Sealings) -> Hours:
        """Give those hours of which it is not known that they are marked."""
        is_missing = np.ones(hours.hour.size, np.bool_)
        for day, sealed_by in last_sealed.items():
            known_by, is_marked = self._days.get(day, ("", _NOTHING))
            rows = np.flatnonzero((hours.hour // _HOURS_A_DAY == day) & (hours.device_id < len(is_marked)))
            if known_by == sealed_by:
                is_missing[rows] = ~is_marked[hours.device_id[rows], hours.hour[rows] % _HOURS_A_DAY]
        return hours.take(is_missing)

    def remember(self, hours: Hours, last_sealed: Sealings) -> None:
        """Keep in mind that these hours are marked; to be called after the commit."""
        for day, sealed_by in last_sealed.items():
            rows = np.flatnonzero(hours.hour // _HOURS_A_DAY == day)
            if rows.size == 0:
                continue
            known_by, is_marked = self._days.pop(day, ("", _NOTHING))
            if known_by != sealed_by:
                is_marked = _NOTHING
            device_id = hours.device_id[rows]
            if device_id.max() >= len(is_marked):
                grown = np.zeros((int(device_id.max()) * 5 // 4 + 1, _HOURS_A_DAY), np.bool_)
                grown[: len(is_marked)] = is_marked
                is_marked = grown
            is_marked[device_id, hours.hour[rows] % _HOURS_A_DAY] = True
            self._days[day] = sealed_by, is_marked  # last in order: the next to go is that used longest ago
        while sum(is_marked.nbytes for _, is_marked in self._days.values()) > _LIMIT_BYTES:
            del self._days[next(iter(self._days))]


_NOTHING: Final = np.zeros((0, _HOURS_A_DAY), np.bool_)

MARK_HOURS = """
INSERT INTO dirty_hour (device_id, hour_at)
SELECT device_id, timestamptz 'epoch' + hour * interval '1 hour'
FROM unnest($1::int[], $2::bigint[]) AS h (device_id, hour)
ON CONFLICT DO NOTHING
"""


async def mark_hours(connection: Connection, hours: Hours) -> None:
    """Mark hours, within a transaction that holds their days' locks."""
    if hours.hour.size:
        await connection.execute(MARK_HOURS, hours.device_id.tolist(), hours.hour.tolist())
