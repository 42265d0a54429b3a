"""The table `ping`, and `ping_conflict` beside it: fixes go in, and the smallest of each key ends up in `ping`."""

import re
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeAlias

import asyncpg
import numpy as np
from numpy.typing import NDArray

from app.columns import Records, copy_rows_in
from app.db import Connection
from app.pings.clashes import Sorted, is_smaller
from app.pings.payload import KEY, PING, Pings
from app.times import to_us
from app.trails.store import probe_by_key

# The batch that brought all of them, or each of them.
BatchId: TypeAlias = int | NDArray[np.int64]

# A fix and the batch that brought it, as both tables have it; and the same with its time as a time.
ROW: Final = np.dtype([*((name, PING[name]) for name in PING.names or ()), ("batch_id", "<i8")])
_COLUMNS: Final = [name.removesuffix("_us") for name in ROW.names or ()]
_COPIED: Final = np.dtype(
    [(name.removesuffix("_us"), "<M8[us]" if name == "fixed_at_us" else ROW[name]) for name in ROW.names or ()]
)


class Written(NamedTuple):
    """What fixes did to the tables; the rest of them was there already."""

    changed: Pings  # (C,): those that are in `ping` now, and were not before
    beside: Pings  # (B,), those that lie beside a ping of their key now, and were not known before
    new: int  # their key was unknown
    conflicts: int  # their key was known, they were not


def together(written: Written, late: Written) -> Written:
    """Add up what was done to the rows of other days than those of late pings, and to late pings."""
    beside = np.concatenate([written.beside, late.beside])
    counts = written.new + late.new, written.conflicts + late.conflicts
    return Written(np.concatenate([written.changed, late.changed]), beside, *counts)


class KeyIsKnown(Exception):  # noqa: N818 - not a fault: the batch is written another way
    """A fix of one of these keys is there already; the transaction is at its end."""

    def __init__(self, detail: str | None) -> None:
        super().__init__(detail)
        self._detail = detail or ""

    def place_in(self, pings: Pings) -> int | None:
        """Where the first known key stands among these; None if the database does not say it as it does by default."""
        named = _KEY_IN_DETAIL.search(self._detail)
        if named is None:
            return None
        fixed_at_us = to_us(datetime.fromisoformat(named[2]).replace(tzinfo=UTC))
        is_it = (pings["device_id"] == int(named[1])) & (pings["fixed_at_us"] == fixed_at_us)
        places = np.flatnonzero(is_it & (pings["source"] == int(named[3])))
        return int(places[0]) if places.size else None


# What PostgreSQL says in every language: names = values, in the order of the primary key; connections speak UTC.
_KEY_IN_DETAIL: Final = re.compile(r"=\((\d+), (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?)\+00, (\d+)\)")


async def copy_new(connection: Connection, pings: Pings, batch_id: BatchId) -> None:
    """Write fixes, rising by day and key, of which none has a key that is there. Raises KeyIsKnown if one has.

    On the server 4 µs a fix if those of a device come one at a time, 2 if they come by the dozen.
    """
    if not pings.size:
        return
    try:
        await copy_rows_in(connection, "ping", _COLUMNS, rows_of(pings, batch_id).view(_COPIED))
    except asyncpg.UniqueViolationError as error:
        raise KeyIsKnown(error.detail) from None


async def write_new(connection: Connection, batch: Sorted, batch_id: int) -> Written:
    """Write fixes of which none has a key that is there already, within a transaction that holds their days' locks.

    Raises KeyIsKnown if one has. Cost: as of `copy_new`.
    """
    await copy_new(connection, batch.pings, batch_id)
    put = await put_beside(connection, rows_of(batch.others, batch_id), batch_id)
    return Written(batch.pings, put, batch.pings.size, put.size)


async def write_pings(connection: Connection, batch: Sorted, batch_id: int) -> Written:
    """Write any fixes, within a transaction that holds their days' locks. 5 µs a fix on the server."""
    is_changed = await _insert_new(connection, batch.pings, batch_id)
    new = int(np.count_nonzero(is_changed))
    places, stored = await _lock_different(connection, batch.pings)
    sent = batch.pings[places]
    is_winner = is_smaller(sent, fixes_of(stored))
    await _replace(connection, sent[is_winner], batch_id)
    is_changed[places[is_winner]] = True
    # What was there before comes first, so that a fix of ours that equals it is no conflict.
    beside = [stored[is_winner], rows_of(sent[~is_winner], batch_id), rows_of(batch.others, batch_id)]
    put = await put_beside(connection, np.concatenate(beside), batch_id)
    return Written(batch.pings[is_changed], put, new, int(np.count_nonzero(is_winner)) + put.size)


# Times travel as microseconds; the product is exact, as it is below 2^53.
INSERT_NEW = """
INSERT INTO ping (device_id, fixed_at, source, lon_e7, lat_e7, accuracy_cm, speed_cmps, direction_cdeg, batch_id)
SELECT s.device_id, timestamptz 'epoch' + s.fixed_at_us * interval '1 microsecond', s.source, s.lon_e7, s.lat_e7,
    s.accuracy_cm, s.speed_cmps, s.direction_cdeg, $9
FROM unnest($1::int[], $2::bigint[], $3::smallint[], $4::int[], $5::int[], $6::int[], $7::int[], $8::int[])
    AS s (device_id, fixed_at_us, source, lon_e7, lat_e7, accuracy_cm, speed_cmps, direction_cdeg)
ON CONFLICT (device_id, fixed_at, source) DO NOTHING
RETURNING device_id, (extract(epoch FROM fixed_at) * 1000000)::bigint, source
"""


async def _insert_new(connection: Connection, pings: Pings, batch_id: int) -> NDArray[np.bool_]:
    """Insert those whose key is unknown, and say which those are, (P,)."""
    inserted = {tuple(row) for row in await connection.fetch(INSERT_NEW, *columns_of(pings), batch_id)}
    return np.array([key in inserted for key in pings[list(KEY)].tolist()], np.bool_)


# The bounds let the planner leave out other days' partitions. OFFSET 0 keeps it from comparing every ping of that time
# with every key: of the newest, which its statistics do not know yet, it thinks that there is one (2 s for what takes
# 0.1). Days and keys come rising, and are locked as they come.
LOCK_DIFFERENT = """
SELECT
FROM unnest($1::int[], $2::bigint[], $3::smallint[], $4::int[], $5::int[], $6::int[], $7::int[], $8::int[])
    AS s (device_id, fixed_at_us, source, lon_e7, lat_e7, accuracy_cm, speed_cmps, direction_cdeg)
CROSS JOIN LATERAL (
    SELECT FROM ping AS p
    WHERE p.device_id = s.device_id AND p.source = s.source
      AND p.fixed_at = timestamptz 'epoch' + s.fixed_at_us * interval '1 microsecond'
      AND p.fixed_at BETWEEN timestamptz 'epoch' + $9::bigint * interval '1 microsecond'
        AND timestamptz 'epoch' + $10::bigint * interval '1 microsecond'
      AND (p.lon_e7, p.lat_e7, p.accuracy_cm, p.speed_cmps, p.direction_cdeg)
        <> (s.lon_e7, s.lat_e7, s.accuracy_cm, s.speed_cmps, s.direction_cdeg)
    OFFSET 0 FOR UPDATE
) AS locked
"""
READ_DIFFERENT = """
SELECT s.place - 1, p.device_id, (extract(epoch FROM p.fixed_at) * 1000000)::bigint, p.source,
    p.lon_e7, p.lat_e7, p.accuracy_cm, p.speed_cmps, p.direction_cdeg, p.batch_id
FROM unnest($1::int[], $2::bigint[], $3::smallint[], $4::int[], $5::int[], $6::int[], $7::int[], $8::int[])
    WITH ORDINALITY
    AS s (device_id, fixed_at_us, source, lon_e7, lat_e7, accuracy_cm, speed_cmps, direction_cdeg, place)
CROSS JOIN LATERAL (
    SELECT * FROM ping AS p
    WHERE p.device_id = s.device_id AND p.source = s.source
      AND p.fixed_at = timestamptz 'epoch' + s.fixed_at_us * interval '1 microsecond'
      AND p.fixed_at BETWEEN timestamptz 'epoch' + $9::bigint * interval '1 microsecond'
        AND timestamptz 'epoch' + $10::bigint * interval '1 microsecond'
    OFFSET 0
) AS p
WHERE (p.lon_e7, p.lat_e7, p.accuracy_cm, p.speed_cmps, p.direction_cdeg)
    <> (s.lon_e7, s.lat_e7, s.accuracy_cm, s.speed_cmps, s.direction_cdeg)
"""


async def _lock_different(connection: Connection, pings: Pings) -> tuple[NDArray[np.int64], Records]:
    """Find and lock what is stored under a key but differs from the fix here: (places in `pings`, stored rows).

    A row that equalled its fix when the locks were taken and was replaced since is read too, without a lock. It was
    replaced by a smaller one, so ours will not go into its place.
    """
    await probe_by_key(connection)
    times_us = pings["fixed_at_us"]
    sent = *columns_of(pings), int(times_us.min()), int(times_us.max())
    # Of a batch that was sent twice nothing differs. Whatever takes a row's place from now on finds our fix there.
    if not await connection.fetch(READ_DIFFERENT, *sent):
        return np.empty(0, np.int64), np.empty(0, ROW)
    # Not in one statement: PostgreSQL 18.4 leaves out a row that was changed while its lock was waited for, if
    # partitions are pruned both at the start and for each key (seen, and test_order.py shows it).
    await connection.execute(LOCK_DIFFERENT, *sent)
    found = await connection.fetch(READ_DIFFERENT, *sent)
    return (
        np.array([row[0] for row in found], np.int64),
        np.array([tuple(row)[1:] for row in found], ROW),
    )


REPLACE = """
UPDATE ping AS p SET lon_e7 = s.lon_e7, lat_e7 = s.lat_e7, accuracy_cm = s.accuracy_cm, speed_cmps = s.speed_cmps,
    direction_cdeg = s.direction_cdeg, batch_id = $9
FROM unnest($1::int[], $2::bigint[], $3::smallint[], $4::int[], $5::int[], $6::int[], $7::int[], $8::int[])
    AS s (device_id, fixed_at_us, source, lon_e7, lat_e7, accuracy_cm, speed_cmps, direction_cdeg)
WHERE p.device_id = s.device_id AND p.source = s.source
  AND p.fixed_at = timestamptz 'epoch' + s.fixed_at_us * interval '1 microsecond'
"""


async def _replace(connection: Connection, pings: Pings, batch_id: int) -> None:
    if pings.size:
        await connection.execute(REPLACE, *columns_of(pings), batch_id)


PUT_BESIDE = """
INSERT INTO ping_conflict
    (device_id, fixed_at, source, lon_e7, lat_e7, accuracy_cm, speed_cmps, direction_cdeg, batch_id)
SELECT s.device_id, timestamptz 'epoch' + s.fixed_at_us * interval '1 microsecond', s.source, s.lon_e7, s.lat_e7,
    s.accuracy_cm, s.speed_cmps, s.direction_cdeg, s.batch_id
FROM unnest($1::int[], $2::bigint[], $3::smallint[], $4::int[], $5::int[], $6::int[], $7::int[], $8::int[],
    $9::bigint[])
    AS s (device_id, fixed_at_us, source, lon_e7, lat_e7, accuracy_cm, speed_cmps, direction_cdeg, batch_id)
ON CONFLICT DO NOTHING
RETURNING device_id, (extract(epoch FROM fixed_at) * 1000000)::bigint, source, lon_e7, lat_e7, accuracy_cm, speed_cmps,
    direction_cdeg, batch_id
"""


async def put_beside(connection: Connection, rows: Records, batch_id: int) -> Pings:
    """Keep fixes beside those in `ping`, and give those that this batch brought and nobody had before."""
    if not rows.size:
        return fixes_of(rows)
    # Of two equal ones the first stays first.
    ordered = rows[np.lexsort([rows[name] for name in reversed(PING.names or ())])]
    inserted = await connection.fetch(PUT_BESIDE, *columns_of(ordered))
    put = np.array([tuple(row) for row in inserted], ROW)
    return fixes_of(put[put["batch_id"] == batch_id])


def rows_of(pings: Pings, batch_id: BatchId) -> Records:
    rows = np.empty(pings.size, ROW)
    for name in PING.names or ():
        rows[name] = pings[name]
    rows["batch_id"] = batch_id
    return rows


def fixes_of(rows: Records) -> Pings:
    pings = np.empty(rows.size, PING)
    for name in PING.names or ():
        pings[name] = rows[name]
    return pings


def columns_of(records: Records) -> list[list[Any]]:
    return [records[name].tolist() for name in records.dtype.names or ()]
