"""Walks about the scene of a crime, for tests of the evidence."""

from math import cos, radians
from random import Random

import numpy as np

from matcher.crime_time import CrimeTime
from matcher.fixes import Fixes
from matcher.window import Place
from tests.naive_evidence import Fix, Scene

LON_DEG, LAT_DEG = -2.587, 51.4545


def walk_past(random: Random) -> Scene:
    """A walk about a crime, from parked to driving, with fixes of every quality at uneven times."""
    at_s, x_m, y_m = -random.uniform(0, 600), random.gauss(0, 300), random.gauss(0, 300)
    speed_mps = random.choice([0.1, 2.0, 6.0])
    often_s = random.choice([10.0, 60.0, 120.0])
    fixes = []
    for _ in range(random.randrange(2, 40)):
        sigma_m = random.choice([1.2, 5.0, 12.0, 40.0, 120.0])
        off_m = [random.gauss(0, sigma_m) for _ in range(2)]
        fixes.append((at_s, x_m + off_m[0], y_m + off_m[1], sigma_m))
        step_s = often_s * random.choice([0.5, 1, 1, 1, 1, 2, 8])
        at_s += round(step_s, 6)
        x_m += random.gauss(0, speed_mps * step_s) - x_m * min(step_s / 200, 1)
        y_m += random.gauss(0, speed_mps * step_s) - y_m * min(step_s / 200, 1)
    from_s, to_s = sorted(random.uniform(0, 1500) for _ in range(2))
    padding_s = random.choice([0.0, 600.0])
    knots_s = tuple(round(knot_s, 6) for knot_s in (from_s - padding_s, from_s, to_s, to_s + padding_s))
    shown = []
    for fix_s, fix_x_m, fix_y_m, sigma_m in fixes:
        lon_e7, lat_e7 = _degrees_e7(fix_x_m, fix_y_m)
        shown.append(Fix(round(fix_s, 6), lon_e7 / 1e7, lat_e7 / 1e7, sigma_m))
    place_sigma_m = random.choice([0.0, 8.2, 20.4])
    return Scene(shown, LON_DEG, LAT_DEG, 100.0, place_sigma_m, (knots_s[0], knots_s[1], knots_s[2], knots_s[3]))


def as_arrays(scene: Scene) -> tuple[Fixes, Place, CrimeTime]:
    fixes = Fixes(
        np.array([round(fix.at_s * 1e6) for fix in scene.fixes]),
        np.array([round(fix.lon_deg * 1e7) for fix in scene.fixes], np.int32),
        np.array([round(fix.lat_deg * 1e7) for fix in scene.fixes], np.int32),
        np.array([fix.sigma_m for fix in scene.fixes]),
        np.ones(len(scene.fixes), np.bool_),
    )
    when = CrimeTime(*(round(knot_s * 1e6) for knot_s in scene.knots_s))
    return fixes, Place(scene.lon_deg, scene.lat_deg, scene.radius_m, scene.sigma_m), when


def fixes_about(rows: list[tuple[float, float, float, float]]) -> Fixes:
    """Fixes from (seconds, metres east and north of the place, σ)."""
    at_s, x_m, y_m, sigma_m = np.array(rows, np.float64).reshape(-1, 4).T
    degrees = np.array([_degrees_e7(x, y) for x, y in zip(x_m, y_m, strict=True)], np.int32).reshape(-1, 2)
    return Fixes(
        np.rint(at_s * 1e6).astype(np.int64), degrees[:, 0], degrees[:, 1], sigma_m, np.ones(at_s.size, np.bool_)
    )


def _degrees_e7(x_m: float, y_m: float) -> tuple[int, int]:
    return round(LON_DEG * 1e7 + x_m / 0.0111320 / cos(radians(LAT_DEG))), round(LAT_DEG * 1e7 + y_m / 0.0111250)
