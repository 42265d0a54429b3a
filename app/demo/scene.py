"""The whole invented truth of one demo: town, wearers, their lives, the fixes of their tags, the crimes."""

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from app.demo.crimes import Crime, record_crimes
from app.demo.days import DAY_S, plan_days, with_offence
from app.demo.fixes import Fixes, Silence, take_fixes
from app.demo.lives import Life, live
from app.demo.mistake import Mistake, crime_of, find_mistake, with_mistake
from app.demo.offences import Offence, plan_offences
from app.demo.town import Town, make_town
from app.demo.ways import Ways
from app.demo.wearers import Wearer, draw_wearers

_DAY_US = 86_400_000_000
_BY_WEARERS = 1 / 3


class Scene(NamedTuple):
    """Everything that happened between `from_s` and `until_s`, both in seconds after `midnight_us`."""

    midnight_us: int  # UTC
    from_s: float
    crimes_from_s: float  # before that the wearers only live their lives
    until_s: float
    town: Town
    wearers: list[Wearer]
    lives: list[Life]
    fixes: Fixes
    silences: list[Silence]
    crimes: list[Crime]
    mistake: Mistake | None  # what one of the crimes and some fixes were made for

    def time_us(self, at_s: float) -> int:
        """A moment of the scene as microseconds since 1970-01-01 UTC."""
        return self.midnight_us + round(at_s * 1e6)


def make_scene(seed: int, *, wearers: int, days: int, crimes: int, until_us: int, days_before: int = 0) -> Scene:
    """A pure function of its arguments; with 40 wearers, 3 days and 60 crimes 2 s and 170,000 fixes.

    The crimes happen in the `days` days before `until_us`, and for `days_before` days before those the tags report
    already. A third of the crimes are by wearers.
    """
    midnight_us = (until_us - (days + days_before) * _DAY_US) // _DAY_US * _DAY_US
    until_s = (until_us - midnight_us) // 1_000_000
    crimes_from_s = float(until_s - days * DAY_S)
    from_s = crimes_from_s - days_before * DAY_S
    town = make_town(seed)
    people = draw_wearers(seed, town, wearers)
    offences = plan_offences(seed, town, people, round(crimes * _BY_WEARERS), crimes_from_s, until_s)
    ways = Ways(town)
    weekday = datetime.fromtimestamp(midnight_us / 1e6, UTC).weekday()
    lives = [_life(seed, town, ways, people, number, offences, weekday, until_s) for number in range(wearers)]
    fixes, silences = take_fixes(seed, lives, from_s, until_s)
    mistake = find_mistake(seed, town, people, lives, fixes, crimes_from_s, until_s) if crimes > 1 else None
    others = [crime_of(mistake)] if mistake else []
    if mistake:
        fixes = with_mistake(fixes, mistake, town)
    recorded = record_crimes(seed, town, offences, lives, crimes, crimes_from_s, until_s, others)
    return Scene(
        midnight_us, from_s, crimes_from_s, float(until_s), town, people, lives, fixes, silences, recorded, mistake
    )


def _life(
    seed: int,
    town: Town,
    ways: Ways,
    wearers: list[Wearer],
    number: int,
    offences: list[Offence],
    weekday: int,
    until_s: float,
) -> Life:
    draw = np.random.default_rng([seed, 6, number])
    stops = plan_days(draw, wearers[number], weekday, int(until_s // DAY_S) + 1)
    own = [(at, offence) for at, offence in enumerate(offences) if offence.wearer == number]
    for at, offence in sorted(own, key=lambda pair: pair[1].leave_s):
        stops = with_offence(stops, offence.leave_s, offence.stop(at))
    return live(draw, town, ways, wearers[number], stops, until_s)
