"""Sealing: closed hours are packed, device by device, from rows into chunks.

A transaction takes the lock of one UTC day, reads some of its hours as everybody reads them, writes their chunks and
takes their marks away. So whoever reads sees an hour either as rows or as a chunk, and of a sealing that was killed
nothing. The lock keeps ingest out of that day meanwhile: for a few hundred hours some hundredths of a second.
"""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

import asyncpg
import numpy as np

from app.db import Connection, Pool
from app.pings.compute import compute
from app.pings.partitions import DAY_US
from app.times import to_datetime, to_us
from app.trails.reading import ALL_COLUMNS, Found, Longs
from app.trails.store import Stretches, read_pings
from matcher.packed import pack_chunks

HOUR_US: Final = 3_600_000_000
HOURS_A_TRANSACTION: Final = 250
# So long may a transaction wait for a day; meanwhile ingest of that day waits behind it.
PATIENCE: Final = timedelta(milliseconds=250)


class Sealed(NamedTuple):
    """What a transaction packed."""

    hours: int
    pings: int


class DayIsBusy(Exception):  # noqa: N818 - it names a state that passes, nothing is wrong
    """Ingest holds the day's lock, or another sealing does; later, then."""


# The longest waiting first; a late ping waits in a day that has no marks.
OLDEST_DAY = """
SELECT least(
    (SELECT floor(extract(epoch FROM min(hour_at)) / 86400) FROM dirty_hour WHERE hour_at <= $1 AND hour_at > $2),
    (SELECT floor(extract(epoch FROM min(fixed_at)) / 86400) FROM ping_late WHERE fixed_at > $2)
)::int
"""


async def find_day(connection: Connection, closed_before: datetime, after_day: int = -1) -> int | None:
    """Give the first UTC day after another, counted from 1970-01-01, that has something to seal, or None."""
    last_of_day = to_datetime((after_day + 1) * DAY_US - 1)
    day: int | None = await connection.fetchval(OLDEST_DAY, closed_before - timedelta(hours=1), last_of_day)
    return day


async def seal_some(pool: Pool, day: int, closed_before: datetime, hours: int = HOURS_A_TRANSACTION) -> Sealed:
    """Seal some hours of a day that ended before an instant, in one transaction; none are left if it was none.

    Raises DayIsBusy if the lock was not to be had.
    """
    async with pool.acquire() as connection:
        try:
            async with connection.transaction():
                await lock_day(connection, day)
                wanted = await _find_hours(connection, day, closed_before, hours)
                if not wanted.device_id.size:
                    return Sealed(0, 0)
                found = await read_pings(connection, wanted)
                packed = await compute(found.values.nbytes, pack_hours, found)
                await connection.execute(WRITE_CHUNKS, *packed)
                await _clear(connection, day, wanted, packed)
        except asyncpg.LockNotAvailableError:
            raise DayIsBusy from None
    return Sealed(wanted.device_id.size, found.device_id.size)


SET_PATIENCE = "SELECT set_config('lock_timeout', $1, true)"
LOCK_DAY = "SELECT pg_advisory_xact_lock(1, $1::int)"


async def lock_day(connection: Connection, day: int) -> None:
    """Keep ingest out of a day to the end of the transaction. Raises LockNotAvailableError if it takes too long."""
    await connection.execute(SET_PATIENCE, f"{PATIENCE / timedelta(milliseconds=1):.0f}ms")
    await connection.execute(LOCK_DAY, day)


FIND_HOURS = """
SELECT device_id, hour_at FROM dirty_hour WHERE hour_at >= $1 AND hour_at < $2 AND hour_at <= $3
UNION SELECT device_id, date_bin('1 hour', fixed_at, 'epoch') FROM ping_late WHERE fixed_at >= $1 AND fixed_at < $2
ORDER BY 2, 1 LIMIT $4
"""


async def _find_hours(connection: Connection, day: int, closed_before: datetime, hours: int) -> Stretches:
    bounds = to_datetime(day * DAY_US), to_datetime((day + 1) * DAY_US)
    rows = await connection.fetch(FIND_HOURS, *bounds, closed_before - timedelta(hours=1), hours)
    hour_us = np.array([to_us(row["hour_at"]) for row in rows], np.int64)
    return Stretches(np.array([row["device_id"] for row in rows], np.int32), hour_us, hour_us + HOUR_US - 1)


class Packed(NamedTuple):
    """C chunks, as they are stored."""

    device_id: list[int]
    hour_at: list[datetime]
    n: list[int]
    west_e7: list[int]
    east_e7: list[int]
    south_e7: list[int]
    north_e7: list[int]
    payload: list[bytes]


def pack_hours(found: Found) -> Packed:
    """Pack pings, in the order of device and time with all their columns, one chunk for each hour of a device."""
    values = _in_key_order(found)
    hour_us = values[0] - values[0] % HOUR_US
    is_first = np.append(True, (found.device_id[1:] != found.device_id[:-1]) | (hour_us[1:] != hour_us[:-1]))
    first = np.flatnonzero(is_first[: found.device_id.size])
    buffer, chunks = pack_chunks(found.device_id[first], hour_us[first], np.append(first, values.shape[1]), values)
    lon_e7, lat_e7 = values[ALL_COLUMNS.index("lon_e7")], values[ALL_COLUMNS.index("lat_e7")]
    return Packed(
        chunks.device_id.tolist(),
        [to_datetime(us) for us in chunks.hour_us],
        np.diff(np.append(first, values.shape[1])).tolist(),
        _reduced(np.minimum, lon_e7, first),
        _reduced(np.maximum, lon_e7, first),
        _reduced(np.minimum, lat_e7, first),
        _reduced(np.maximum, lat_e7, first),
        [buffer[a:b].tobytes() for a, b in zip(chunks.starts.tolist(), chunks.ends.tolist(), strict=True)],
    )


def _reduced(extreme: np.ufunc, column: Longs, first: Longs) -> list[int]:
    return extreme.reduceat(column, first).tolist() if first.size else []


def _in_key_order(found: Found) -> Longs:
    """Pings of one device and time stand in the order of their sources."""
    time_us, source = found.values[0], found.values[1]
    is_tied = (found.device_id[1:] == found.device_id[:-1]) & (time_us[1:] == time_us[:-1])
    if not is_tied.any():
        return found.values
    return found.values[:, np.lexsort((source, time_us, found.device_id))]


WRITE_CHUNKS = """
INSERT INTO trail_chunk (device_id, hour_at, n, west_e7, east_e7, south_e7, north_e7, payload)
SELECT * FROM unnest($1::int[], $2::timestamptz[], $3::int[], $4::int[], $5::int[], $6::int[], $7::int[], $8::bytea[])
ON CONFLICT (device_id, hour_at) DO UPDATE SET n = excluded.n, west_e7 = excluded.west_e7, east_e7 = excluded.east_e7,
    south_e7 = excluded.south_e7, north_e7 = excluded.north_e7, payload = excluded.payload
"""


# An hour of which nothing was found is none any more: its rows have been removed.
CLEAR = """
WITH sealed (device_id, hour_at) AS MATERIALIZED (SELECT * FROM unnest($1::int[], $2::timestamptz[])),
emptied AS (
    DELETE FROM trail_chunk AS c USING unnest($3::int[], $4::timestamptz[]) AS e (device_id, hour_at)
    WHERE c.device_id = e.device_id AND c.hour_at = e.hour_at
),
cleared AS (
    DELETE FROM dirty_hour AS d USING sealed AS s WHERE d.device_id = s.device_id AND d.hour_at = s.hour_at
),
taken_up AS (
    DELETE FROM ping_late AS l USING sealed AS s
    WHERE l.device_id = s.device_id AND l.fixed_at >= s.hour_at AND l.fixed_at < s.hour_at + interval '1 hour'
)
INSERT INTO sealed_day (day, last_sealed_by) VALUES ($5, pg_current_xact_id())
ON CONFLICT (day) DO UPDATE SET last_sealed_by = excluded.last_sealed_by, last_sealed_at = excluded.last_sealed_at
"""


async def _clear(connection: Connection, day: int, sealed: Stretches, packed: Packed) -> None:
    hours = list(zip(sealed.device_id.tolist(), [to_datetime(us) for us in sealed.from_us], strict=True))
    full = set(zip(packed.device_id, packed.hour_at, strict=True))
    empty = [hour for hour in hours if hour not in full]
    await connection.execute(CLEAR, *_columns(hours), *_columns(empty), day)


def _columns(hours: list[tuple[int, datetime]]) -> tuple[list[int], list[datetime]]:
    return [device_id for device_id, _ in hours], [hour_at for _, hour_at in hours]
