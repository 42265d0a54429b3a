"""What is known of one wearer and one incident: everything that a match says, in one structure."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np

from matcher.hits import NO_TIME_US
from matcher.incidents import Incidents
from matcher.join import Between, space_time_join
from matcher.profile import Profile
from matcher.trails import Trails

# Moves when the same inputs give another answer; every match says by which it was made.
ALGORITHM = "radius-1"
# Moves when the evidence's JSON changes its form.
SCHEMA = 1


class Incident(NamedTuple):
    """A reported crime as it is judged; without padding."""

    lon_deg: float
    lat_deg: float
    offence: str
    from_us: int
    to_us: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks of presence, rounded: metres to 0.01, seconds to 0.1. Times are microseconds since 1970 UTC."""

    verdict: str  # present: a position inside; possible: only a stretch between two positions
    radius_m: float
    n_pings: int  # positions inside
    min_dist_m: float | None  # the nearest of them; None without one, as the three times
    closest_us: int | None
    first_us: int | None
    last_us: int | None
    near_m: float  # the least distance, between positions too
    near_us: int
    enter_us: int  # first and
    leave_us: int  # last moment inside, between positions too
    inside_s: float  # along the stretches between positions
    visits: int

    def as_json(self) -> dict[str, object]:
        """Give the evidence as JSON holds it: times as RFC 3339 text with microseconds, named `…_at`."""
        named = {_json_name(field.name): _json_value(field.name, getattr(self, field.name)) for field in fields(self)}
        return {"schema": SCHEMA, **named}


def evaluate(trails: Trails, incident: Incident, profile: Profile) -> Evidence | None:
    """Weigh what one wearer's trails say of one incident; None if nothing places them inside the circle.

    A pure function of its arguments. `trails` holds only fixes of this wearer: one trail for each device and fitting,
    so that no line is drawn over a time in which somebody else wore the tag. Of trails that overlap in time, the
    positions, seconds and visits add up.

    Raises ValueError if the profile has no circle for the offence.
    """
    circle = profile.circle(incident.offence)
    padding_us = round(circle.padding_s * 1e6)
    one = Incidents(
        lon_deg=np.array([incident.lon_deg]),
        lat_deg=np.array([incident.lat_deg]),
        radius_m=np.array([circle.radius_m]),
        from_us=np.array([incident.from_us - padding_us]),
        to_us=np.array([incident.to_us + padding_us]),
    )
    hits = space_time_join(trails, one, Between(profile.max_gap_s, profile.max_speed_mps))
    if hits.device.size == 0:
        return None
    n_pings = int(hits.n_pings.sum())
    nearest = int(np.lexsort((hits.closest_us, hits.closest_m))[0])
    near = int(np.lexsort((hits.near_us, hits.near_m))[0])
    with_pings = hits.first_us != NO_TIME_US
    return Evidence(
        verdict="present" if n_pings else "possible",
        radius_m=circle.radius_m,
        n_pings=n_pings,
        min_dist_m=round(float(hits.closest_m[nearest]), 2) if n_pings else None,
        closest_us=int(hits.closest_us[nearest]) if n_pings else None,
        first_us=int(hits.first_us[with_pings].min()) if n_pings else None,
        last_us=int(hits.last_us[with_pings].max()) if n_pings else None,
        near_m=round(float(hits.near_m[near]), 2),
        near_us=int(hits.near_us[near]),
        enter_us=int(hits.enter_us.min()),
        leave_us=int(hits.leave_us.max()),
        inside_s=round(float(hits.inside_s.sum()), 1),
        visits=int(hits.visits.sum()),
    )


def is_alerted(evidence: Evidence | None) -> bool:
    """Say whether people are told: at least one position inside."""
    return evidence is not None and evidence.n_pings > 0


class Reach(NamedTuple):
    """Stretch of time that the evidence of an incident looks at; both ends belong to it."""

    from_us: int
    to_us: int


def reach(incident: Incident, profile: Profile) -> Reach:
    """Give the context of an incident: nothing outside it is read, and what changes inside it is evaluated again."""
    # A position up to max_gap_s outside the padded window can still be the end of a line that enters it.
    margin_us = round((profile.circle(incident.offence).padding_s + profile.max_gap_s) * 1e6)
    history_us = profile.history_days * 86_400_000_000
    return Reach(incident.from_us - margin_us - history_us, incident.to_us + margin_us + round(profile.after_s * 1e6))


def _json_name(name: str) -> str:
    return name.removesuffix("_us") + "_at" if name.endswith("_us") else name


def _json_value(name: str, value: object) -> object:
    return _rfc_3339(value) if name.endswith("_us") and isinstance(value, int) else value


def _rfc_3339(us: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
