"""What is faster for trails that are read once: to scan them, or to index them and look the incidents up."""

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any, Final, NamedTuple
from uuid import UUID

import numpy as np

from app.db import Pool
from app.failure import Failure
from app.identity import incident_id
from app.matching.open_incidents import OpenIncidents, Selection
from app.matching.stretches import boxes_around, hours_near
from app.trails.box import read_box
from app.trails.days import find_days
from benchmarks.parties import FORCE
from matcher.join import Between, space_time_join
from matcher.trail_index import trail_index
from matcher.trails import Trails

_ROUNDS: Final = 3


class _Piece(NamedTuple):
    """Trails that were read for some incidents."""

    trails: Trails
    selection: Selection


async def scan_or_index(pool: Pool, references: list[str], numbers: tuple[int, ...], seed: int) -> list[dict[str, Any]]:
    """Read what so many of the stored incidents need, join it by each form, and give what each took, in milliseconds.

    As the service reads and joins, piece by piece, but nothing at the same time; medians of three. Raises Failure if
    the forms differ.
    """
    incidents = OpenIncidents()
    async with pool.acquire() as connection:
        await incidents.refresh(connection)
    rng, rows = np.random.default_rng(seed), []
    for number in numbers:
        chosen = rng.choice(len(references), min(number, len(references)), replace=False).tolist()
        began_s = time.perf_counter()
        pieces = await _read(pool, incidents, [incident_id(FORCE, references[row]) for row in chosen])
        read_ms = 1e3 * (time.perf_counter() - began_s)
        rows.append({"incidents": len(chosen), "read_ms": round(read_ms, 2), **_timed(pieces, incidents.between())})
    return rows


async def _read(pool: Pool, incidents: OpenIncidents, incident_ids: list[UUID]) -> list[_Piece]:
    pieces, between = list[_Piece](), incidents.between()
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        days = await find_days(connection)
        for box, part in boxes_around(incidents.of(incident_ids), between, days):
            near = partial(hours_near, box=box, incidents=part.incidents, between=between)
            pieces.append(_Piece(await read_box(connection, box, near), part))
    return pieces


def _timed(pieces: list[_Piece], between: Between) -> dict[str, Any]:
    times: dict[str, list[float]] = {"scan_ms": [], "index_build_ms": [], "index_lookup_ms": []}
    for _ in range(1 + _ROUNDS):  # the first compiles
        took_ms = dict.fromkeys(times, 0.0)
        for trails, selection in pieces:
            scanned, scan_ms = _timed_call(space_time_join, trails, selection.incidents, between)
            index, build_ms = _timed_call(trail_index, trails, between)
            looked_up, lookup_ms = _timed_call(space_time_join, index, selection.incidents, between)
            if not all(map(np.array_equal, scanned, looked_up)):
                raise Failure("the index finds other pairs than the scan")
            for name, ms in zip(took_ms, (scan_ms, build_ms, lookup_ms), strict=True):
                took_ms[name] += ms
        for name, ms in took_ms.items():
            times[name].append(ms)
    pings = sum(piece.trails.fixed_at_us.size for piece in pieces)
    return {"pings_read": pings, **{name: round(median(each[1:]), 3) for name, each in times.items()}}


def _timed_call(function: Callable[..., Any], *args: object) -> tuple[Any, float]:
    began_s = time.perf_counter()
    result = function(*args)
    return result, 1e3 * (time.perf_counter() - began_s)
