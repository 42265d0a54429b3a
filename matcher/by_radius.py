"""The rule `radius`: any position within the radius, whatever its accuracy; the line between two is said too."""

import numpy as np

from matcher import rounding
from matcher.candidate import is_candidate
from matcher.context import Context, Incident, Pings, flanked, padded_window
from matcher.evidence import NOT_NEEDED, Evidence
from matcher.hits import NO_TIME_US, columns_of
from matcher.join_one import join_one
from matcher.near import distances_m, quality, rows_of
from matcher.profile import Profile
from matcher.verdict import CANNOT_SAY, POSSIBLE, PRESENT


def weigh_by_radius(context: Context, incident: Incident, profile: Profile) -> Evidence:
    """Count the positions within the radius and the window with its padding.

    PRESENT with a position inside, POSSIBLE with a line between two positions of one fitting, else CANNOT_SAY: this
    rule knows nothing of who was elsewhere. Of tags worn at once the positions, seconds and visits add up.
    """
    pings = rows_of(context.pings, flanked(context.pings, incident, profile)[0])
    circle, when = profile.circle(incident.offence), padded_window(incident, profile)
    hits = columns_of(join_one(pings, incident, profile, circle.radius_m))
    is_hit = hits.device.size > 0
    with_pings = hits.first_us != NO_TIME_US
    n_pings = int(hits.n_pings.sum())
    nearest = int(np.lexsort((hits.closest_us, hits.closest_m))[0]) if n_pings else 0
    near = int(np.lexsort((hits.near_us, hits.near_m))[0]) if is_hit else 0
    return Evidence(
        rule=profile.rule,
        verdict=PRESENT if n_pings else POSSIBLE if is_hit else CANNOT_SAY,
        offence=incident.offence,
        radius_m=circle.radius_m,
        from_us=when.start_us,
        to_us=when.end_us,
        n_pings=n_pings,
        min_dist_m=rounding.metres(float(hits.closest_m[nearest])) if n_pings else None,
        closest_us=int(hits.closest_us[nearest]) if n_pings else None,
        first_us=int(hits.first_us[with_pings].min()) if n_pings else None,
        last_us=int(hits.last_us[with_pings].max()) if n_pings else None,
        near_m=rounding.metres(float(hits.near_m[near])) if is_hit else None,
        near_us=int(hits.near_us[near]) if is_hit else None,
        enter_us=int(hits.enter_us.min()) if is_hit else None,
        leave_us=int(hits.leave_us.max()) if is_hit else None,
        inside_s=rounding.seconds(float(hits.inside_s.sum())),
        visits=int(hits.visits.sum()),
        stays=(),
        quality=quality(inside_of(pings, incident, profile), context.fittings.contractor, profile),
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


def inside_of(pings: Pings, incident: Incident, profile: Profile) -> Pings:
    """Give the pings within the radius and the padded window."""
    when = padded_window(incident, profile)
    first, end = np.searchsorted(pings.fixed_at_us, (when.start_us, when.end_us + 1)).tolist()
    during = rows_of(pings, slice(first, end))
    away_m = distances_m(during.lon_e7, during.lat_e7, incident.lon_deg, incident.lat_deg)
    return rows_of(during, np.flatnonzero(away_m <= profile.circle(incident.offence).radius_m))
