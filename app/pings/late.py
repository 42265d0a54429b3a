"""Pings of days whose rows have gone: compared with the chunks, and kept in `ping_late` until they are packed too.

They count as they would in `ping`: what is known is a duplicate, of fixes of one key the smallest is the ping and the
others lie in `ping_conflict`. A late ping that is smaller than the one in the chunk stands in `ping_late` in its place.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.columns import Records
from app.db import Connection
from app.pings.clashes import Sorted, is_smaller
from app.pings.partitions import DAY_US
from app.pings.payload import KEY, Pings
from app.pings.table import ROW, Written, columns_of, fixes_of, put_beside, rows_of
from app.trails.store import Stretches, read_pings

_HOUR_US: Final = 3_600_000_000


def split_late(batch: Sorted, dropped: list[int]) -> tuple[Sorted, Sorted]:
    """Part a batch into the pings of dropped days and the others."""
    if not dropped:
        return Sorted(batch.pings[:0], batch.others[:0], 0), batch
    is_late, is_late_other = (np.isin(fixes["fixed_at_us"] // DAY_US, dropped) for fixes in (batch.pings, batch.others))
    late = Sorted(batch.pings[is_late], batch.others[is_late_other], 0)
    return late, Sorted(batch.pings[~is_late], batch.others[~is_late_other], batch.repeats)


# One at a time for each day: they are rare, and have to agree on what is stored under a key.
LOCK_LATE = "SELECT count(pg_advisory_xact_lock(2, day)) FROM unnest($1::int[]) AS day"


async def write_late(connection: Connection, batch: Sorted, days: list[int], batch_id: int) -> Written:
    """Write fixes of these dropped days, within a transaction that holds the days' locks."""
    if not batch.pings.size:
        return Written(batch.pings, batch.others, 0, 0)
    await connection.execute(LOCK_LATE, days)
    stored = await _read_stored(connection, batch.pings)
    known, known_stored = _places_of_equal_keys(batch.pings, stored)
    is_new = np.ones(batch.pings.size, np.bool_)
    is_new[known] = False
    sent, stored = batch.pings[known], stored[known_stored]
    is_other = sent != fixes_of(stored)
    sent, stored, known = sent[is_other], stored[is_other], known[is_other]
    is_winner = is_smaller(sent, fixes_of(stored))
    is_changed = is_new.copy()
    is_changed[known[is_winner]] = True
    await _put(connection, rows_of(batch.pings[is_changed], batch_id))
    # What was there before comes first, so that a fix of ours that equals it is no conflict.
    beside = [stored[is_winner], rows_of(sent[~is_winner], batch_id), rows_of(batch.others, batch_id)]
    put = await put_beside(connection, np.concatenate(beside), batch_id)
    conflicts = int(np.count_nonzero(is_winner)) + put.size
    return Written(batch.pings[is_changed], put, int(np.count_nonzero(is_new)), conflicts)


async def _read_stored(connection: Connection, pings: Pings) -> Records:
    """All that is stored of the hours in which these pings lie, (N,) by device and time."""
    hours = np.unique(np.stack([pings["device_id"].astype(np.int64), pings["fixed_at_us"] // _HOUR_US]), axis=1)
    from_us = hours[1] * _HOUR_US
    found = await read_pings(connection, Stretches(hours[0].astype(np.int32), from_us, from_us + _HOUR_US - 1))
    stored = np.empty(found.device_id.size, ROW)
    for name, column in zip(ROW.names or (), (found.device_id, *found.values), strict=True):
        stored[name] = column
    return stored


def _places_of_equal_keys(sent: Pings, stored: Records) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where a key stands in both: (places in `sent`, places in `stored`); a key stands once in each."""
    columns = [np.concatenate([sent[name], stored[name]]).astype(np.int64) for name in KEY]
    order = np.lexsort(columns[::-1])
    keys = np.stack(columns)[:, order]
    # The sort is stable, so of two that are equal the sent one comes first.
    first = np.flatnonzero(np.all(keys[:, 1:] == keys[:, :-1], axis=0))
    return order[first], order[first + 1] - sent.size


PUT = """
INSERT INTO ping_late (device_id, fixed_at, source, lon_e7, lat_e7, accuracy_cm, speed_cmps, direction_cdeg, batch_id)
SELECT s.device_id, timestamptz 'epoch' + s.fixed_at_us * interval '1 microsecond', s.source, s.lon_e7, s.lat_e7,
    s.accuracy_cm, s.speed_cmps, s.direction_cdeg, s.batch_id
FROM unnest($1::int[], $2::bigint[], $3::smallint[], $4::int[], $5::int[], $6::int[], $7::int[], $8::int[],
    $9::bigint[])
    AS s (device_id, fixed_at_us, source, lon_e7, lat_e7, accuracy_cm, speed_cmps, direction_cdeg, batch_id)
ON CONFLICT (device_id, fixed_at, source) DO UPDATE SET lon_e7 = excluded.lon_e7, lat_e7 = excluded.lat_e7,
    accuracy_cm = excluded.accuracy_cm, speed_cmps = excluded.speed_cmps, direction_cdeg = excluded.direction_cdeg,
    batch_id = excluded.batch_id
"""


async def _put(connection: Connection, rows: Records) -> None:
    if rows.size:
        await connection.execute(PUT, *columns_of(rows))
