"""Drawn trails in a database as a service would have them: sealed hour by hour, the last hours as rows."""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.columns import copy_rows_in
from app.db import Connection, Pool
from app.pings.partitions import create_partition
from app.trails.reading import Found, warm_up_packing
from app.trails.sealing import HOUR_US, pack_hours
from benchmarks.minute_fixes import DAY_US, ROW
from matcher.trails import Longs, Trails

# The service seals an hour two hours after its end; the very last holds the few fixes that were taken after midnight.
_OPEN_HOURS: Final = 3
# Hours that are packed or written at one time: one for each core of a small machine.
_AT_ONCE: Final = 2
_CHUNK_COLUMNS: Final = ("device_id", "hour_at", "n", "west_e7", "east_e7", "south_e7", "north_e7", "payload")


class Written(NamedTuple):
    """What was stored."""

    sealed_pings: int
    open_pings: int


class _Hours(NamedTuple):
    """Where each hour of each device begins in the columns of trails."""

    first_us: int
    edges: Longs  # (D, H + 1)

    def rows(self, hour: int) -> tuple[NDArray[np.intp], Longs]:
        """Give the pings of an hour by device and time, and how many each device has."""
        starts, counts = self.edges[:, hour], self.edges[:, hour + 1] - self.edges[:, hour]
        before = np.cumsum(counts) - counts
        return np.repeat(starts - before, counts) + np.arange(counts.sum()), counts


async def write_trails(
    pool: Pool, trails: Trails, device_id: Longs, seed: int, tell: Callable[[float], None]
) -> Written:
    """Store trails of devices that the database knows by these numbers, (D,), where nothing is stored yet.

    Packed by the store's own packing and written by COPY, an hour of all devices at a time, in the order in which
    sealing would have written them. `tell` hears how much is done, 0 to 1. 15 s for 100 million pings on two cores.
    """
    warm_up_packing()
    hours = _hours_of(trails)
    sealed = max(0, hours.edges.shape[1] - 1 - _OPEN_HOURS)
    turns = iter(range(sealed))
    written = 0

    async def write_from() -> None:
        nonlocal written
        for hour in turns:
            found = await asyncio.to_thread(_found, trails, hours, hour, device_id, seed)
            packed = await asyncio.to_thread(pack_hours, found)
            async with pool.acquire() as connection:
                records = list(zip(*packed, strict=True))
                await connection.copy_records_to_table("trail_chunk", records=records, columns=_CHUNK_COLUMNS)
            written += found.device_id.size
            tell(hour / sealed)

    async with asyncio.TaskGroup() as writers:
        for _ in range(_AT_ONCE):
            writers.create_task(write_from())
    async with pool.acquire() as connection:
        open_pings = 0
        for hour in range(sealed, hours.edges.shape[1] - 1):
            open_pings += await _write_rows(connection, _found(trails, hours, hour, device_id, seed))
        await connection.execute(SAY_DROPPED, _days(hours.first_us, sealed))
        await connection.execute(MARK)
        await connection.execute("VACUUM ANALYZE trail_chunk")
        await connection.execute("VACUUM ANALYZE ping")
    return Written(written, open_pings)


def _hours_of(trails: Trails) -> _Hours:
    first_us = int(trails.fixed_at_us.min()) // HOUR_US * HOUR_US
    count = int(trails.fixed_at_us.max() - first_us) // HOUR_US + 1
    edges_us = first_us + np.arange(count + 1) * HOUR_US
    edges = np.empty((trails.device_id.size, count + 1), np.int64)
    for device, (start, end) in enumerate(zip(trails.starts[:-1].tolist(), trails.starts[1:].tolist(), strict=True)):
        edges[device] = start + np.searchsorted(trails.fixed_at_us[start:end], edges_us)
    return _Hours(first_us, edges)


def _found(trails: Trails, hours: _Hours, hour: int, device_id: Longs, seed: int) -> Found:
    """Give an hour's pings with every column; what the join does not look at is drawn, each hour by itself."""
    rows, counts = hours.rows(hour)
    rng = np.random.default_rng((seed, hour))
    values = np.empty((8, rows.size), np.int64)
    values[0] = trails.fixed_at_us[rows]
    values[1] = 1
    values[2] = trails.lon_e7[rows]
    values[3] = trails.lat_e7[rows]
    values[4] = np.rint(rng.gamma(3.0, 3.0, rows.size) * 10) * 10 + 250
    values[5] = np.rint(rng.exponential(5.0, rows.size) * 10) * 10
    values[6] = rng.integers(0, 360, rows.size) * 100
    values[7] = 1 + hour
    return Found(np.repeat(device_id, counts), values)


async def _write_rows(connection: Connection, found: Found) -> int:
    if found.device_id.size == 0:
        return 0
    rows = np.empty(found.device_id.size, ROW)
    for name, column in zip(ROW.names or (), (found.device_id, *found.values), strict=True):
        rows[name] = column.view("M8[us]") if name == "fixed_at" else column
    await create_partition(connection, int(found.values[0, 0]) // DAY_US)
    await copy_rows_in(connection, "ping", list(ROW.names or ()), rows)
    return rows.size


def _days(first_us: int, hours: int) -> list[int]:
    """Give the days of which hours are sealed, counted from 1970-01-01."""
    return sorted({(first_us + hour * HOUR_US) // DAY_US for hour in range(hours)})


# The rows of a day are there still if it has a partition.
SAY_DROPPED = """
INSERT INTO sealed_day (day, last_sealed_by, dropped_at)
SELECT day, pg_current_xact_id(),
    CASE WHEN to_regclass('ping_' || to_char(date '1970-01-01' + day, 'YYYYMMDD')) IS NULL THEN now() END
FROM unnest($1::int[]) AS day
"""
MARK = "INSERT INTO dirty_hour SELECT DISTINCT device_id, date_bin('1 hour', fixed_at, 'epoch') FROM ping"
