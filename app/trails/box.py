"""Stored trails in a box of space and time, read straight into arrays.

A box around crimes all over a country is the country, so it may name the cells of a grid that are wanted, and nothing
outside them is read. Of what is sealed first the least box around the pings of each hour is read, a twentieth of the
hour itself. The caller chooses by it which hours are wanted, and only those are fetched and unpacked
(docs/decisions/0015).
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final, NamedTuple

import numpy as np

from app.columns import Records, from_binary_copy
from app.db import Connection
from app.pings.compute import compute
from app.times import to_datetime
from app.trails.reading import TRAIL_COLUMNS, Bools, put_together
from app.trails.store import probe_by_key
from app.trails.transport import copy_out
from matcher.trails import Ints, Longs, Trails, trails_from_columns

HOUR_US: Final = 3_600_000_000
# A tenth of a degree: a crime is looked for in some thirty cells, a country has a thousand or two.
_CELL_E7: Final = 1_000_000
_CELLS_A_PARALLEL: Final = 3_601
# More would be a statement of some megabytes: crimes all over the earth.
_CELLS_NAMED: Final = 500_000
EVERYWHERE: Final = np.empty(0, np.int32)

# What a row of FIND_HOURS is, besides a late ping.
_CHUNK, _OPEN = 2, 0
_HOUR: Final = np.dtype(
    [
        ("kind", "i2"),
        ("device_id", "i4"),
        ("hour", "i4"),
        ("west_e7", "i4"),
        ("east_e7", "i4"),
        ("south_e7", "i4"),
        ("north_e7", "i4"),
    ]
)


class Box(NamedTuple):
    """A stretch of time and the degrees it is read for, all ends included; west over east crosses the antimeridian.

    Where `cells` names any, only what lies in one of them is in the box.
    """

    from_us: int
    to_us: int
    west_e7: int
    east_e7: int
    south_e7: int
    north_e7: int
    cells: Ints = EVERYWHERE  # (C,) as `cells_of` gives them


def cells_of(west_e7: Longs, east_e7: Longs, south_e7: Longs, north_e7: Longs) -> Ints:
    """Give the cells that any of R rectangles meets, as a box names them; none where there are too many to name.

    Each side is (R,), no west over its east. A microsecond for each hundred cells.
    """
    sides = np.stack([_part(side_e7) for side_e7 in (west_e7, east_e7, south_e7, north_e7)], axis=1)
    rectangles = np.unique(sides, axis=0)
    west, east, south, north = rectangles.T
    if int(((east - west + 1) * (north - south + 1)).sum()) > _CELLS_NAMED:
        return EVERYWHERE
    cells = [
        (np.arange(south, north + 1)[:, np.newaxis] * _CELLS_A_PARALLEL + np.arange(west, east + 1)).ravel()
        for west, east, south, north in rectangles.tolist()
    ]
    return np.unique(np.concatenate([EVERYWHERE, *cells])).astype(np.int32)


def _part(e7: Longs) -> Longs:
    """Divide into cells as PostgreSQL divides integers, towards zero."""
    part: Longs = np.sign(e7) * (np.abs(e7) // _CELL_E7)
    return part


class SealedHours(NamedTuple):
    """H hours of devices that are read from their chunks, by device and hour, with the least box around the pings."""

    device_id: Ints  # (H,)
    hour_us: Longs  # (H,) when it begins
    west_e7: Ints  # (H,)
    east_e7: Ints  # (H,)
    south_e7: Ints  # (H,)
    north_e7: Ints  # (H,)


Choice = Callable[[SealedHours], Bools]


async def read_box(connection: Connection, box: Box, choose: Choice) -> Trails:
    """Read what was in a box: of sealed hours only those chosen, of the rest every ping of its time is looked at.

    A statement, and one for each hour, so the connection has to be in a snapshot. A sealed hour is read whatever is
    chosen where something came late in it, or the hour beside it is open or has late pings: lines lead from one to the
    other, of which nothing is known before they are read. An answer takes 250 bytes a ping until it is put together
    and what is left of it 20, therefore hour by hour: of a country with 12,000 tags that is 180 MB.
    """
    await probe_by_key(connection)
    received = await copy_out(connection, FIND_HOURS, *_bounds(box))
    wanted = await compute(len(received), _wanted, received, choose)
    parts = list[_Part]()
    for hour, part in _by_the_hour(box):
        devices = wanted["device_id"][wanted["hour"] == hour]
        received = await copy_out(connection, READ_BOX, *_bounds(part), devices, hour, box.cells)
        parts.append(await compute(len(received), _of_box, received, part))
    return await compute(sum(part.device_id.nbytes for part in parts), _trails_of, parts)


def _bounds(box: Box) -> tuple[datetime, datetime, int, int, int, int]:
    return to_datetime(box.from_us), to_datetime(box.to_us), box.south_e7, box.north_e7, box.west_e7, box.east_e7


def _by_the_hour(box: Box) -> Iterator[tuple[int, Box]]:
    """Cut a box at the hours, counted from 1970-01-01."""
    for hour in range(box.from_us // HOUR_US, box.to_us // HOUR_US + 1):
        from_us, to_us = max(hour * HOUR_US, box.from_us), min((hour + 1) * HOUR_US - 1, box.to_us)
        yield hour, box._replace(from_us=from_us, to_us=to_us)


# Hours are counted from 1970-01-01. Marks and late pings are few, and not asked where they are.
FIND_HOURS = """
WITH h AS MATERIALIZED (
    SELECT hour_at, (extract(epoch FROM hour_at) / 3600)::int AS hour
    FROM generate_series(date_bin('1 hour', $1::timestamptz, 'epoch'), $2::timestamptz, interval '1 hour')
        AS h (hour_at)
)
SELECT 2::smallint AS kind, c.device_id, h.hour, c.west_e7, c.east_e7, c.south_e7, c.north_e7
FROM h CROSS JOIN LATERAL (
    SELECT * FROM trail_chunk WHERE hour_at = h.hour_at AND south_e7 <= $4 AND north_e7 >= $3
        AND CASE WHEN $5::int <= $6::int THEN west_e7 <= $6 AND east_e7 >= $5
            ELSE west_e7 <= $6 OR east_e7 >= $5 END
    OFFSET 0
) AS c
UNION ALL
SELECT 0::smallint, d.device_id, (extract(epoch FROM d.hour_at) / 3600)::int, 0, 0, 0, 0
FROM dirty_hour AS d
WHERE d.hour_at >= date_bin('1 hour', $1::timestamptz, 'epoch') AND d.hour_at <= $2
UNION ALL
SELECT 1::smallint, l.device_id, floor(extract(epoch FROM l.fixed_at) / 3600)::int, 0, 0, 0, 0
FROM ping_late AS l WHERE l.fixed_at BETWEEN $1 AND $2
"""


def _wanted(received: bytearray, choose: Choice) -> Records:
    """Give the chunks to be read, by hour and device, in which order they lie."""
    records = from_binary_copy(received, _HOUR)
    key = (records["device_id"].astype(np.int64) << 32) + records["hour"]
    is_chunk = records["kind"] == _CHUNK
    is_chunk &= ~np.isin(key, key[records["kind"] == _OPEN])
    unchosen = key[~is_chunk]
    sealed, key = records[is_chunk], key[is_chunk]
    order = np.argsort(key)
    sealed, key = sealed[order], key[order]
    is_wanted = choose(_hours(sealed))
    is_wanted |= np.isin(key - 1, unchosen) | np.isin(key + 1, unchosen) | np.isin(key, unchosen)
    wanted: Records = sealed[is_wanted]
    return wanted[np.lexsort((wanted["device_id"], wanted["hour"]))]


def _hours(sealed: Records) -> SealedHours:
    boxes = (np.ascontiguousarray(sealed[name]) for name in ("west_e7", "east_e7", "south_e7", "north_e7"))
    return SealedHours(np.ascontiguousarray(sealed["device_id"]), sealed["hour"] * np.int64(HOUR_US), *boxes)


# One hour, $8, of it from $1 to $2. Chunks by their keys. If the hour has no chunk at all, its rows are read by time,
# in any other only what is marked, device by device. What came late is read wherever it lies, because it may take the
# place of a ping that lies in the box.
READ_BOX = """
WITH h AS MATERIALIZED (
    SELECT EXISTS (SELECT FROM trail_chunk WHERE hour_at = to_timestamp($8::int * 3600.0)) AS is_begun
)
SELECT 2::smallint AS kind, 0 AS stretch, c.device_id, c.hour_at, 0::smallint, 0, 0, c.payload
FROM unnest($7::int[]) AS w (device_id)
JOIN trail_chunk AS c ON c.device_id = w.device_id AND c.hour_at = to_timestamp($8::int * 3600.0)
UNION ALL
SELECT 0::smallint, 0, p.device_id, p.fixed_at, p.source, p.lon_e7, p.lat_e7, ''
FROM dirty_hour AS d CROSS JOIN LATERAL (
    SELECT * FROM ping WHERE device_id = d.device_id AND fixed_at BETWEEN $1 AND $2 OFFSET 0
) AS p
WHERE (SELECT is_begun FROM h) AND d.hour_at = to_timestamp($8::int * 3600.0) AND p.lat_e7 BETWEEN $3 AND $4
  AND CASE WHEN $5::int <= $6::int THEN p.lon_e7 BETWEEN $5 AND $6 ELSE p.lon_e7 >= $5 OR p.lon_e7 <= $6 END
  AND ('{}' = $9::int[] OR p.lat_e7 / 1000000 * 3601 + p.lon_e7 / 1000000 = ANY($9::int[]))
UNION ALL
SELECT 0::smallint, 0, p.device_id, p.fixed_at, p.source, p.lon_e7, p.lat_e7, ''
FROM ping AS p
WHERE NOT (SELECT is_begun FROM h) AND p.fixed_at BETWEEN $1 AND $2 AND p.lat_e7 BETWEEN $3 AND $4
  AND CASE WHEN $5::int <= $6::int THEN p.lon_e7 BETWEEN $5 AND $6 ELSE p.lon_e7 >= $5 OR p.lon_e7 <= $6 END
  AND ('{}' = $9::int[] OR p.lat_e7 / 1000000 * 3601 + p.lon_e7 / 1000000 = ANY($9::int[]))
UNION ALL
SELECT 1::smallint, 0, l.device_id, l.fixed_at, l.source, l.lon_e7, l.lat_e7, ''
FROM ping_late AS l WHERE l.fixed_at BETWEEN $1 AND $2
"""


class _Part(NamedTuple):
    """The N pings of an hour, by device and time."""

    device_id: Ints  # (N,)
    fixed_at_us: Longs  # (N,)
    lon_e7: Ints  # (N,)
    lat_e7: Ints  # (N,)


def _of_box(received: bytearray, box: Box) -> _Part:
    whole = np.array([box.from_us]), np.array([box.to_us])
    found = put_together(received, TRAIL_COLUMNS, *whole)
    fixed_at_us, _, lon_e7, lat_e7 = found.values
    is_east, is_west = lon_e7 >= box.west_e7, lon_e7 <= box.east_e7
    is_inside = is_east & is_west if box.west_e7 <= box.east_e7 else is_east | is_west
    is_inside &= (lat_e7 >= box.south_e7) & (lat_e7 <= box.north_e7)
    if box.cells.size:
        is_inside &= np.isin(_part(lat_e7) * _CELLS_A_PARALLEL + _part(lon_e7), box.cells)
    places = (column[is_inside].astype(np.int32) for column in (lon_e7, lat_e7))
    return _Part(found.device_id[is_inside].astype(np.int32), fixed_at_us[is_inside], *places)


def _trails_of(parts: list[_Part]) -> Trails:
    """Put hours together, one after the other; column by column, so that no more than one is there twice."""
    # Of one device the hours are in order, and stay so.
    order = np.argsort(np.concatenate([part.device_id for part in parts]), kind="stable")
    return trails_from_columns(*(np.concatenate(column)[order] for column in zip(*parts, strict=True)))
