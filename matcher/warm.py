"""Compile what the matcher calls, or load it from numba's cache, before the first pair has to wait for it."""

import numpy as np

from matcher.context import NO_EVENTS, Context, Fittings, History, Incident, fixes_of, pings_from_columns
from matcher.incidents import Incidents
from matcher.nearby import Boxes, hold_any
from matcher.profile import BUILT_IN
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
    columns = (np.zeros(at_us.size), at_us, lon_e7, np.full(at_us.size, 515_000_000), np.full(at_us.size, 800))
    pings = pings_from_columns(*columns, np.ones(at_us.size))
    fittings = Fittings(np.array([0]), np.array([(_DAYS + 1) * _DAY_US]), ("",))
    crime_us = _DAYS * _DAY_US + 30 * _MINUTE_US
    incident = Incident(0.0, 51.5, "OTHER", crime_us, crime_us + _MINUTE_US)
    for profile in BUILT_IN:
        history = History(fixes_of(pings, fittings.contractor, profile), -_DAY_US * np.arange(_DAYS, 0, -1))
        context = Context(pings, fittings, NO_EVENTS, np.empty(0, np.int64), None, history)
        assert weigh(context, incident, profile).n_pings > 0
    here, now = np.zeros(1), np.zeros(1, np.int64)
    assert hold_any(Boxes(here, here, here, here, now, now), Incidents(here, here, here, now, now)).all()
