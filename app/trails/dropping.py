"""Dropping: the rows of an old day go, once it is proved that its chunks hold every one of them.

In two steps. First every row of the day is compared with its chunk, in one snapshot and under no lock: that takes a
while. Then, under the day's lock and in one transaction: the day has no marks, nothing was sealed since the comparison,
each hour of each device has as many rows as its chunk says, and nobody still reads with a snapshot from before the last
sealing, to whom the rows would be missing. Only then the partition is dropped.
"""

from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

import asyncpg
import numpy as np
import structlog

from app.columns import copy_rows_out
from app.db import Connection, Pool
from app.pings.compute import compute
from app.pings.partitions import DAY_US
from app.pings.partitions import LOCK as LOCK_PARTITIONS
from app.times import to_datetime
from app.trails.reading import ALL_COLUMNS, Longs, put_together
from app.trails.sealing import HOUR_US, lock_day
from app.trails.transport import copy_out

log = structlog.get_logger("trailmatch.trails")

_ROW: Final = np.dtype(
    [
        ("device_id", "i4"),
        ("fixed_at_us", "M8[us]"),
        ("source", "i2"),
        ("lon_e7", "i4"),
        ("lat_e7", "i4"),
        ("accuracy_cm", "i4"),
        ("speed_cmps", "i4"),
        ("direction_cdeg", "i4"),
        ("batch_id", "i8"),
    ]
)

# Partitions are named for their day (app/pings/partitions.py).
FIND_DAYS = """
SELECT to_date(right(c.relname, 8), 'YYYYMMDD') - date '1970-01-01' AS day
FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = 'ping'::regclass AND c.relname ~ '^ping_[0-9]{8}$' ORDER BY 1
"""
BUSY_DAYS = "SELECT day FROM sealed_day WHERE last_sealed_at > now() - $1::interval"


async def find_old_days(
    connection: Connection, now: datetime, hot_days: int, quiet_for: timedelta = timedelta(0)
) -> list[int]:
    """Give the days, rising and counted from 1970-01-01, whose rows are older than so many whole days.

    Days of which something was sealed less than `quiet_for` ago are left out.
    """
    newest = (now.date() - date(1970, 1, 1)).days - hot_days
    busy = {row["day"] for row in await connection.fetch(BUSY_DAYS, quiet_for)}
    return [row["day"] for row in await connection.fetch(FIND_DAYS) if row["day"] < newest and row["day"] not in busy]


async def drop_day(pool: Pool, day: int) -> bool:
    """Drop the rows of a day, if it is proved that its chunks hold them all; False if it is not, yet.

    An hour whose chunk is found to be wrong is marked, so that it is sealed anew from its rows.
    """
    async with pool.acquire() as connection:
        if await _has_reasons(connection, day):
            return False
        proof = await _compare(connection, day)
        try:
            async with connection.transaction():
                await lock_day(connection, day)
                if proof.wrong:
                    await _mark(connection, day, proof)
                    return False
                if not await _is_proved(connection, day, proof):
                    return False
                await _drop(connection, day)
        except asyncpg.LockNotAvailableError:
            return False
    return True


class Proof(NamedTuple):
    """What a comparison found, in whose day nothing was sealed after the transaction `sealed_by`."""

    sealed_by: str | None  # None: nothing of the day was ever sealed
    wrong: list[tuple[int, datetime]]  # hours of devices


LAST_SEALED_BY = "SELECT last_sealed_by::text FROM sealed_day WHERE day = $1"


async def _compare(connection: Connection, day: int) -> Proof:
    wrong: list[tuple[int, datetime]] = []
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        sealed_by = await connection.fetchval(LAST_SEALED_BY, day)
        for hour_us in range(day * DAY_US, (day + 1) * DAY_US, HOUR_US):
            wrong += [(device_id, to_datetime(hour_us)) for device_id in await _wrong_devices(connection, hour_us)]
    return Proof(sealed_by, wrong)


READ_ROWS = """
SELECT device_id, fixed_at, source, lon_e7, lat_e7, accuracy_cm, speed_cmps, direction_cdeg, batch_id
FROM ping WHERE fixed_at >= $1 AND fixed_at < $2
"""
READ_CHUNKS = """
SELECT 2::smallint AS kind, 0 AS stretch, device_id, hour_at, 0::smallint, 0, 0, 0, 0, 0, 0::bigint, payload
FROM trail_chunk WHERE hour_at = $1
"""
COUNTED_DEVICES = "SELECT device_id FROM trail_chunk WHERE hour_at = $1"


async def _wrong_devices(connection: Connection, hour_us: int) -> list[int]:
    """Devices whose chunk of an hour differs from its rows; all of them if one of the chunks is damaged."""
    start, end = to_datetime(hour_us), to_datetime(hour_us + HOUR_US)
    rows = await copy_rows_out(connection, READ_ROWS, start, end, dtype=_ROW)
    received = await copy_out(connection, READ_CHUNKS, start)
    whole = np.array([hour_us]), np.array([hour_us + HOUR_US - 1])
    try:
        found = await compute(len(received), put_together, received, ALL_COLUMNS, *whole)
    except ValueError:
        log.exception("a chunk cannot be read")
        return [row["device_id"] for row in await connection.fetch(COUNTED_DEVICES, start)]
    return await compute(rows.nbytes, _differing, rows, np.vstack([found.device_id, found.values]))


def _differing(rows: np.ndarray[tuple[int], np.dtype[np.void]], packed: Longs) -> list[int]:
    """Devices whose rows are not those packed; `packed` is (9, N) with the columns of a row."""
    stored = np.stack([rows[name].astype(np.int64) for name in _ROW.names or ()])
    stored = stored[:, np.lexsort(stored[2::-1])]
    packed = packed[:, np.lexsort(packed[2::-1])]
    if stored.shape == packed.shape and np.array_equal(stored, packed):
        return []
    # Of rows that stand on both sides there are two of each; what is left over is wrong.
    _, place, count = np.unique(np.hstack([stored, packed]), axis=1, return_index=True, return_counts=True)
    wrong = np.hstack([stored, packed])[0, place[count == 1]]
    return [int(device_id) for device_id in np.unique(wrong)]


IS_DROPPED = "SELECT dropped_at IS NOT NULL FROM sealed_day WHERE day = $1"
MARK = """
INSERT INTO dirty_hour (device_id, hour_at) SELECT * FROM unnest($1::int[], $2::timestamptz[]) ON CONFLICT DO NOTHING
RETURNING device_id
"""


async def _mark(connection: Connection, day: int, proof: Proof) -> None:
    """Have hours sealed anew that were found to be wrong.

    Unless somebody else has dropped the day's rows meanwhile, or sealed some of them: what was compared is not there
    any more, and whoever looks next finds what is still wrong.
    """
    if await connection.fetchval(IS_DROPPED, day) or await connection.fetchval(LAST_SEALED_BY, day) != proof.sealed_by:
        return
    # An hour that has a mark by now got pings between the first look and the comparison: it differs as it should.
    devices, hours = [device_id for device_id, _ in proof.wrong], [hour_at for _, hour_at in proof.wrong]
    marked = await connection.fetch(MARK, devices, hours)
    if marked:
        log.error("chunks differ from their rows; they are sealed anew", day=day, hours=len(marked))


# Rows and chunks of a day, hour by hour of a device, where their numbers differ.
MISCOUNTED = """
SELECT 1 FROM (
    SELECT device_id, date_bin('1 hour', fixed_at, 'epoch') AS hour_at, count(*) AS n
    FROM ping WHERE fixed_at >= $1 AND fixed_at < $2 GROUP BY 1, 2
) AS r
FULL JOIN (SELECT device_id, hour_at, n FROM trail_chunk WHERE hour_at >= $1 AND hour_at < $2) AS c
    USING (device_id, hour_at)
WHERE r.n IS DISTINCT FROM c.n LIMIT 1
"""
MARKED = "SELECT 1 FROM dirty_hour WHERE hour_at >= $1 AND hour_at < $2 LIMIT 1"
# A snapshot that does not see the last sealing has its oldest running transaction at or before it. `age` counts back
# from this transaction, which has a number of its own by now.
OLD_SNAPSHOT = """
SELECT 1 FROM pg_stat_activity
WHERE backend_xmin IS NOT NULL AND datname = current_database() AND pid <> pg_backend_pid()
  AND pg_current_xact_id()::text::bigint - age(backend_xmin) <= $1::text::bigint
LIMIT 1
"""


async def _has_reasons(connection: Connection, day: int) -> bool:
    """Say whether there are reasons, quickly seen, why the rows of a day may not go."""
    bounds = to_datetime(day * DAY_US), to_datetime((day + 1) * DAY_US)
    if await connection.fetchval(MARKED, *bounds):
        return True
    sealed_by = await connection.fetchval(LAST_SEALED_BY, day)
    return sealed_by is not None and bool(await connection.fetchval(OLD_SNAPSHOT, sealed_by))


async def _is_proved(connection: Connection, day: int, proof: Proof) -> bool:
    """Say of a day that is locked whether its rows may go."""
    bounds = to_datetime(day * DAY_US), to_datetime((day + 1) * DAY_US)
    if await _has_reasons(connection, day) or await connection.fetchval(MISCOUNTED, *bounds):
        return False
    is_as_compared: bool = await connection.fetchval(LAST_SEALED_BY, day) == proof.sealed_by
    return is_as_compared


NOTE = """
INSERT INTO sealed_day (day, last_sealed_by, dropped_at) VALUES ($1, pg_current_xact_id(), now())
ON CONFLICT (day) DO UPDATE SET dropped_at = excluded.dropped_at
"""
DROP_STATEMENT = "SELECT format('DROP TABLE IF EXISTS %I', 'ping_' || to_char(date '1970-01-01' + $1::int, 'YYYYMMDD'))"


async def _drop(connection: Connection, day: int) -> None:
    # Whoever makes partitions looks under this lock whether a day was dropped.
    await connection.execute(LOCK_PARTITIONS)
    await connection.execute(NOTE, day)
    await connection.execute(await connection.fetchval(DROP_STATEMENT, day))
