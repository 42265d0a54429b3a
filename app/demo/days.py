"""What a wearer means to do: one stop after another, over some days, with an offence put in between."""

import math
from typing import NamedTuple

import numpy as np

from app.demo.wearers import Wearer

DAY_S = 86_400.0
_HOUR_S = 3_600.0
_TOO_SHORT_TO_RETURN_S = 2_700.0


class Stop(NamedTuple):
    """Being at an address until `leave_s`, or for `stay_s` where one came too late for that."""

    address: int
    leave_s: float  # after the scene's midnight
    stay_s: float
    offence: int = -1  # what is done here, −1 nothing
    is_indoors: bool = True


def plan_days(draw: np.random.Generator, wearer: Wearer, first_weekday: int, days: int) -> list[Stop]:
    """The stops of `days` days from midnight, Monday being 0, rising in `leave_s`; the last is home, without end."""
    stops = list[Stop]()
    for day in range(days):
        midnight_s = day * DAY_S
        is_workday = wearer.work >= 0 and (first_weekday + day) % 7 < 5
        stops += _at_work(draw, wearer, midnight_s) if is_workday else _about_town(draw, wearer, midnight_s)
        if draw.random() < 0.45:
            stops += _outing(draw, wearer, midnight_s + draw.uniform(18.5, 20.0) * _HOUR_S, 1.5)
    return [*stops, Stop(wearer.home, math.inf, 0.0)]


def with_offence(stops: list[Stop], leave_s: float, act: Stop) -> list[Stop]:
    """The same plan, but at `leave_s` the wearer leaves for `act`, and comes back if the stop would have gone on."""
    here = next(number for number, stop in enumerate(stops) if stop.leave_s > leave_s)
    broken = stops[here]
    returns = [broken] if broken.leave_s - leave_s > _TOO_SHORT_TO_RETURN_S else []
    return [*stops[:here], broken._replace(leave_s=leave_s, stay_s=0.0), act, *returns, *stops[here + 1 :]]


def _at_work(draw: np.random.Generator, wearer: Wearer, midnight_s: float) -> list[Stop]:
    start_s = midnight_s + draw.normal(7.9, 0.5) * _HOUR_S
    end_s = start_s + draw.uniform(7.0, 8.7) * _HOUR_S
    stops = [Stop(wearer.home, start_s, 600.0), Stop(wearer.work, end_s, _HOUR_S)]
    if draw.random() < 0.35:
        stay_s = draw.uniform(480.0, 2_400.0)
        stops.append(Stop(wearer.haunts[draw.integers(3)], end_s + stay_s, stay_s))
    return stops


def _about_town(draw: np.random.Generator, wearer: Wearer, midnight_s: float) -> list[Stop]:
    stops = list[Stop]()
    leave_s = midnight_s + draw.uniform(8.5, 11.0) * _HOUR_S
    for _ in range(draw.integers(1, 4)):
        stops += _outing(draw, wearer, leave_s, 1.0)
        leave_s = stops[-1].leave_s + draw.uniform(0.8, 2.5) * _HOUR_S
    return [stop for stop in stops if stop.leave_s < midnight_s + 18.4 * _HOUR_S]


def _outing(draw: np.random.Generator, wearer: Wearer, leave_s: float, median_h: float) -> list[Stop]:
    """Home until `leave_s`, then at one or two haunts."""
    stops = [Stop(wearer.home, leave_s, 600.0)]
    for haunt in draw.permutation(len(wearer.haunts))[: draw.integers(1, 3)]:
        stay_s = min(median_h * _HOUR_S * draw.lognormal(0.0, 0.5), 2.0 * _HOUR_S)
        stops.append(Stop(wearer.haunts[haunt], stops[-1].leave_s + stay_s, stay_s))
    return stops
