"""The incidents in memory: what is kept of a selection, and what makes it anew."""

from uuid import UUID, uuid4

import numpy as np

from app.matching.open_incidents import OpenIncidents
from matcher.context import Incident
from matcher.join import space_time_join
from matcher.profile import RADIUS_100M
from matcher.trails import trails_from_columns

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US


def _put(incidents: OpenIncidents, lon_deg: float, from_us: int, incident_id: UUID | None = None) -> UUID:
    incident_id = incident_id or uuid4()
    incidents._put(incident_id, Incident(lon_deg, 50.0, "BIAD", from_us, from_us + 30 * MINUTE_US), RADIUS_100M)
    return incident_id


def _met(incidents: OpenIncidents, lon_deg: float, at_us: int) -> list[UUID]:
    """Whom one ping meets, joined with the grid that is kept."""
    selection = incidents.meeting(at_us, at_us)
    assert selection.grid is not None
    trails = trails_from_columns([1], [at_us], np.rint([lon_deg * 1e7]), [500_000_000])
    return [selection.incident_id[row] for row in space_time_join(trails, selection.grid).incident]


def test_the_grid_is_kept_while_no_incident_changes_and_the_hour_is_the_same() -> None:
    incidents = OpenIncidents()
    _put(incidents, 10.0, 0)
    first = incidents.meeting(20 * MINUTE_US, 21 * MINUTE_US)
    assert incidents.meeting(40 * MINUTE_US, 59 * MINUTE_US) is first
    assert incidents.meeting(40 * MINUTE_US, 61 * MINUTE_US) is not first


def test_a_ping_meets_what_is_open_now_whatever_was_kept() -> None:
    incidents = OpenIncidents()
    at_us = 20 * MINUTE_US
    one = _put(incidents, 10.0, 0)
    assert _met(incidents, 10.0, at_us) == [one]
    other = _put(incidents, 10.0, 0)
    assert sorted(_met(incidents, 10.0, at_us)) == sorted([one, other])
    _put(incidents, 11.0, 0, one)  # amended: elsewhere
    assert _met(incidents, 10.0, at_us) == [other]
    assert _met(incidents, 11.0, at_us) == [one]
    incidents._remove(other)
    assert _met(incidents, 10.0, at_us) == []
    later = _put(incidents, 10.0, 5 * HOUR_US)
    assert _met(incidents, 10.0, at_us) == []
    assert _met(incidents, 10.0, 5 * HOUR_US) == [later]
    assert _met(incidents, 11.0, at_us) == [one]
