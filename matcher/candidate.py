"""Whether the join would find one wearer and one incident."""

from matcher.context import Incident, Pings
from matcher.join_one import join_one
from matcher.profile import Profile


def is_candidate(pings: Pings, incident: Incident, profile: Profile) -> bool:
    """Say whether the join finds the pair: a position, or a line within one fitting, in the radius with its margin.

    Cost and errors are those of `join_one`.
    """
    radius_m = profile.circle(incident.offence).radius_m + profile.candidate_margin_m
    return join_one(pings, incident, profile, radius_m).size > 0
