"""The taxis of San Francisco in 2008, the crimes of the same weeks, and the pairs of both that are known to meet.

Nobody on this project made these files and none of them is part of it; `--data` or TRAILMATCH_DATA says where they are.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

from app.failure import Failure
from benchmarks.story import Longs, Meeting, Meetings, Pair, Question, Report, Story

# The question whose answer is among the files.
KNOWN = Question(radius_m=100.0, pad_s=600.0)
# What the police call the offences that have a code of their own.
_OFFENCES = {"ROBBERY": "RB", "BURGLARY": "BIAD", "VEHICLE THEFT": "TOMV"}


def read_taxis(directory: Path) -> Story:
    """Read all 7.6 million fixes and all crimes. Raises Failure if a file is not there."""
    pings = _read(directory / "sf2008_pings.parquet", ["device_id", "ts", "lon", "lat"])
    crimes = _read(directory / "sf2008_incidents.parquet", ["incident_ref", "category", "ts", "lon", "lat"])
    return _story(pings, crimes)


def read_known_meetings(directory: Path) -> Meetings:
    """Read the answer to KNOWN, found on the geodesic by a scan of everything. Raises Failure if it is not there."""
    table = _read(directory / "sf2008_pairs_100m_600s.parquet", None)
    columns = (table[name].to_pylist() for name in ("incident_ref", "device_id", "n_pings", "min_dist_m"))
    times = (_microseconds(table[name]).tolist() for name in ("first_at", "last_at"))
    return {(reference, serial): Meeting(*rest) for reference, serial, *rest in zip(*columns, *times, strict=True)}


def read_one_day(directory: Path) -> Story:
    """Read the small sample: one day, 40 taxis, 104 crimes. Raises Failure if a file is not there."""
    pings, crimes = (_read_csv(directory / f"sf2008_fixture_{name}_20080530.csv.gz") for name in ("pings", "incidents"))
    return _story(pings, crimes)


def read_one_days_pairs(directory: Path) -> set[Pair]:
    """Read who meets what in the small sample, KNOWN being asked; distances there are on a sphere and not compared."""
    table = _read_csv(directory / "sf2008_fixture_reference_pairs_20080530.csv.gz")
    return set(zip(table["incident_ref"].to_pylist(), table["device_id"].to_pylist(), strict=True))


def _story(pings: pa.Table, crimes: pa.Table) -> Story:
    """Put the pings of all taxis in the order of their times."""
    fixed_at_us = _microseconds(pings["ts"])
    order = np.argsort(fixed_at_us, kind="stable")
    coded = pings["device_id"].cast(pa.string()).combine_chunks().dictionary_encode()
    return Story(
        serials=coded.dictionary.to_pylist(),
        device=coded.indices.to_numpy().astype(np.int32)[order],
        fixed_at_us=fixed_at_us[order],
        lon_deg=pings["lon"].to_numpy()[order],
        lat_deg=pings["lat"].to_numpy()[order],
        reports=[
            Report(reference, _OFFENCES.get(category, "OTHER"), at_us, at_us, lon, lat)
            for reference, category, at_us, lon, lat in zip(
                crimes["incident_ref"].to_pylist(),
                crimes["category"].to_pylist(),
                _microseconds(crimes["ts"]).tolist(),
                crimes["lon"].to_pylist(),
                crimes["lat"].to_pylist(),
                strict=True,
            )
        ],
    )


def _microseconds(times: pa.ChunkedArray) -> Longs:
    microseconds: Longs = times.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
    return microseconds


def _read(path: Path, columns: list[str] | None) -> pa.Table:
    if not path.exists():
        raise Failure(f"{path} is not there; --data names the directory that holds it")
    return parquet.read_table(path, columns=columns)


def _read_csv(path: Path) -> pa.Table:
    if not path.exists():
        raise Failure(f"{path} is not there; --data names the directory that holds it")
    # References look like words but some serials like numbers.
    types = {"device_id": pa.string(), "incident_ref": pa.string(), "ts": pa.timestamp("s", tz="UTC")}
    return csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=types))
