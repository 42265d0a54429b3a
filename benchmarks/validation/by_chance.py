"""Chance evaluations: ratios for crimes at times when nothing ties the wearer to them."""

import math
from collections.abc import Callable

import numpy as np

from benchmarks.scenes.offences import draw_window
from benchmarks.scenes.parameters import Parameters
from benchmarks.scenes.plane import Floats
from benchmarks.scenes.world import Longs, Reported, World
from benchmarks.validation.cases import comparable_days_us, place_of, ratio_of, wearer_of, weight_of
from matcher.context import Incident
from matcher.near import distances_m
from matcher.profile import Profile

BOUNDS = (10.0, 100.0, 1_000.0)


def chance_ratios(
    world: World, profile: Profile, parameters: Parameters, seed: int, count: int, advance: Callable[[], None]
) -> Floats:
    """Give the ratios of so many pairs of a place and a wearer who was inside that circle at some time.

    Places are those of the world's crimes, one with a wearer drawn for each; the moment is drawn evenly over the time
    that the wearer's trail covers, and a window about it as its kind has them. `advance` is called for each.
    """
    wearers = [wearer_of(reported, profile) for reported in world.reported]
    draw = np.random.default_rng([seed, 51])
    met = _met(world, profile)
    if not met:
        return np.empty(0)
    starts_us = [_covered_stretches(reported, profile) for reported in world.reported]
    ratios = list[float]()
    while len(ratios) < count:
        crime, row = met[draw.integers(len(met))]
        at_us = _covered_moment(draw, *starts_us[row])
        reported = world.crimes[crime]
        kind = next(kind for kind in parameters.kinds if kind.code == reported.code)
        window_us = draw_window(draw, parameters, kind, at_us, at_us)
        incident = Incident(reported.lon_deg, reported.lat_deg, reported.code, *window_us)
        weight = weight_of(wearers[row], incident, profile, comparable_days_us(world, incident, profile))
        ratios.append(ratio_of(weight, incident, profile))
        advance()
    return np.array(ratios)


def misleading(ratios: Floats) -> dict[str, float]:
    """Give the share of chance evaluations with a ratio of at least 10, 100 and 1,000."""
    return {f"{bound:g}": float((ratios >= bound).mean()) if ratios.size else math.nan for bound in BOUNDS}


def _met(world: World, profile: Profile) -> list[tuple[int, int]]:
    """Pairs of a crime's place and a wearer other than its offender with a fix in its circle, ever."""
    pairs = list[tuple[int, int]]()
    for number, crime in enumerate(world.crimes):
        radius_m = place_of(Incident(crime.lon_deg, crime.lat_deg, crime.code, 0, 0), profile).radius_m
        for row, reported in enumerate(world.reported):
            if row != crime.offender:
                away_m = distances_m(reported.lon_e7, reported.lat_e7, crime.lon_deg, crime.lat_deg)
                if away_m.size and away_m.min() <= radius_m:
                    pairs.append((number, row))
    return pairs


def _covered_stretches(reported: Reported, profile: Profile) -> tuple[Longs, Longs]:
    """Starts and lengths of the stretches between fixes near enough to each other."""
    length_us = np.diff(reported.fixed_at_us)
    covered = np.flatnonzero(length_us <= profile.max_gap_s * 1e6)
    return reported.fixed_at_us[covered], length_us[covered]


def _covered_moment(draw: np.random.Generator, starts_us: Longs, lengths_us: Longs) -> int:
    ends_us = np.cumsum(lengths_us)
    at_us = int(draw.integers(ends_us[-1]))
    stretch = int(np.searchsorted(ends_us, at_us, "right"))
    return int(starts_us[stretch]) + at_us - int(ends_us[stretch] - lengths_us[stretch])
