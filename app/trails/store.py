"""Stored trails, read straight into arrays.

A ping is stored in one of three places, and for some days in two at once (docs/decisions/0005): its row in `ping`, the
chunk of its hour, `ping_late`. Every read is one statement (of a box several, in one snapshot: app/trails/box.py), and
decides hour by hour of a device: the chunk if there is one and the hour is not marked dirty, else the rows; and what
came late besides. Sealing writes the chunk and clears the mark in one transaction, so a read at any moment finds each
ping once.
"""

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.db import Connection
from app.pings.compute import compute
from app.times import to_datetime, to_us
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
    return trails_of(await _read(connection, READ_STRETCHES, stretches, TRAIL_COLUMNS))


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
        stretches.device_id,
        _moments(stretches.from_us),
        _moments(stretches.to_us),
        to_datetime(int(stretches.from_us.min())),
        to_datetime(int(stretches.to_us.max())),
    )
    return await compute(len(received), put_together, received, columns, stretches.from_us, stretches.to_us)


def _moments(us: Longs) -> NDArray[np.datetime64]:
    """Give times of arrays as a statement takes them; outside the years 1 to 9999 the nearest end."""
    return np.clip(us, to_us(datetime.min.replace(tzinfo=UTC)), to_us(datetime.max.replace(tzinfo=UTC))).view("M8[us]")


# A day that was created a moment ago has no statistics yet, and the planner's guess would read it whole; or it would
# read the whole day of a device once and remember it, five times dearer than some minutes of it again and again.
PROBE_BY_KEY = """
SELECT set_config(name, 'off', true)
FROM unnest('{enable_hashjoin,enable_mergejoin,enable_memoize}'::text[]) AS name
"""


async def probe_by_key(connection: Connection) -> None:
    """For the rest of the transaction, look pings up by device and time, stretch by stretch."""
    await connection.execute(PROBE_BY_KEY)


def trails_of(found: Found) -> Trails:
    """Give pings with TRAIL_COLUMNS as the join takes them."""
    time, _, lon_e7, lat_e7 = found.values
    return trails_from_columns(found.device_id, time, lon_e7, lat_e7)
