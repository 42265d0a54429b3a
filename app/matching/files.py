"""`trailmatch match`: pings and incidents from files, joined without a database, and the pairs in a file."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from app.failure import Failure
from app.matching.file_columns import BadRow, Columns
from app.matching.table_files import read_table, write_table
from matcher.hits import Hits
from matcher.incidents import MAX_LAT_DEG, Incidents
from matcher.join import Between, space_time_join
from matcher.trails import E7_PER_DEGREE, Trails, trails_from_columns

Longs = npt.NDArray[np.int64]
Say = Callable[[str], None]

_PING_COLUMNS: Final = ("device_id", "fixed_at", "ts", "lon", "lat")
_INCIDENT_COLUMNS: Final = ("incident_ref", "ts", "from", "to", "lon", "lat")


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
    ping_columns = Columns(read_table(pings, _PING_COLUMNS))
    of_pings = _pings(ping_columns)
    say("reading incidents")
    incident_columns = Columns(read_table(incidents, _INCIDENT_COLUMNS))
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
    time_name = "fixed_at" if columns.has("fixed_at") else "ts"
    columns.require("device_id", time_name, "lon", "lat", said={"ts": "`fixed_at` or `ts`"})
    device_id = columns.labels("device_id")
    time_us = columns.times_us(time_name)
    lon_deg, lat_deg = columns.numbers("lon", 180), columns.numbers("lat", 90)
    columns.reject(
        "lon", "null_island", "and lat are 0, which is what a tag without a fix says", (lon_deg == 0) & (lat_deg == 0)
    )
    good = columns.is_good
    # Numbered as they appear: files in the order of devices and times, as most are, need no sorting then.
    numbered = device_id.filter(pa.array(good)).dictionary_encode()
    trails = trails_from_columns(numbered.indices, time_us[good], _e7(lon_deg[good]), _e7(lat_deg[good]))
    return _Pings(trails, numbered.dictionary)


def _e7(degrees: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    return np.rint(degrees * E7_PER_DEGREE).astype(np.int32)


def _incidents(columns: Columns, question: Question) -> _Incidents:
    is_window = columns.has("from") and columns.has("to")
    from_name, to_name = ("from", "to") if is_window else ("ts", "ts")
    columns.require("incident_ref", from_name, to_name, "lon", "lat", said={"ts": "`ts`, or `from` and `to`"})
    incident_ref = columns.labels("incident_ref")
    from_us = columns.times_us(from_name)
    to_us = columns.times_us(to_name) if is_window else from_us
    lon_deg, lat_deg = columns.numbers("lon", 180), columns.numbers("lat", MAX_LAT_DEG)
    columns.reject(to_name, "out_of_range", "is before from", to_us < from_us)
    good = columns.is_good
    pad_us = round(question.pad_s * 1e6)
    incidents = Incidents(
        lon_deg=lon_deg[good],
        lat_deg=lat_deg[good],
        radius_m=np.full(int(good.sum()), question.radius_m, dtype=np.float64),
        from_us=from_us[good] - pad_us,
        to_us=to_us[good] + pad_us,
    )
    return _Incidents(incidents, incident_ref.filter(pa.array(good)))


def _pair_table(hits: Hits, incident_ref: pa.Array, device_id: pa.Array, *, with_lines: bool) -> pa.Table:
    """The pairs as columns; what only a ping has is null where only a line between two pings lies inside."""
    has_ping = hits.n_pings > 0
    columns = {
        "incident_ref": incident_ref.take(pa.array(hits.incident)),
        "device_id": device_id.take(pa.array(hits.device)),
        "n_pings": pa.array(hits.n_pings),
        "min_dist_m": pa.array(hits.closest_m, mask=~has_ping),
        "closest_at": _instants(hits.closest_us, has_ping),
        "first_at": _instants(hits.first_us, has_ping),
        "last_at": _instants(hits.last_us, has_ping),
    }
    if with_lines:
        columns |= {
            "near_m": pa.array(hits.near_m),
            "near_at": _instants(hits.near_us),
            "enter_at": _instants(hits.enter_us),
            "leave_at": _instants(hits.leave_us),
            "inside_s": pa.array(hits.inside_s),
            "visits": pa.array(hits.visits),
        }
    in_order = [("row of incident", "ascending"), ("device_id", "ascending")]
    return pa.table(columns | {"row of incident": hits.incident}).sort_by(in_order).select(list(columns))


def _instants(times_us: Longs, is_time: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    return pa.array(times_us, pa.int64(), mask=None if is_time is None else ~is_time).cast(pa.timestamp("us", "UTC"))
