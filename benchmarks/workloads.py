"""The workloads of the join, drawn by seed: tags that live in towns, and reported crimes, some where a tag was.

W1 is a day of a country's tags against its crimes of that day, W2 ten such days, W3 one small batch against the crimes
that are kept in memory. `sf2008` is no invention: the taxis of San Francisco (benchmarks.taxis), where they are there.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.failure import Failure
from benchmarks.taxis import KNOWN, read_taxis
from matcher.incidents import Incidents
from matcher.join import Between
from matcher.trails import Trails, trails_from_columns

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

BETWEEN = Between(max_gap_s=300, max_speed_mps=60)
MINUTES_A_DAY = 1_440
DAY_S = 86_400
START_US = 1_735_689_600_000_000  # 2025-01-01

_TOWNS = 250
_KM_A_DEGREE = 111.32
# A tag stays, for two and a half hours on average, then goes on foot, by bus or by car: on the move for about a sixth
# of the day.
_STAYS_A_DAY = 9
_SPEEDS_MPS = (1.4, 1.4, 6.0, 9.0, 14.0)
_LEAVES_TOWN = 0.04
_MOTORWAY_MPS = 27.0
_NOISE_M = 6.0
_LOST = 0.008  # of the fixes, which makes gaps
_RADIUS_M = (50.0, 500.0)
_WINDOW_S = (600.0, 43_200.0)
_PLANTED = 0.15

# Some 20 MB are in use while the trails of a block are drawn for ten days.
_DEVICES_A_BLOCK = 20


class Size(NamedTuple):
    devices: int
    minutes: int
    incidents: int


class Workload(NamedTuple):
    name: str
    seed: int
    trails: Trails
    incidents: Incidents
    between: Between


class _Towns(NamedTuple):
    lon_deg: Floats
    lat_deg: Floats
    sigma_km: Floats
    share: Floats


# The small ones are of the same kind, for tests.
SIZES = {
    "W1": Size(7_000, MINUTES_A_DAY, 2_000),
    "W1-small": Size(140, MINUTES_A_DAY, 400),
    "W2": Size(7_000, 10 * MINUTES_A_DAY, 20_000),
    "W3": Size(1_000, 5, 3_000),
    "W3-small": Size(100, 5, 300),
}
SF2008 = "sf2008"


def workload(name: str, seed: int, data: Path | None = None) -> Workload:
    """Draw a workload, or read San Francisco from `data`. W2 takes 1.7 GB, and hardly more while it is drawn.

    Raises Failure if there is no such workload, or no such data.
    """
    if name == SF2008:
        return _san_francisco(seed, data)
    if name not in SIZES:
        raise Failure(f"there is no workload {name}; there are {', '.join([*SIZES, SF2008])}")
    return drawn(name, SIZES[name], seed)


def drawn(name: str, size: Size, seed: int) -> Workload:
    """Draw a workload of another size."""
    rng = np.random.default_rng(seed)
    towns = _towns(rng)
    trails = _trails(towns, size, rng)
    return Workload(name, seed, trails, _incidents(towns, trails, size, rng), BETWEEN)


def _san_francisco(seed: int, data: Path | None) -> Workload:
    if data is None:
        raise Failure("the taxis of San Francisco lie where TRAILMATCH_DATA says, which is unset")
    story = read_taxis(data)
    trails = trails_from_columns(
        story.device, story.fixed_at_us, np.rint(story.lon_deg * 1e7), np.rint(story.lat_deg * 1e7)
    )
    padding_us = round(KNOWN.pad_s * 1e6)
    incidents = Incidents(
        np.array([report.lon_deg for report in story.reports]),
        np.array([report.lat_deg for report in story.reports]),
        np.full(len(story.reports), KNOWN.radius_m),
        np.array([report.from_us - padding_us for report in story.reports]),
        np.array([report.to_us + padding_us for report in story.reports]),
    )
    return Workload(SF2008, seed, trails, incidents, BETWEEN)


def _towns(rng: np.random.Generator) -> _Towns:
    """Draw towns in England, large and small, and how many of the people live in each."""
    share = 1 / np.arange(1, _TOWNS + 1) ** 0.7
    share /= share.sum()
    sigma_km = 2.5 * np.sqrt(share * _TOWNS)
    return _Towns(rng.uniform(-3.0, 0.5, _TOWNS), rng.uniform(50.8, 54.8, _TOWNS), sigma_km, share)


def _places(towns: _Towns, town: Longs, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw a place in each of these towns."""
    lat_deg = towns.lat_deg[town] + rng.normal(size=town.shape) * towns.sigma_km[town] / _KM_A_DEGREE
    east_km = rng.normal(size=town.shape) * towns.sigma_km[town]
    return towns.lon_deg[town] + east_km / (_KM_A_DEGREE * np.cos(np.radians(lat_deg))), lat_deg


def _trails(towns: _Towns, size: Size, rng: np.random.Generator) -> Trails:
    """Draw all trails into columns that are long enough, in blocks of devices with a generator each, in threads.

    Beside the columns there are never more than two blocks.
    """
    room = size.devices * size.minutes
    fixed_at_us, lon_e7, lat_e7 = np.empty(room, np.int64), np.empty(room, np.int32), np.empty(room, np.int32)
    firsts = range(0, size.devices, _DEVICES_A_BLOCK)

    def draw(first: int, own: np.random.Generator) -> NDArray[np.int64]:
        devices = min(_DEVICES_A_BLOCK, size.devices - first)
        kept, times, lons, lats = _block(towns, devices, size, own)
        there = slice(first * size.minutes, first * size.minutes + times.size)
        fixed_at_us[there], lon_e7[there], lat_e7[there] = times, lons, lats
        return kept

    with ThreadPoolExecutor(2) as pool:
        kept = list(pool.map(draw, firsts, rng.spawn(len(firsts))))
    end = 0
    for first, counts in zip(firsts, kept, strict=True):
        at, count = first * size.minutes, int(counts.sum())
        for column in (fixed_at_us, lon_e7, lat_e7):
            column[end : end + count] = column[at : at + count]
        end += count
    starts = np.append(0, np.cumsum(np.concatenate(kept)))
    return Trails(np.arange(size.devices), starts, fixed_at_us[:end], lon_e7[:end], lat_e7[:end])


def _block(
    towns: _Towns, devices: int, size: Size, rng: np.random.Generator
) -> tuple[Longs, Longs, NDArray[np.int32], NDArray[np.int32]]:
    """Draw some devices' trails: pings of each, and time, longitude and latitude of each ping, in order."""
    stays = 2 + _STAYS_A_DAY * (1 + size.minutes // MINUTES_A_DAY)
    home = rng.choice(_TOWNS, devices, p=towns.share)
    away = rng.random((devices, stays)) < _LEAVES_TOWN
    town = np.where(away, rng.choice(_TOWNS, (devices, stays), p=towns.share), home[:, None])
    lon_deg, lat_deg = _places(towns, town, rng)
    way_m = 1_000 * _KM_A_DEGREE * np.hypot(np.diff(lon_deg) * np.cos(np.radians(lat_deg[:, 1:])), np.diff(lat_deg))
    speed_mps = np.where(way_m > 20_000, _MOTORWAY_MPS, rng.choice(_SPEEDS_MPS, way_m.shape))
    stay_s = rng.exponential(DAY_S / _STAYS_A_DAY, (devices, stays))
    travel_s = np.concatenate([way_m / speed_mps, np.zeros((devices, 1))], axis=1)
    leave_s = np.cumsum(stay_s + travel_s, axis=1) - travel_s
    arrive_s = leave_s - stay_s

    asked_s = 60.0 * np.arange(size.minutes) + rng.uniform(1, 59, devices)[:, None]
    asked_s += rng.integers(-1, 2, asked_s.shape)
    # One long line of all devices, one after the other, so that one interpolation serves them all.
    apart_s = (leave_s[:, -1].max() + 60 * size.minutes + 1) * np.arange(devices)[:, None]
    known_s = (np.stack([arrive_s, leave_s], axis=2).reshape(devices, -1) + apart_s).ravel()
    wanted_s = (asked_s + apart_s).ravel()
    noise_deg = _NOISE_M / 1_000 / _KM_A_DEGREE * rng.normal(size=(2, wanted_s.size))
    lon_e7 = np.rint((np.interp(wanted_s, known_s, np.repeat(lon_deg, 2)) + noise_deg[0]) * 1e7).astype(np.int32)
    lat_e7 = np.rint((np.interp(wanted_s, known_s, np.repeat(lat_deg, 2)) + noise_deg[1]) * 1e7).astype(np.int32)
    fixed_at_us = START_US + 1_000_000 * np.rint(asked_s.ravel()).astype(np.int64)
    kept = rng.random(asked_s.shape) >= _LOST
    chosen = kept.ravel()
    return kept.sum(axis=1), fixed_at_us[chosen], lon_e7[chosen], lat_e7[chosen]


def _incidents(towns: _Towns, trails: Trails, size: Size, rng: np.random.Generator) -> Incidents:
    """Draw crimes where people live, and a share of them within reach of a ping."""
    n = size.incidents
    lon_deg, lat_deg = _places(towns, rng.choice(_TOWNS, n, p=towns.share), rng)
    radius_m = rng.uniform(*_RADIUS_M, n)
    window_us = np.exp(rng.uniform(np.log(_WINDOW_S[0]), np.log(_WINDOW_S[1]), n)) * 1e6
    days = max(1, size.minutes // MINUTES_A_DAY)
    middle_us = START_US + rng.uniform(0, days * DAY_S * 1e6, n)

    planted = rng.random(n) < _PLANTED
    ping = rng.integers(0, trails.fixed_at_us.size, n)
    beside_m, bearing_rad = 1.2 * radius_m * rng.random(n), rng.uniform(0, 2 * np.pi, n)
    near_lat_deg = trails.lat_e7[ping] / 1e7 + np.cos(bearing_rad) * beside_m / 1_000 / _KM_A_DEGREE
    east_deg = np.sin(bearing_rad) * beside_m / 1_000 / (_KM_A_DEGREE * np.cos(np.radians(near_lat_deg)))
    lat_deg = np.where(planted, near_lat_deg, lat_deg)
    lon_deg = np.where(planted, trails.lon_e7[ping] / 1e7 + east_deg, lon_deg)
    middle_us = np.where(planted, trails.fixed_at_us[ping] + rng.uniform(-0.6, 0.6, n) * window_us, middle_us)
    from_us, to_us = (np.rint(middle_us + side * window_us).astype(np.int64) for side in (-0.5, 0.5))
    return Incidents(lon_deg, lat_deg, radius_m, from_us, to_us)
