"""The oracles of the evidence: each formula again, slowly, from its definition. Shares no code with what it judges."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from mpmath import mp, mpf
from pyproj import Geod
from scipy.integrate import trapezoid
from scipy.optimize import minimize_scalar
from scipy.stats import ncx2, norm

GEOD = Geod(ellps="WGS84")
mp.dps = 18


def inside_probability(distance_m: float, radius_m: float, sigma_m: float) -> float:
    """The normal density over the circle, integrated by mpmath in strips along the line to the centre."""
    away, radius = mpf(distance_m) / mpf(sigma_m), mpf(radius_m) / mpf(sigma_m)

    def strip(angle: mpf) -> mpf:
        half = radius * mp.cos(angle)
        across = radius * mp.sin(angle)
        return mp.npdf(across) * (mp.ncdf(half - away) - mp.ncdf(-half - away)) * half

    # Strips further than 8 standard deviations off weigh less than 1e-14.
    widest = mp.asin(min(radius, mpf(8)) / radius)
    return float(2 * mp.quad(strip, [0, widest / 4, widest]))


def log_likelihood(turns: Sequence[tuple[float, float, float]], mobility_m2ps: float) -> float:
    """Of normal errors in two axes: each turn is (seconds, m², squared distance), its variance seconds·D + m²."""
    return math.fsum(
        -math.log(2 * math.pi * (seconds * mobility_m2ps + own_m2))
        - square_m2 / (2 * (seconds * mobility_m2ps + own_m2))
        for seconds, own_m2, square_m2 in turns
    )


def likeliest_mobility(turns: Sequence[tuple[float, float, float]], least_m2ps: float, most_m2ps: float) -> float:
    """The best of five hundred, evenly spaced in their logarithm, and then between the two beside it."""
    mobilities = np.geomspace(least_m2ps, most_m2ps, 500)
    best = int(np.argmax([log_likelihood(turns, mobility_m2ps) for mobility_m2ps in mobilities]))
    beside = (mobilities[max(best - 1, 0)], mobilities[min(best + 1, 499)])
    return float(minimize_scalar(lambda m2ps: -log_likelihood(turns, m2ps), beside, beside, method="bounded").x)


class Fix(NamedTuple):
    at_s: float
    lon_deg: float
    lat_deg: float
    sigma_m: float


class Scene(NamedTuple):
    """One wearer's fixes and one crime; knots_s are the start, from, to and end of its moment."""

    fixes: list[Fix]
    lon_deg: float
    lat_deg: float
    radius_m: float
    sigma_m: float
    knots_s: tuple[float, float, float, float]
    max_gap_s: float = 300
    max_speed_mps: float = 60
    stay_s: float = 240
    stay_spread: float = 1.02
    pace_mps: float = 1.2


class Dense(NamedTuple):
    highest: float
    seen: float
    inside_s: float
    at_crime: float
    throughout: float
    known: float
    covered_s: float


def dense_presence(scene: Scene, points: int = 2001) -> Dense:
    """Presence over the window from so many moments of each bridge, every number from its definition."""
    start_s, from_s, to_s, end_s = scene.knots_s
    area = (to_s - from_s + end_s - start_s) / 2
    seen = max((at_fix(scene, fix) for fix in scene.fixes if start_s <= fix.at_s <= end_s), default=0.0)
    highest, inside_s, at_crime, known, covered_s = seen, 0.0, 0.0, 0.0, 0.0
    stretches: list[list[npt.NDArray[np.float64]]] = []
    for i in range(len(scene.fixes) - 1):
        before, after = scene.fixes[i : i + 2]
        low_s, high_s = max(before.at_s, start_s), min(after.at_s, end_s)
        if low_s >= high_s or not joined(scene, i):
            continue
        at_s = np.linspace(low_s, high_s, points)
        inside = bridge_probability(scene, i, mobility(scene, i), at_s)
        weight = np.interp(at_s, scene.knots_s, [0, 1 / area, 1 / area, 0], left=0, right=0)
        inside_s += float(trapezoid(inside, at_s))
        at_crime += float(trapezoid(inside * weight, at_s))
        known += float(trapezoid(weight, at_s))
        covered_s += high_s - low_s
        highest = max(highest, float(inside.max()))
        ends_s = (before.at_s, after.at_s)
        x_m, y_m = (
            np.interp(at_s, ends_s, ends) for ends in zip(plane(scene, before), plane(scene, after), strict=True)
        )
        if stretches and stretches[-1][-1][0, -1] == low_s:
            stretches[-1].append(np.array([at_s, inside, x_m, y_m]))
        else:
            stretches.append([np.array([at_s, inside, x_m, y_m])])
    throughout = sum(dense_throughout(scene, *np.concatenate(parts, axis=1)) for parts in stretches)
    return Dense(highest, seen, inside_s, at_crime, throughout, known, covered_s)


# Levels that probabilities are cut at, and the upper edges of what each stands for.
LEVELS = (0.001, 0.005, 0.02, 0.06, *(0.15 + 0.1 * i for i in range(9)))
EDGES = (0.002, 0.01, 0.035, 0.1, *(0.2 + 0.1 * i for i in range(9)))


def dense_throughout(
    scene: Scene,
    at_s: npt.NDArray[np.float64],
    inside: npt.NDArray[np.float64],
    x_m: npt.NDArray[np.float64],
    y_m: npt.NDArray[np.float64],
) -> float:
    """Of one stretch without gaps: every run of moments that reach a level, its share of the crime's moments, times the
    mean of max(0, 1 − S/L) over four thousand stays S; 97 in 100 of that with what going straight on takes off L."""
    start_s, from_s, to_s, end_s = scene.knots_s
    area = (to_s - from_s + end_s - start_s) / 2
    stays_s = scene.stay_s * np.exp(scene.stay_spread * norm.ppf((np.arange(4000) + 0.5) / 4000))
    total = 0.0
    for level, width in zip(LEVELS, np.diff((0.0, *EDGES)), strict=True):
        reached = np.concatenate([[False], inside >= level, [False]])
        for first, end in zip(
            np.flatnonzero(~reached[:-1] & reached[1:]), np.flatnonzero(reached[:-1] & ~reached[1:]), strict=True
        ):
            run_s = at_s[first:end]
            weight = np.interp(run_s, scene.knots_s, [0, 1 / area, 1 / area, 0])
            if run_s[-1] > run_s[0]:
                length_s = float(run_s[-1] - run_s[0])
                way_m = float(np.hypot(x_m[end - 1] - x_m[first], y_m[end - 1] - y_m[first]))
                left_s = max(length_s - way_m / scene.pace_mps, 1e-9)
                fits = [np.maximum(1 - stays_s / seconds, 0).mean() for seconds in (length_s, left_s)]
                total += width * float(trapezoid(weight, run_s)) * (0.03 * fits[0] + 0.97 * fits[1])
    return total


def at_fix(scene: Scene, fix: Fix) -> float:
    x_m, y_m = plane(scene, fix)
    variance = fix.sigma_m**2 + scene.sigma_m**2
    return float(ncx2.cdf(scene.radius_m**2 / variance, 2, (x_m**2 + y_m**2) / variance))


def bridge_probability(
    scene: Scene, i: int, mobility_m2ps: float, at_s: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    before, after = scene.fixes[i : i + 2]
    seconds = after.at_s - before.at_s
    part = (at_s - before.at_s) / seconds
    mean_m = np.outer(1 - part, plane(scene, before)) + np.outer(part, plane(scene, after))
    variance = seconds * part * (1 - part) * mobility_m2ps + scene.sigma_m**2
    variance += (1 - part) ** 2 * before.sigma_m**2 + part**2 * after.sigma_m**2
    result: npt.NDArray[np.float64] = ncx2.cdf(scene.radius_m**2 / variance, 2, np.sum(mean_m**2, axis=1) / variance)
    return result


def mobility(scene: Scene, i: int) -> float:
    """The fitted mobility, but at most what would have led as far as the bridge after fix i leads, errors and all."""
    before, after = scene.fixes[i : i + 2]
    seconds = after.at_s - before.at_s
    led_m2ps = apart_m2(scene, i) / (2 * seconds) + (before.sigma_m**2 + after.sigma_m**2) / seconds
    return max(min(fitted_mobility(scene, i), led_m2ps), 1.0)


def fitted_mobility(scene: Scene, i: int) -> float:
    """The likeliest mobility for the bridge after fix i, from the fixes up to four before and after it."""
    turns = []
    for k in range(max(i - 3, 1), min(i + 4, len(scene.fixes) - 2) + 1):
        if joined(scene, k - 1) and joined(scene, k):
            one, own, two = scene.fixes[k - 1 : k + 2]
            part = (own.at_s - one.at_s) / (two.at_s - one.at_s)
            expected = (1 - part) * np.array(plane(scene, one)) + part * np.array(plane(scene, two))
            off = np.array(plane(scene, own)) - expected
            own_m2 = (1 - part) ** 2 * one.sigma_m**2 + part**2 * two.sigma_m**2 + own.sigma_m**2
            turns.append(((two.at_s - one.at_s) * part * (1 - part), own_m2, float(off @ off)))
    if turns:
        return likeliest_mobility(turns, 1.0, 2500.0)
    seconds = scene.fixes[i + 1].at_s - scene.fixes[i].at_s
    return min(max(apart_m2(scene, i) / (2 * seconds), 1.0), 2500.0)


def apart_m2(scene: Scene, i: int) -> float:
    apart_m = np.subtract(plane(scene, scene.fixes[i]), plane(scene, scene.fixes[i + 1]))
    return float(apart_m @ apart_m)


def joined(scene: Scene, i: int) -> bool:
    one, two = scene.fixes[i : i + 2]
    _, _, apart_m = GEOD.inv(one.lon_deg, one.lat_deg, two.lon_deg, two.lat_deg)
    slack_m = (one.sigma_m + two.sigma_m) * math.sqrt(-2 * math.log(0.001))
    seconds = two.at_s - one.at_s
    return seconds <= scene.max_gap_s and apart_m - slack_m <= scene.max_speed_mps * seconds


def plane(scene: Scene, fix: Fix) -> tuple[float, float]:
    azimuth_deg, _, away_m = GEOD.inv(scene.lon_deg, scene.lat_deg, fix.lon_deg, fix.lat_deg)
    return away_m * math.sin(math.radians(azimuth_deg)), away_m * math.cos(math.radians(azimuth_deg))


class Prism(NamedTuple):
    """A fix as the prism sees it: when, and how much lay at least between it and the circle."""

    at_s: float
    gap_m: float


def without_each(prisms: list[Prism]) -> list[list[Prism]]:
    return [prisms, *([*prisms[:i], *prisms[i + 1 :]] for i in range(len(prisms)))]


def may_stay(prisms: list[Prism], enter_s: float, leave_s: float, speed_mps: float) -> bool:
    """Whether a wearer of that speed can have been in the circle from one moment to another.

    A fix during the stay must lie in the circle; of those before and after only the nearest count. A fix at the very
    moment of a stay of no length is one of the two, and the other is another one.
    """
    if any(enter_s < prism.at_s < leave_s and prism.gap_m > 0 for prism in prisms):
        return False
    slack_s = 1e-9
    n_before = sum(prism.at_s <= enter_s for prism in prisms)
    n_after = sum(prism.at_s >= leave_s for prism in prisms)
    both = n_before + n_after - len(prisms)
    for taken in range(max(both, 0) + 1):
        before = prisms[: n_before - taken]
        after = prisms[len(prisms) - n_after + max(both, 0) - taken :]
        is_reached = not before or before[-1].gap_m <= speed_mps * (enter_s - before[-1].at_s + slack_s)
        is_left = not after or after[0].gap_m <= speed_mps * (after[0].at_s - leave_s + slack_s)
        if is_reached and is_left:
            return True
    return False


def needed_speed(prisms: list[Prism], to_s: float) -> float:
    """The least speed with which any moment from 0 to to_s was possible, leaving out any one fix: by halving."""
    low, high = 0.0, 1e7
    if not _is_possible(prisms, to_s, high):
        return math.inf
    if _is_possible(prisms, to_s, 0.0):
        return 0.0
    while high - low > 1e-4 * high + 1e-6:
        middle = math.sqrt(low * high) if low > 1e-6 else high / 2
        low, high = (low, middle) if _is_possible(prisms, to_s, middle) else (middle, high)
    return high


def _is_possible(prisms: list[Prism], to_s: float, speed_mps: float) -> bool:
    return any(
        may_stay(left, at_s, at_s, speed_mps)
        for left in without_each(prisms)
        for at_s in _turning_points(left, to_s, speed_mps)
    )


def longest_stay(prisms: list[Prism], to_s: float, speed_mps: float) -> float:
    """The longest stay between any two of the moments at which something changes, leaving out any one fix."""
    longest = 0.0
    for left in without_each(prisms):
        points = _turning_points(left, to_s, speed_mps)
        for enter_s in points:
            for leave_s in points:
                if leave_s - enter_s > longest and may_stay(left, enter_s, leave_s, speed_mps):
                    longest = leave_s - enter_s
    return longest


def _turning_points(prisms: list[Prism], to_s: float, speed_mps: float) -> list[float]:
    """The window's ends, the fixes, and the earliest arrivals and latest departures by each of them."""
    points = {0.0, to_s} | {prism.at_s for prism in prisms}
    if speed_mps > 0:
        points |= {prism.at_s + side * prism.gap_m / speed_mps for prism in prisms for side in (-1, 1)}
    return sorted(point for point in points if 0 <= point <= to_s)


def simulated_ever_inside(scene: Scene, paths: int = 1500, steps: int = 120, seed: int = 1) -> float:
    """The share of paths, drawn from the fixes' errors, the place's and the bridges', that are ever in the circle."""
    generator = np.random.default_rng(seed)
    start_s, _, _, end_s = scene.knots_s
    centre = generator.normal(0, 1, (paths, 2)) * scene.sigma_m
    ends = [
        np.array(plane(scene, fix)) + generator.normal(0, 1, (paths, 2)) * fix.sigma_m - centre for fix in scene.fixes
    ]
    is_inside = np.zeros(paths, np.bool_)
    for fix, end in zip(scene.fixes, ends, strict=True):
        if start_s <= fix.at_s <= end_s:
            is_inside |= np.hypot(*end.T) <= scene.radius_m
    for i in range(len(scene.fixes) - 1):
        if not joined(scene, i):
            continue
        seconds = scene.fixes[i + 1].at_s - scene.fixes[i].at_s
        step_m = math.sqrt(fitted_mobility(scene, i) * seconds / steps)
        walk = np.cumsum(generator.normal(0, step_m, (paths, steps, 2)), axis=1)
        part = (np.arange(steps) + 1) / steps
        walk += part[:, None] * (ends[i + 1] - walk[:, -1])[:, None] + (1 - part)[:, None] * ends[i][:, None]
        at_s = scene.fixes[i].at_s + part * seconds
        within = (at_s >= start_s) & (at_s <= end_s)
        is_inside |= np.any(np.hypot(walk[:, within, 0], walk[:, within, 1]) <= scene.radius_m, axis=1)
    return float(is_inside.mean())
