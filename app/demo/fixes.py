"""What the tags report of the wearers' lives: a fix a minute, when all goes well.

Stated accuracy is the radius that holds the true position 95 times in 100, and for all but the outliers it does.
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from app.demo.lives import Life, Moment, moment_of
from app.demo.town import Bools, Floats, Ints
from app.demo.ways import Mode

EVERY_S = 60.0
R95_SIGMAS = math.sqrt(-2.0 * math.log(0.05))  # of a circular normal error, per axis
OUTLIER_SHARE = 0.01
_MINUTES_A_DAY = 1_440
_GAPS_A_DAY = 2.0
_GAP_MEDIAN_S = 480.0
_FLAT_A_DAY = 0.10
_STORED_A_DAY = 0.15  # how often a tag cannot send and keeps its fixes for later
_SLOWEST_S = 20.0  # what an ordinary fix takes to arrive


class Source(IntEnum):
    """How a fix was made."""

    GPS = 0
    LBS = 1
    WIFI = 2


class Fixes(NamedTuple):
    """N fixes of all tags in the order in which they arrive, and beside each what is true."""

    wearer: Ints  # (N,)
    fixed_s: Floats  # (N,) after the scene's midnight, whole seconds
    received_s: Floats  # (N,) rising
    x_m: Floats  # (N,)
    y_m: Floats  # (N,)
    accuracy_m: Floats  # (N,) stated r95
    speed_mps: Floats  # (N,) NaN where the tag does not know
    direction_deg: Floats  # (N,) NaN where the tag does not know
    source: Ints  # (N,) one of Source
    true_x_m: Floats  # (N,)
    true_y_m: Floats  # (N,)
    is_outlier: Bools  # (N,) an urban canyon: far off, with a small stated accuracy


class Silence(NamedTuple):
    """A time without fixes."""

    wearer: int
    from_s: float
    to_s: float
    is_battery: bool  # flat, else no signal


def take_fixes(seed: int, lives: list[Life], from_s: float, until_s: float) -> tuple[Fixes, list[Silence]]:
    """Every wearer's fixes from `from_s` to `until_s`, all received by then, and when there were none. 1 µs a fix."""
    silences = list[Silence]()
    each = list[Fixes]()
    for number, life in enumerate(lives):
        draw = np.random.default_rng([seed, 5, number])
        own = _silences(draw, number, from_s, until_s)
        silences += own
        at_s = _awake(draw, own, from_s, until_s)
        each.append(_seen(draw, number, moment_of(life, at_s), at_s, _arrival(draw, at_s, from_s, until_s)))
    together = Fixes._make(np.concatenate(column) for column in zip(*each, strict=True))
    order = np.argsort(together.received_s, kind="stable")
    return Fixes._make(column[order] for column in together), silences


def _silences(draw: np.random.Generator, wearer: int, from_s: float, until_s: float) -> list[Silence]:
    days = (until_s - from_s) / 86_400.0
    silences = list[Silence]()
    for is_battery, a_day, median_s, sigma in (
        (False, _GAPS_A_DAY, _GAP_MEDIAN_S, 0.8),
        (True, _FLAT_A_DAY, 10_800.0, 0.4),
    ):
        for begin_s in np.sort(draw.uniform(from_s, until_s, draw.poisson(a_day * days))).tolist():
            end_s = begin_s + float(median_s * draw.lognormal(0.0, sigma))
            silences.append(Silence(wearer, begin_s, min(end_s, until_s), is_battery))
    return silences


def _awake(draw: np.random.Generator, silences: list[Silence], from_s: float, until_s: float) -> Floats:
    """The whole seconds at which one tag takes its fixes."""
    minutes: Floats = np.arange(from_s + draw.integers(60), until_s - _SLOWEST_S, EVERY_S)
    at_s: Floats = minutes + draw.choice([0.0, 1.0, 2.0], minutes.size, p=[0.8, 0.15, 0.05])
    for silence in silences:
        at_s = at_s[(at_s < silence.from_s) | (at_s > silence.to_s)]
    return at_s


def _arrival(draw: np.random.Generator, at_s: Floats, from_s: float, until_s: float) -> Floats:
    """When each fix reaches the contractor: at once, or in one go an hour to a day later."""
    received_s: Floats = at_s + draw.uniform(3.0, _SLOWEST_S, at_s.size)
    for begin_s in draw.uniform(from_s, until_s, draw.poisson(_STORED_A_DAY * (until_s - from_s) / 86_400.0)).tolist():
        end_s = min(begin_s + 3_600.0 * math.exp(draw.uniform(0.0, math.log(24.0))), until_s)
        is_stored = (at_s >= begin_s) & (at_s < end_s)
        received_s[is_stored] = np.maximum(received_s[is_stored], end_s)
    return received_s


def _seen(draw: np.random.Generator, wearer: int, true: Moment, at_s: Floats, received_s: Floats) -> Fixes:
    count = at_s.size
    source, accuracy_m = _quality(draw, true.mode)
    is_gps = source == Source.GPS
    is_outlier = is_gps & (draw.random(count) < OUTLIER_SHARE)
    east_m, north_m = (accuracy_m / R95_SIGMAS * error for error in (_error(draw, count), _error(draw, count)))
    away_m, bearing = 60.0 * draw.pareto(1.6, count) + 40.0, draw.uniform(0.0, 2.0 * np.pi, count)
    away_m = np.minimum(away_m, 3_000.0)
    accuracy_m = np.where(is_outlier, np.round(draw.uniform(4.0, 15.0, count), 1), accuracy_m)
    speed_mps = np.maximum(true.speed_mps + draw.normal(0.0, 0.25, count), 0.0)
    direction_deg = (true.direction_deg + draw.normal(0.0, 8.0, count)) % 360.0
    return Fixes(
        np.full(count, wearer),
        at_s,
        received_s,
        true.x_m + np.where(is_outlier, away_m * np.sin(bearing), east_m),
        true.y_m + np.where(is_outlier, away_m * np.cos(bearing), north_m),
        accuracy_m,
        np.where(is_gps, np.round(speed_mps, 2), np.nan),
        np.where(is_gps & (true.speed_mps > 0.0), np.round(direction_deg, 1) % 360.0, np.nan),
        source,
        true.x_m,
        true.y_m,
        is_outlier,
    )


def _quality(draw: np.random.Generator, mode: Ints) -> tuple[Ints, Floats]:
    """How each fix is made and the accuracy it states: worse within walls, there now and then not by GPS at all."""
    is_inside = mode == Mode.INSIDE
    lot = draw.random(mode.size)
    source = np.where(
        lot < np.where(is_inside, 0.02, 0.004),
        Source.LBS,
        np.where(lot < np.where(is_inside, 0.05, 0.008), Source.WIFI, Source.GPS),
    )
    outdoors_m = np.clip(9.0 * draw.lognormal(0.0, 0.45, mode.size), 3.0, 60.0)
    indoors_m = np.clip(24.0 * draw.lognormal(0.0, 0.5, mode.size), 6.0, 150.0)
    gps_m = np.where(is_inside, indoors_m, outdoors_m)
    lbs_m = np.exp(draw.uniform(math.log(300.0), math.log(1_500.0), mode.size))
    wifi_m = np.exp(draw.uniform(math.log(100.0), math.log(250.0), mode.size))
    return source, np.round(np.choose(source, [gps_m, lbs_m, wifi_m]), 1)


def _error(draw: np.random.Generator, count: int) -> Floats:
    """Standard normal errors that resemble those of the two minutes before, as a receiver's do."""
    white = draw.standard_normal(count + 2)
    return (white[2:] + white[1:-1] + white[:-2]) / math.sqrt(3.0)
