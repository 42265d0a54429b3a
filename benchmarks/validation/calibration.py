"""Whether stated probabilities come true: predictions for moments between fixes, against where the wearer then was."""

import gzip
import json
import math
from collections.abc import Iterator
from pathlib import Path as File
from typing import NamedTuple

import numpy as np
from pyarrow import parquet

from app.failure import Failure
from benchmarks.scenes.plane import Floats, Plane
from benchmarks.scenes.world import Flags, Longs, World
from benchmarks.validation.cases import bridges_of
from matcher.crime_time import CrimeTime
from matcher.fixes import GPS, Fixes, fixes_from_columns
from matcher.jumps import set_aside_jumps
from matcher.presence import presence
from matcher.profile import Profile
from matcher.throughout import Lasting
from matcher.window import Place

# Predictions beyond these are of wearers who are certainly elsewhere or certainly there.
LEAST, MOST = 0.02, 0.98
# Of a wearer between two fixes so far apart it is said that they move.
MOVING_M = 50.0

_HALF_SECOND_US = 500_000
_MOMENT = Lasting(0.0, 1.0, 0.0)
_PHONES_HOLD = 0.68  # what Android and iOS state is meant to hold so many positions
_OFF_ROUTE_M = 100.0
# Fixes that a prediction for a reading is made from, on either side: more than the mobility's window needs.
_ABOUT = 8
_LEAST_SHARE = 1e-4
# A phone that is silent for longer makes another trip.
_TRIP_S = 300.0
_CIRCLES = 8  # about each moment of the phones, which are few


class Predictions(NamedTuple):
    """N predictions for one moment and circle each."""

    probability: Floats  # (N,)
    came_true: Flags  # (N,)
    is_moving: Flags  # (N,) the fixes on either side are over 50 m apart
    trip: Longs  # (N,) of which trip or wearer: predictions of one are not independent


class Held(NamedTuple):
    """A wearer's kept fixes, and M moments between them at which their position is known with some error."""

    kept: Fixes
    at_us: Longs  # (M,)
    lon_deg: Floats  # (M,)
    lat_deg: Floats  # (M,)
    sigma_m: Floats  # (M,) of that position; 0 where it is the truth
    trip: Longs  # (M,) wearers' trips, all numbered differently
    is_reading: bool  # the position is a fix, or next to one: what the fixes about it err alike, it errs as well


def predict(
    held: Iterator[Held],
    profile: Profile,
    radius_m: float,
    seed: int,
    wanted: int,
    each: int,
    *,
    taken_for_truth: bool = False,
) -> Predictions:
    """Make so many predictions between 0.02 and 0.98, each about a circle of its own; fewer if moments run out.

    No more than `each` are of one wearer.

    The circle's middle lies off the point on the straight line between the fixes, in any direction, by up to twice
    the radius (evenly by area): it is drawn before anybody looks where the wearer was.

    The model says where the wearer is. Where only a further reading of the same receiver is known, the prediction is
    made for that: with the part of all errors that the two fixes do not share (`unshared`); but as if the reading
    were the truth where `taken_for_truth`.
    """
    draw = np.random.default_rng([seed, 31])
    rows = list[tuple[float, bool, bool, int]]()
    for one in held:
        fixes, bridges = set_aside_jumps(one.kept, profile.max_speed_mps)[0], bridges_of(profile)
        most = min(len(rows) + each, wanted)
        for moment in draw.permutation(one.at_us.size).tolist():
            if len(rows) >= most:
                break
            after = int(np.searchsorted(fixes.fixed_at_us, one.at_us[moment]))
            if not 0 < after < fixes.fixed_at_us.size:
                continue
            plane = Plane(float(one.lon_deg[moment]), float(one.lat_deg[moment]))
            ends = slice(after - 1, after + 1)
            x_m, y_m = plane.from_degrees(fixes.lon_e7[ends] / 1e7, fixes.lat_e7[ends] / 1e7)
            before_us, after_us = fixes.fixed_at_us[ends].tolist()
            part = (int(one.at_us[moment]) - before_us) / (after_us - before_us)
            off_m, bearing = 2 * radius_m * math.sqrt(draw.random()), draw.uniform(0, 2 * math.pi)
            middle_x_m = (1 - part) * x_m[0] + part * x_m[1] + off_m * math.sin(bearing)
            middle_y_m = (1 - part) * y_m[0] + part * y_m[1] + off_m * math.cos(bearing)
            lon_e7, lat_e7 = plane.to_e7(np.array([middle_x_m]), np.array([middle_y_m]))
            apart_m = math.hypot(x_m[1] - x_m[0], y_m[1] - y_m[0])
            own, shrunk = fixes, 1.0
            if one.is_reading and not taken_for_truth:
                shrunk = math.sqrt(unshared(apart_m, float(fixes.sigma_m[after - 1]), float(fixes.sigma_m[after])))
                about = slice(max(after - _ABOUT, 0), after + _ABOUT)
                own = Fixes._make(column[about] for column in fixes)
                own = own._replace(sigma_m=shrunk * own.sigma_m)
            place = Place(float(lon_e7[0] / 1e7), float(lat_e7[0] / 1e7), radius_m, shrunk * float(one.sigma_m[moment]))
            found = presence(own, place, _instant(int(one.at_us[moment])), bridges, _MOMENT)
            if found.known > 0.99 and LEAST <= found.at_crime <= MOST:
                # The plane's middle is where the wearer was.
                is_inside = math.hypot(middle_x_m, middle_y_m) <= radius_m
                rows.append((found.at_crime, is_inside, apart_m > MOVING_M, int(one.trip[moment])))
    return _predictions(rows)


def unshared(apart_m: float, one_sigma_m: float, other_sigma_m: float) -> float:
    """Give which share of two fixes' variances is their own, from 0.0001 to 1: the rest of their errors is the same.

    A receiver's errors last for minutes: those of one that stands still are no white noise but follow an
    Ornstein-Uhlenbeck process (as in Sensors 20, 6050, 2020, on stationary civilian receivers). So the difference of
    two readings has in each axis the variance w·(σ₁² + σ₂²) and not σ₁² + σ₂², beside what the wearer moved. If they
    are so far apart, w is likeliest apart²/(2·(σ₁² + σ₂²)); it is no more than 1.
    """
    share = apart_m * apart_m / (2 * (one_sigma_m * one_sigma_m + other_sigma_m * other_sigma_m))
    return min(max(share, _LEAST_SHARE), 1.0)


def _predictions(rows: list[tuple[float, bool, bool, int]]) -> Predictions:
    table = np.array(rows).reshape(-1, 4)
    return Predictions(table[:, 0], table[:, 1] > 0, table[:, 2] > 0, table[:, 3].astype(np.int64))


def _instant(at_us: int) -> CrimeTime:
    return CrimeTime(at_us - _HALF_SECOND_US, at_us - _HALF_SECOND_US, at_us + _HALF_SECOND_US, at_us + _HALF_SECOND_US)


def held_in_town(world: World, profile: Profile, seed: int, each: int) -> Iterator[Held]:
    """Moments of each wearer's true life, all fixes kept."""
    for number, (reported, path) in enumerate(zip(world.reported, world.paths, strict=True)):
        draw = np.random.default_rng([seed, 32, number])
        at_us = draw.integers(reported.fixed_at_us[0], reported.fixed_at_us[-1], each)
        # Half of them while the wearer is on the way, which is a small part of a life.
        on_way = np.flatnonzero(np.hypot(np.diff(path.x_m), np.diff(path.y_m)) > 0)
        knots = draw.choice(on_way, each // 2)
        on_way_s = path.at_s[knots] + draw.random(knots.size) * (path.at_s[knots + 1] - path.at_s[knots])
        at_us[: knots.size] = world.start_us + np.rint(on_way_s * 1e6).astype(np.int64)
        x_m, y_m = path.at((at_us - world.start_us) / 1e6)
        lon_e7, lat_e7 = world.plane.to_e7(x_m, y_m)
        kept = fixes_from_columns(*reported[:5], unknown_r95_m=_unknown_r95_m(profile))
        yield Held(kept, at_us, lon_e7 / 1e7, lat_e7 / 1e7, np.zeros(each), np.full(each, number), is_reading=False)


def held_on_taxis(directory: File, taxis: int, seed: int, profile: Profile) -> Iterator[Held]:
    """Real taxis, every other fix left out: what is left is two minutes apart. No accuracy is stated.

    Raises Failure if the file is not there.
    """
    # Imported here because it imports what reads files: towns do without.
    from benchmarks.scenes.parameters import Parameters
    from benchmarks.scenes.san_francisco import PLANE, START_US, read_trails

    for number, path in enumerate(read_trails(directory, Parameters(), seed, taxis)):
        lon_e7, lat_e7 = PLANE.to_e7(path.x_m, path.y_m)
        at_us = START_US + np.rint(path.at_s * 1e6).astype(np.int64)
        nothing, gps = np.zeros(at_us.size, np.int64), np.full(at_us.size, GPS)
        fixes = fixes_from_columns(at_us, lon_e7, lat_e7, nothing, gps, unknown_r95_m=_unknown_r95_m(profile))
        yield _thinned(fixes, np.arange(fixes.fixed_at_us.size) % 2 == 0, np.full(fixes.fixed_at_us.size, number))


def held_on_phones(directory: File, profile: Profile) -> Iterator[Held]:
    """Phones on scripted trips, thinned to a fix a minute; eight circles a moment.

    The truth is the nearest point of the route, which takes away what a fix is off across it, not along it: of a phone
    that stands still it is hardly more than another reading. A silence of five minutes begins another trip.

    Left-out fixes over 100 m off it are none of a trip. Raises Failure if the files are not there.
    """
    pings, route = (
        directory / "mobilitynet_phone_pings.parquet",
        directory / "mobilitynet_ground_truth_san_jose.geojson.gz",
    )
    for file in (pings, route):
        if not file.exists():
            raise Failure(f"{file} is not there; TRAILMATCH_DATA names the directory that holds it")
    table = parquet.read_table(pings).to_pandas().sort_values(["device_id", "ts"])
    lines, trips = _lines(route), 0
    for _, of_phone in table.groupby("device_id", sort=True):
        at_us = of_phone["ts"].astype("int64").to_numpy()
        accuracy_cm = np.rint(of_phone["accuracy_m"].to_numpy() * 100).astype(np.int64)
        fixes = fixes_from_columns(
            at_us,
            np.rint(of_phone["lon"].to_numpy() * 1e7),
            np.rint(of_phone["lat"].to_numpy() * 1e7),
            accuracy_cm,
            np.full(at_us.size, GPS),
            level=_PHONES_HOLD,
            unknown_r95_m=_unknown_r95_m(profile),
        )
        trip = trips + np.cumsum(np.diff(fixes.fixed_at_us, prepend=0) > _TRIP_S * 1e6)
        trips = int(trip[-1])
        held = _on_route(_thinned(fixes, _once_a_minute(fixes.fixed_at_us), trip), lines)
        for _ in range(_CIRCLES):
            yield held


def _unknown_r95_m(profile: Profile) -> dict[int, float]:
    from matcher.profile import SOURCES

    return {SOURCES[source]: r95_m for source, r95_m in profile.accuracy.unknown_r95_m.items()}


def _thinned(fixes: Fixes, is_kept: Flags, trip: Longs) -> Held:
    out = np.flatnonzero(~is_kept)
    return Held(
        Fixes._make(column[is_kept] for column in fixes),
        fixes.fixed_at_us[out],
        fixes.lon_e7[out] / 1e7,
        fixes.lat_e7[out] / 1e7,
        fixes.sigma_m[out],
        trip[out],
        is_reading=True,
    )


def _once_a_minute(at_us: Longs) -> Flags:
    is_kept, last_us = np.zeros(at_us.size, np.bool_), -math.inf
    for number, one_us in enumerate(at_us.tolist()):
        if one_us - last_us >= 60_000_000:
            is_kept[number], last_us = True, one_us
    return is_kept


def _lines(file: File) -> list[tuple[Floats, Floats]]:
    """The routes as lines of (lon, lat) degrees."""
    features = json.loads(gzip.decompress(file.read_bytes()))["features"]
    lines = [np.array(one["geometry"]["coordinates"]) for one in features if one["geometry"]["type"] == "LineString"]
    return [(line[:, 0], line[:, 1]) for line in lines]


def _on_route(held: Held, lines: list[tuple[Floats, Floats]]) -> Held:
    """Put each moment's position onto the nearest point of a route, and leave out those that lie on none."""
    lon_deg, lat_deg = held.lon_deg.copy(), held.lat_deg.copy()
    is_on = np.zeros(lon_deg.size, np.bool_)
    for moment in range(lon_deg.size):
        plane = Plane(float(lon_deg[moment]), float(lat_deg[moment]))
        away_m, x_m, y_m = min(_nearest(*plane.from_degrees(*line)) for line in lines)
        if away_m <= _OFF_ROUTE_M:
            lon_e7, lat_e7 = plane.to_e7(np.array([x_m]), np.array([y_m]))
            lon_deg[moment], lat_deg[moment], is_on[moment] = lon_e7[0] / 1e7, lat_e7[0] / 1e7, True
    sigma_m = np.zeros(int(is_on.sum()))
    return Held(
        held.kept, held.at_us[is_on], lon_deg[is_on], lat_deg[is_on], sigma_m, held.trip[is_on], held.is_reading
    )


def _nearest(x_m: Floats, y_m: Floats) -> tuple[float, float, float]:
    """The point of a line that is nearest to the plane's middle: (metres, x, y)."""
    along_x, along_y = np.diff(x_m), np.diff(y_m)
    square = np.maximum(along_x * along_x + along_y * along_y, 1e-9)
    part = np.clip(-(x_m[:-1] * along_x + y_m[:-1] * along_y) / square, 0, 1)
    foot_x, foot_y = x_m[:-1] + part * along_x, y_m[:-1] + part * along_y
    at = int(np.argmin(np.hypot(foot_x, foot_y)))
    return float(math.hypot(foot_x[at], foot_y[at])), float(foot_x[at]), float(foot_y[at])
