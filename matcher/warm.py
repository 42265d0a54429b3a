"""Compile what the matcher calls, or load it from numba's cache, before the first pair has to wait for it."""

import numpy as np

from matcher.context import NO_EVENTS, Context, Fittings, History, Incident, fixes_of, pings_from_columns
from matcher.cut import cut_out, parts_within
from matcher.incidents import Incidents
from matcher.index import incident_grid
from matcher.join import Between, space_time_join
from matcher.nearby import Boxes, hold_any
from matcher.profile import BUILT_IN
from matcher.trails import Longs, trails_from_columns
from matcher.weigh import weigh

_MINUTE_US = 60_000_000
_DAY_US = 86_400_000_000
_DAYS = 7


def warm_up() -> None:
    """Evaluate a scene by each rule, with history, so that every kernel is called with the types that it gets."""
    minutes = np.arange(60)
    at_us = (np.arange(_DAYS + 1)[:, None] * _DAY_US + minutes * _MINUTE_US).ravel()
    # A walk of 40 m a minute past the place, then past again on each day.
    lon_e7 = np.tile((minutes - 30) * 6_000, _DAYS + 1)
    columns = (np.zeros_like(at_us), at_us, lon_e7, np.full(at_us.size, 515_000_000), np.full(at_us.size, 800))
    pings = pings_from_columns(*columns, np.ones(at_us.size))
    fittings = Fittings(np.array([0]), np.array([(_DAYS + 1) * _DAY_US]), ("",))
    crime_us = _DAYS * _DAY_US + 30 * _MINUTE_US
    incident = Incident(0.0, 51.5, "OTHER", crime_us, crime_us + _MINUTE_US)
    # Comparable days are kept for a crime, and may not be written to.
    days_us = -_DAY_US * np.arange(_DAYS, 0, -1)
    days_us.flags.writeable = False
    for profile in BUILT_IN:
        history = History(fixes_of(pings, fittings.contractor, profile), days_us)
        context = Context(pings, fittings, NO_EVENTS, np.empty(0, np.int64), None, history)
        assert weigh(context, incident, profile).n_pings > 0
    here, now = np.zeros(1), np.zeros(1, np.int64)
    assert hold_any(Boxes(here, here, here, here, now, now), Incidents(here, here, here, now, now)).all()
    _join(at_us, columns)
    _cut(at_us, columns)


def _join(at_us: Longs, columns: tuple[Longs, ...]) -> None:
    """Join as batches are joined, with a grid that is kept, and as arrivals are, without."""
    trails = trails_from_columns(columns[0], at_us, columns[2], columns[3])
    now = at_us[-30:-29]
    here = np.zeros(1)
    incidents = Incidents(here, here + 51.5, here + 100.0, now - _MINUTE_US, now + _MINUTE_US)
    for known in (incidents, incident_grid(incidents)):
        assert space_time_join(trails, known, Between(300.0, 60.0)).device.size == 1


def _cut(at_us: Longs, columns: tuple[Longs, ...]) -> None:
    """Cut positions out of what was read."""
    one, whole = np.array([0, 1]), np.array([[at_us[0], at_us[-1]]])
    parts = parts_within(one, one[:1], whole[0, :1], whole[0, 1:], one, whole)
    device_id, _, lon_e7, lat_e7, accuracy_cm = (column.astype(np.int64) for column in columns[:5])
    found = np.stack([at_us, np.ones_like(at_us), lon_e7, lat_e7, accuracy_cm])
    assert cut_out(device_id, found, parts, 0)[1].size == at_us.size
