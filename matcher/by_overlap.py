"""The rule `overlap`: a position counts where enough of its circle of accuracy lies in the crime's circle."""

from typing import Final

import numpy as np

from matcher import rounding
from matcher.candidate import is_candidate
from matcher.context import Context, Incident, Pings, flanked, padded_window
from matcher.evidence import NOT_NEEDED, Evidence, Stay
from matcher.fixes import Flags, Floats
from matcher.near import distances_m, quality, rows_of
from matcher.overlap import overlap_share
from matcher.profile import SOURCES, Profile
from matcher.trails import Longs
from matcher.verdict import CANNOT_SAY, PRESENT
from matcher.visits import letters

# So much of the circle of accuracy must lie in the crime's.
LEAST_SHARE: Final = 0.5


def weigh_by_overlap(context: Context, incident: Incident, profile: Profile) -> Evidence:
    """Count the positions of which at least half the circle of accuracy lies in the crime's circle.

    PRESENT with one, else CANNOT_SAY. An accuracy that is not stated takes its source's default. Nothing is said of the
    time between positions. A visit is a run of positions that count with none between them that does not; its label's
    letters are the visit's, A to Z, then AA, and the number that follows is the position's in it.
    """
    pings = rows_of(context.pings, flanked(context.pings, incident, profile)[0])
    circle, when = profile.circle(incident.offence), padded_window(incident, profile)
    first, end = np.searchsorted(pings.fixed_at_us, (when.start_us, when.end_us + 1)).tolist()
    during = rows_of(pings, slice(first, end))
    away_m = distances_m(during.lon_e7, during.lat_e7, incident.lon_deg, incident.lat_deg)
    counts = _counts(during, away_m, circle.radius_m, profile)
    inside, inside_m = rows_of(during, np.flatnonzero(counts)), away_m[counts]
    stays = _stays(during.fixed_at_us, away_m, counts)
    nearest = int(np.argmin(inside_m)) if inside_m.size else 0
    is_hit = inside_m.size > 0
    closest_us = int(inside.fixed_at_us[nearest]) if is_hit else None
    return Evidence(
        rule=profile.rule,
        verdict=PRESENT if is_hit else CANNOT_SAY,
        offence=incident.offence,
        radius_m=circle.radius_m,
        from_us=when.start_us,
        to_us=when.end_us,
        n_pings=inside_m.size,
        min_dist_m=rounding.metres(float(inside_m[nearest])) if is_hit else None,
        closest_us=closest_us,
        first_us=int(inside.fixed_at_us[0]) if is_hit else None,
        last_us=int(inside.fixed_at_us[-1]) if is_hit else None,
        near_m=rounding.metres(float(inside_m[nearest])) if is_hit else None,
        near_us=closest_us,
        enter_us=int(inside.fixed_at_us[0]) if is_hit else None,
        leave_us=int(inside.fixed_at_us[-1]) if is_hit else None,
        inside_s=rounding.seconds(sum(stay.seen_s for stay in stays)),
        visits=len(stays),
        stays=stays,
        quality=quality(inside, context.fittings.contractor, profile),
        inside=None,
        reach=None,
        coverage=None,
        events=(),
        jumps=(),
        conflicts=0,
        on_licence=None,
        history=NOT_NEEDED,
        chance=None,
        is_candidate=is_hit or is_candidate(pings, incident, profile),
    )


def _counts(pings: Pings, away_m: Floats, radius_m: float, profile: Profile) -> Flags:
    """Say of each position whether at least half of its circle of accuracy lies in the crime's."""
    unknown_m = np.zeros(max(SOURCES.values()) + 1)
    for source, r95_m in profile.accuracy.unknown_r95_m.items():
        unknown_m[SOURCES[source]] = r95_m
    accuracy_m = np.where(pings.accuracy_cm > 0, pings.accuracy_cm / 100.0, unknown_m[pings.source])
    # A position further off than the radius has less than half in it, whatever its accuracy.
    shares = [
        overlap_share(away, radius_m, accuracy) if away <= radius_m else 0.0
        for away, accuracy in zip(away_m.tolist(), accuracy_m.tolist(), strict=True)
    ]
    return np.array(shares, np.float64) >= LEAST_SHARE


def _stays(fixed_at_us: Longs, away_m: Floats, counts: Flags) -> tuple[Stay, ...]:
    """Give the runs of positions that count."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], counts, [False])).astype(np.int8)))
    return tuple(
        _stay(number, fixed_at_us[first:end], away_m[first:end])
        for number, (first, end) in enumerate(edges.reshape(-1, 2).tolist())
    )


def _stay(number: int, fixed_at_us: Longs, away_m: Floats) -> Stay:
    first_us, last_us, nearest = int(fixed_at_us[0]), int(fixed_at_us[-1]), int(np.argmin(away_m))
    return Stay(
        label=letters(number),
        enter_us=first_us,
        leave_us=last_us,
        has_entry=False,
        has_exit=False,
        n_pings=fixed_at_us.size,
        first_us=first_us,
        last_us=last_us,
        seen_s=rounding.seconds((last_us - first_us) / 1e6),
        inferred_s=0.0,
        near_m=rounding.metres(float(away_m[nearest])),
        near_us=int(fixed_at_us[nearest]),
        enter_bearing_deg=None,
        leave_bearing_deg=None,
    )
