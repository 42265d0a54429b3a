"""When a tag could not vouch for its wearer: strap, case, power, shielding, or none fitted."""

from typing import Final

import numpy as np

from matcher.context import Events, Fittings
from matcher.trails import Ints, Longs

# What begins a time that is not sound, and what ends it. A tag that was cut or opened is sound again only once
# somebody has fitted it; one that lost power or was shielded once it is back, which a fix shows too. Charging, a low
# battery and a lost signal say nothing against strap and power.
_ENDED_BY: Final = {
    "removed": {"fitted"},
    "strap_tamper": {"fitted"},
    "case_tamper": {"fitted"},
    "battery_flat": {"fitted", "charging_started", "signal_restored"},
    "shielding_suspected": {"fitted", "signal_restored"},
}
_ENDED_BY_FIX: Final = {"battery_flat", "shielding_suspected"}


def unsound_us(
    fittings: Fittings, events: Events, fixed_at_us: Longs, fitting_of_fix: Ints, from_us: int, to_us: int
) -> Longs:
    """Give the stretches from-to, both ends included, in which strap, power or activation is in doubt: (U, 2), sorted.

    A stretch begins with an event, lasts until what ends it, and no longer than the fitting. Where no tag was fitted at
    all the wearer is not vouched for either. Only what lies from `from_us` to `to_us` is given. The fixes are those of
    the wearer with the fitting that each comes from, sorted by time.

    Raises ValueError if an event is of no fitting.
    """
    stretches = [*_between_fittings(fittings, from_us, to_us)]
    order = sorted(range(len(events.kind)), key=lambda e: (int(events.at_us[e]), events.kind[e]))
    for place, event in enumerate(order):
        ended_by = _ENDED_BY.get(events.kind[event])
        if ended_by is None:
            continue
        at_us, fitting = int(events.at_us[event]), int(events.fitting[event])
        if not 0 <= fitting < len(fittings.contractor):
            raise ValueError(f"a device event is of fitting {fitting}, of {len(fittings.contractor)}")
        ends_us = [int(fittings.to_us[fitting])]
        ends_us += [
            int(events.at_us[later])
            for later in order[place + 1 :]
            if events.fitting[later] == fitting and events.kind[later] in ended_by
        ]
        if events.kind[event] in _ENDED_BY_FIX:
            later_fixes = fixed_at_us[(fixed_at_us > at_us) & (fitting_of_fix == fitting)]
            ends_us += later_fixes[:1].tolist()
        stretches.append((at_us, min(ends_us)))
    clipped = sorted((max(start, from_us), min(end, to_us)) for start, end in stretches)
    return np.array([(start, end) for start, end in clipped if start <= end], np.int64).reshape(-1, 2)


def _between_fittings(fittings: Fittings, from_us: int, to_us: int) -> list[tuple[int, int]]:
    """Give the stretches in which no tag was fitted."""
    gaps, fitted_to_us = [], from_us - 1
    for start, end in sorted(zip(fittings.from_us.tolist(), fittings.to_us.tolist(), strict=True)):
        if start > fitted_to_us + 1:
            gaps.append((fitted_to_us + 1, min(start - 1, to_us)))
        fitted_to_us = max(fitted_to_us, end)
    if fitted_to_us < to_us:
        gaps.append((fitted_to_us + 1, to_us))
    return [(start, end) for start, end in gaps if start <= end]
