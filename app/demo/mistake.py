"""An alert that late uploads take back: for some minutes a tag sends no GPS, and Wi-Fi puts its wearer at a crime.

The fixes by GPS of those minutes were stored in the tag. Some arrive an hour later and move the match; the others,
after another hour, show that the wearer was elsewhere.
"""

from typing import Final, NamedTuple

import numpy as np

from app.demo.crimes import Crime
from app.demo.days import DAY_S
from app.demo.fixes import Fixes, Source
from app.demo.lives import Life, moment_of
from app.demo.offences import KINDS
from app.demo.town import Town, Use
from app.demo.wearers import Wearer, distance_m

_MINUTE_S: Final = 60.0
_LATER_S: Final = 3_600.0
_FIXES: Final = 8
_FIRST_MENDED: Final = 5  # the fixes from this one on come first
_ACCURACY_M: Final = 60.0
_TRIES: Final = 400
# How far the crime is from the wearer, who does not move: too far for GPS to take the one for the other.
_NEAREST_M, _FURTHEST_M = 250.0, 450.0


class Mistake(NamedTuple):
    """Where Wi-Fi puts a wearer, from a moment on."""

    wearer: int
    address: int  # of the crime
    at_s: float  # on a whole minute

    @property
    def mended_s(self) -> tuple[float, float]:
        """When the first and when the last of the fixes begin to arrive that show it."""
        return self.at_s + _LATER_S, self.at_s + 2 * _LATER_S


def find_mistake(
    seed: int, town: Town, wearers: list[Wearer], lives: list[Life], fixes: Fixes, from_s: float, until_s: float
) -> Mistake | None:
    """Find a wearer who stays somewhere with good fixes on the last day, and an address nearby; None if nobody does."""
    draw = np.random.default_rng([seed, 7])
    first_s, last_s = max(from_s, until_s - DAY_S) + _LATER_S, until_s - 3.0 * _LATER_S
    if first_s >= last_s:
        return None
    for _ in range(_TRIES):
        wearer = int(draw.integers(len(wearers)))
        at_s = float(draw.uniform(first_s, last_s) // _MINUTE_S * _MINUTE_S)
        stay = moment_of(lives[wearer], np.arange(at_s - _LATER_S, at_s + _LATER_S, _MINUTE_S))
        if np.ptp(stay.x_m) + np.ptp(stay.y_m) > 1.0 or not _is_seen(fixes, wearer, at_s):
            continue
        own = [(town.address_x_m[a], town.address_y_m[a]) for a in wearers[wearer].own_places]
        dwellings = np.flatnonzero(town.address_use == Use.DWELLING)
        away_m = distance_m(town, dwellings, stay.x_m[0], stay.y_m[0])
        own_m = np.min([distance_m(town, dwellings, *place) for place in own], axis=0)
        near = dwellings[(away_m >= _NEAREST_M) & (away_m <= _FURTHEST_M) & (own_m >= _NEAREST_M)]
        if near.size:
            return Mistake(wearer, int(draw.choice(near)), at_s)
    return None


def _is_seen(fixes: Fixes, wearer: int, at_s: float) -> bool:
    """Say whether every minute about a moment has its fix by GPS, received at once."""
    rows = _rows(fixes, wearer, at_s - 20 * _MINUTE_S, at_s + 40 * _MINUTE_S)
    is_good = (fixes.source[rows] == Source.GPS) & (fixes.received_s[rows] - fixes.fixed_s[rows] < _MINUTE_S)
    return bool(rows.size >= 58 and np.count_nonzero(~is_good) <= 6)


def with_mistake(fixes: Fixes, mistake: Mistake, town: Town) -> Fixes:
    """Give the fixes as they arrive with that mistake: by Wi-Fi at once, those that were there before later."""
    rows = _rows(fixes, mistake.wearer, mistake.at_s, mistake.at_s + _FIXES * _MINUTE_S)
    by_wifi = Fixes._make(column[rows] for column in fixes)._replace(
        x_m=np.full(rows.size, town.address_x_m[mistake.address]),
        y_m=np.full(rows.size, town.address_y_m[mistake.address]),
        accuracy_m=np.full(rows.size, _ACCURACY_M),
        speed_mps=np.full(rows.size, np.nan),
        direction_deg=np.full(rows.size, np.nan),
        source=np.full(rows.size, Source.WIFI),
        is_outlier=np.ones(rows.size, np.bool_),
    )
    late = fixes.received_s.copy()
    is_last = fixes.fixed_s[rows] < mistake.at_s + _FIRST_MENDED * _MINUTE_S
    late[rows] += np.where(is_last, 2 * _LATER_S, _LATER_S)
    both = Fixes._make(np.concatenate(pair) for pair in zip(fixes._replace(received_s=late), by_wifi, strict=True))
    order = np.argsort(both.received_s, kind="stable")
    return Fixes._make(column[order] for column in both)


def crime_of(mistake: Mistake) -> Crime:
    """Give the crime, by nobody on a tag, reported soon after."""
    return Crime(
        "",
        KINDS[0],
        mistake.address,
        from_s=mistake.at_s - 2 * _MINUTE_S,
        to_s=mistake.at_s + 10 * _MINUTE_S,
        reported_s=mistake.at_s + 20 * _MINUTE_S,
        is_in_grid=False,
        offender=-1,
        is_near_own_place=False,
        act_from_s=mistake.at_s + _MINUTE_S,
        act_to_s=mistake.at_s + 5 * _MINUTE_S,
    )


def _rows(fixes: Fixes, wearer: int, from_s: float, to_s: float) -> "np.ndarray[tuple[int], np.dtype[np.intp]]":
    return np.flatnonzero((fixes.wearer == wearer) & (fixes.fixed_s >= from_s) & (fixes.fixed_s < to_s))
