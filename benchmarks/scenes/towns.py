"""Worlds in an invented town: weeks of ordinary lives in it, and offences in the last of them."""

import math

import numpy as np

from app.demo.days import DAY_S, Stop, plan_days, with_offence
from app.demo.lives import Life, live
from app.demo.town import CENTRE_LAT_DEG, CENTRE_LON_DEG, Town, make_town
from app.demo.ways import Mode, Ways
from app.demo.wearers import Wearer, distance_m, draw_wearers
from benchmarks.scenes.offences import Offences, draw_offences, report_crime
from benchmarks.scenes.parameters import Kind, Parameters
from benchmarks.scenes.plane import Plane
from benchmarks.scenes.tags import fix_times, report
from benchmarks.scenes.world import Crime, Path, Reported, World

# Monday, 8 January 2024: no clock is changed in the weeks after it.
START_US = 1_704_672_000_000_000
PLANE = Plane(CENTRE_LON_DEG, CENTRE_LAT_DEG)

_MARGIN_S = 7_200.0


def draw_town(seed: int, wearers: int, offences: int, parameters: Parameters | None = None) -> World:
    """Draw a town with so many wearers and offences, all by one of them; 80 ms a wearer.

    Each wearer offends on days after `history_days` of ordinary life, on their way through the streets, and goes on
    with the day.
    """
    by = parameters or Parameters()
    town = make_town(seed)
    people = draw_wearers(seed, town, wearers)
    ways = Ways(town)
    until_s = (by.history_days + by.offence_days) * DAY_S
    drawn = draw_offences(np.random.default_rng([seed, 11]), by, offences)
    paths, reported, crimes = list[Path](), list[Reported](), list[Crime]()
    for number, wearer in enumerate(people):
        draw = np.random.default_rng([seed, 12, number])
        stops = plan_days(draw, wearer, 0, by.history_days + by.offence_days)
        own = range(number, offences, wearers)
        for offence, leave_s in zip(own, _moments(draw, by, drawn, own), strict=True):
            stops = with_offence(stops, leave_s, _stop(draw, by, town, wearer, drawn, offence))
        life = live(draw, town, ways, wearer, stops, until_s)
        paths.append(_path(life))
        reported.append(report(draw, by.tag, PLANE, paths[-1], fix_times(draw, by.tag, 0.0, until_s), START_US))
        crimes += _crimes(draw, by, life, drawn, number)
    return World("town", seed, START_US, PLANE, paths, reported, crimes)


def _moments(draw: np.random.Generator, by: Parameters, drawn: Offences, own: range) -> list[float]:
    """When one wearer sets out for each of their offences, well apart from each other."""
    taken = list[float]()
    for offence in own:
        kind = by.kinds[drawn.kind[offence]]
        at_s = _moment(draw, by, kind)
        while any(abs(at_s - other_s) < by.apart_s for other_s in taken):
            at_s = _moment(draw, by, kind)
        taken.append(at_s)
    return taken


def _moment(draw: np.random.Generator, by: Parameters, kind: Kind) -> float:
    """A moment of the offence days at an hour when this kind is done, with room for it before the end."""
    hours = kind.hours[draw.integers(len(kind.hours))]
    at_s = (by.history_days + draw.integers(by.offence_days)) * DAY_S + draw.uniform(*hours) * 3_600.0
    return min(float(at_s), (by.history_days + by.offence_days) * DAY_S - _MARGIN_S - float(draw.uniform(0, 3_600)))


def _stop(draw: np.random.Generator, by: Parameters, town: Town, wearer: Wearer, drawn: Offences, offence: int) -> Stop:
    """An address not too far from home, near to or away from all places where the wearer regularly is."""
    kind = by.kinds[drawn.kind[offence]]
    everywhere = np.arange(town.address_x_m.size)
    x_m, y_m = town.address_x_m, town.address_y_m
    own_m = np.min([distance_m(town, everywhere, x_m[own], y_m[own]) for own in wearer.own_places], axis=0)
    home_m = distance_m(town, everywhere, x_m[wearer.home], y_m[wearer.home])
    suits = np.isin(town.address_use, kind.uses) & (own_m > 0.0)
    suits &= (own_m <= by.near_own_m) if drawn.is_near[offence] else (own_m > by.near_own_m)
    chance = np.exp(-home_m / by.reach_m) * suits
    address = int(draw.choice(everywhere, p=chance / chance.sum()))
    return Stop(address, 0.0, float(drawn.stay_s[offence]), offence, kind.is_indoors)


def _path(life: Life) -> Path:
    return Path(life.at_s, life.x_m, life.y_m, life.mode == Mode.INSIDE)


def _crimes(draw: np.random.Generator, by: Parameters, life: Life, drawn: Offences, number: int) -> list[Crime]:
    """The wearer's offences as they are reported, where the wearer truly was."""
    crimes = list[Crime]()
    for offence, (from_s, to_s) in life.acts.items():
        x_m, y_m = (float(np.interp((from_s + to_s) / 2, life.at_s, metres)) for metres in (life.x_m, life.y_m))
        act_us = (START_US + math.floor(from_s * 1e6), START_US + math.ceil(to_s * 1e6))
        crime = report_crime(draw, by, PLANE, by.kinds[drawn.kind[offence]], x_m, y_m, *act_us)
        crimes.append(crime._replace(offender=number, is_near_own_place=bool(drawn.is_near[offence])))
    return crimes
