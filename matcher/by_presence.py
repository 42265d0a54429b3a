"""The rule `presence`: what each position is worth, the way between two, who was elsewhere, who is there anyway."""

from typing import NamedTuple

import numpy as np

from geo.jit import kernel
from geo.wgs84 import distance_m
from matcher import rounding
from matcher.candidate import is_candidate
from matcher.chance import Chance, Prior, chance, support
from matcher.comparable import shifted_presence
from matcher.context import (
    Context,
    Events,
    Incident,
    Pings,
    beside_a_day_us,
    context_bounds,
    fixes_of,
    flanked,
    padded_window,
)
from matcher.crime_time import CrimeTime, highest_per_s
from matcher.ever import ever_inside
from matcher.evidence import (
    NOT_NEEDED,
    NOT_READ,
    TOO_LITTLE,
    WEIGHED,
    Covered,
    Event,
    Evidence,
    Inside,
    Jump,
    Ordinary,
    Reached,
    Stay,
)
from matcher.fixes import Fixes, Floats, sigma_of_r95
from matcher.jumps import Jumps, set_aside_jumps
from matcher.near import quality, rows_of
from matcher.presence import NO_TIME_US, Presence, presence
from matcher.profile import Profile
from matcher.reach import Reach, reach
from matcher.soundness import unsound_us
from matcher.throughout import Lasting
from matcher.trails import E7_PER_DEGREE, Ints, Longs
from matcher.verdict import PRESENT, coverage, verdict
from matcher.visits import Visit, visits
from matcher.window import Bridges, Place


def weigh_by_presence(context: Context, incident: Incident, profile: Profile) -> Evidence:
    """Weigh all that the context says: docs/decisions/0006 tells of the parts.

    The history counts only where the verdict is PRESENT; where it is None then, `Evidence.history` says so.
    """
    return _evidence(_look(context, incident, profile), context, incident, profile)


def match_by_presence(context: Context, incident: Incident, profile: Profile) -> tuple[Evidence | None, bool]:
    """Give the same where there is a match, else None for less than half of the cost; and whether it is a candidate."""
    seen = _look(context, incident, profile)
    is_match = seen.is_candidate and (bool(seen.stays) or seen.ever >= profile.telling.least_ever)
    return _evidence(seen, context, incident, profile) if is_match else None, seen.is_candidate


class _Seen(NamedTuple):
    """What decides whether there is a match, and what the rest of the evidence is made of."""

    pings: Pings  # all that count, but for history, and
    to_us: int  # the last moment that does
    place: Place
    when: CrimeTime
    kept: Fixes
    aside: Fixes
    jumps: Jumps
    found: Presence
    ever: float  # rounded
    stays: list[Visit]
    is_candidate: bool


def _look(context: Context, incident: Incident, profile: Profile) -> _Seen:
    wanted, to_us = flanked(context.pings, incident, profile)
    pings, when = rows_of(context.pings, wanted), padded_window(incident, profile)
    place, bridges = _place(incident, profile), _bridges(profile)
    kept, aside, jumps = set_aside_jumps(fixes_of(pings, context.fittings.contractor, profile), profile.max_speed_mps)
    found = presence(kept, place, when, bridges, lasting_of(incident, profile))
    ever = ever_inside(kept, place, when, _loose(profile), found.highest)
    return _Seen(
        pings=pings,
        to_us=to_us,
        place=place,
        when=when,
        kept=kept,
        aside=aside,
        jumps=jumps,
        found=found,
        ever=rounding.probability(ever),
        stays=visits(kept, place, when.start_us, when.end_us, bridges),
        is_candidate=is_candidate(pings, incident, profile),
    )


def _evidence(seen: _Seen, context: Context, incident: Incident, profile: Profile) -> Evidence:
    place, when, found = seen.place, seen.when, seen.found
    covered = coverage(seen.kept, found, when.start_us, when.end_us)
    unsound = _unsound_us(context, seen.pings, incident, profile, seen.to_us)
    reached = _rounded_reach(
        reach(seen.kept, seen.aside, place, when.start_us, when.end_us, profile.max_speed_mps, unsound), profile
    )
    said = verdict(found, covered, reached)
    history, ordinary = _ordinary(context, incident, profile, found) if said == PRESENT else (NOT_NEEDED, None)
    stays = tuple(_rounded_stay(visit) for visit in seen.stays)
    inside, away_m = _positions_inside(seen.pings, seen.kept, place, when)
    nearest = int(np.argmin(away_m)) if away_m.size else 0
    near = min(stays, key=lambda stay: stay.near_m, default=None)
    return Evidence(
        rule=profile.rule,
        verdict=said,
        offence=incident.offence,
        radius_m=place.radius_m,
        from_us=when.start_us,
        to_us=when.end_us,
        n_pings=away_m.size,
        min_dist_m=rounding.metres(float(away_m[nearest])) if away_m.size else None,
        closest_us=int(inside.fixed_at_us[nearest]) if away_m.size else None,
        first_us=int(inside.fixed_at_us[0]) if away_m.size else None,
        last_us=int(inside.fixed_at_us[-1]) if away_m.size else None,
        near_m=near.near_m if near else None,
        near_us=near.near_us if near else None,
        enter_us=stays[0].enter_us if stays else None,
        leave_us=stays[-1].leave_us if stays else None,
        inside_s=rounding.seconds(found.inside_s),
        visits=len(stays),
        stays=stays,
        quality=quality(inside, context.fittings.contractor, profile),
        inside=_inside(found, seen.ever),
        reach=reached,
        coverage=Covered(rounding.probability(covered.share), covered.fixes, rounding.seconds(covered.longest_gap_s)),
        events=_events_in(context, when),
        jumps=_jumps_about(seen.jumps, when),
        conflicts=_count_in(context.conflicts_us, when),
        on_licence=_on_licence(context.licence_us, when),
        history=history,
        chance=ordinary,
        is_candidate=seen.is_candidate,
    )


def _place(incident: Incident, profile: Profile) -> Place:
    circle = profile.circle(incident.offence)
    return Place(
        incident.lon_deg,
        incident.lat_deg,
        circle.radius_m,
        sigma_of_r95(circle.r95_m if incident.r95_m is None else incident.r95_m),
    )


def _bridges(profile: Profile) -> Bridges:
    movement = profile.movement
    return Bridges(profile.max_gap_s, profile.max_speed_mps, movement.least_mobility_m2ps, movement.most_mobility_m2ps)


def _loose(profile: Profile) -> Bridges:
    """Give which fixes are joined where the question is whether somebody can ever have been inside."""
    return _bridges(profile)._replace(max_gap_s=max(profile.max_gap_s, profile.movement.ever_gap_s))


def lasting_of(incident: Incident, profile: Profile) -> Lasting:
    """Give how long a profile takes such an offence to last, and what it takes for passing."""
    telling = profile.telling
    return Lasting(profile.circle(incident.offence).stay_s, telling.stay_spread, telling.pace_mps)


def _unsound_us(context: Context, pings: Pings, incident: Incident, profile: Profile, to_us: int) -> Longs:
    """Give when no tag vouched for the wearer, as far as the match depends on it."""
    from_us, events = context_bounds(incident, profile).history_from_us, context.events
    if events.kind:
        wanted = np.flatnonzero((events.at_us >= from_us) & (events.at_us <= to_us))
        events = Events(events.at_us[wanted], tuple(events.kind[i] for i in wanted), events.fitting[wanted])
    return unsound_us(context.fittings, events, pings.fixed_at_us, pings.fitting, from_us, to_us)


def ordinary_of(context: Context, incident: Incident, profile: Profile) -> tuple[str, Ordinary | None]:
    """Weigh presence throughout the crime against the days before, whatever the verdict; `chance_of` by this rule."""
    pings = rows_of(context.pings, flanked(context.pings, incident, profile)[0])
    kept = set_aside_jumps(fixes_of(pings, context.fittings.contractor, profile), profile.max_speed_mps)[0]
    found = presence(
        kept,
        _place(incident, profile),
        padded_window(incident, profile),
        _bridges(profile),
        lasting_of(incident, profile),
    )
    return _ordinary(context, incident, profile, found)


def _ordinary(context: Context, incident: Incident, profile: Profile, found: Presence) -> tuple[str, Ordinary | None]:
    """Weigh presence throughout the crime against the days before; gives what became of the history, too."""
    if not profile.history_days:
        return NOT_NEEDED, None
    if context.history is None:
        return NOT_READ, None
    fixes, shifts_us = context.history
    place, bridges, when = _place(incident, profile), _bridges(profile), padded_window(incident, profile)
    lasting = lasting_of(incident, profile)
    days = shifted_presence(fixes, place, when, bridges, lasting, shifts_us, beside_a_day_us(profile))
    weighed = chance(min(found.throughout, 1.0), days, prior_of(incident, profile))
    return (TOO_LITTLE, None) if weighed is None else (WEIGHED, _rounded_chance(weighed))


def prior_of(incident: Incident, profile: Profile) -> Prior:
    """Give what is counted of an incident's ordinary days before any is known.

    The same seconds are less of a longer window: what a passer-by comes to must not depend on how vague the report is.
    """
    telling = profile.telling
    rate = telling.ordinary_s * highest_per_s(padded_window(incident, profile))
    return Prior(telling.ordinary_days, min(max(rate, telling.ordinary_rate), 1.0))


def _positions_inside(pings: Pings, kept: Fixes, place: Place, when: CrimeTime) -> tuple[Pings, Floats]:
    """Give the positions inside that are gone by, one a moment, and how far each is off."""
    rows, away_m = _kept_inside(*pings[1:4], *kept[:3], place, when)
    return rows_of(pings, rows), away_m


@kernel
def _kept_inside(
    time_us: Longs,
    lon_e7: Ints,
    lat_e7: Ints,
    kept_us: Longs,
    kept_lon_e7: Ints,
    kept_lat_e7: Ints,
    place: Place,
    when: CrimeTime,
) -> tuple[Longs, Floats]:
    first, end = int(np.searchsorted(time_us, when.start_us)), int(np.searchsorted(time_us, when.end_us, "right"))
    rows, distances_m = np.empty(end - first, np.int64), np.empty(end - first)
    n = fix = 0
    for row in range(first, end):
        away_m = distance_m(place.lon_deg, place.lat_deg, lon_e7[row] / E7_PER_DEGREE, lat_e7[row] / E7_PER_DEGREE)
        while fix < kept_us.size and kept_us[fix] < time_us[row]:
            fix += 1
        if away_m > place.radius_m or fix == kept_us.size or kept_us[fix] != time_us[row]:
            continue
        # Of two sources that give one position at one moment the first counts.
        is_told = n > 0 and time_us[rows[n - 1]] == time_us[row]
        if kept_lon_e7[fix] == lon_e7[row] and kept_lat_e7[fix] == lat_e7[row] and not is_told:
            rows[n], distances_m[n] = row, away_m
            n += 1
    return rows[:n].copy(), distances_m[:n].copy()


def _inside(found: Presence, ever: float) -> Inside:
    return Inside(
        highest=rounding.probability(found.highest),
        highest_us=None if found.highest_us == NO_TIME_US else found.highest_us,
        seen=rounding.probability(found.seen),
        seen_us=None if found.seen_us == NO_TIME_US else found.seen_us,
        ever=rounding.probability(ever),
        at_crime=rounding.probability(min(found.at_crime, 1.0)),
        known=rounding.probability(min(found.known, 1.0)),
    )


def _rounded_reach(reached: Reach, profile: Profile) -> Reached:
    needed_mps = rounding.speed(reached.needed_mps)
    return Reached(
        is_excluded=needed_mps > profile.max_speed_mps,
        is_sound=reached.is_sound,
        needed_mps=needed_mps,
        longest_stay_s=rounding.seconds(reached.longest_stay_s),
        rests_from_us=reached.rests_from_us,
        rests_to_us=reached.rests_to_us,
    )


def _rounded_chance(weighed: Chance) -> Ordinary:
    return Ordinary(
        days=weighed.days,
        as_much=weighed.as_much,
        throughout=rounding.ratio(weighed.throughout),
        rate=rounding.ratio(weighed.rate),
        rate_low=rounding.ratio(weighed.rate_low),
        rate_high=rounding.ratio(weighed.rate_high),
        ratio=rounding.ratio(weighed.ratio),
        ratio_low=rounding.ratio(weighed.ratio_low),
        ratio_high=rounding.ratio(weighed.ratio_high),
        most=rounding.ratio(weighed.most),
        words=support(rounding.ratio(weighed.ratio_low)),
        most_words=support(rounding.ratio(weighed.most)),
    )


def _rounded_stay(visit: Visit) -> Stay:
    rounded = {
        "seen_s": rounding.seconds(visit.seen_s),
        "inferred_s": rounding.seconds(visit.inferred_s),
        "near_m": rounding.metres(visit.near_m),
        "enter_bearing_deg": _rounded_bearing(visit.enter_bearing_deg),
        "leave_bearing_deg": _rounded_bearing(visit.leave_bearing_deg),
    }
    return Stay(**visit._asdict() | rounded)


def _rounded_bearing(bearing_deg: float | None) -> float | None:
    return None if bearing_deg is None else rounding.degrees(bearing_deg)


def _events_in(context: Context, when: CrimeTime) -> tuple[Event, ...]:
    told = zip(context.events.at_us.tolist(), context.events.kind, strict=True)
    return tuple(Event(*event) for event in sorted(told) if when.start_us <= event[0] <= when.end_us)


def _jumps_about(jumps: Jumps, when: CrimeTime) -> tuple[Jump, ...]:
    """List the jumps that meet the padded window."""
    meeting = np.flatnonzero((jumps.before_us <= when.end_us) & (jumps.after_us >= when.start_us))
    return tuple(
        Jump(
            int(jumps.before_us[i]), int(jumps.after_us[i]), int(jumps.set_aside[i]), rounding.speed(jumps.speed_mps[i])
        )
        for i in meeting.tolist()
    )


def _count_in(times_us: Longs, when: CrimeTime) -> int:
    return int(((times_us >= when.start_us) & (times_us <= when.end_us)).sum())


def _on_licence(licence_us: Longs | None, when: CrimeTime) -> bool | None:
    if licence_us is None:
        return None
    return bool(((licence_us[:, 0] <= when.end_us) & (licence_us[:, 1] >= when.start_us)).any())
