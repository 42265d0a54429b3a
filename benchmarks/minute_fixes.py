"""Minute fixes of many tags with every column filled, by seed: what the trail store is measured on."""

import numpy as np
from numpy.typing import NDArray

MINUTES_A_DAY = 1_440
DAY_US = 86_400_000_000
ROW = np.dtype(
    [
        ("device_id", "i4"),
        ("fixed_at", "M8[us]"),
        ("source", "i2"),
        ("lon_e7", "i4"),
        ("lat_e7", "i4"),
        ("accuracy_cm", "i4"),
        ("speed_cmps", "i4"),
        ("direction_cdeg", "i4"),
        ("batch_id", "i8"),
    ]
)

Rows = NDArray[np.void]

_M_A_DEGREE = 111_320.0
_TOWNS = 60
_BATCHES_A_MINUTE = 12


def minute_fixes(devices: int, day: int, rng: np.random.Generator) -> Rows:
    """Draw one UTC day of so many tags, (devices * 1,440), in the order of arrival: minute by minute.

    A tag fixes once a minute at a second of its own, give or take one. It rests most of the time, with an error of a
    few metres, and is on the move for a sixth of the day, at walking or driving speed. A minute's fixes come in a dozen
    batches, those of a tag always in the same one of them.
    """
    shape = (devices, MINUTES_A_DAY)
    is_moving = _spells(shape, rng)
    top_mps = rng.choice([1.4, 9.0, 16.0], shape[0])[:, None]
    speed_mps = np.where(is_moving, rng.gamma(4.0, top_mps / 4.0, shape), rng.exponential(0.05, shape))
    bearing_rad = np.cumsum(rng.normal(0.0, 0.5, shape), axis=1)
    error_m = rng.gamma(3.0, 3.0, shape)
    east_m, north_m = (
        np.cumsum(np.where(is_moving, speed_mps * 60.0 * way, 0.0), axis=1) + error_m * rng.normal(0.0, 0.5, shape)
        for way in (np.sin(bearing_rad), np.cos(bearing_rad))
    )
    town = rng.integers(0, _TOWNS, devices)
    lat_deg = rng.uniform(50.5, 55.0, _TOWNS)[town] + rng.normal(0.0, 0.03, devices)
    lon_deg = rng.uniform(-3.5, 1.0, _TOWNS)[town] + rng.normal(0.0, 0.05, devices)
    second = rng.integers(1, 59, devices)[:, None] + rng.integers(-1, 2, shape)
    rows = np.empty(shape, ROW)
    rows["device_id"] = np.arange(1, devices + 1)[:, None]
    minute_us = day * DAY_US + np.arange(MINUTES_A_DAY) * 60_000_000
    rows["fixed_at"] = (minute_us + second * 1_000_000).view("M8[us]")
    rows["source"] = 1
    rows["lon_e7"] = np.rint((lon_deg[:, None] + east_m / (_M_A_DEGREE * np.cos(np.radians(lat_deg))[:, None])) * 1e7)
    rows["lat_e7"] = np.rint((lat_deg[:, None] + north_m / _M_A_DEGREE) * 1e7)
    rows["accuracy_cm"] = np.rint(error_m * 10.0) * 10 + 250
    rows["speed_cmps"] = np.rint(speed_mps * 100.0)
    rows["direction_cdeg"] = np.rint(np.degrees(bearing_rad)).astype(np.int64) % 360 * 100
    batch = np.arange(MINUTES_A_DAY) * _BATCHES_A_MINUTE + rng.integers(0, _BATCHES_A_MINUTE, devices)[:, None]
    rows["batch_id"] = 1 + day * MINUTES_A_DAY * _BATCHES_A_MINUTE + batch
    return rows.T.reshape(-1)


def _spells(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Whether a tag is on the move in each minute: spells of half an hour on average, a sixth of the day."""
    devices, minutes = shape
    is_moving = np.empty(shape, np.bool_)
    now = rng.random(devices) < 1 / 6
    for minute in range(minutes):
        chance = rng.random(devices)
        now = np.where(now, chance > 1 / 30, chance < 1 / 150)
        is_moving[:, minute] = now
    return is_moving
