"""Stored trails, read straight into arrays.

A ping is stored in one of three places, and for some days in two at once (docs/decisions/0005): its row in `ping`, the
chunk of its hour, `ping_late`. Every read is one statement, so one snapshot, and decides hour by hour of a device: the
chunk if there is one and the hour is not marked dirty, else the rows; and what came late besides. Sealing writes the
chunk and clears the mark in one transaction, so a read at any moment finds each ping once.
"""

from typing import NamedTuple

import numpy as np

from app.db import Connection
from app.pings.compute import compute
from app.times import to_datetime
from app.trails.reading import ALL_COLUMNS, FIX_COLUMNS, TRAIL_COLUMNS, Found, put_together
from app.trails.transport import copy_out
from matcher.trails import Ints, Longs, Trails, trails_from_columns


class Stretches(NamedTuple):
    """Parts of devices' trails to be read, both ends included; parts of one device do not overlap."""

    device_id: Ints  # (S,)
    from_us: Longs  # (S,)
    to_us: Longs  # (S,)


# The bounds repeat what the join says, so that the planner leaves other days' partitions out. OFFSET 0 keeps the pings
# of a stretch a question of its own, answered by their key: of the newest pings, which its statistics do not know yet,
# the planner thinks that there is one, and compares all of them with all stretches (14 s for what takes 0.07).
READ_STRETCHES = """
WITH s AS MATERIALIZED (
    SELECT (place - 1)::int AS stretch, device_id, from_at, to_at
    FROM unnest($1::int[], $2::timestamptz[], $3::timestamptz[]) WITH ORDINALITY
        AS s (device_id, from_at, to_at, place)
)
SELECT 2::smallint AS kind, s.stretch, c.device_id, c.hour_at, 0::smallint, 0, 0, c.payload
FROM s JOIN sealed_hour AS c
    ON c.device_id = s.device_id AND c.hour_at > s.from_at - interval '1 hour' AND c.hour_at <= s.to_at
UNION ALL
SELECT 0::smallint, s.stretch, p.device_id, p.fixed_at, p.source, p.lon_e7, p.lat_e7, ''
FROM s CROSS JOIN unsealed_parts(s.device_id, s.from_at, s.to_at) AS part
CROSS JOIN LATERAL (
    SELECT * FROM ping WHERE device_id = s.device_id AND fixed_at >= part.from_at AND fixed_at < part.to_at
        AND fixed_at BETWEEN s.from_at AND s.to_at AND fixed_at BETWEEN $4 AND $5 OFFSET 0
) AS p
UNION ALL
SELECT 1::smallint, s.stretch, l.device_id, l.fixed_at, l.source, l.lon_e7, l.lat_e7, ''
FROM s JOIN ping_late AS l ON l.device_id = s.device_id AND l.fixed_at BETWEEN s.from_at AND s.to_at
"""


async def read_stretches(connection: Connection, stretches: Stretches) -> Trails:
    """Read parts of trails, by device; cost grows with what is read, not with what is stored."""
    return _trails(await _read(connection, READ_STRETCHES, stretches, TRAIL_COLUMNS))


# As READ_STRETCHES, with what the evidence needs to know of a fix.
READ_FIXES = """
WITH s AS MATERIALIZED (
    SELECT (place - 1)::int AS stretch, device_id, from_at, to_at
    FROM unnest($1::int[], $2::timestamptz[], $3::timestamptz[]) WITH ORDINALITY
        AS s (device_id, from_at, to_at, place)
)
SELECT 2::smallint AS kind, s.stretch, c.device_id, c.hour_at, 0::smallint, 0, 0, 0, c.payload
FROM s JOIN sealed_hour AS c
    ON c.device_id = s.device_id AND c.hour_at > s.from_at - interval '1 hour' AND c.hour_at <= s.to_at
UNION ALL
SELECT 0::smallint, s.stretch, p.device_id, p.fixed_at, p.source, p.lon_e7, p.lat_e7, p.accuracy_cm, ''
FROM s CROSS JOIN unsealed_parts(s.device_id, s.from_at, s.to_at) AS part
CROSS JOIN LATERAL (
    SELECT * FROM ping WHERE device_id = s.device_id AND fixed_at >= part.from_at AND fixed_at < part.to_at
        AND fixed_at BETWEEN s.from_at AND s.to_at AND fixed_at BETWEEN $4 AND $5 OFFSET 0
) AS p
UNION ALL
SELECT 1::smallint, s.stretch, l.device_id, l.fixed_at, l.source, l.lon_e7, l.lat_e7, l.accuracy_cm, ''
FROM s JOIN ping_late AS l ON l.device_id = s.device_id AND l.fixed_at BETWEEN s.from_at AND s.to_at
"""


async def read_fixes(connection: Connection, stretches: Stretches) -> Found:
    """Read parts of trails with FIX_COLUMNS of each ping, in the order of device, time and source."""
    return await _read(connection, READ_FIXES, stretches, FIX_COLUMNS)


# As READ_STRETCHES, with all that is stored of a ping.
READ_PINGS = """
WITH s AS MATERIALIZED (
    SELECT (place - 1)::int AS stretch, device_id, from_at, to_at
    FROM unnest($1::int[], $2::timestamptz[], $3::timestamptz[]) WITH ORDINALITY
        AS s (device_id, from_at, to_at, place)
)
SELECT 2::smallint AS kind, s.stretch, c.device_id, c.hour_at, 0::smallint, 0, 0, 0, 0, 0, 0::bigint, c.payload
FROM s JOIN sealed_hour AS c
    ON c.device_id = s.device_id AND c.hour_at > s.from_at - interval '1 hour' AND c.hour_at <= s.to_at
UNION ALL
SELECT 0::smallint, s.stretch, p.device_id, p.fixed_at, p.source, p.lon_e7, p.lat_e7,
    p.accuracy_cm, p.speed_cmps, p.direction_cdeg, p.batch_id, ''
FROM s CROSS JOIN unsealed_parts(s.device_id, s.from_at, s.to_at) AS part
CROSS JOIN LATERAL (
    SELECT * FROM ping WHERE device_id = s.device_id AND fixed_at >= part.from_at AND fixed_at < part.to_at
        AND fixed_at BETWEEN s.from_at AND s.to_at AND fixed_at BETWEEN $4 AND $5 OFFSET 0
) AS p
UNION ALL
SELECT 1::smallint, s.stretch, l.device_id, l.fixed_at, l.source, l.lon_e7, l.lat_e7,
    l.accuracy_cm, l.speed_cmps, l.direction_cdeg, l.batch_id, ''
FROM s JOIN ping_late AS l ON l.device_id = s.device_id AND l.fixed_at BETWEEN s.from_at AND s.to_at
"""


async def read_pings(connection: Connection, stretches: Stretches) -> Found:
    """Read parts of trails with all columns of a ping, in the order of device, time and source."""
    return await _read(connection, READ_PINGS, stretches, ALL_COLUMNS)


async def _read(connection: Connection, statement: str, stretches: Stretches, columns: tuple[str, ...]) -> Found:
    if stretches.device_id.size == 0:
        return Found(np.empty(0, np.int64), np.empty((len(columns), 0), np.int64))
    await probe_by_key(connection)
    received = await copy_out(
        connection,
        statement,
        stretches.device_id.tolist(),
        [to_datetime(us) for us in stretches.from_us],
        [to_datetime(us) for us in stretches.to_us],
        to_datetime(int(stretches.from_us.min())),
        to_datetime(int(stretches.to_us.max())),
    )
    return await compute(len(received), put_together, received, columns, stretches.from_us, stretches.to_us)


class Box(NamedTuple):
    """A stretch of time and the degrees it is read for, all ends included; west over east crosses the antimeridian."""

    from_us: int
    to_us: int
    west_e7: int
    east_e7: int
    south_e7: int
    north_e7: int


# Rows of an hour that has no chunk at all are read by time; in any other only what is marked, device by device.
# What came late is read wherever it lies, because it may take the place of a ping that lies in the box.
READ_BOX = """
WITH h AS MATERIALIZED (
    SELECT hour_at, EXISTS (SELECT FROM trail_chunk AS c WHERE c.hour_at = h.hour_at) AS is_begun
    FROM generate_series(date_bin('1 hour', $1::timestamptz, 'epoch'), $2::timestamptz, interval '1 hour')
        AS h (hour_at)
)
SELECT 2::smallint AS kind, 0 AS stretch, c.device_id, c.hour_at, 0::smallint, 0, 0, c.payload
FROM h JOIN sealed_hour AS c ON c.hour_at = h.hour_at AND c.south_e7 <= $4 AND c.north_e7 >= $3
    AND CASE WHEN $5::int <= $6::int THEN c.west_e7 <= $6 AND c.east_e7 >= $5
        ELSE c.west_e7 <= $6 OR c.east_e7 >= $5 END
WHERE h.is_begun
UNION ALL
SELECT 0::smallint, 0, p.device_id, p.fixed_at, p.source, p.lon_e7, p.lat_e7, ''
FROM h JOIN dirty_hour AS d ON d.hour_at = h.hour_at
CROSS JOIN LATERAL (
    SELECT * FROM ping WHERE device_id = d.device_id
        AND fixed_at >= d.hour_at AND fixed_at < d.hour_at + interval '1 hour' AND fixed_at BETWEEN $1 AND $2 OFFSET 0
) AS p
WHERE h.is_begun AND p.lat_e7 BETWEEN $3 AND $4
  AND CASE WHEN $5::int <= $6::int THEN p.lon_e7 BETWEEN $5 AND $6 ELSE p.lon_e7 >= $5 OR p.lon_e7 <= $6 END
UNION ALL
SELECT 0::smallint, 0, p.device_id, p.fixed_at, p.source, p.lon_e7, p.lat_e7, ''
FROM h JOIN ping AS p ON p.fixed_at >= h.hour_at AND p.fixed_at < h.hour_at + interval '1 hour'
WHERE NOT h.is_begun AND p.fixed_at BETWEEN $1 AND $2 AND p.lat_e7 BETWEEN $3 AND $4
  AND CASE WHEN $5::int <= $6::int THEN p.lon_e7 BETWEEN $5 AND $6 ELSE p.lon_e7 >= $5 OR p.lon_e7 <= $6 END
UNION ALL
SELECT 1::smallint, 0, l.device_id, l.fixed_at, l.source, l.lon_e7, l.lat_e7, ''
FROM ping_late AS l WHERE l.fixed_at BETWEEN $1 AND $2
"""


async def read_box(connection: Connection, box: Box) -> Trails:
    """Read all that was in a box; of what is sealed the index finds it, of the rest every ping of its time is read."""
    await probe_by_key(connection)
    received = await copy_out(
        connection,
        READ_BOX,
        to_datetime(box.from_us),
        to_datetime(box.to_us),
        box.south_e7,
        box.north_e7,
        box.west_e7,
        box.east_e7,
    )
    return await compute(len(received), _of_box, received, box)


def _of_box(received: bytearray, box: Box) -> Trails:
    whole = np.array([box.from_us]), np.array([box.to_us])
    found = put_together(received, TRAIL_COLUMNS, *whole)
    _, _, lon_e7, lat_e7 = found.values
    is_east, is_west = lon_e7 >= box.west_e7, lon_e7 <= box.east_e7
    is_inside = is_east & is_west if box.west_e7 <= box.east_e7 else is_east | is_west
    is_inside &= (lat_e7 >= box.south_e7) & (lat_e7 <= box.north_e7)
    return _trails(Found(found.device_id[is_inside], found.values[:, is_inside]))


# A day that was created a moment ago has no statistics yet, and the planner's guess would read it whole; or it would
# read the whole day of a device once and remember it, five times dearer than some minutes of it again and again.
PROBE_BY_KEY = """
SELECT set_config(name, 'off', true)
FROM unnest('{enable_hashjoin,enable_mergejoin,enable_memoize}'::text[]) AS name
"""


async def probe_by_key(connection: Connection) -> None:
    """For the rest of the transaction, look pings up by device and time, stretch by stretch."""
    await connection.execute(PROBE_BY_KEY)


def _trails(found: Found) -> Trails:
    time, _, lon_e7, lat_e7 = found.values
    return trails_from_columns(found.device_id, time, lon_e7, lat_e7)
