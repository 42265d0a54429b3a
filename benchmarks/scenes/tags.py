"""What a tag makes of a true way: when it takes fixes, and how far off they are against what they state."""

import math

import numpy as np

from benchmarks.scenes.parameters import Tag
from benchmarks.scenes.plane import Floats, Plane
from benchmarks.scenes.world import Flags, Longs, Path, Reported
from matcher.fixes import sigma_of_r95

# How a fix was made, as it is stored.
GPS, LBS, WIFI = 1, 5, 6

_DAY_S = 86_400.0


def fix_times(draw: np.random.Generator, tag: Tag, from_s: float, until_s: float) -> Floats:
    """Give the whole seconds at which a tag takes its fixes: its beat, but for gaps and flat batteries."""
    beats = np.arange(from_s + draw.integers(math.ceil(tag.every_s)), until_s, tag.every_s)
    at_s: Floats = np.floor(beats) + draw.choice([0.0, 1.0, 2.0], beats.size, p=[0.8, 0.15, 0.05])
    days = (until_s - from_s) / _DAY_S
    is_awake = np.ones(at_s.size, np.bool_)
    for a_day, median_s, sigma in (
        (tag.gaps_a_day, tag.gap_median_s, tag.gap_sigma),
        (tag.flat_a_day, tag.flat_median_s, tag.flat_sigma),
    ):
        begin_s = draw.uniform(from_s, until_s, draw.poisson(a_day * days))
        end_s = begin_s + median_s * draw.lognormal(0.0, sigma, begin_s.size)
        for one_s, other_s in zip(begin_s, end_s, strict=True):
            is_awake[np.searchsorted(at_s, one_s) : np.searchsorted(at_s, other_s)] = False
    return at_s[is_awake]


def report(draw: np.random.Generator, tag: Tag, plane: Plane, path: Path, at_s: Floats, start_us: int) -> Reported:
    """Give what the tag reports of a way at these moments. 0.3 µs a fix."""
    n = at_s.size
    knot = np.clip(np.searchsorted(path.at_s, at_s, side="right") - 1, 0, path.at_s.size - 1)
    source, r95_m = _quality(draw, tag, path.is_indoors[knot])
    is_outlier = (source == GPS) & (draw.random(n) < tag.outlier_share)
    x_m, y_m = path.at(at_s)
    sigma_m = r95_m * sigma_of_r95(1.0)
    away_m, bearing = _outlying(draw, tag, n)
    x_m += np.where(is_outlier, away_m * np.sin(bearing), sigma_m * _error(draw, tag, n))
    y_m += np.where(is_outlier, away_m * np.cos(bearing), sigma_m * _error(draw, tag, n))
    r95_m = np.where(is_outlier, draw.uniform(*tag.outlier_r95_m, n), r95_m)
    is_unknown = (draw.random(n) < tag.unknown_share) | (draw.random() < tag.mute_tags)
    return Reported(
        start_us + np.rint(at_s * 1e6).astype(np.int64),
        *plane.to_e7(x_m, y_m),
        np.where(is_unknown, 0, np.rint(r95_m * 100)).astype(np.int64),
        source,
        is_outlier,
    )


def _quality(draw: np.random.Generator, tag: Tag, is_indoors: Flags) -> tuple[Longs, Floats]:
    """How each fix is made, and its true r95."""
    n = is_indoors.size
    lot = np.where(is_indoors, draw.random(n), 1.0)
    source = np.where(lot < tag.lbs_indoors, LBS, np.where(lot < tag.lbs_indoors + tag.wifi_indoors, WIFI, GPS))
    median_m = np.where(is_indoors, tag.indoors_r95_m, tag.outdoors_r95_m)
    gps_m = np.clip(median_m * draw.lognormal(0.0, tag.r95_sigma, n), 3.0, 200.0)
    wifi_m = np.exp(draw.uniform(math.log(100.0), math.log(250.0), n))
    lbs_m = np.exp(draw.uniform(math.log(300.0), math.log(1_500.0), n))
    r95_m: Floats = np.where(source == LBS, lbs_m, np.where(source == WIFI, wifi_m, gps_m))
    return source.astype(np.int64), r95_m


def _outlying(draw: np.random.Generator, tag: Tag, n: int) -> tuple[Floats, Floats]:
    away_m = tag.outlier_least_m + tag.outlier_scale_m * draw.pareto(tag.outlier_shape, n)
    return np.minimum(away_m, tag.outlier_most_m), draw.uniform(0.0, 2.0 * np.pi, n)


def _error(draw: np.random.Generator, tag: Tag, n: int) -> Floats:
    """Standard normal errors that resemble those of the fixes before, as a receiver's do."""
    white = draw.standard_normal(n + tag.error_minutes - 1)
    summed: Floats = np.convolve(white, np.ones(tag.error_minutes), "valid") / math.sqrt(tag.error_minutes)
    return summed
