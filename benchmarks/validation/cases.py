"""What the matcher is asked about a world: contexts of its wearers, incidents of its crimes, comparable days."""

from typing import NamedTuple

import numpy as np

from benchmarks.scenes.parameters import KINDS
from benchmarks.scenes.world import Crime, Longs, Reported, World
from matcher.by_presence import lasting_of, prior_of
from matcher.chance import LEAST_KNOWN
from matcher.comparable import shifted_presence
from matcher.context import (
    NO_EVENTS,
    Context,
    Fittings,
    History,
    Incident,
    Pings,
    context_bounds,
    fixes_of,
    padded_window,
)
from matcher.fixes import Fixes, sigma_of_r95
from matcher.jumps import set_aside_jumps
from matcher.presence import presence
from matcher.profile import Profile
from matcher.window import Bridges, Place

DAY_US = 86_400_000_000
_HOUR_US = 3_600_000_000
R95_M = {kind.code: kind.position_r95_m for kind in KINDS}
_CONTRACTORS = ("",)
# About each comparable day, what mobility can look at.
_BESIDE_US = 3_600_000_000


class Wearer(NamedTuple):
    """One wearer's pings, and their fixes prepared once for a profile."""

    pings: Pings
    history: Fixes
    kept: Fixes  # without those that nobody could have come to
    aside: Fixes


class Weight(NamedTuple):
    """What the likelihood ratio of a pair is made of, whatever its verdict."""

    throughout: float  # A_s
    days: int  # comparable and covered
    on_days: float  # ΣA_d


def wearer_of(reported: Reported, profile: Profile) -> Wearer:
    """Prepare a wearer: 10 ms for a month."""
    pings = Pings(
        np.zeros(reported.fixed_at_us.size, np.int32),
        reported.fixed_at_us,
        reported.lon_e7,
        reported.lat_e7,
        reported.accuracy_cm.astype(np.int32),
        reported.source.astype(np.int32),
    )
    fixes = fixes_of(pings, _CONTRACTORS, profile)
    kept, aside, _ = set_aside_jumps(fixes, profile.max_speed_mps)
    return Wearer(pings, fixes, kept, aside)


def incident_of(crime: Crime) -> Incident:
    """Give a crime as it is reported."""
    return Incident(crime.lon_deg, crime.lat_deg, crime.code, crime.from_us, crime.to_us)


def context_of(wearer: Wearer, incident: Incident, profile: Profile, days_us: Longs) -> Context:
    """Give the context of a pair: one tag on throughout, no device events, and the comparable days."""
    bounds, time_us = context_bounds(incident, profile), wearer.pings.fixed_at_us
    first, end = np.searchsorted(time_us, (bounds.from_us, bounds.to_us + 1)).tolist()
    return Context(
        Pings._make(column[first:end] for column in wearer.pings),
        Fittings(np.array([bounds.history_from_us]), np.array([bounds.to_us]), _CONTRACTORS),
        NO_EVENTS,
        np.empty(0, np.int64),
        None,
        History(wearer.history, days_us) if profile.history_days else None,
    )


def comparable_days_us(world: World, incident: Incident, profile: Profile) -> Longs:
    """Give the shifts to comparable times.

    In a town the days before, as the service takes them. San Francisco's trails end after 16 days, with long gaps in
    each: there all windows of that length that do not overlap stand for a life, after the crime too and at any hour.
    """
    first = min(int(reported.fixed_at_us[0]) for reported in world.reported if reported.fixed_at_us.size)
    last = max(int(reported.fixed_at_us[-1]) for reported in world.reported if reported.fixed_at_us.size)
    when = padded_window(incident, profile)
    if world.name == "town":
        return np.arange(-((when.start_us - first) // DAY_US), 0, dtype=np.int64) * DAY_US
    step_us = -(-(when.end_us - when.start_us) // _HOUR_US) * _HOUR_US
    before, after = (when.start_us - first) // step_us, (last - when.end_us) // step_us
    return np.append(np.arange(-before, 0), np.arange(1, after + 1)).astype(np.int64) * step_us


def place_of(incident: Incident, profile: Profile) -> Place:
    """Give the circle that a profile draws about an incident, with the place's own error."""
    circle = profile.circle(incident.offence)
    return Place(incident.lon_deg, incident.lat_deg, circle.radius_m, sigma_of_r95(circle.r95_m))


def bridges_of(profile: Profile) -> Bridges:
    """Give what a profile says of the ways between fixes."""
    movement = profile.movement
    return Bridges(profile.max_gap_s, profile.max_speed_mps, movement.least_mobility_m2ps, movement.most_mobility_m2ps)


def weight_of(wearer: Wearer, incident: Incident, profile: Profile, days_us: Longs) -> Weight:
    """Give what makes the ratio of a pair; the days are not looked at where A is 0."""
    place, bridges = place_of(incident, profile), bridges_of(profile)
    when, lasting = padded_window(incident, profile), lasting_of(incident, profile)
    throughout = min(presence(wearer.kept, place, when, bridges, lasting).throughout, 1.0)
    if throughout == 0:
        return Weight(0.0, 0, 0.0)
    days = shifted_presence(wearer.history, place, when, bridges, lasting, days_us, _BESIDE_US)
    usable = days.known >= LEAST_KNOWN
    on_days = np.minimum(days.throughout[usable] / days.known[usable], 1.0)
    return Weight(throughout, int(usable.sum()), float(on_days.sum()))


def ratio_of(weight: Weight, incident: Incident, profile: Profile) -> float:
    """Give A_s/B of `matcher.chance`, with however few days."""
    if weight.throughout == 0:
        return 0.0
    prior = prior_of(incident, profile)
    own = max(weight.throughout, prior.rate)
    return weight.throughout * (weight.days + prior.days) / (weight.on_days + prior.days * own)
