"""Whether exclusion is true: wearers who were there are never excluded, wearers far away are."""

import math
from typing import NamedTuple

import numpy as np

from benchmarks.scenes.offences import draw_window, report_crime
from benchmarks.scenes.parameters import Parameters
from benchmarks.scenes.plane import Floats
from benchmarks.scenes.world import Longs, World
from benchmarks.validation.cases import Wearer, incident_of, place_of, wearer_of
from matcher import rounding
from matcher.context import Incident, padded_window
from matcher.profile import Profile
from matcher.reach import reach

FAR_M = 5_000.0
_FURTHEST_M = 15_000.0
_MINUTE_FIXES_S = 90.0
_SOUND = np.empty((0, 2), np.int64)


class Far(NamedTuple):
    """Wearers with minute fixes, never within 5 km of a crime throughout its padded window.

    Without and with those whose tags never state an accuracy, whom nothing can exclude.
    """

    excluded: int
    scenes: int
    excluded_of_all: int
    all_scenes: int


def wrongly_excluded(world: World, profile: Profile, parameters: Parameters, seed: int, scenes: int) -> int:
    """Of so many crimes by a wearer where the wearer truly was at a moment, count those that exclude the wearer.

    Moments are drawn evenly over the wearers' whole lives, gaps and flat batteries too; the stay is but that moment,
    which is the hardest. The place is reported with the error of its kind. 0.1 ms each.
    """
    wearers = [wearer_of(reported, profile) for reported in world.reported]
    draw = np.random.default_rng([seed, 41])
    excluded = 0
    for _ in range(scenes):
        row = int(draw.integers(len(wearers)))
        path, kind = world.paths[row], parameters.kinds[draw.integers(len(parameters.kinds))]
        at_s = draw.uniform(path.at_s[0], path.at_s[-1])
        x_m, y_m = path.at(np.array([at_s]))
        at_us = world.start_us + round(at_s * 1e6)
        crime = report_crime(draw, parameters, world.plane, kind, float(x_m[0]), float(y_m[0]), at_us, at_us)
        excluded += _is_excluded(wearers[row], incident_of(crime), profile)
    return excluded


def excluded_far(world: World, profile: Profile, parameters: Parameters, seed: int, scenes: int) -> Far:
    """Of crimes 5 to 15 km (evenly by area) from a wearer's way through the padded window, count exclusions.

    Only wearers with a fix at least every 90 s, the windows' ends included.
    """
    wearers = [wearer_of(reported, profile) for reported in world.reported]
    draw = np.random.default_rng([seed, 42])
    excluded = stating = excluded_of_all = tried = 0
    while tried < scenes:
        row = int(draw.integers(len(wearers)))
        kind = parameters.kinds[draw.integers(len(parameters.kinds))]
        at_us = world.start_us + round(draw.uniform(world.paths[row].at_s[0], world.paths[row].at_s[-1]) * 1e6)
        window_us = draw_window(draw, parameters, kind, at_us, at_us)
        incident = Incident(0.0, 0.0, kind.code, *window_us)
        when = padded_window(incident, profile)
        if not _has_minute_fixes(wearers[row].pings.fixed_at_us, when.start_us, when.end_us):
            continue
        x_m, y_m = _far_from(draw, world, row, when.start_us, when.end_us)
        lon_e7, lat_e7 = world.plane.to_e7(np.array([x_m]), np.array([y_m]))
        far = incident._replace(lon_deg=float(lon_e7[0] / 1e7), lat_deg=float(lat_e7[0] / 1e7))
        is_excluded = _is_excluded(wearers[row], far, profile)
        is_stating = bool((wearers[row].pings.accuracy_cm > 0).any())
        excluded, stating = excluded + (is_excluded and is_stating), stating + is_stating
        excluded_of_all, tried = excluded_of_all + is_excluded, tried + 1
    return Far(excluded, stating, excluded_of_all, tried)


def _is_excluded(wearer: Wearer, incident: Incident, profile: Profile) -> bool:
    when = padded_window(incident, profile)
    place = place_of(incident, profile)
    found = reach(wearer.kept, wearer.aside, place, when.start_us, when.end_us, profile.max_speed_mps, _SOUND)
    return rounding.speed(found.needed_mps) > profile.max_speed_mps


def _has_minute_fixes(fixed_at_us: Longs, from_us: int, to_us: int) -> bool:
    first, end = np.searchsorted(fixed_at_us, (from_us, to_us)).tolist()
    if first == 0 or end == fixed_at_us.size:
        return False
    return bool(np.diff(fixed_at_us[first - 1 : end + 1]).max() <= _MINUTE_FIXES_S * 1e6)


def _far_from(draw: np.random.Generator, world: World, row: int, from_us: int, to_us: int) -> tuple[float, float]:
    """A place whose distance from the way between two moments is drawn from 5 to 15 km, evenly by area."""
    path = world.paths[row]
    from_s, to_s = (from_us - world.start_us) / 1e6, (to_us - world.start_us) / 1e6
    between = (path.at_s > from_s) & (path.at_s < to_s)
    moments_s = np.concatenate([[from_s], path.at_s[between], [to_s]])
    x_m, y_m = path.at(moments_s)
    wanted_m, bearing = math.sqrt(draw.uniform(FAR_M**2, _FURTHEST_M**2)), draw.uniform(0, 2 * math.pi)
    middle_x_m, middle_y_m = float(x_m.mean()), float(y_m.mean())
    out_m = wanted_m + float(np.hypot(x_m - middle_x_m, y_m - middle_y_m).max())
    for _ in range(30):
        place = (middle_x_m + out_m * math.sin(bearing), middle_y_m + out_m * math.cos(bearing))
        short_m = wanted_m - _least_m(x_m, y_m, *place)
        out_m += short_m
        if abs(short_m) < 1.0:
            break
    return (middle_x_m + out_m * math.sin(bearing), middle_y_m + out_m * math.cos(bearing))


def _least_m(x_m: Floats, y_m: Floats, place_x_m: float, place_y_m: float) -> float:
    return float(np.hypot(x_m - place_x_m, y_m - place_y_m).min())
