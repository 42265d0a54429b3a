"""The warm-up of the matcher: every kernel compiled, or loaded from the cache, before anybody waits for it."""

from typing import Final

import numpy as np

from app.trails.reading import warm_up_packing
from matcher.context import NO_EVENTS, Context, Fittings, History, Incident, Pings, fixes_of, pings_from_columns
from matcher.evidence import WEIGHED
from matcher.profile import BUILT_IN, STANDARD
from matcher.trails import Longs
from matcher.weigh import weigh

_DAY_US: Final = 86_400_000_000
_MINUTE_US: Final = 60_000_000
_MINUTES: Final = np.arange(-40, 41)
_DAYS_US: Final = np.arange(-8, 0) * _DAY_US


def warm_up() -> None:
    """Weigh an invented walk through a crime's circle by every rule, with days before it, and pack a ping.

    About a second from the cache; some tens of seconds where everything has to be compiled first.
    """
    incident = Incident(0.0, 51.5, "BIAD", -10 * _MINUTE_US, 10 * _MINUTE_US)
    fittings = Fittings(np.array([-100 * _DAY_US]), np.array([_DAY_US]), ("nobody",))
    before = fixes_of(_walk(_DAYS_US), fittings.contractor, STANDARD)
    context = Context(
        _walk(np.zeros(1, np.int64)), fittings, NO_EVENTS, np.empty(0, np.int64), None, History(before, _DAYS_US)
    )
    found = {profile.name: weigh(context, incident, profile) for profile in BUILT_IN}
    assert found[STANDARD.name].history == WEIGHED
    warm_up_packing()


def _walk(days_us: Longs) -> Pings:
    """Give a walk from south to north past the crime at the midnight of each day, with one fix that is far off."""
    lat_e7 = 515_000_000 + _MINUTES * 3_000
    lat_e7[10] += 10_000_000
    minutes, days = _MINUTES.size, days_us.size
    return pings_from_columns(
        np.zeros(minutes * days),
        np.add.outer(days_us, _MINUTES * _MINUTE_US).ravel(),
        np.zeros(minutes * days),
        np.tile(lat_e7, days),
        np.full(minutes * days, 1_000),
        np.ones(minutes * days),
    )
