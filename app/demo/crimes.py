"""The crimes that the invented force records, and the truth about each."""

import math
from typing import NamedTuple

import numpy as np

from app.demo.lives import Life
from app.demo.offences import Kind, Offence, addresses_of, draw_kind, draw_moment
from app.demo.town import Town

_MINUTE_S = 60.0
_HOUR_S = 3_600.0
_SHORTEST_WINDOW_S = 600.0
_REPORTED_AT_ONCE = 0.35
_IN_GRID_COORDINATES = 0.4
_MEDIAN_REPORTING_S = 3_000.0


class Crime(NamedTuple):
    """One recorded crime; times are seconds after the scene's midnight."""

    reference: str
    kind: Kind
    address: int  # where it was recorded
    from_s: float  # on a whole minute
    to_s: float  # on a whole minute
    reported_s: float
    is_in_grid: bool  # sent as easting and northing
    offender: int  # the wearer who did it, −1 nobody on a tag
    is_near_own_place: bool  # of the offender's
    act_from_s: float
    act_to_s: float


def record_crimes(
    seed: int,
    town: Town,
    offences: list[Offence],
    lives: list[Life],
    count: int,
    from_s: float,
    until_s: float,
    others: list[Crime],
) -> list[Crime]:
    """`count` crimes in order of being reported: those of wearers, `others`, the rest by people without a tag."""
    draw = np.random.default_rng([seed, 4])
    crimes = [*others]
    for number, offence in enumerate(offences):
        act = lives[offence.wearer].acts[number]
        crimes.append(_record(draw, offence.kind, offence.address, act, until_s))
        crimes[-1] = crimes[-1]._replace(offender=offence.wearer, is_near_own_place=offence.is_near_own_place)
    for _ in range(count - len(crimes)):
        kind = draw_kind(draw)
        began_s = draw_moment(draw, kind, from_s, until_s - _HOUR_S)
        address = int(draw.choice(np.flatnonzero(addresses_of(town, kind))))
        act = (began_s, began_s + float(kind.median_stay_s * draw.lognormal(0.0, 1.0)))
        crimes.append(_record(draw, kind, address, act, until_s))
    crimes.sort(key=lambda crime: crime.reported_s)
    return [crime._replace(reference=f"MS-{number + 1:05d}") for number, crime in enumerate(crimes)]


def _record(draw: np.random.Generator, kind: Kind, address: int, act: tuple[float, float], until_s: float) -> Crime:
    """What comes to be known of an act: when it may have happened, and when that is reported."""
    shortest_s = min(max(_SHORTEST_WINDOW_S, act[1] - act[0] + 2 * _MINUTE_S), 12 * _HOUR_S)
    longest_s = max(shortest_s, kind.longest_window_h * _HOUR_S - 2 * _MINUTE_S)
    window_s = math.exp(draw.uniform(math.log(shortest_s), math.log(longest_s)))
    is_at_once = draw.random() < _REPORTED_AT_ONCE
    after_s = _MINUTE_S if is_at_once else draw.uniform(0.0, window_s - (act[1] - act[0]))
    # Nothing is reported before it has happened: near the end of the scene the window reaches further back instead.
    to_s = math.ceil(min(act[1] + after_s, until_s - _MINUTE_S) / _MINUTE_S) * _MINUTE_S
    from_s = math.floor(min(to_s - window_s, act[0]) / _MINUTE_S) * _MINUTE_S
    delay_s = _MINUTE_S if is_at_once else _MEDIAN_REPORTING_S * draw.lognormal(0.0, 1.0)
    return Crime(
        "",
        kind,
        address,
        float(from_s),
        float(to_s),
        min(to_s + delay_s, until_s),
        bool(draw.random() < _IN_GRID_COORDINATES),
        -1,
        is_near_own_place=False,
        act_from_s=act[0],
        act_to_s=act[1],
    )
