"""The days before a replay, in the database as sealing would have left them: packed hours, and no rows any more."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.db import connect_pool
from app.trails.reading import ALL_COLUMNS, Found, warm_up_packing
from app.trails.sealing import Packed, pack_hours
from benchmarks.deliveries import serial
from benchmarks.minute_fixes import DAY_US


class Past(NamedTuple):
    """The days before, drawn as they are stored: of a whole country they take gigabytes."""

    near: NDArray[np.int64]  # (T,) tags that come near a crime
    home_e7: NDArray[np.int64]  # (T, 2)
    hours_us: NDArray[np.int64]  # (H,) when each of its hours begins
    moments_us: NDArray[np.int64]  # (M,) of the fixes in an hour
    seed: int

    @property
    def size(self) -> int:
        """How many fixes that are."""
        return self.near.size * self.hours_us.size * self.moments_us.size


DEVICES = "SELECT device_id, serial FROM device"
# A day without rows is one whose rows were dropped.
SAY_SEALED = """
INSERT INTO sealed_day (day, last_sealed_by, dropped_at)
SELECT day, pg_current_xact_id(), now() FROM unnest($1::int[]) AS day
"""
_COLUMNS: Final = Packed._fields
_AT_ONCE: Final = 2


async def store_past(database_url: str, past: Past, tell: Callable[[float], None]) -> None:
    """Store the days before of devices that are known; `tell` hears how much of it is done, 0 to 1."""
    if past.size == 0:
        return
    warm_up_packing()
    async with connect_pool(database_url, _AT_ONCE) as pool:
        numbers = {row["serial"]: row["device_id"] for row in await pool.fetch(DEVICES)}
        hours = _hours(past, np.array([numbers[serial(tag)] for tag in past.near.tolist()], np.int64))
        written = 0

        async def write_from() -> None:
            nonlocal written
            async with pool.acquire() as connection:
                for found in hours:
                    records = list(zip(*await asyncio.to_thread(pack_hours, found), strict=True))
                    await connection.copy_records_to_table("trail_chunk", records=records, columns=_COLUMNS)
                    written += found.device_id.size
                    tell(written / past.size)

        async with asyncio.TaskGroup() as writers:
            for _ in range(_AT_ONCE):
                writers.create_task(write_from())
        await pool.execute(SAY_SEALED, np.unique(past.hours_us // DAY_US).tolist())
        await pool.execute("VACUUM ANALYZE trail_chunk")


def _hours(past: Past, device_id: NDArray[np.int64]) -> Iterator[Found]:
    """Give an hour of all of them at a time, at home, by device and time; the same each time."""
    rng = np.random.default_rng(past.seed)
    order = np.argsort(device_id)
    shape = device_id.size, past.moments_us.size
    for hour_us in past.hours_us.tolist():
        columns = dict.fromkeys(ALL_COLUMNS, np.zeros(shape, np.int64))
        columns["fixed_at_us"] = np.broadcast_to(hour_us + past.moments_us, shape)
        columns["source"] = np.ones(shape, np.int64)
        for axis, name in enumerate(("lon_e7", "lat_e7")):
            columns[name] = past.home_e7[order, axis, np.newaxis] + np.rint(rng.normal(0, 300, shape)).astype(np.int64)
        columns["accuracy_cm"] = np.full(shape, 800)
        values = np.stack([columns[name].reshape(-1) for name in ALL_COLUMNS])
        yield Found(np.repeat(device_id[order], past.moments_us.size), values)
