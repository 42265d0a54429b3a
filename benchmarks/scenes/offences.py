"""Offences as scenes draw them: what, how long, and when it may have been, to those who report it."""

import math
from typing import NamedTuple

import numpy as np

from benchmarks.scenes.parameters import Kind, Parameters
from benchmarks.scenes.plane import Floats, Plane
from benchmarks.scenes.world import Crime, Flags, Longs
from matcher.fixes import sigma_of_r95

_MINUTE_US = 60_000_000


class Offences(NamedTuple):
    """K offences before it is known where and when."""

    kind: Longs  # (K,) row of the parameters' kinds
    stay_s: Floats  # (K,)
    is_near: Flags  # (K,) to one of the offender's own places


def draw_offences(draw: np.random.Generator, parameters: Parameters, count: int) -> Offences:
    """Draw so many."""
    kinds = parameters.kinds
    kind = draw.choice(len(kinds), count, p=[one.share for one in kinds])
    median_s = np.array([one.median_stay_s for one in kinds])[kind]
    is_near = draw.permutation(np.arange(count) < round(count * parameters.near_own_share))
    return Offences(kind, median_s * draw.lognormal(0.0, parameters.stay_sigma, count), is_near)


def draw_window(
    draw: np.random.Generator, parameters: Parameters, kind: Kind, act_from_us: int, act_to_us: int
) -> tuple[int, int]:
    """Draw when it may have been, on whole minutes: the window holds the act, or what of it 12 hours can."""
    stay_us = act_to_us - act_from_us
    shortest_us = min(max(parameters.shortest_window_s * 1e6, stay_us + 2 * _MINUTE_US), kind.longest_window_s * 1e6)
    longest_us = kind.longest_window_s * 1e6
    window_us = math.exp(draw.uniform(math.log(shortest_us), math.log(longest_us)))
    # The two minutes are what rounding can take.
    spare_us = max(window_us - stay_us - 2 * _MINUTE_US, 0.0)
    late_us = 0.0 if draw.random() < parameters.at_once_share else draw.uniform(0.0, spare_us)
    to_us = math.ceil((act_to_us + late_us) / _MINUTE_US) * _MINUTE_US
    return to_us - round(window_us / _MINUTE_US) * _MINUTE_US, to_us


def report_crime(
    draw: np.random.Generator,
    parameters: Parameters,
    plane: Plane,
    kind: Kind,
    x_m: float,
    y_m: float,
    act_from_us: int,
    act_to_us: int,
) -> Crime:
    """Draw how a crime is reported that truly was there and then; by nobody yet."""
    from_us, to_us = draw_window(draw, parameters, kind, act_from_us, act_to_us)
    off_x_m, off_y_m = draw.normal(0.0, sigma_of_r95(kind.position_r95_m), 2)
    lon_e7, lat_e7 = plane.to_e7(np.array([x_m + off_x_m]), np.array([y_m + off_y_m]))
    return Crime(
        code=kind.code,
        lon_deg=float(lon_e7[0] / 1e7),
        lat_deg=float(lat_e7[0] / 1e7),
        from_us=from_us,
        to_us=to_us,
        x_m=x_m,
        y_m=y_m,
        act_from_us=act_from_us,
        act_to_us=act_to_us,
        offender=-1,
        is_near_own_place=False,
    )
