"""Stored trails, read straight into arrays."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from app.columns import copy_rows_out
from app.db import Connection
from app.times import to_datetime
from matcher.trails import Ints, Longs, Trails, trails_from_columns

_PING = np.dtype([("device_id", "i4"), ("fixed_at", "M8[us]"), ("lon_e7", "i4"), ("lat_e7", "i4")])


class Stretches(NamedTuple):
    """Parts of devices' trails to be read, both ends included; parts of one device do not overlap."""

    device_id: Ints  # (S,)
    from_us: Longs  # (S,)
    to_us: Longs  # (S,)


# The bounds at the end repeat what the join says, so that the planner leaves other days' partitions out.
READ_STRETCHES = """
SELECT p.device_id, p.fixed_at, p.lon_e7, p.lat_e7
FROM unnest($1::int[], $2::timestamptz[], $3::timestamptz[]) AS s (device_id, from_at, to_at)
JOIN ping p ON p.device_id = s.device_id AND p.fixed_at BETWEEN s.from_at AND s.to_at
WHERE p.fixed_at BETWEEN $4 AND $5
"""


async def read_stretches(connection: Connection, stretches: Stretches) -> Trails:
    """Read parts of trails, by device; cost grows with what is read, not with what is stored."""
    if stretches.device_id.size == 0:
        return trails_from_columns([], [], [], [])
    await probe_by_key(connection)
    rows = await copy_rows_out(
        connection,
        READ_STRETCHES,
        stretches.device_id.tolist(),
        [to_datetime(us) for us in stretches.from_us],
        [to_datetime(us) for us in stretches.to_us],
        to_datetime(int(stretches.from_us.min())),
        to_datetime(int(stretches.to_us.max())),
        dtype=_PING,
    )
    return _trails(rows)


class Box(NamedTuple):
    """A stretch of time and the degrees it is read for, all ends included; west over east crosses the antimeridian."""

    from_us: int
    to_us: int
    west_e7: int
    east_e7: int
    south_e7: int
    north_e7: int


READ_BOX = """
SELECT p.device_id, p.fixed_at, p.lon_e7, p.lat_e7 FROM ping p
WHERE p.fixed_at BETWEEN $1 AND $2 AND p.lat_e7 BETWEEN $3 AND $4
  AND CASE WHEN $5::int <= $6::int THEN p.lon_e7 BETWEEN $5 AND $6 ELSE p.lon_e7 >= $5 OR p.lon_e7 <= $6 END
"""


async def read_box(connection: Connection, box: Box) -> Trails:
    """Read all that was in a box; cost grows with the pings stored in its time, wherever they are."""
    rows = await copy_rows_out(
        connection,
        READ_BOX,
        to_datetime(box.from_us),
        to_datetime(box.to_us),
        box.south_e7,
        box.north_e7,
        box.west_e7,
        box.east_e7,
        dtype=_PING,
    )
    return _trails(rows)


# A day that was created a moment ago has no statistics yet, and the planner's guess would read it whole; or it would
# read the whole day of a device once and remember it, five times dearer than some minutes of it again and again.
PROBE_BY_KEY = """
SELECT set_config(name, 'off', true)
FROM unnest('{enable_hashjoin,enable_mergejoin,enable_memoize}'::text[]) AS name
"""


async def probe_by_key(connection: Connection) -> None:
    """For the rest of the transaction, look pings up by device and time, stretch by stretch."""
    await connection.execute(PROBE_BY_KEY)


def _trails(rows: npt.NDArray[np.void]) -> Trails:
    return trails_from_columns(rows["device_id"], rows["fixed_at"].astype(np.int64), rows["lon_e7"], rows["lat_e7"])
