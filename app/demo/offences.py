"""What is done in the invented town, and where and when: the kinds of crime, and those that wearers mean to do."""

import math
from typing import NamedTuple

import numpy as np

from app.demo.days import DAY_S, Stop
from app.demo.town import Bools, Town, Use
from app.demo.wearers import Wearer, distance_m

NEAR_OWN_PLACE_M = 500.0
NEAR_OWN_SHARE = 0.3
_REACH_M = 1_300.0
_APART_S = 9_000.0  # between two offences of one wearer
_MARGIN_S = 7_200.0  # after the scene begins and before it ends
_STAY_SIGMA = 1.02  # log-normal: a burglary's median of 4 min puts its 5th percentile at 45 s


class Kind(NamedTuple):
    """One of the seven offence codes as it happens in this town."""

    code: str
    share: float
    uses: tuple[Use, ...]  # of the addresses it is done at
    is_indoors: bool
    median_stay_s: float
    position_r95_m: float  # how well the report says where
    longest_window_h: float
    hours: tuple[tuple[float, float], ...]  # of the day, of which one is drawn
    text: str


_DAY_AND_EVENING = ((10.0, 16.0), (10.0, 16.0), (18.0, 23.0), (0.5, 5.0))
_NIGHT = ((21.0, 24.0), (0.0, 5.0))
_DARK = ((15.0, 19.0), (19.0, 24.0))
KINDS = (
    Kind(
        "BIAD", 0.38, (Use.DWELLING,), True, 240.0, 20.0, 12.0, _DAY_AND_EVENING, "Rear window forced, jewellery taken"
    ),
    Kind("AB", 0.04, (Use.DWELLING,), True, 240.0, 20.0, 2.0, _DARK, "Entry with a crowbar shown to the occupier"),
    Kind(
        "BOTD", 0.16, (Use.SHOP, Use.WORKPLACE), True, 240.0, 20.0, 12.0, _NIGHT, "Shutter raised, till and stock taken"
    ),
    Kind("RB", 0.10, (Use.DWELLING, Use.SHOP), False, 90.0, 50.0, 1.0, _DARK, "Mobile phone demanded in the street"),
    Kind("TFP", 0.08, (Use.SHOP,), False, 90.0, 50.0, 2.0, ((10.0, 17.0),), "Purse taken from a bag"),
    Kind(
        "TOMV",
        0.08,
        (Use.DWELLING,),
        False,
        90.0,
        40.0,
        12.0,
        _NIGHT,
        "Car taken from outside the address, keys inside",
    ),
    Kind("TFMV", 0.16, (Use.DWELLING,), False, 90.0, 40.0, 12.0, _NIGHT, "Side window smashed, tools taken from a van"),
)


class Offence(NamedTuple):
    """What one wearer means to do."""

    wearer: int
    kind: Kind
    leave_s: float  # when the wearer sets out, after the scene's midnight
    address: int
    stay_s: float
    is_near_own_place: bool

    def stop(self, number: int) -> Stop:
        """As a stop of the wearer's day."""
        return Stop(self.address, 0.0, self.stay_s, number, self.kind.is_indoors)


def plan_offences(
    seed: int, town: Town, wearers: list[Wearer], count: int, from_s: float, until_s: float
) -> list[Offence]:
    """`count` offences by some of the wearers, 30 % of them within 500 m of where the offender often is anyway.

    Set out on 2 h or more after `from_s` and before `until_s`, in so far as the scene is long enough for that.
    """
    draw = np.random.default_rng([seed, 3])
    busy = draw.dirichlet(np.full(len(wearers), 0.3)) * 0.8 + 0.2 / len(wearers)  # few do most of it
    is_near = draw.permutation(np.arange(count) < round(count * NEAR_OWN_SHARE))
    margin_s = min(_MARGIN_S, (until_s - from_s) / 4.0)
    offences = list[Offence]()
    for near in is_near.tolist():
        kind = draw_kind(draw)
        wearer, leave_s = int(draw.choice(len(wearers), p=busy)), math.nan
        while math.isnan(leave_s):
            wearer = int(draw.choice(len(wearers), p=busy))
            leave_s = _free_moment(
                draw, kind, [o.leave_s for o in offences if o.wearer == wearer], from_s + margin_s, until_s - margin_s
            )
        offences.append(
            Offence(
                wearer,
                kind,
                leave_s,
                _target(draw, town, kind, wearers[wearer], is_near=near),
                float(kind.median_stay_s * draw.lognormal(0.0, _STAY_SIGMA)),
                near,
            )
        )
    return offences


def draw_kind(draw: np.random.Generator) -> Kind:
    """One kind, by its share."""
    return KINDS[draw.choice(len(KINDS), p=[kind.share for kind in KINDS])]


def draw_moment(draw: np.random.Generator, kind: Kind, from_s: float, until_s: float) -> float:
    """A second of the scene at an hour of the day when this kind is done; anywhere if the scene holds none."""
    for _ in range(50):
        day = draw.integers(math.floor(from_s / DAY_S), math.ceil(until_s / DAY_S))
        hours = kind.hours[draw.integers(len(kind.hours))]
        at_s = float(day * DAY_S + draw.uniform(*hours) * 3_600.0)
        if from_s <= at_s <= until_s:
            return at_s
    return float(draw.uniform(from_s, until_s))


def addresses_of(town: Town, kind: Kind) -> Bools:
    """Which of the town's addresses this kind is done at."""
    return np.isin(town.address_use, kind.uses)


def _free_moment(draw: np.random.Generator, kind: Kind, taken_s: list[float], from_s: float, until_s: float) -> float:
    """A moment well apart from the wearer's other offences, NaN if a few tries found none."""
    for _ in range(5):
        at_s = draw_moment(draw, kind, from_s, until_s)
        if all(abs(at_s - other_s) > _APART_S for other_s in taken_s):
            return at_s
    return math.nan


def _target(draw: np.random.Generator, town: Town, kind: Kind, wearer: Wearer, *, is_near: bool) -> int:
    """An address not too far from home, near to or away from every place where the wearer often is."""
    everywhere = np.arange(town.address_x_m.size)
    own_m = np.min(
        [distance_m(town, everywhere, town.address_x_m[own], town.address_y_m[own]) for own in wearer.own_places],
        axis=0,
    )
    home_m = distance_m(town, everywhere, town.address_x_m[wearer.home], town.address_y_m[wearer.home])
    suits = addresses_of(town, kind) & ((own_m <= NEAR_OWN_PLACE_M) if is_near else (own_m > NEAR_OWN_PLACE_M))
    suits &= own_m > 0.0
    chance = np.exp(-home_m / _REACH_M) * suits
    return int(draw.choice(everywhere, p=chance / chance.sum()))
