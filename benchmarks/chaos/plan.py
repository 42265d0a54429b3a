"""What clients will send, drawn by seed: trails of old and new days, crimes on them, fittings, events, corrections."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.times import to_datetime
from benchmarks.parties import FORCE

DEVICES: Final = 40
PINGS_A_BATCH: Final = 200
# So much of trails and so many crimes come in each minute that the run is to last.
TRAIL_MINUTES_A_MINUTE: Final = 240
CRIMES_A_MINUTE: Final = 60
# Rows of days more than so many whole days ago are dropped as soon as they are sealed; half of the trails are older.
HOT_DAYS: Final = 2
# The plain radius alerts for every position inside, so that there are many alerts; the evidence model looks at most.
_PROFILES = ("radius-100m", "radius-100m", "standard")
_MINUTE_US: Final = 60_000_000
_DAY_US: Final = 86_400_000_000
_LON_E7, _LAT_E7 = -15_500_000, 538_000_000
_E7_PER_METRE_NORTH, _E7_PER_METRE_EAST = 90, 152
_EVENTS = ("strap_tamper", "battery_low", "battery_flat", "signal_lost", "signal_restored")

Longs = NDArray[np.int64]
Record = dict[str, Any]


class Fixes(NamedTuple):
    """N fixes."""

    device: Longs  # (N,) index
    fixed_at_us: Longs  # (N,)
    lon_e7: Longs  # (N,)
    lat_e7: Longs  # (N,)


class Step(NamedTuple):
    """A body to be posted, at the earliest after this part of the run, 0 to 1."""

    at: float
    path: str
    records: list[Record]


class Plan(NamedTuple):
    """Bodies by who sends them; each sender keeps to the order."""

    pings: list[Step]
    contractor: list[Step]
    force: list[Step]


def draw_plan(seed: int, minutes: float, now: datetime) -> Plan:
    """Draw what is sent in a run of so many minutes; times of the trails lie some days before `now`."""
    draw = Random(seed)
    fixes = _walk(np.random.default_rng(seed), max(30, round(minutes * TRAIL_MINUTES_A_MINUTE)), now)
    return Plan(_batches(draw, fixes), _fittings_and_events(draw, fixes), _crimes(draw, fixes, minutes))


def serial_of(device: int) -> str:
    """What a device is called."""
    return f"T{device:03d}"


def _walk(draw: np.random.Generator, minutes: int, now: datetime) -> Fixes:
    """A fix a minute of each device, on a walk of up to 80 m a minute, half before and half after a midnight.

    Of three devices two are one or two days behind, so that there are several days to be dropped.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=HOT_DAYS)
    first_us = round(midnight.timestamp()) * 1_000_000 - minutes // 2 * _MINUTE_US
    shape = DEVICES, minutes
    behind_us = np.arange(DEVICES)[:, np.newaxis] % 3 * _DAY_US
    fixed_at_us = first_us - behind_us + np.arange(minutes) * _MINUTE_US + draw.integers(0, _MINUTE_US, shape)
    lon_e7 = _LON_E7 + np.cumsum(draw.integers(-80, 81, shape), axis=1) * _E7_PER_METRE_EAST
    lat_e7 = _LAT_E7 + np.cumsum(draw.integers(-80, 81, shape), axis=1) * _E7_PER_METRE_NORTH
    device = np.repeat(np.arange(DEVICES), minutes)
    return Fixes(device, fixed_at_us.ravel(), lon_e7.ravel(), lat_e7.ravel())


def _batches(draw: Random, fixes: Fixes) -> list[Step]:
    """Batches by time, half of the devices half the time ahead; some fixes late, some twice, some disputed."""
    first_us, last_us = int(fixes.fixed_at_us.min()), int(fixes.fixed_at_us.max())
    at = (fixes.fixed_at_us - first_us) / (last_us - first_us + 1)
    order = sorted(
        ((float(at[row]) + 0.5 * (fixes.device[row] % 2)) % 1.0, row, False) for row in range(fixes.device.size)
    )
    sent = [(when if draw.random() > 0.1 else draw.uniform(when, 1.0), row, False) for when, row, _ in order]
    sent += [(draw.uniform(when, 1.0), row, draw.random() < 0.3) for when, row, _ in order if draw.random() < 0.05]
    sent.sort()
    return [
        Step(
            0.97 * part[0][0], "/v1/pings", [_ping(fixes, row, is_disputed=is_disputed) for _, row, is_disputed in part]
        )
        for part in (sent[start : start + PINGS_A_BATCH] for start in range(0, len(sent), PINGS_A_BATCH))
    ]


def _ping(fixes: Fixes, row: int, *, is_disputed: bool) -> Record:
    """A fix on the wire; the disputed form of it lies 50 m further north."""
    return {
        "device_id": serial_of(int(fixes.device[row])),
        "fixed_at_us": int(fixes.fixed_at_us[row]),
        "lon": int(fixes.lon_e7[row]) / 1e7,
        "lat": (int(fixes.lat_e7[row]) + is_disputed * 50 * _E7_PER_METRE_NORTH) / 1e7,
        "accuracy_m": 10.0,
        "source": "gps",
    }


def _fittings_and_events(draw: Random, fixes: Fixes) -> list[Step]:
    first_us, last_us = int(fixes.fixed_at_us.min()), int(fixes.fixed_at_us.max())
    steps = list[Step]()
    for device in range(DEVICES):
        at = 0.0 if device % 4 else draw.uniform(0.1, 0.7)  # a quarter is only told of after their pings
        fitting = _fitting(f"F{device:03d}-1", 1, device, f"W{device:03d}", first_us - _DAY_US)
        steps.append(Step(at, "/v1/activations", [fitting]))
        again_us = draw.randrange(first_us, last_us)
        if device % 5 == 0:  # another wearer from some moment on, and later it is said to have been earlier
            other = f"W{DEVICES + device:03d}"
            steps += [
                Step(0.5, "/v1/activations", [_fitting(f"F{device:03d}-2", 1, device, other, again_us)]),
                Step(
                    draw.uniform(0.6, 0.95),
                    "/v1/activations",
                    [_fitting(f"F{device:03d}-2", 2, device, other, (first_us + again_us) // 2)],
                ),
            ]
        for number in range(3):
            event = {
                "event_id": f"E{device:03d}-{number}",
                "device_id": serial_of(device),
                "kind": draw.choice(_EVENTS),
                "at": to_datetime(draw.randrange(first_us, last_us)).isoformat(),
            }
            steps.append(Step(draw.random() * 0.95, "/v1/device-events", [event]))
    return sorted(steps, key=lambda step: step.at)


def _fitting(reference: str, revision: int, device: int, wearer: str, fitted_us: int) -> Record:
    return {
        "activation_id": reference,
        "revision": revision,
        "device_id": serial_of(device),
        "wearer_reference": wearer,
        "fitted_at": to_datetime(fitted_us).astimezone(UTC).isoformat(),
    }


def _crimes(draw: Random, fixes: Fixes, minutes: float) -> list[Step]:
    """Crimes near somebody's fix, before or after that comes; a quarter is amended later, once or twice."""
    steps = list[Step]()
    for number in range(max(20, round(minutes * CRIMES_A_MINUTE))):
        at = draw.random() * 0.9
        record = _crime(draw, fixes, f"C{number:05d}")
        steps.append(Step(at, "/v1/incidents", [record]))
        for _ in range(draw.choice((0, 0, 0, 1, 2))):
            at = draw.uniform(at, 0.95)
            record = record | draw.choice(
                ({"withdrawn": True}, {"withdrawn": False}, {"lat": round(record["lat"] + 60e-5, 7)}, {"offence": "RB"})
            )
            steps.append(Step(at, "/v1/incidents", [record]))
    return sorted(steps, key=lambda step: step.at)


def _crime(draw: Random, fixes: Fixes, reference: str) -> Record:
    row = draw.randrange(fixes.device.size)
    from_us = int(fixes.fixed_at_us[row]) - draw.randrange(30) * _MINUTE_US
    return {
        "force": FORCE,
        "reference": reference,
        "offence": "BIAD",
        "profile": draw.choice(_PROFILES),
        "from": to_datetime(from_us).isoformat(),
        "to": to_datetime(from_us + draw.randrange(30) * _MINUTE_US).isoformat(),
        "lon": round((int(fixes.lon_e7[row]) + draw.gauss(0, 30) * _E7_PER_METRE_EAST) / 1e7, 7),
        "lat": round((int(fixes.lat_e7[row]) + draw.gauss(0, 30) * _E7_PER_METRE_NORTH) / 1e7, 7),
    }
