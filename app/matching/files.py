"""`trailmatch match`: pings and incidents from files, joined without a database, and the pairs in a file."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from app.failure import Failure
from app.matching.file_columns import BadRow, Columns
from app.matching.file_rows import INCIDENT_COLUMNS, PING_COLUMNS, incident_rows, ping_rows
from app.matching.table_files import read_table, write_table
from matcher.hits import Hits
from matcher.incidents import Incidents
from matcher.join import Between, space_time_join
from matcher.trails import Trails, trails_from_columns

Longs = npt.NDArray[np.int64]
Say = Callable[[str], None]


class Question(NamedTuple):
    """What is asked of the files."""

    radius_m: float
    pad_s: float
    between: Between | None  # None: points only
    threads: int


class Pairs(NamedTuple):
    """The answer: its numbers, its rows, and the rows of the files that are not in it."""

    pings: int
    incidents: int
    pairs: int
    pings_inside: int
    seconds: float
    bad_rows: list[BadRow]


class _Pings(NamedTuple):
    trails: Trails
    device_id: pa.Array  # what Trails.device_id counts


class _Incidents(NamedTuple):
    incidents: Incidents
    incident_ref: pa.Array


def match_files(pings: str, incidents: str, question: Question, out: Path | None, say: Say) -> Pairs:
    """Join two files and write the pairs, sorted by row of the incident and by device; `say` hears each step begin.

    Positions are kept at 1e-7 degrees, at most 0.8 cm from those of the file. Of a row that cannot be used the first
    fault is in `bad_rows`; the others are joined. Raises Failure if a file cannot be read or a column is missing.
    """
    began = time.monotonic()
    say("reading pings")
    ping_columns = Columns(read_table(pings, PING_COLUMNS))
    of_pings = _pings(ping_columns)
    say("reading incidents")
    incident_columns = Columns(read_table(incidents, INCIDENT_COLUMNS))
    of_incidents = _incidents(incident_columns, question)
    say("joining")
    try:
        hits = space_time_join(of_pings.trails, of_incidents.incidents, question.between, question.threads)
    except ValueError as error:
        raise Failure(str(error)) from None
    if out:
        say(f"writing {out}")
        with_lines = question.between is not None
        pairs = _pair_table(hits, of_incidents.incident_ref, of_pings.device_id, with_lines=with_lines)
        write_table(pairs, out)
    return Pairs(
        pings=of_pings.trails.fixed_at_us.size,
        incidents=of_incidents.incidents.from_us.size,
        pairs=hits.incident.size,
        pings_inside=int(hits.n_pings.sum()),
        seconds=round(time.monotonic() - began, 3),
        bad_rows=ping_columns.bad_rows + incident_columns.bad_rows,
    )


def _pings(columns: Columns) -> _Pings:
    rows = ping_rows(columns)
    return _Pings(trails_from_columns(rows.device, rows.fixed_at_us, rows.lon_e7, rows.lat_e7), rows.device_id)


def _incidents(columns: Columns, question: Question) -> _Incidents:
    rows = incident_rows(columns)
    pad_us = round(question.pad_s * 1e6)
    incidents = Incidents(
        lon_deg=rows.lon_deg,
        lat_deg=rows.lat_deg,
        radius_m=np.full(rows.lon_deg.size, question.radius_m, dtype=np.float64),
        from_us=rows.from_us - pad_us,
        to_us=rows.to_us + pad_us,
    )
    return _Incidents(incidents, rows.incident_ref)


def _pair_table(hits: Hits, incident_ref: pa.Array, device_id: pa.Array, *, with_lines: bool) -> pa.Table:
    """The pairs as columns; what only a ping has is null where only a line between two pings lies inside."""
    has_ping = hits.n_pings > 0
    columns = {
        "incident_ref": incident_ref.take(pa.array(hits.incident)),
        "device_id": device_id.take(pa.array(hits.device)),
        "n_pings": pa.array(hits.n_pings),
        "min_dist_m": pa.array(hits.closest_m, mask=~has_ping),
        "closest_at": instants(hits.closest_us, has_ping),
        "first_at": instants(hits.first_us, has_ping),
        "last_at": instants(hits.last_us, has_ping),
    }
    if with_lines:
        columns |= {
            "near_m": pa.array(hits.near_m),
            "near_at": instants(hits.near_us),
            "enter_at": instants(hits.enter_us),
            "leave_at": instants(hits.leave_us),
            "inside_s": pa.array(hits.inside_s),
            "visits": pa.array(hits.visits),
        }
    in_order = [("row of incident", "ascending"), ("device_id", "ascending")]
    return pa.table(columns | {"row of incident": hits.incident}).sort_by(in_order).select(list(columns))


def instants(times_us: Longs, is_time: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    return pa.array(times_us, pa.int64(), mask=None if is_time is None else ~is_time).cast(pa.timestamp("us", "UTC"))
