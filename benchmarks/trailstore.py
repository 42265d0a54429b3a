"""`python -m benchmarks trailstore`: what a sealed ping takes on disk, and how fast it comes back into arrays."""

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import numpy as np
import typer

from app.columns import copy_rows_in, copy_rows_out
from app.db import Pool, connect, connect_pool
from app.migrate import migrate
from app.pings.partitions import create_partition
from app.postgres import running_postgres
from app.trails.dropping import drop_day
from app.trails.keeping import seal_closed
from app.trails.reading import ALL_COLUMNS, Found, warm_up_packing
from app.trails.store import Stretches, read_pings
from benchmarks.machine import describe_machine
from benchmarks.minute_fixes import DAY_US, ROW, Rows, minute_fixes
from benchmarks.service_process import own_state_dir

_FIRST_DAY: Final = 19_800
_COLUMNS: Final = list(ROW.names or ())
# A statement's worth: some 16 MB of chunks, 140 MB as arrays of all columns.
_PINGS_A_READ: Final = 1_000_000


def trailstore(
    *,
    devices: Annotated[int, typer.Option(min=1, max=20_000, help="Tags that fix once a minute.")] = 1_400,
    days: Annotated[int, typer.Option(min=1, max=60, help="Days of them.")] = 1,
    seed: Annotated[int, typer.Option(help="What the trails are drawn from.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="Reads of everything, each way, of which the median counts.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Store minute fixes as rows, seal them, and read both back whole, with every column.

    Rows are read by binary COPY of the whole table in the order in which they lie, chunks as the service reads them, by
    device. What comes back is compared before anything is timed. Exit 1: it differs.
    """
    machine = describe_machine()
    with own_state_dir() as state_dir, running_postgres(state_dir) as server:
        result = asyncio.run(_measure(server.url(), devices, days, seed, rounds))
    result = {"machine": machine, "workload": _workload(devices, days), "seed": seed, "threads": 1, **result}
    typer.echo(json.dumps(result) if as_json else "\n".join(f"{name:22} {value}" for name, value in result.items()))
    raise typer.Exit(0 if result["equal"] else 1)


def _workload(devices: int, days: int) -> str:
    return f"{devices} tags x {days} days, a fix a minute with accuracy, speed and direction, a batch id each minute"


async def _measure(url: str, devices: int, days: int, seed: int, rounds: int) -> dict[str, Any]:
    async with connect(url) as connection:
        await migrate(connection, report=lambda _: None)
    async with connect_pool(url) as pool:
        await _store(pool, devices, days, np.random.default_rng(seed))
        pings = devices * days * 1_440
        row_bytes = await _size(pool, ROWS_SIZE)
        warm_up_packing()
        began_s = time.perf_counter()
        await seal_closed(pool, datetime.now(UTC), lambda _: True)
        backfill_s = time.perf_counter() - began_s
        await pool.execute("VACUUM ANALYZE trail_chunk")
        await pool.execute("VACUUM ANALYZE ping")
        is_equal = _is_equal(await _read_rows(pool), await _read_chunks(pool, devices, days))
        times = await _times(
            rounds,
            {
                "rows": lambda: _read_rows(pool),
                "chunks": lambda: _read_chunks(pool, devices, days),
            },
        )
        dropped_s = time.perf_counter()
        is_dropped = all([await drop_day(pool, _FIRST_DAY + day) for day in range(days)])
        return {
            "equal": is_equal and is_dropped,
            "pings": pings,
            "bytes_per_ping": round(await _size(pool, CHUNKS_SIZE) / pings, 2),
            "row_bytes_per_ping": round(row_bytes / pings, 1),
            "read_pings_per_s": round(pings / times["chunks"]),
            "copy_pings_per_s": round(pings / times["rows"]),
            "read_ratio_to_copy": round(times["rows"] / times["chunks"], 2),
            "backfill_s": round(backfill_s, 2),
            "backfill_pings_per_s": round(pings / backfill_s),
            "proof_and_drop_s": round(time.perf_counter() - dropped_s, 2),
        }


MARK_ALL = "INSERT INTO dirty_hour SELECT DISTINCT device_id, date_bin('1 hour', fixed_at, 'epoch') FROM ping"
ROWS_SIZE = "SELECT sum(pg_total_relation_size(inhrelid))::bigint FROM pg_inherits WHERE inhparent = 'ping'::regclass"
CHUNKS_SIZE = "SELECT pg_total_relation_size('trail_chunk')"
READ_ROWS = """
SELECT device_id, fixed_at, source, lon_e7, lat_e7, accuracy_cm, speed_cmps, direction_cdeg, batch_id FROM ping
"""


async def _store(pool: Pool, devices: int, days: int, rng: np.random.Generator) -> None:
    async with pool.acquire() as connection:
        for day in range(_FIRST_DAY, _FIRST_DAY + days):
            await create_partition(connection, day)
            rows = minute_fixes(devices, day, rng)
            for start in range(0, rows.size, 50_000):
                await copy_rows_in(connection, "ping", _COLUMNS, rows[start : start + 50_000])
        await connection.execute(MARK_ALL)


async def _size(pool: Pool, statement: str) -> int:
    return int(await pool.fetchval(statement))


async def _read_rows(pool: Pool) -> list[Rows]:
    async with pool.acquire() as connection:
        return [await copy_rows_out(connection, READ_ROWS, dtype=ROW)]


async def _read_chunks(pool: Pool, devices: int, days: int) -> list[Found]:
    """Everything, some tags at a time."""
    step = max(1, _PINGS_A_READ // (days * 1_440))
    found = []
    async with pool.acquire() as connection:
        for first in range(1, devices + 1, step):
            device_id = np.arange(first, min(first + step, devices + 1), dtype=np.int32)
            from_us = np.full(device_id.size, _FIRST_DAY * DAY_US)
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                found.append(await read_pings(connection, Stretches(device_id, from_us, from_us + days * DAY_US - 1)))
    return found


def _is_equal(rows: list[Rows], found: list[Found]) -> bool:
    (stored,) = rows
    stored = stored[np.lexsort((stored["source"], stored["fixed_at"], stored["device_id"]))]
    columns = [np.concatenate([part.device_id for part in found])]
    columns += [np.concatenate([part.values[k] for part in found]) for k in range(len(ALL_COLUMNS))]
    return all(
        np.array_equal(stored[name].astype(np.int64), column) for name, column in zip(_COLUMNS, columns, strict=True)
    )


async def _times(rounds: int, ways: dict[str, Callable[[], Awaitable[Any]]]) -> dict[str, float]:
    """Median seconds of each way; they take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, read in ways.items():
            began_s = time.perf_counter()
            await read()
            seconds[name].append(time.perf_counter() - began_s)
    return {name: statistics.median(each) for name, each in seconds.items()}
