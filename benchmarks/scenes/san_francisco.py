"""Worlds of San Francisco: real taxis' trails, at some of whose ways a stop is put in at the place of a real crime."""

import math
from pathlib import Path as File
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from app.failure import Failure
from benchmarks.scenes.offences import draw_offences, report_crime
from benchmarks.scenes.parameters import Parameters
from benchmarks.scenes.plane import Floats, Plane
from benchmarks.scenes.tags import report
from benchmarks.scenes.world import Crime, Longs, Path, Reported, World

PLANE = Plane(-122.42, 37.77)
# Midnight of 17 May 2008 in San Francisco, whose clocks are not changed in these weeks.
START_US = 1_211_007_600_000_000

# Of two fixes further apart than this nobody knows what was between.
_JOINED_S = 300.0
_CELL_M = 100.0
_CELLS = 1e6  # more than there are from north to south
_TRIES = 2_000


class Turning(NamedTuple):
    """Where a taxi leaves its way: the fix before, and the part of the stretch after it."""

    fix: int
    part: float


class Places(NamedTuple):
    """Where the real crimes of one category were."""

    x_m: Floats
    y_m: Floats


def draw_san_francisco(directory: File, seed: int, taxis: int, parameters: Parameters | None = None) -> World:
    """Draw so many of the 530 taxis, each with one offence where a suitable crime lies near its way.

    A trail's own fixes, but for those that nobody could have driven to, are the truth, straight between two of them.
    At a moment of it the taxi turns off to a crime's place beside its way, stays as long as the offence takes, and goes
    on with what it did, so much later. What the tag then reports are positions at the trail's own times, with errors
    and stated accuracies as in the towns: the files state none.

    Raises Failure if the files are not there.
    """
    by = parameters or Parameters()
    trails = read_trails(directory, by, seed, taxis)
    places = _places(directory / "sf2008_incidents.parquet")
    drawn = draw_offences(np.random.default_rng([seed, 22]), by, len(trails))
    paths, reported, crimes = list[Path](), list[Reported](), list[Crime]()
    for number, trail in enumerate(trails):
        draw = np.random.default_rng([seed, 23, number])
        kind, path = by.kinds[drawn.kind[number]], trail
        found = _turning_and_place(draw, by, path, places[kind.category], is_near=bool(drawn.is_near[number]))
        if found is not None:
            turning, x_m, y_m = found
            stay_s = float(drawn.stay_s[number])
            path, from_s = _with_stop(path, turning, x_m, y_m, stay_s, by.detour_mps)
            act_us = (START_US + int(from_s * 1e6), START_US + int((from_s + stay_s) * 1e6))
            crime = report_crime(draw, by, PLANE, kind, x_m, y_m, *act_us)
            crimes.append(crime._replace(offender=number, is_near_own_place=bool(drawn.is_near[number])))
        paths.append(path)
        reported.append(report(draw, by.tag, PLANE, path, trail.at_s, START_US))
    return World("san_francisco", seed, START_US, PLANE, paths, reported, crimes)


def read_trails(directory: File, parameters: Parameters, seed: int, taxis: int) -> list[Path]:
    """Read the trails of so many taxis, without fixes that nobody could have driven to. 3 s and 20 ms a taxi.

    Raises Failure if the file is not there.
    """
    table = _read(directory / "sf2008_pings.parquet", ["device_id", "ts", "lon", "lat"])
    device = table["device_id"].cast(pa.string()).combine_chunks().dictionary_encode().indices.to_numpy()
    at_s = (_microseconds(table["ts"]) - START_US) / 1e6
    x_m, y_m = PLANE.from_degrees(table["lon"].to_numpy(), table["lat"].to_numpy())
    chosen = np.random.default_rng([seed, 21]).permutation(int(device.max()) + 1)[:taxis]
    trails = list[Path]()
    for taxi in chosen.tolist():
        rows = np.flatnonzero(device == taxi)
        rows = rows[np.argsort(at_s[rows], kind="stable")]
        trails.append(_drivable(at_s[rows], x_m[rows], y_m[rows], parameters.fastest_mps))
    return trails


def _turning_and_place(
    draw: np.random.Generator, by: Parameters, path: Path, places: Places, *, is_near: bool
) -> tuple[Turning, float, float] | None:
    """A crime's place within the detour of a stretch, near to one of the taxi's own places or away from all.

    With it where on that stretch the taxi comes nearest to it.
    """
    own_x_m, own_y_m = _own_places(path, by.own_places)
    own_m = np.hypot(places.x_m[:, None] - own_x_m, places.y_m[:, None] - own_y_m).min(axis=1)
    suits = (own_m <= by.near_own_m) if is_near else (own_m > by.near_own_m)
    joined = np.flatnonzero(np.diff(path.at_s) <= _JOINED_S)
    if joined.size == 0:
        return None
    for fix in draw.choice(joined, _TRIES).tolist():
        part, away_m = _nearest_parts(path, fix, places)
        within = np.flatnonzero(suits & (away_m <= by.detour_m))
        if within.size:
            place = int(draw.choice(within))
            return Turning(fix, float(part[place])), float(places.x_m[place]), float(places.y_m[place])
    return None


def _nearest_parts(path: Path, fix: int, places: Places) -> tuple[Floats, Floats]:
    """Which part of the stretch after a fix is nearest to each place, and how near."""
    x_m, y_m = float(path.x_m[fix]), float(path.y_m[fix])
    along_x_m, along_y_m = float(path.x_m[fix + 1]) - x_m, float(path.y_m[fix + 1]) - y_m
    square_m2 = max(along_x_m * along_x_m + along_y_m * along_y_m, 1e-9)
    part = np.clip(((places.x_m - x_m) * along_x_m + (places.y_m - y_m) * along_y_m) / square_m2, 0.0, 1.0)
    return part, np.hypot(places.x_m - x_m - part * along_x_m, places.y_m - y_m - part * along_y_m)


def _own_places(path: Path, count: int) -> tuple[Floats, Floats]:
    """Middles of the cells with the most fixes."""
    cell = np.floor(path.x_m / _CELL_M) * _CELLS + np.floor(path.y_m / _CELL_M)
    which, fixes = np.unique(cell, return_counts=True)
    most = which[np.argsort(-fixes, kind="stable")[:count]]
    column = np.rint(most / _CELLS)
    return (column + 0.5) * _CELL_M, (most - column * _CELLS + 0.5) * _CELL_M


def _with_stop(path: Path, turning: Turning, x_m: float, y_m: float, stay_s: float, mps: float) -> tuple[Path, float]:
    """The way with a detour from where it is nearest to a place, and a stay there; gives also when the stay begins."""
    fix, part = turning
    turn_s, turn_x_m, turn_y_m = (float(of[fix] + part * (of[fix + 1] - of[fix])) for of in path[:3])
    drive_s = math.hypot(turn_x_m - x_m, turn_y_m - y_m) / mps
    from_s = turn_s + drive_s
    back_s = from_s + stay_s + drive_s
    before, after = slice(None, fix + 1), slice(fix + 1, None)
    later = Path(
        np.concatenate(
            [path.at_s[before], [turn_s, from_s, from_s + stay_s, back_s], path.at_s[after] - turn_s + back_s]
        ),
        np.concatenate([path.x_m[before], [turn_x_m, x_m, x_m, turn_x_m], path.x_m[after]]),
        np.concatenate([path.y_m[before], [turn_y_m, y_m, y_m, turn_y_m], path.y_m[after]]),
        np.zeros(path.at_s.size + 4, np.bool_),
    )
    return later, from_s


def _drivable(at_s: Floats, x_m: Floats, y_m: Floats, fastest_mps: float) -> Path:
    """Leave out each fix that cannot be reached from the last one kept."""
    rows = list(zip(at_s.tolist(), x_m.tolist(), y_m.tolist(), strict=True))
    kept, last = [0], rows[0]
    for number, row in enumerate(rows[1:], 1):
        gap_s = row[0] - last[0]
        if gap_s > 0 and math.dist(row[1:], last[1:]) <= fastest_mps * gap_s:
            kept.append(number)
            last = row
    return Path(at_s[kept], x_m[kept], y_m[kept], np.zeros(len(kept), np.bool_))


def _places(file: File) -> dict[str, Places]:
    table = _read(file, ["category", "lon", "lat"])
    category = np.array([name or "" for name in table["category"].to_pylist()])
    x_m, y_m = PLANE.from_degrees(table["lon"].to_numpy(), table["lat"].to_numpy())
    return {str(name): Places(x_m[category == name], y_m[category == name]) for name in np.unique(category) if name}


def _read(file: File, columns: list[str]) -> pa.Table:
    if not file.exists():
        raise Failure(f"{file} is not there; TRAILMATCH_DATA names the directory that holds it")
    return parquet.read_table(file, columns=columns)


def _microseconds(times: pa.ChunkedArray) -> Longs:
    microseconds: Longs = times.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
    return microseconds
